"""Starting a browser: every one that this software starts is started here, behind a relay or a dead end.

A page can leave a browser by other ways than its proxy: look-ups of names, WebRTC's own UDP, services in the
background. Each is closed by the command line (see ``runbook_lib.browsers``). The driver and the browser get a named
environment, because an ``env:`` secret stands in ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from playwright._impl import transport
from playwright.async_api import Browser, Error, Playwright, ProxySettings, async_playwright

from runbook_lib.browsers import launch_arguments
from runbook_lib.environment import plain_environment
from runbook_lib.errors import BrowserMissing, cut, opening_line
from runbook_lib.no_dump import no_core

NOWHERE = ProxySettings(server="http://127.0.0.1:9", bypass="<-loopback>")
"""A dead end: nobody answers there, so whoever forgets a context's own proxy gets no page, from nowhere."""

# The driver's public interface has no way to name its environment.
_inherited: Callable[[], dict[str, str]] = vars(transport)["get_driver_env"]


def _driver_environment() -> dict[str, str]:
    own = _inherited()
    return plain_environment(own) | {name: own[name] for name in own if name.startswith("PW_")}


vars(transport)["get_driver_env"] = _driver_environment


@asynccontextmanager
async def driver() -> AsyncIterator[Playwright]:
    """Start the browser's driver, in a named environment."""
    async with async_playwright() as playwright:
        yield playwright


START_DEADLINE_S = 120.0
"""How long a browser may take to come up; on a busy machine it takes many times what it takes on an idle one."""


async def launch(
    playwright: Playwright,
    executable: Path,
    keys: Iterable[str] = (),
    *,
    way: ProxySettings = NOWHERE,
    headless: bool = True,
) -> Browser:
    """Start a browser whose only way out is ``way``, and which accepts the public ``keys`` (SHA-256, hex).

    Raises BrowserMissing where it does not start.
    """
    no_core()  # what is typed into a page is in the browser's memory too
    try:
        return await playwright.chromium.launch(
            executable_path=executable,
            args=launch_arguments(keys),
            env=dict(plain_environment()),
            proxy=way,
            headless=headless,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=START_DEADLINE_S * 1000,
        )
    except Error as error:
        raise BrowserMissing(
            "the browser does not start",
            where=str(executable),
            found=first_line(error),
            next_step="Start it by hand once to see why, or name another one (key browser of the site's file).",
        ) from None


def first_line(error: Error) -> str:
    """Return the first line of what the driver says: the rest can hold what was typed."""
    return cut(opening_line(error.message), 300) if error.message else type(error).__name__
