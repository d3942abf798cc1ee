"""Pictures of the page as evidence, every secret blacked out in the page itself before the picture is taken."""

from __future__ import annotations

import asyncio
import contextlib

from playwright.async_api import Error, JSHandle

from runbook_lib.errors import CertificateMoved, DeviceError
from runbook_lib.web.view import View

_PICTURE_S = 10.0
_TRIES = 3
_MASK = """(h, indices) => { for (const i of indices) {
  const el = h.elements[i];
  el.setAttribute("data-masked", el.getAttribute("style") || "");
  for (const [k, v] of [["transition", "none"], ["animation", "none"], ["background", "#000"], ["color", "#000"],
    ["text-shadow", "none"], ["-webkit-text-fill-color", "#000"], ["-webkit-text-security", "disc"]])
    el.style.setProperty(k, v, "important");
} }"""
_UNMASK = """(h, indices) => { for (const i of indices) {
  const el = h.elements[i], style = el.getAttribute("data-masked");
  if (style) el.setAttribute("style", style); else el.removeAttribute("style");
  el.removeAttribute("data-masked");
} }"""
_MASKED = "(h, indices) => indices.every((i) => h.elements[i].hasAttribute('data-masked'))"


async def take_picture(view: View, name: str) -> None:
    """Hand a PNG of what the window shows to the evidence; without certainty that it holds no secret, none."""
    if view.evidence is None:
        return
    for _ in range(_TRIES):
        png = None
        # What is wrong with the page the verb itself will meet too.
        with contextlib.suppress(Error, DeviceError, CertificateMoved, TimeoutError):
            png = await _masked_picture(view)
        if png is not None:
            view.evidence(name, png)
            return


async def _masked_picture(view: View) -> bytes | None:
    masked = await _sensitive(view)
    view.keep_handles()
    try:
        for handle, indices in masked:
            await handle.evaluate(_MASK, indices)
        async with asyncio.timeout(_PICTURE_S):
            png = await view.browser.screenshot()
        # A page that was drawn anew meanwhile shows fields that nobody has masked.
        view.moved()
        whole = all([await handle.evaluate(_MASKED, indices) for handle, indices in await _sensitive(view)])
    finally:
        for handle, indices in masked:
            with contextlib.suppress(Error):
                await handle.evaluate(_UNMASK, indices)
                await handle.dispose()
        view.moved()
    return png if whole else None


async def _sensitive(view: View) -> list[tuple[JSHandle, list[int]]]:
    screen = await view.look()
    found = [(n, [item.index for item in items if item.sensitive]) for n, items in screen.frames.items()]
    return [(view.handle(number), indices) for number, indices in found if indices]
