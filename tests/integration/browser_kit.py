"""One browser for the tests of a file, and what befalls a browser, for tests of the browser side."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from runbook_lib.web import browser
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.browsers import find_browser
from runbook_lib.web.launching import SharedBrowser, driver

_runners: list[asyncio.Runner] = []


@contextmanager
def one_browser() -> Iterator[None]:
    """Keep one shared browser, as a run does, and one driver in one event loop; each page still has its own context."""
    with SharedBrowser(find_browser()) as shared, asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patched:
        assert shared.environment, "the shared browser does not start"
        for name, value in shared.environment.items():
            patched.setenv(name, value)
        kept = driver()
        playwright = runner.run(kept.__aenter__())
        patched.setattr(browser, "driver", lambda: nullcontext(playwright))
        _runners.append(runner)
        try:
            yield
        finally:
            _runners.remove(runner)
            runner.run(kept.__aexit__(None, None, None))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine: in the loop of the browser that its file keeps, else in one of its own."""
    if _runners:
        _runners[-1].run(main)
    else:
        asyncio.run(main)


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
