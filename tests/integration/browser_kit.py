"""One browser for the tests of a process, and what befalls a browser, for tests of the browser side."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import pytest

from runbook_lib import event_loop
from runbook_lib.paths import find_browser
from runbook_lib.web import browser, launching
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.launching import SharedBrowser, driver


class _Kept:
    """One shared browser of this process, as a run of many sites has, and the driver of this process's pages.

    The driver lives in the product's own event loop: what works a page in it runs there too (``event_loop.run``).
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._shared = self._open.enter_context(SharedBrowser(find_browser()))
        assert self._shared.environment, "the shared browser does not start"
        driving = driver()
        self._playwright = event_loop.run(driving.__aenter__())
        self._open.callback(lambda: event_loop.run(driving.__aexit__(None, None, None)))

    def alive(self) -> bool:
        """Whether no test has killed it."""
        return self._shared._process is not None and self._shared._process.poll() is None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have every page of this process, and of those below it, open in this browser."""
        with pytest.MonkeyPatch.context() as patched:
            for name, value in self._shared.environment.items():
                patched.setenv(name, value)
            for module in (browser, launching):
                patched.setattr(module, "driver", lambda: nullcontext(self._playwright))
            yield

    def close(self) -> None:
        self._open.close()


_kept: list[_Kept] = []


@contextmanager
def one_browser() -> Iterator[None]:
    """Work the pages in the browser that this process keeps; each page still has a context of its own."""
    if _kept and not _kept[0].alive():
        end_browser()
    if not _kept:
        _kept.append(_Kept())
    with _kept[0].used():
        yield


def end_browser() -> None:
    """End the browser that is kept, if there is one."""
    while _kept:
        _kept.pop().close()


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
