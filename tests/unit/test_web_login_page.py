"""The login page is known by what speaks for it and by what is not there, not by a password field alone."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock, Mock

import pytest

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.params.labels import labels_for
from runbook_lib.web.controls import is_login
from runbook_lib.web.screen import Item, Screen
from runbook_lib.web.view import PageView, SessionEnded

LABELS = labels_for()
EVERY_PAGE = "https://prime-pri/webacs/loginAction.do"  # the address of all pages of the product, not of one
ELSEWHERE = "https://prime-pri/webacs/ha"


def page(url: str, *controls: tuple[str, str], over: tuple[str, ...] = ()) -> Screen:
    """A page of controls by kind and name, one below the other; ``over`` are the buttons of a dialogue in front."""
    items = [
        Item(kind=kind, names=((0, name),) if name else (), box=(200, 40 * n, 100, 20), index=n)
        for n, (kind, name) in enumerate(controls)
    ]
    front = [
        Item(kind="button", names=((0, name),), box=(300, 300, 40, 20), dialog="Notice", index=len(items) + n)
        for n, name in enumerate(over)
    ]
    return Screen((*items, *front), url=url)


def test_the_login_page_is_known() -> None:
    """By its captions, by its button, or by where it leads: else the tests below would prove nothing."""
    user, password = ("textbox", "Username"), ("password", "Password")
    assert is_login(page(ELSEWHERE, user, password, ("button", "Go")), LABELS)
    assert is_login(page(ELSEWHERE, ("textbox", ""), ("password", ""), ("button", "Log in")), LABELS)
    assert is_login(page(EVERY_PAGE, ("textbox", ""), ("password", ""), ("button", "Go")), LABELS)


def test_a_form_with_the_captions_of_another_one_is_no_login_page() -> None:
    """One text, one password and one button at the product's address, and an OK in front: the HA form."""
    fields = (("textbox", "Secondary Server"), ("password", "Authentication Key"), ("button", "Apply"))
    assert not is_login(page(EVERY_PAGE, *fields), LABELS)
    assert not is_login(page(EVERY_PAGE, *fields, over=("OK",)), LABELS)


def test_the_button_of_a_dialogue_is_no_button_of_the_form_below_it() -> None:
    """A form of unknown captions with two buttons does not become a login by an OK in front of it."""
    fields = (("textbox", "Name"), ("password", "Shared word"), ("button", "Check"), ("button", "Apply"))
    assert not is_login(page(EVERY_PAGE, *fields, over=("OK",)), LABELS)


def test_a_password_field_alone_is_no_login_page() -> None:
    """Nothing says that it is one: neither an address, nor a button, nor captions."""
    fields = (("textbox", "Name"), ("password", "Shared word"), ("button", "OK"))
    assert not is_login(page(ELSEWHERE, *fields), LABELS)


@pytest.mark.parametrize(("part", "ends"), [(1.0, True), (0.6, True), (0.4, False)])
@pytest.mark.parametrize("kind", ["xhr", "image"])
def test_a_part_that_was_answered_with_the_login_page_ends_the_session(part: float, ends: bool, kind: str) -> None:
    """Once the page's time is over, of which a notice may have taken some, and only once; a shorter wait is no sign."""
    view = PageView(Mock(blocked=()), LABELS)
    view.browser.deadlines.page_s = 0.02
    view.look, view.wait_for_change = AsyncMock(return_value=Screen((Item(kind="text"),))), AsyncMock()  # type: ignore[method-assign]
    view.logged_in, asked = True, {"method": "GET", "post_data_buffer": None, "resource_type": kind}
    view.traffic._note_request(Mock(url="https://prime/webacs/pages/common/login.jsp", **asked))
    for expected in ([SessionEnded] if ends and kind == "xhr" else []) + [PageNotUnderstood]:
        with pytest.raises(expected):
            asyncio.run(view.wait(lambda _: None, "the list", part * 0.02))
