"""The browser, the server or the time goes away while HA is registered: nothing is lost and nothing done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web
from browser_kit import kill_browser
from test_web_pages import FORM
from tls_site import Identity, serving
from waiting import awaited, let_pass
from web_site import Product, application

from runbook_lib.errors import ConnectionLost, PageNotUnderstood
from runbook_lib.observations import HaPage
from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.pages import PrimePages

DEADLINES = Deadlines(page_s=60, readiness_s=120, registration_s=300)


async def opened(browser: PinnedBrowser, product: Product) -> PrimePages:
    pages = PrimePages(browser, labels_for(), poll_s=0.2)
    await pages.login(product.user, product.password)
    return pages


def test_a_browser_killed_during_the_registration_loses_nothing(tmp_path: Path) -> None:
    """ConnectionLost; a new browser finds the registration under way and watches it to its end; Register once."""
    product = Product()
    held = product.advance
    product.advance = lambda: held() if product.stage < 2 else None  # type: ignore[method-assign]

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(application(product, "plain"), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                pages = await opened(browser, product)
                await pages.register(FORM)
                deaths: list[asyncio.Task[None]] = []

                def die(page: HaPage) -> None:
                    if not deaths and any(step.percent >= 60 for step in page.milestones):
                        deaths.append(asyncio.ensure_future(kill_browser(browser)))

                with pytest.raises(ConnectionLost):
                    await pages.watch_registration(die)
                await deaths[0]
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                pages = await opened(browser, product)
                assert (await pages.ha_page()).under_way
                product.advance = held  # type: ignore[method-assign]
                assert (await pages.watch_registration(lambda page: None)).configuration_mode == "Primary Active"

    asyncio.run(go())
    assert [what for what, _ in product.heard] == ["login", "register", "login"]


def test_a_server_that_restarts_under_the_browser_is_waited_for(tmp_path: Path) -> None:
    """Refused connections and an ended session in the middle: the watch comes back, logs in, and ends well."""
    product = Product()
    held = product.advance

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        app = application(product, "plain")
        first = tornado.httpserver.HTTPServer(app, ssl_options=identity.context())
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        port = sockets[0].getsockname()[1]
        first.add_sockets(sockets)
        second = tornado.httpserver.HTTPServer(app, ssl_options=identity.context())
        told: list[HaPage] = []
        restarts: list[asyncio.Task[None]] = []

        async def restart() -> None:
            first.stop()
            await first.close_all_connections()
            product.sessions.clear()
            refused = asyncio.Event()
            browser.page.on("requestfailed", lambda _: refused.set())
            await awaited(refused.wait(), "a refused connection")
            second.add_sockets(tornado.netutil.bind_sockets(port, "127.0.0.1"))

        def note(page: HaPage) -> None:
            told.append(page)
            if not restarts:
                restarts.append(asyncio.ensure_future(restart()))

        url = f"https://127.0.0.1:{port}"
        try:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                pages = await opened(browser, product)
                product.advance = lambda: held() if restarts and restarts[0].done() else None  # type: ignore[method-assign]
                await pages.register(FORM)
                page = await pages.watch_registration(note)
                assert page.configuration_mode == "Primary Active"
        finally:
            second.stop()

    asyncio.run(go())
    assert [what for what, _ in product.heard] == ["login", "register", "login"]


def test_slow_pages_are_waited_for(tmp_path: Path) -> None:
    """With 0.8 s before each answer HA is registered all the same, with one click on Register."""
    product = Product()

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        app = application(product, "tables")
        handler: Any = app.wildcard_router.rules[0].target
        prepare = handler.prepare

        class Patient(handler):  # type: ignore[misc]
            async def prepare(self) -> None:
                await let_pass(0.8, "the server is slow")
                prepare(self)

        settings = app.wildcard_router.rules[0].target_kwargs
        slow = tornado.web.Application([(r"/(.*)", Patient, settings)])
        with serving(slow, identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                pages = await opened(browser, product)
                await pages.open_ha_configuration()
                assert len(await pages.check_readiness(FORM)) == len(product.readiness)
                await pages.register(FORM)
                assert (await pages.watch_registration(lambda page: None)).configuration_mode == "Primary Active"

    asyncio.run(go())
    assert [what for what, _ in product.heard].count("register") == 1


class Elsewhere(tornado.web.RequestHandler):
    """Sends everybody to the server's other name."""

    def get(self) -> None:
        self.redirect("https://prime-pri.example.com/webacs/login")


def test_a_redirect_to_the_servers_other_name_is_not_followed_and_is_named(tmp_path: Path) -> None:
    """No login is typed; the error names the place that was asked for and not reached."""

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(tornado.web.Application([(r"/.*", Elsewhere)]), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, Deadlines(page_s=15)) as browser:
                with pytest.raises((ConnectionLost, PageNotUnderstood)) as caught:
                    await PrimePages(browser, labels_for()).login("root", "secret-password")
                assert "prime-pri.example.com" in caught.value.found
                assert not browser.secrets

    asyncio.run(go())
