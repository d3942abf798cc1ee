"""The verbs on web pages, in a real browser, on pages of several markups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from old_pages import OLD_SKINS
from tls_site import Identity, serving
from web_site import SKINS, WORDS, Product, application

from runbook_lib import event_loop
from runbook_lib.observations import HaPage
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.screen import same_words

pytestmark = pytest.mark.usefixtures("one_browser")
FORM = HaForm(secondary_server="198.51.100.2", auth_key="k3y-Secret", email=("a@example.org", "b@example.org"))
FORM_AT = {"plain": "/haconf", "tables": "/haconf", "aria": "/inner#conf"}
"""Where each skin has the form, for somebody who need not go there by the menu."""
INSIDE = "/x"
"""Where each shows its first page to somebody who has logged in."""


def drive(
    product: Product,
    skin: str,
    folder: Path,
    use: Callable[[PrimePages], Awaitable[None]],
    *,
    words: dict[str, tuple[str, ...]] | None = None,
    evidence: Callable[[str, bytes], None] | None = None,
    page_s: float = 30.0,
    registration_s: float = 300.0,
    at: str = "",
) -> None:
    """Serve the product in a skin, log in, and do something with its pages.

    ``at``: somebody has logged in already, and is at that page; for what is about neither the login nor the menu.
    """
    deadlines = Deadlines(page_s=page_s, readiness_s=120, registration_s=registration_s)
    labels = labels_for(words or (WORDS if skin == "words" else {}))

    async def go() -> None:
        identity = Identity(folder, "prime-pri")
        with serving(application(product, OLD_SKINS.get(skin, skin)), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, deadlines) as browser:
                pages = PrimePages(browser, labels, evidence, poll_s=0.2)
                await (arrive(pages, product, at) if at else pages.login(product.user, product.password))
                await use(pages)

    event_loop.run(go())


async def arrive(pages: PrimePages, product: Product, at: str) -> None:
    """Open a page in a session that is there; where it ends, ``product`` hears the login."""
    browser = pages._browser
    product.sessions.add("begun")
    await browser.page.context.add_cookies([{"name": "sid", "value": "begun", "url": browser.base_url}])
    pages._view.logged_in, pages._credentials = True, (product.user, product.password)
    await browser.go(at)
    pages._view.forget_last_look()


@pytest.mark.parametrize("skin", [*SKINS, *OLD_SKINS])
def test_sets_up_high_availability_and_an_ise_server_on_every_skin(skin: str, tmp_path: Path) -> None:
    """Readiness, one registration with what the form holds and its milestones, and an ISE server that is added and
    removed again, work on each markup."""
    product = Product()
    seen: list[HaPage] = []

    async def use(pages: PrimePages) -> None:
        first = await pages.ha_page()
        assert same_words(first.configuration_mode, "HA not Configured")
        assert not first.under_way
        await pages.open_ha_configuration()
        items = await pages.check_readiness(FORM)
        assert [(item.name, item.passed) for item in items] == [
            (name, state == "Passed") for name, state in product.readiness
        ]
        await pages.register(FORM)
        last = await pages.watch_registration(seen.append)
        assert same_words(last.configuration_mode, "Primary Active")
        row = await pages.add_ise("198.51.100.7", "admin", "ise-Secret")
        assert (row.address, row.answers) == ("198.51.100.7", True)
        await pages.remove_ise("198.51.100.7")
        assert await pages.ise_servers() == ()

    drive(product, skin, tmp_path, use)
    heard = [what for what, _ in product.heard if what != "readiness"]
    assert heard == ["login", "register", "add_ise", "remove_ise"]
    fields = next(fields for what, fields in product.heard if what == "register")
    typed = {"secondary": "198.51.100.2", "key": "k3y-Secret", "email": "a@example.org,b@example.org"}
    assert fields | typed | {"failover": "Manual"} == fields
    assert [step.percent for step in seen[-1].milestones] in ([100, 100, 100], [])
    assert any(0 < step.percent < 100 for page in seen for step in page.milestones)


def test_a_list_that_is_shown_is_read_where_it_stands(tmp_path: Path) -> None:
    """After a change it is not gone to anew, and from another page it is."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        added = await pages.add_ise("198.51.100.7", "admin", "ise-Secret")
        before = product.requests
        assert await pages.ise_servers(anew=False) == (added,)
        assert product.requests == before
        assert await pages.ise_servers() == (added,)
        assert product.requests > before
        await pages.ha_page()
        assert await pages.ise_servers(anew=False) == (added,)

    drive(product, "plain", tmp_path, use)


def test_a_server_is_removed_from_a_list_that_can_be_filtered(tmp_path: Path) -> None:
    """Nothing is filled in to remove one: the filter beside the command is no other form's field."""
    product = Product(rewrite=(("<button onclick", "<input name=filter aria-label='Quick filter'><button onclick"),))
    product.ise["198.51.100.7"] = "Reachable"

    async def use(pages: PrimePages) -> None:
        await pages.remove_ise("198.51.100.7")

    drive(product, "plain", tmp_path, use, at=INSIDE)
    assert [what for what, _ in product.heard] == ["remove_ise"]


def test_words_that_only_look_like_text_are_pressed_where_nothing_else_answers(tmp_path: Path) -> None:
    """Buttons that neither markup nor pointer tells from text are found by what they say, and Register is sent once."""
    product = Product(rewrite=(("cursor:pointer", ""),))

    async def use(pages: PrimePages) -> None:
        await pages.open_ha_configuration()
        assert (await pages.register(FORM)).under_way

    drive(product, "drawn", tmp_path, use)
    assert [what for what, _ in product.heard] == ["login", "register"]
