"""The reading of a page that was not understood, as plain values: from it a label can be found from afar."""

from __future__ import annotations

import contextlib
from typing import Any

from playwright.async_api import Error

from runbook_lib.errors import DeviceError
from runbook_lib.web.screen import FIELDS, PRESSABLE, Item
from runbook_lib.web.view import View

_CONTROLS = FIELDS | PRESSABLE | {"icon", "progressbar"}
_SNAPSHOT_MS = 4000
_COVERS = """(h, indices) => indices.map((i) => {
  const el = h.elements[i], box = el.getBoundingClientRect();
  const over = el.ownerDocument.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  if (!over || el.contains(over) || over.contains(el)) return "";
  return [over.tagName.toLowerCase(), over.className, (over.innerText || "").slice(0, 60)].filter(Boolean).join(" ");
})"""


async def reading(view: View) -> dict[str, Any]:
    """Return what is read of the page now: its address, texts and controls, and the browser's own accessible tree.

    A control has its kind, names, value, state, place (x, y, width, height), frame and dialogue, and what covers it.
    Secrets that were typed are left out. What cannot be read is missing; nothing is raised.
    """
    kept: dict[str, Any] = {"address": view.browser.page.url}
    with contextlib.suppress(Error, DeviceError):
        screen = await view.look(anew=True)
        kept["texts"] = list(screen.texts)
        kept["controls"] = []
        for number, items in screen.frames.items():
            controls = [item for item in items if item.kind in _CONTROLS]
            covers = await view.handle(number).evaluate(_COVERS, [item.index for item in controls])
            kept["controls"] += [_values(item, over) for item, over in zip(controls, covers, strict=True)]
    with contextlib.suppress(Error):
        kept["accessible"] = await view.browser.page.locator("body").aria_snapshot(timeout=_SNAPSHOT_MS)
    return {name: _without(value, view.browser.secrets) for name, value in kept.items()}


def _values(item: Item, covered_by: str) -> dict[str, Any]:
    shown = {"role": item.kind, "names": [text for _, text in item.names], "value": item.value, "place": list(item.box)}
    state = {"options": list(item.options), "checked": item.checked, "disabled": item.disabled}
    place = {"frame": item.frame, "dialog": item.dialog, "covered_by": covered_by}
    return {**shown, **{name: value for name, value in (state | place).items() if value}}


def _without(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "[secret]")
    elif isinstance(value, list):
        return [_without(each, secrets) for each in value]
    elif isinstance(value, dict):
        return {name: _without(each, secrets) for name, each in value.items()}
    return value
