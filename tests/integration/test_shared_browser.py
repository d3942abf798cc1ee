"""One browser for many: what is shared is the process, and nothing that a page says or is told."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import tornado.web
from browser_kit import kill_browser, process_of
from descendants import each_descendant
from playwright.async_api import Error
from tls_site import Identity, serving

from runbook_lib.errors import CertificateMoved, ConnectionLost
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.show.report_page import print_pdf
from runbook_lib.web import launching
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.launching import SharedBrowser, SharedBrowserPlace

DEADLINES = Deadlines(connect_s=30, page_s=30)


class Visitor(tornado.web.RequestHandler):
    """Gives a cookie with the site's name, and says which came."""

    def get(self) -> None:
        came = self.get_cookie("who") or "nobody"
        self.set_cookie("who", str(self.application.settings["who"]))
        self.finish(came)


def site(who: str) -> tornado.web.Application:
    return tornado.web.Application([("/.*", Visitor)], who=who)


@pytest.fixture
def one_browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedBrowser]:
    with SharedBrowser(find_browser()) as browser:
        for name, value in browser.environment.items():
            monkeypatch.setenv(name, value)
        yield browser


def test_sites_share_a_process_and_neither_pins_nor_cookies(one_browser: SharedBrowser, tmp_path: Path) -> None:
    """Two sites at one address with two keys: each is reached by its own pin, and hears of its own cookies."""

    async def go() -> None:
        first, second = Identity(tmp_path, "prime-a"), Identity(tmp_path, "prime-b")
        with serving(site("a"), first.context()) as one, serving(site("b"), second.context()) as other:
            async with (
                PinnedBrowser.open(find_browser(), one, first.pin, DEADLINES) as here,
                PinnedBrowser.open(find_browser(), other, second.pin, DEADLINES) as there,
                PinnedBrowser.open(find_browser(), other, first.pin, DEADLINES) as wrong,
            ):
                assert await process_of(here) == await process_of(there)
                for _ in range(2):
                    await here.go()
                await here.verify()
                await there.go()
                await there.verify()
                assert await here.page.inner_text("body") == "a"
                assert await there.page.inner_text("body") == "nobody"
                with pytest.raises(CertificateMoved):
                    await wrong.go()

    asyncio.run(go())


def test_a_page_without_a_pin_reaches_nothing(one_browser: SharedBrowser, tmp_path: Path) -> None:
    """Nothing in the shared browser has a way to the network but through the relay of its own context."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-a")
        with serving(site("a"), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                assert browser.page.context.browser is not None
                stray = await browser.page.context.browser.new_page(ignore_https_errors=True)
                with pytest.raises(Error, match="ERR_PROXY_CONNECTION_FAILED"):
                    await stray.goto(url)

    asyncio.run(go())


def test_it_can_be_reached_by_its_user_alone(one_browser: SharedBrowser) -> None:
    """The socket, the relays' key and whatever the driver notes lie in a folder that nobody else may enter."""
    folder = Path(one_browser.environment[launching.ENVIRONMENT])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = [path for path in folder.rglob("*") if not path.is_dir()]
    assert any(stat.S_ISSOCK(path.stat().st_mode) for path in found)
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in found)


def test_where_it_has_died_each_starts_its_own(one_browser: SharedBrowser, tmp_path: Path) -> None:
    """Whoever is at work in it hears that the browser ended; the next one, and the report's print, go on without it."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-a")
        with serving(site("a"), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                await kill_browser(browser)
                with pytest.raises(ConnectionLost, match="the browser ended"):
                    await browser.go()
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                await browser.go()
                await browser.verify()

    asyncio.run(go())


def test_the_report_is_printed_in_it(one_browser: SharedBrowser) -> None:
    """Nothing but a PDF comes of it, and the browser lives on."""
    for _ in range(2):
        assert print_pdf("<title>x</title><p>x", find_browser(), title="x", journal=b"").startswith(b"%PDF")


def test_another_executable_is_not_taken_for_it(one_browser: SharedBrowser, tmp_path: Path) -> None:
    """A site that names a browser of its own gets that one."""
    assert SharedBrowserPlace.from_environment(find_browser()) is not None
    assert SharedBrowserPlace.from_environment(tmp_path / "other") is None


def test_its_processes_get_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that holds it, its driver and the browser itself: what is in our environment is in none of theirs."""
    monkeypatch.setenv("PI_PASSWORD", "secret-of-ours")
    with SharedBrowser(find_browser()) as browser:
        assert browser.environment
        found = each_descendant(lambda process: (process.name(), "secret-of-ours" in str(process.environ())))
        assert len(found) > 3
        assert not [name for name, holds in found if holds]
