"""The reading of a page that was not understood, as plain values: from it a label can be found from afar."""

from __future__ import annotations

import contextlib
from typing import Any

from playwright.async_api import Error

from runbook_lib.errors import DeviceError
from runbook_lib.web.drawn import Drawn
from runbook_lib.web.screen import FIELDS, PRESSABLE, Item
from runbook_lib.web.view import View

_CONTROLS = FIELDS | PRESSABLE | {"icon", "progressbar"}
_SNAPSHOT_MS = 4000
_HIDDEN = "[secret]"
_COVERS = """(h, indices) => indices.map((i) => {
  const el = h.elements[i], box = el.getBoundingClientRect();
  const over = el.ownerDocument.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  if (!over || el.contains(over) || over.contains(el)) return "";
  return [over.tagName.toLowerCase(), over.className, (over.innerText || "").slice(0, 60)].filter(Boolean).join(" ");
})"""


async def reading(view: View) -> dict[str, Any]:
    """Return what is read of the page now: its address, texts and controls, and the browser's own accessible tree.

    A control has its kind, names, value, state, place (x, y, width, height), frame and dialogue, and what covers it.
    Secrets that were typed, and what stands in password fields, are left out. What cannot be read is missing; nothing
    is raised.
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
    secrets = view.browser.secrets | await _passwords(view)
    return {name: _without(value, secrets) for name, value in kept.items()}


def _values(item: Item, covered_by: str) -> dict[str, Any]:
    shown = {"role": item.kind, "names": [text for _, text in item.names], "value": item.value, "place": list(item.box)}
    state = {"options": list(item.options), "checked": item.checked, "disabled": item.disabled}
    place = {"frame": item.frame, "dialog": item.dialog, "covered_by": covered_by}
    return {**shown, **{name: value for name, value in (state | place).items() if value}}


async def _passwords(view: View) -> set[str]:
    """Return what stands in password fields, whoever filled it in: the accessible tree says it aloud."""
    found: set[str] = set()
    for frame in view.browser.page.frames:
        with contextlib.suppress(Error):
            found |= set(await frame.locator("input[type=password]").evaluate_all("all => all.map((one) => one.value)"))
    return found - {""}


def _without(value: Any, secrets: frozenset[str]) -> Any:
    """Return a value without the secrets, and without what spells one otherwise: quoted, spaced or backwards."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _HIDDEN)
        if Drawn((value,)).shows(secrets):
            value = "\n".join(_HIDDEN if Drawn((line,)).shows(secrets) else line for line in value.splitlines())
        return _HIDDEN if Drawn((value,)).shows(secrets) else value
    if isinstance(value, list):
        kept = [_without(each, secrets) for each in value]
        words = tuple(each for each in kept if isinstance(each, str))
        return [_HIDDEN] if Drawn(words).shows(secrets) else kept
    if isinstance(value, dict):
        return {name: _without(each, secrets) for name, each in value.items()}
    return value
