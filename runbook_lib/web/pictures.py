"""Pictures of the page as evidence: none while a secret stands in it, or could be drawn in it."""

from __future__ import annotations

import asyncio
import contextlib

from playwright.async_api import Error

from runbook_lib.errors import CertificateMoved, DeviceError
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.view import View

_PICTURE_S = 10.0


async def take_picture(view: View, name: str) -> None:
    """Hand a PNG of what the window shows to the evidence; without certainty that it holds no secret, none."""
    if view.evidence is None:
        return
    # What is wrong with the page the verb itself will meet too.
    with contextlib.suppress(Error, DeviceError, CertificateMoved, TimeoutError):
        async with asyncio.timeout(_PICTURE_S):
            if not await _is_clean(view.browser):
                return
            png = await view.browser.screenshot()
            # A page that was drawn anew meanwhile may show what it did not show before.
            if await _is_clean(view.browser):
                view.evidence(name, png)


async def _is_clean(browser: PinnedBrowser) -> bool:
    if not browser.secrets:
        return True
    drawn = await browser.drawn()
    whole = drawn.documents >= len(browser.page.frames)  # a frame of another process is not in it
    told = await browser.was_told()
    return whole and not drawn.filled and not (told and drawn.painted) and not drawn.shows(browser.secrets)
