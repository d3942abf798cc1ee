"""What goes wrong on web pages, in a real browser: each is told apart, and nothing is done twice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

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


@pytest.mark.parametrize("skin", ["plain", "tables", "aria"])
def test_a_wrong_login_is_refused_with_the_words_of_the_page(skin: str, tmp_path: Path) -> None:
    """The page's own words stand in the error, on each markup."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        product.sessions.clear()
        with pytest.raises(LoginRefused) as caught:
            await pages.login("root", "wrong-pass")
        assert "not accepted" in caught.value.what
        assert "Invalid user name or password" in caught.value.found

    drive(product, skin, tmp_path, use, at=INSIDE)
    assert [fields["password"] for what, fields in product.heard].count("wrong-pass") == 1


def test_a_locked_account_is_told_from_a_wrong_password(tmp_path: Path) -> None:
    """Words of a lock make it a locked account."""
    product = Product(login_says="Your account is locked after too many attempts")

    async def use(pages: PrimePages) -> None:
        product.sessions.clear()
        with pytest.raises(LoginRefused, match="locked"):
            await pages.login("root", "wrong-pass")

    drive(product, "plain", tmp_path, use, at=INSIDE)


def test_a_login_page_that_comes_again_without_words_is_refused(tmp_path: Path) -> None:
    """An empty login page after the login counts as refused, and is not tried again."""
    product = Product(login_says="")

    async def use(pages: PrimePages) -> None:
        product.sessions.clear()
        with pytest.raises(LoginRefused, match="without a reason"):
            await pages.login("root", "wrong-pass")

    drive(product, "tables", tmp_path, use, at=INSIDE)
    assert [what for what, _ in product.heard] == ["login"]


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
    """When the session ends in the middle the watch logs in again and goes on to the end, without registering again."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        await pages.register(FORM)
        product.expire_after = product.requests + 2
        page = await pages.watch_registration(lambda page: None)
        assert page.configuration_mode == "Primary Active"

    drive(product, skin, tmp_path, use, at=INSIDE)
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


def test_a_click_that_nothing_comes_of_is_unknown(tmp_path: Path) -> None:
    """A Register button that does nothing visible leaves the outcome unknown."""
    product = Product(rewrite=(("return confirm('Are you sure you want to register?')", "return false"),))

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


@pytest.mark.parametrize("skin", ["plain", "tables", "aria"])
def test_a_renamed_field_is_named_with_what_is_there(skin: str, tmp_path: Path) -> None:
    """A caption that nobody knows is reported with the captions that the page has; nothing is submitted."""
    product = Product(rewrite=(("Authentication Key", "Shared Phrase"),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.register(FORM)
        assert "Authentication Key" in caught.value.what
        assert "Shared Phrase" in caught.value.found
        assert "labels" in caught.value.next_step

    drive(product, skin, tmp_path, use, page_s=3.0, at=FORM_AT[skin])
    assert not product.heard


def test_a_site_can_name_a_renamed_field(tmp_path: Path) -> None:
    """A label of the site's file makes the renamed field known."""
    product = Product(rewrite=(("Authentication Key", "Shared Phrase"),))

    async def use(pages: PrimePages) -> None:
        assert (await pages.register(FORM)).under_way

    drive(product, "tables", tmp_path, use, words={"auth_key": ("Shared phrase",)}, at=FORM_AT["tables"])


def test_two_fields_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    """Where two fields have the same caption the page is not understood, and nothing is submitted."""
    twice = "<div><label for=s>Secondary Server"
    product = Product(rewrite=((twice, "<div><label>Secondary Server <input></label></div>" + twice),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood, match="2 controls"):
            await pages.register(FORM)

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])
    assert not product.heard


NOTICE = """<dialog open aria-label=News style="position:fixed;z-index:9;inset:0;width:100%;height:100%">
<p>There is something new</p><button onclick="this.parentElement.remove()">Close</button></dialog>"""
COVER = """<div style="position:fixed;z-index:9;inset:0;background:#fff8"><p>There is something new</p>
<a href="javascript:void 0" onclick="this.parentElement.remove()">Got it</a></div>"""
QUESTION = NOTICE.replace("Close</button>", "Yes</button><button>No</button>")


@pytest.mark.parametrize("over", [NOTICE, COVER])
def test_a_notice_in_the_way_is_closed(over: str, tmp_path: Path) -> None:
    """A dialogue that only informs is closed, whether its markup calls it one or not."""
    product = Product(rewrite=(("<h2>HA Configuration</h2>", over + "<h2>HA Configuration</h2>"),))

    async def use(pages: PrimePages) -> None:
        assert (await pages.register(FORM)).under_way

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])


def test_a_question_in_the_way_is_left_to_a_person(tmp_path: Path) -> None:
    """A dialogue that asks something is not answered, but reported in its words."""
    product = Product(rewrite=(("<h2>HA Configuration</h2>", QUESTION),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.register(FORM)
        assert "something new" in caught.value.found

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])


REFUSED_ISE = {
    "unauthorized": ("198.51.100.7", "wrong-one"),
    "unreachable": ("198.51.100.8", "ise-Secret"),
    "duplicate": ("198.51.100.5", "ise-Secret"),
}


@pytest.mark.parametrize("skin", ["plain", "aria"])
def test_refusals_of_an_ise_server_are_told_apart(skin: str, tmp_path: Path) -> None:
    """A 401, an unreachable server and a duplicate differ; Save is clicked once, and not for a listed server."""
    product = Product(ise={"198.51.100.5": "Reachable"})

    async def use(pages: PrimePages) -> None:
        for meant, (address, password) in REFUSED_ISE.items():
            with pytest.raises(PageRefused) as caught:
                await pages.add_ise(address, "admin", password)
            assert meaning(caught.value.found, labels_for()) == meant
            assert password not in str(caught.value)

    drive(product, skin, tmp_path, use, at=INSIDE)
    assert [what for what, _ in product.heard] == ["add_ise", "add_ise"]


def test_a_third_ise_server_is_refused_as_one_too_many(tmp_path: Path) -> None:
    """PI holds two: the refusal of a third says so."""
    product = Product(ise={"198.51.100.5": "Reachable", "198.51.100.6": "Unreachable"})

    async def use(pages: PrimePages) -> None:
        assert [row.answers for row in await pages.ise_servers()] == [True, False]
        with pytest.raises(PageRefused) as caught:
            await pages.add_ise("198.51.100.7", "admin", "ise-Secret")
        assert meaning(caught.value.found, labels_for()) == "too_many"

    drive(product, "plain", tmp_path, use, at=INSIDE)


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


def test_watching_reports_each_change_once(tmp_path: Path) -> None:
    """The callback gets every new state of the page and no state twice in a row."""
    product = Product()
    seen: list[HaPage] = []

    async def use(pages: PrimePages) -> None:
        await pages.register(FORM)
        await pages.watch_registration(seen.append)

    drive(product, "plain", tmp_path, use, at=FORM_AT["plain"])
    states = [tuple(step.percent for step in page.milestones) for page in seen]
    assert all(one != other for one, other in pairwise(states))
    assert states[-1] == (100, 100, 100)


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
    """A page whose scripts change how lists are written as text is read all the same."""
    script = "<script>Array.prototype.toJSON = function () { return 'a list'; };</script>"
    product = Product(rewrite=(("<!doctype html>", f"<!doctype html>{script}"),))

    async def use(pages: PrimePages) -> None:
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"

    drive(product, "plain", tmp_path, use, at=INSIDE)
