"""What goes wrong on web pages, in a real browser: each is told apart, and nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from test_web_pages import FORM, FORM_AT, INSIDE, drive
from web_site import Product

from runbook_lib.errors import DeviceSilent, LoginRefused, OutcomeUnknown, PageNotUnderstood, PageRefused
from runbook_lib.observations import HaPage
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.reading import meaning

pytestmark = pytest.mark.usefixtures("one_browser")
WRONG_KEY = HaForm(secondary_server="198.51.100.2", auth_key="not-the-key")


REFUSED_LOGINS = {
    "Invalid user name or password": "not accepted",
    "Your account is locked after too many attempts": "locked",
    "": "without a reason",
}


@pytest.mark.parametrize("skin", ["plain", "tables", "aria"])
def test_a_wrong_login_is_refused_with_the_words_of_the_page(skin: str, tmp_path: Path) -> None:
    """The page's own words stand in the error, on each markup; it is tried once.

    A locked account is told from a wrong password, and an empty login page that comes again counts as refused.
    """
    product = Product()
    told = list(REFUSED_LOGINS.items())[: None if skin == "tables" else 1]

    async def use(pages: PrimePages) -> None:
        for product.login_says, meant in told:
            product.sessions.clear()
            with pytest.raises(LoginRefused, match=meant) as caught:
                await pages.login("root", "wrong-pass")
            assert product.login_says in caught.value.found

    drive(product, skin, tmp_path, use, at=INSIDE)
    assert [fields["password"] for what, fields in product.heard] == ["wrong-pass"] * len(told)


@pytest.mark.parametrize("skin", ["tables", "aria", "drawn"])
def test_a_wrong_key_is_refused_in_the_words_of_the_page(skin: str, tmp_path: Path) -> None:
    """PageRefused holds the sentence and the next step, the key stands nowhere, and Register was clicked once."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageRefused) as caught:
            await pages.register(WRONG_KEY)
        assert "Authentication key does not match" in caught.value.found
        assert "ncs ha authkey" in caught.value.next_step
        assert "not-the-key" not in str(caught.value)

    drive(product, skin, tmp_path, use, at=FORM_AT.get(skin, ""))
    assert [what for what, _ in product.heard if what != "login"] == ["register"]


@pytest.mark.parametrize("skin", ["plain", "aria"])
def test_a_registration_that_fails_names_the_milestone(skin: str, tmp_path: Path) -> None:
    """A failure half-way raises PageRefused with the milestone and the page's words."""
    product = Product(fail_at=2)

    async def use(pages: PrimePages) -> None:
        await pages.register(FORM)
        with pytest.raises(PageRefused, match="Database Replication") as caught:
            await pages.watch_registration(lambda page: None)
        assert "could not be completed" in caught.value.found

    drive(product, skin, tmp_path, use, at=INSIDE)


def test_a_registration_that_stands_still_ends_at_its_deadline(tmp_path: Path) -> None:
    """Stuck at 60 % past the deadline is DeviceSilent, which names the milestone."""
    product = Product()
    product.advance = lambda: setattr(product, "stage", 2) if product.stage >= 0 else None  # type: ignore[method-assign]

    async def use(pages: PrimePages) -> None:
        await pages.register(FORM)
        with pytest.raises(DeviceSilent) as caught:
            await pages.watch_registration(lambda page: None)
        assert "Database Replication 60 %" in caught.value.found

    drive(product, "plain", tmp_path, use, registration_s=6.0, at=FORM_AT["plain"])


@pytest.mark.parametrize("skin", ["plain", "aria"])
def test_the_watch_survives_an_expired_session(skin: str, tmp_path: Path) -> None:
    """When the session ends in the middle the watch logs in again and goes on to the end, without registering again.

    The callback gets every new state of the page and no state twice in a row.
    """
    product = Product()
    seen: list[HaPage] = []

    async def use(pages: PrimePages) -> None:
        await pages.register(FORM)
        product.expire_after = product.requests + 2
        page = await pages.watch_registration(seen.append)
        assert page.configuration_mode == "Primary Active"

    drive(product, skin, tmp_path, use, at=INSIDE)
    states = [replace(page, read_utc=seen[0].read_utc) for page in seen]
    assert all(one != other for one, other in pairwise(states))
    assert [step.percent for step in states[-1].milestones] in ([100, 100, 100], [])
    assert [what for what, _ in product.heard] == ["register", "login"]


def test_a_session_that_ends_between_two_pages_is_opened_again(tmp_path: Path) -> None:
    """Reading the pages after the session ended logs in once more."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        product.sessions.clear()
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"

    drive(product, "plain", tmp_path, use, at=INSIDE)
    assert [what for what, _ in product.heard] == ["login"]


def test_a_session_that_ends_under_the_click_does_not_register_twice(tmp_path: Path) -> None:
    """Where the click on Register met the login page, the outcome is unknown and the click is not repeated."""
    product = Product()
    clicks: list[int] = []

    async def use(pages: PrimePages) -> None:
        before = product.requests
        product.expire_after = before
        with pytest.raises(OutcomeUnknown):
            await pages.register(FORM)
        clicks.append(product.requests - before)

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])
    assert [what for what, _ in product.heard] == ["login"]


def test_a_session_that_ends_under_save_is_told_by_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody logs in anew and reads the list: what does not stand in it, or still does, was not done."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        press = pages._actions.press_once

        async def end_and_press(*given: Any, **more: Any) -> None:
            product.sessions.clear()
            await press(*given, **more)

        monkeypatch.setattr(pages._actions, "press_once", end_and_press)
        with pytest.raises(PageRefused, match=r"(?s)was not done.*list does not hold it") as caught:
            await pages.add_ise("198.51.100.7", "admin", "ise-Secret")
        assert caught.value.told.startswith("not done: ")
        product.ise["198.51.100.7"] = "Unreachable"
        with pytest.raises(PageRefused, match=r"(?s)was not done.*list still holds it"):
            await pages.remove_ise("198.51.100.7")

    monkeypatch.setattr("runbook_lib.web.pages._LATE_S", 0.0)
    drive(product, "plain", tmp_path, use, at="/ise")
    assert [what for what, _ in product.heard] == ["login", "login"]


def test_a_click_that_nothing_comes_of_is_unknown(tmp_path: Path) -> None:
    """A Register button that sends something and does nothing visible leaves the outcome unknown."""
    product = Product(rewrite=(("return confirm('Are you sure you want to register?')", "fetch('/x'); return false"),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(OutcomeUnknown):
            await pages.register(FORM)

    drive(product, "plain", tmp_path, use, page_s=5.0, at=FORM_AT["plain"])


def test_a_question_that_nobody_expected_is_answered_with_no(tmp_path: Path) -> None:
    """A confirmation that speaks of removing something is declined and reported in its words."""
    question = "This will remove the existing registration. Continue?"
    product = Product(rewrite=(("Are you sure you want to register?", question),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageRefused) as caught:
            await pages.register(FORM)
        assert caught.value.found == question

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])
    assert not product.heard


def test_a_renamed_field_is_named_with_what_is_there_and_a_site_can_name_it(tmp_path: Path) -> None:
    """A caption that nobody knows is reported with the captions that the page has; nothing is submitted.

    A label of the site's file makes the renamed field known.
    """
    product = Product(rewrite=(("Authentication Key", "Shared Phrase"),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.register(FORM)
        assert "Authentication Key" in caught.value.what
        assert "Shared Phrase" in caught.value.found
        assert "labels" in caught.value.next_step
        assert not product.heard
        known = PrimePages(pages._browser, labels_for({"auth_key": ("Shared phrase",)}), poll_s=0.2)
        assert (await known.register(FORM)).under_way

    drive(product, "tables", tmp_path, use, page_s=3.0, at=FORM_AT["tables"])


REFUSED_ISE = {
    "unauthorized": ("198.51.100.7", "wrong-one"),
    "unreachable": ("198.51.100.8", "ise-Secret"),
    "duplicate": ("198.51.100.5", "ise-Secret"),
}


@pytest.mark.parametrize("skin", ["plain", "aria"])
def test_refusals_of_an_ise_server_are_told_apart(skin: str, tmp_path: Path) -> None:
    """A 401, an unreachable server and a duplicate differ; Save is clicked once, and not for a listed server.

    PI holds two: the refusal of a third says so. In a dialogue, what the form is there, the first and the third.
    """
    product = Product(ise={"198.51.100.5": "Reachable"})
    tried = dict(list(REFUSED_ISE.items())[: None if skin == "plain" else 1])

    async def use(pages: PrimePages) -> None:
        for meant, (address, password) in tried.items():
            with pytest.raises(PageRefused) as caught:
                await pages.add_ise(address, "admin", password)
            assert meaning(caught.value.found, labels_for()) == meant
            assert password not in str(caught.value)
        product.ise["198.51.100.6"] = "Unreachable"
        assert [row.answers for row in await pages.ise_servers()] == [True, False]
        with pytest.raises(PageRefused) as caught:
            await pages.add_ise("198.51.100.7", "admin", "ise-Secret")
        assert meaning(caught.value.found, labels_for()) == "too_many"

    drive(product, skin, tmp_path, use, at=INSIDE)
    assert [what for what, _ in product.heard] == ["add_ise"] * (3 if skin == "plain" else 2)


def test_virtual_addresses_are_typed_after_their_box_is_ticked(tmp_path: Path) -> None:
    """Fields that appear with the box are waited for and filled."""
    product = Product()
    form = HaForm(
        secondary_server="198.51.100.2", auth_key="k3y-Secret", virtual_ipv4="198.51.100.9", virtual_ipv6="2001:db8::9"
    )

    async def use(pages: PrimePages) -> None:
        await pages.register(form)

    drive(product, "aria", tmp_path, use, at=FORM_AT["aria"])
    fields = product.heard[-1][1]
    assert (fields["vip"], fields["v4"], fields["v6"]) == ("true", "198.51.100.9", "2001:db8::9")


def test_pictures_hold_no_trace_of_a_secret(tmp_path: Path) -> None:
    """While the key stands in the form there is none; the one after it has the same bytes whatever the key is."""
    kept: dict[str, dict[str, bytes]] = {}
    for key in ("WWWWWWWWWW", "iiii"):
        # The sign for a picture that is missing is not drawn alike each time.
        product = Product(key="neither", rewrite=(("<img alt=Help width=8 height=8>", "?"),))
        pictures = kept.setdefault(key, {})

        async def use(pages: PrimePages, key: str = key, pictures: dict[str, bytes] = pictures) -> None:
            pictures.clear()
            with pytest.raises(PageRefused):
                await pages.register(HaForm(secondary_server="198.51.100.2", auth_key=key))

        drive(product, "tables", tmp_path, use, evidence=pictures.__setitem__, at=FORM_AT["tables"])
    assert list(kept["iiii"]) == ["register-after"]
    assert kept["WWWWWWWWWW"] == kept["iiii"]


def test_what_stands_between_the_login_and_the_pages_is_put_off_or_told(tmp_path: Path) -> None:
    """An offer is put off and a notice accepted; a question, and a login at another server, are named for a person."""
    steps = [
        "Your password expires in 5 days. Change your password? <button>Change now</button> <button>{}</button>",
        "Access is watched. <button>Accept</button>",
        "Another session is active, and will be ended. <button>Continue</button>",
    ]
    steps[0] = steps[0].format("Remind me later")
    script = f"""<script>const steps = {json.dumps(steps)}; let at = +localStorage.at || 0;
      const next = () => {{ if (location.pathname === '/' && at < steps.length) document.body.innerHTML = steps[at] }};
      onclick = (event) => {{ if (event.target.tagName !== 'BUTTON') return;
        fetch('/pressed?' + event.target.textContent); localStorage.at = ++at; at === 2 ? location = '/x' : next() }};
      next()</script>"""
    product = Product(rewrite=(("<h2>Dashboard</h2>", f"<h2>Dashboard</h2>{script}"),))
    pressed: list[str] = []

    async def use(pages: PrimePages) -> None:
        pages._browser.page.on("request", lambda request: pressed.append(unquote(request.url.partition("?")[2])))
        product.sessions.clear()
        await pages.login(product.user, product.password)
        product.sessions.clear()
        with pytest.raises(PageNotUnderstood, match=r"asks for more .* Another session .* \[Continue\]"):
            await pages.login(product.user, product.password)
        product.sessions.clear()
        product.rewrite = (("<h1>Welcome</h1>", "<script>location = 'https://idp.example.org/in?x=1'</script>"),)
        with pytest.raises(PageNotUnderstood, match=r"at another server.*https://idp\.example\.org/in\s"):
            await pages.login(product.user, product.password)

    drive(product, "plain", tmp_path, use, at=INSIDE, page_s=5.0)
    assert [each for each in pressed if each] == ["Remind me later", "Accept", "x=1"]


def test_a_login_button_of_another_name_is_not_needed(tmp_path: Path) -> None:
    """A form with one button of an unknown name is sent with the Enter key."""
    product = Product(rewrite=(("Sign In", "Weiter"),))

    async def use(pages: PrimePages) -> None:
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"

    drive(product, "tables", tmp_path, use)


def test_a_panel_that_covers_nothing_is_left_alone(tmp_path: Path) -> None:
    """A dialogue beside the page, which lets everything else be used, is neither answered nor in the way."""
    panel = (
        "<div role=dialog aria-label=Chat style='float:right'>Delete all? <button>Yes</button><button>No</button></div>"
    )
    product = Product(rewrite=(("<h2>HA Configuration</h2>", panel + "<h2>HA Configuration</h2>"),))

    async def use(pages: PrimePages) -> None:
        assert (await pages.register(FORM)).under_way

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])


def test_an_old_script_library_does_not_change_what_is_read(tmp_path: Path) -> None:
    """A page whose scripts change how lists are written as text is read all the same; what cannot be read is told."""
    script = "<script>Array.prototype.toJSON = function () { return 'a list'; }; {}</script>"
    ours = script.replace("{}", "if (location.search) JSON.stringify = String")
    product = Product(rewrite=(("<!doctype html>", f"<!doctype html>{ours}"),))

    async def use(pages: PrimePages) -> None:
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"
        await pages._browser.go("/ha?its=own")
        assert (await pages._ha.read()).configuration_mode == "HA not Configured"
        await pages._browser.page.evaluate("window.getComputedStyle = undefined")
        pages._view.forget_last_look()
        with pytest.raises(PageNotUnderstood, match="cannot be read") as caught:
            await pages._view.wait(lambda _: None, "nothing", 0.1)
        assert "getComputedStyle is not a function" in caught.value.found

    drive(product, "plain", tmp_path, use, at=INSIDE)
