"""The browser talks to the pinned key alone: proven with real TLS servers and a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import tornado.web
from browser_kit import kill_browser
from tls_site import Identity, serving
from web_site import Product, application

import runbook_lib.web.launching as module
from runbook_lib.errors import BrowserMissing, CertificateMoved, ConnectionLost, DeviceSilent, DeviceUnreachable
from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.launching import launch_arguments
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.relay import PinnedRelay

DEADLINES = Deadlines(connect_s=30, page_s=30)


class Page(tornado.web.RequestHandler):
    """Says hello, on connections that end with each answer; counts who came."""

    def initialize(self, heard: list[str], body: str = "hello") -> None:
        self.heard, self.body = heard, body

    def get(self) -> None:
        self.heard.append(self.request.uri or "")
        self.set_header("Connection", "close")
        self.finish(self.body)


class Silent(tornado.web.RequestHandler):
    async def get(self) -> None:
        await asyncio.Event().wait()


def site(heard: list[str], body: str = "hello") -> tornado.web.Application:
    return tornado.web.Application([("/silent", Silent), ("/.*", Page, {"heard": heard, "body": body})])


@asynccontextmanager
async def browsing(url: str, pin: str) -> AsyncIterator[PinnedBrowser]:
    async with PinnedBrowser.open(find_browser(), url, pin, DEADLINES) as browser:
        yield browser


def test_opens_a_page_of_the_pinned_key_with_a_common_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A self-signed certificate with nothing but a CN is accepted where its key is the pinned one, and verified.

    The page is asked for in English by a browser that speaks another language.
    """

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        monkeypatch.setattr(module, "launch_arguments", lambda pins: [*launch_arguments(pins), "--accept-lang=de"])
        with serving(site([]), identity.context()) as url:
            async with browsing(url, identity.pin) as browser:
                await browser.go()
                await browser.verify()
                assert await browser.page.inner_text("body") == "hello"
                assert await browser.page.evaluate("navigator.language") == "en-US"

    asyncio.run(go())


def test_another_key_gets_no_request_at_all(tmp_path: Path) -> None:
    """It never types a password into a page whose key is not the confirmed one.

    With another key CertificateMoved is raised, and the server hears not a single HTTP request.
    """
    heard: list[str] = []

    async def go() -> None:
        identity, other = Identity(tmp_path, "prime-pri"), Identity(tmp_path, "prime-pri")
        with serving(site(heard), other.context()) as url:
            async with browsing(url, identity.pin) as browser:
                with pytest.raises(CertificateMoved) as caught:
                    await browser.go()
                assert identity.pin in caught.value.found
                assert other.pin in caught.value.found

    asyncio.run(go())
    assert heard == []


def test_a_key_that_changes_between_two_pages_is_refused(tmp_path: Path) -> None:
    """The first page is seen, the next connection meets another key and gets no request; so does every later one."""
    heard: list[str] = []
    seen = ["/one"]

    async def go_again(browser: PinnedBrowser) -> None:
        # A slow machine's browser makes a spare connection, which has met the first key.
        for page in ("/one", "/one", "/one", "/two"):
            seen.append(page)
            await browser.go(page)

    async def go() -> None:
        identity, other = Identity(tmp_path, "prime-pri"), Identity(tmp_path, "prime-pri")
        context = identity.context()
        with serving(site(heard), context) as url:
            async with browsing(url, identity.pin) as browser:
                await browser.go("/one")
                context.load_cert_chain(other.pem)
                with pytest.raises(CertificateMoved):
                    await go_again(browser)
                context.load_cert_chain(identity.pem)
                with pytest.raises(CertificateMoved):
                    await browser.go("/three")
                with pytest.raises(CertificateMoved):
                    await browser.verify()

    asyncio.run(go())
    assert [uri for uri in heard if uri != "/favicon.ico"] == seen[:-1]
    assert set(seen[:-1]) == {"/one"}


# A headless shell knows the second only.
ROUND_THE_RELAY = ("--no-proxy-server", "--proxy-bypass-list=127.0.0.1")


def test_a_browser_that_goes_round_the_relay_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that the browser itself trusts, on a way round the relay, passes no verification."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        monkeypatch.setattr(
            module, "launch_arguments", lambda pins: [*launch_arguments([*pins, identity.pin]), *ROUND_THE_RELAY]
        )
        with serving(site([]), identity.context()) as url:
            async with browsing(url, identity.pin) as browser:
                await browser.go()
                with pytest.raises(CertificateMoved, match="pinned way"):
                    await browser.verify()

    asyncio.run(go())


def test_no_login_is_typed_into_a_page_that_came_round_the_relay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way is verified for the very page before the password is typed: nothing is submitted."""
    product = Product()

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        monkeypatch.setattr(
            module, "launch_arguments", lambda pins: [*launch_arguments([*pins, identity.pin]), *ROUND_THE_RELAY]
        )
        with serving(application(product, "plain"), identity.context()) as url:
            async with browsing(url, identity.pin) as browser:
                pages = PrimePages(browser, labels_for())
                with pytest.raises(CertificateMoved, match="pinned way"):
                    await pages.login(product.user, product.password)
                assert await browser.page.get_by_label("Password").input_value() == ""

    asyncio.run(go())
    assert product.heard == []


def test_no_password_is_typed_into_a_frame_that_is_not_of_the_server(tmp_path: Path) -> None:
    """A login form in a frame of another origin looks like the server's own, and gets nothing."""
    form = "<label>User Name <input></label><label>Password <input type=password></label><button>Login</button>"
    heard: list[str] = []

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        body = f"<iframe sandbox srcdoc='{form}' width=900 height=300></iframe>"
        with serving(site(heard, body), identity.context()) as url:
            async with browsing(url, identity.pin) as browser:
                with pytest.raises(CertificateMoved, match="another server"):
                    await PrimePages(browser, labels_for()).login("root", "secret-password")
                assert await browser.page.frames[1].get_by_label("Password").input_value() == ""

    asyncio.run(go())


def test_other_servers_get_nothing_and_are_named(tmp_path: Path) -> None:
    """A picture and a script of other servers are not fetched, and stand in ``blocked``."""
    elsewhere: list[str] = []

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(site(elsewhere), identity.context()) as other:
            body = f"<img src='{other}/a.png'><script src='{other}/b.js'></script>hello"
            with serving(site([], body), identity.context()) as url:
                async with browsing(url, identity.pin) as browser:
                    await browser.go()
                    await browser.page.wait_for_load_state("load")
                    assert set(browser.blocked) == {f"{other}/a.png", f"{other}/b.js"}

    asyncio.run(go())
    assert elsewhere == []


def test_a_server_that_is_down_is_unreachable(tmp_path: Path) -> None:
    """Where nothing listens DeviceUnreachable is raised."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(site([]), identity.context()) as url:
            pass
        async with browsing(url, identity.pin) as browser:
            with pytest.raises(DeviceUnreachable):
                await browser.go()

    asyncio.run(go())


def test_a_server_that_does_not_answer_is_silent(tmp_path: Path) -> None:
    """A page that never comes raises DeviceSilent at its deadline."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(site([]), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, Deadlines(page_s=3)) as browser:
                with pytest.raises(DeviceSilent):
                    await browser.go("/silent")

    asyncio.run(go())


def test_a_killed_browser_is_a_lost_connection(tmp_path: Path) -> None:
    """When the browser's process dies ConnectionLost is raised, and leaving the context raises nothing."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(site([]), identity.context()) as url:
            async with browsing(url, identity.pin) as browser:
                await browser.go()
                await kill_browser(browser)
                with pytest.raises(ConnectionLost):
                    await browser.go()

    asyncio.run(go())


def test_an_executable_that_is_no_browser_is_named(tmp_path: Path) -> None:
    """A browser that does not start raises BrowserMissing with its path."""

    async def go() -> None:
        async with PinnedBrowser.open(Path("/bin/false"), "https://127.0.0.1:1", "0" * 64, DEADLINES):
            raise AssertionError("started")

    with pytest.raises(BrowserMissing) as caught:
        asyncio.run(go())
    assert caught.value.where == "/bin/false"


@pytest.mark.parametrize("pin", ["", "ab" * 16, "g" * 64])
def test_a_pin_that_is_no_sha256_is_refused(pin: str) -> None:
    """An empty, short or malformed pin cannot even make a relay."""
    with pytest.raises(ValueError, match="64 hex digits"):
        PinnedRelay("127.0.0.1", 443, pin, 1.0)
