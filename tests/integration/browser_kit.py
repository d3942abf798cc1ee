"""What befalls a browser, for tests of the browser side."""

from __future__ import annotations

import asyncio
import os
import signal

from runbook_lib.web.browser import PinnedBrowser


async def process_of(browser: PinnedBrowser) -> int:
    """Return the process id of the browser's main process."""
    assert browser.page.context.browser is not None
    session = await browser.page.context.browser.new_browser_cdp_session()
    processes = await session.send("SystemInfo.getProcessInfo")
    (pid,) = [int(each["id"]) for each in processes["processInfo"] if each["type"] == "browser"]
    return pid


async def kill_browser(browser: PinnedBrowser) -> None:
    """Kill the browser's main process, and wait until that is noticed."""
    pid = await process_of(browser)
    closed = asyncio.Event()
    browser.page.on("close", lambda _: closed.set())
    os.kill(pid, signal.SIGKILL)
    await closed.wait()
