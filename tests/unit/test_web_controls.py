"""Finding controls by their captions, on lists of items without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from unittest.mock import AsyncMock, Mock

import pytest

from runbook_lib.errors import PageNotUnderstood, ParameterRefused
from runbook_lib.params.labels import Label, labels_for
from runbook_lib.web import menu
from runbook_lib.web.controls import bare_words, best, find, find_beside, find_radios
from runbook_lib.web.screen import Item, Screen, holds_phrase, same_words, screen_from

KEY = Label(("textbox", "password"), ("Authentication Key", "Auth Key"))


def text(words: str, x: int, y: int, width: int = 100, **more: object) -> Item:
    return Item(kind="text", names=((0, words),), box=(x, y, width, 20), **more)  # type: ignore[arg-type]


def field(x: int, y: int, kind: str = "textbox", **more: object) -> Item:
    return Item(kind=kind, box=(x, y, 100, 20), **more)  # type: ignore[arg-type]


def screen(*items: Item) -> Screen:
    """Number the items in the order in which they are given."""
    return Screen(tuple(Item(**{**item.__dict__, "index": n}) for n, item in enumerate(items)))


def found(page: Screen, label: Label) -> tuple[int, ...]:
    hits = find(page, label)
    return tuple(item.index for item in best(hits)) if hits else ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Secondary Server*", "secondary server :"),
        ("Log-in", "LOGIN"),
        ("E-mail  Address", "Email address"),
        ("×", "×"),
    ],
)
def test_case_punctuation_and_white_space_do_not_count(one: str, other: str) -> None:
    """Two texts that a person reads alike are the same."""
    assert same_words(one, other)


@pytest.mark.parametrize(("one", "other"), [("Register", "Unregister"), ("", ""), ("*", ":"), ("×", "x ")])
def test_other_words_are_not_the_same(one: str, other: str) -> None:
    """Different words differ, and nothing equals nothing."""
    assert not same_words(one, other)


def test_a_list_and_the_text_field_in_it_are_one_control() -> None:
    """As dijit draws a ComboBox, with one label for both; two that stand apart are two."""
    label, name = labels_for({})["secondary_server"], {"names": ((0, "Secondary Server"),)}
    for x, which in ((110, (1,)), (300, (0, 1))):
        drawn = Item(kind="combobox", box=(100, 0, 150, 24), **name)  # type: ignore[arg-type]
        assert set(found(screen(drawn, field(x, 2, **name)), label)) == set(which)


def test_a_phrase_is_held_as_whole_words_only() -> None:
    """``Unregister`` does not hold ``register``; scripts without spaces are searched anywhere."""
    assert holds_phrase("please register now", "Register")
    assert not holds_phrase("Unregister", "register")
    assert holds_phrase("请输入验证密钥。", "验证密钥")


def test_a_label_beats_a_placeholder_and_a_caption() -> None:
    """Among three fields the one whose markup labels it is taken."""
    page = screen(
        text("Authentication Key", 0, 0),
        field(110, 0),
        field(110, 30, names=((1, "Authentication Key"),)),
        field(110, 60, names=((0, "Authentication Key"),)),
    )
    assert found(page, KEY) == (3,)


def test_the_caption_to_the_left_is_read() -> None:
    """In a row the text to the left names the field, with a help button between them."""
    page = screen(
        text("Secondary Server", 0, 0),
        field(150, 0),
        text("Authentication Key", 0, 30),
        Item(kind="button", names=((0, "?"),), box=(110, 30, 20, 20)),
        field(150, 30),
    )
    assert found(page, KEY) == (4,)


def test_the_caption_in_the_cell_above_is_read() -> None:
    """Captions in one row and fields in the next: the column decides, not the order of the document."""
    page = screen(
        text("Authentication Key", 0, 0),
        text("Email Address", 200, 0),
        field(0, 22),
        field(200, 22),
    )
    assert found(page, KEY) == (2,)


def test_another_field_hides_the_caption_behind_it() -> None:
    """The second field of a row does not get the caption of the first."""
    page = screen(text("Authentication Key", 0, 0), field(110, 0), field(230, 0))
    assert found(page, KEY) == (1,)


def test_the_whole_caption_beats_one_that_holds_it() -> None:
    """``Authentication Key`` is not ``Confirm Authentication Key``."""
    page = screen(
        field(0, 0, "password", names=((0, "Confirm Authentication Key"),)),
        field(0, 30, "password", names=((0, "Authentication key:"),)),
    )
    assert found(page, KEY) == (1,)


def test_an_earlier_word_of_the_table_beats_a_later_one() -> None:
    """Where both words are on the page the first of the table decides."""
    page = screen(field(0, 0, names=((0, "Auth Key"),)), field(0, 30, names=((0, "Authentication Key"),)))
    assert found(page, KEY) == (1,)


def test_two_equal_fields_are_both_returned() -> None:
    """The caller learns that the page does not tell them apart."""
    page = screen(field(0, 0, names=((0, "Auth Key"),)), field(0, 30, names=((0, "Auth Key"),)))
    assert found(page, KEY) == (0, 1)


def test_the_word_beside_a_box_to_tick_stands_to_its_right() -> None:
    """A box takes the text after it, not the one before it."""
    label = Label(("checkbox",), ("Enable Virtual IP",))
    page = screen(
        text("Failover", 0, 0), field(110, 0, "checkbox"), text("Enable Virtual IP", 220, 0), field(350, 0, "checkbox")
    )
    assert found(page, label) == (1,)


def test_radio_buttons_are_found_by_the_name_of_their_group() -> None:
    """The text before the first button names the group."""
    label = Label(("radio",), ("Failover Type",))
    page = screen(
        text("Failover Type", 0, 0),
        field(110, 0, "radio", series="f"),
        text("Manual", 220, 0, 50),
        field(280, 0, "radio", series="f"),
        text("Automatic", 390, 0, 50),
        field(110, 30, "radio", series="other"),
    )
    assert [item.index for item in find_radios(page, label)] == [1, 3]


def test_an_exact_label_takes_no_longer_caption() -> None:
    """A button that changes something is found by its whole caption only."""
    page = screen(Item(kind="button", names=((0, "Register later"),), box=(0, 0, 50, 20)))
    assert find(page, labels_for()["register"]) == []


def test_a_button_beats_a_heading_of_the_same_words() -> None:
    """Text that is no control comes last."""
    page = screen(text("HA Configuration", 0, 0, heading=True), Item(kind="link", names=((0, "HA configuration"),)))
    assert found(page, labels_for()["ha_configuration"]) == (1,)


def test_ha_setup_is_ha_configuration() -> None:
    """A synonym that no site has to name."""
    assert find(Screen((Item(kind="link", names=((0, "HA Setup"),)),)), labels_for()["ha_configuration"])


def test_a_list_without_a_name_is_its_own_caption() -> None:
    """“-- Select a command --” says what the list is for; nothing else does."""
    command = Item(kind="combobox", options=("-- Select a command --", "Add ISE Server"))
    assert find(Screen((command,)), labels_for()["ise_command"])
    assert not find(Screen((command,)), labels_for()["failover_type"])


def test_words_of_a_site_come_before_the_tables_own() -> None:
    """An override is tried first, and the words of the table still count."""
    labels = labels_for({"auth_key": ["Shared Phrase"]})
    assert labels["auth_key"].texts[:2] == ("Shared Phrase", "Authentication Key")


def test_unknown_labels_are_all_named() -> None:
    """Every key that does not exist is named at once."""
    with pytest.raises(ParameterRefused) as caught:
        labels_for({"nonsense": ["x"], "register": ["y"], "more_nonsense": ["z"]})
    assert caught.value.found == "more_nonsense, nonsense"


def test_typed_secrets_are_taken_out_of_what_is_read() -> None:
    """A page that shows a secret as text or value does not bring it into a screen."""
    listed = {
        "items": [
            {
                "kind": "text",
                "names": [[0, "the key hunter2 is wrong"]],
                "value": "",
                "options": [],
                "box": [0, 0, 1, 1],
            },
            {"kind": "textbox", "names": [], "value": "hunter2", "options": [], "box": [0, 0, 1, 1]},
        ],
        "rows": [{"cells": ["hunter2"], "header": False, "listed": False, "table": 0}],
    }
    page = screen_from([(0, listed)], "", ["hunter2"])
    assert "hunter2" not in repr(page)


def test_words_are_read_through_signs_that_nobody_sees() -> None:
    """Soft hyphens and spaces of no width neither part words nor join them; hard spaces are spaces."""
    assert holds_phrase("Secon\u00addary\u00a0Ser\u200bver (address)", "Secondary Server")


def test_a_button_below_a_caption_is_not_its_list() -> None:
    """A list that is drawn as a button stands beside its caption, or below at the same edge; no other is opened."""
    caption = text("Failover Type", 60, 0)
    below = Item(kind="clickable", names=((0, "Register"),), box=(0, 25, 90, 20))
    aligned = Item(kind="clickable", names=((0, "Automatic"),), box=(60, 25, 90, 20))
    label = labels_for()["failover_type"]
    assert find_beside(screen(caption, below), label, ("clickable",)) == []
    assert len(find_beside(screen(caption, aligned), label, ("clickable",))) == 1


def test_bare_words_stand_for_a_button_only_where_they_say_exactly_its_name() -> None:
    """A sentence, a heading and the caption of a field are never taken for something to press."""
    register = labels_for()["register"]
    page = screen(text("Register", 0, 0), text("Register now or later", 0, 30), text("Register", 0, 60, heading=True))
    assert [hit.item.index for hit in bare_words(page, register)] == [0]
    assert bare_words(screen(text("Secondary Server", 0, 0)), labels_for()["secondary_server"]) == []


class Breadcrumbs:
    """A page whose way to it says what its closed menu says; ``clicked`` are the places of what was."""

    def __init__(self) -> None:
        self.clicked: list[tuple[int, int]] = []
        self.labels, self.view = labels_for(), Mock()
        self.view.look = AsyncMock(side_effect=lambda **_: self.shown())
        self.view.current = AsyncMock(side_effect=lambda item: item)
        self.view.browser.guard = lambda _doing: nullcontext()
        self.view.browser.page.keyboard.press = AsyncMock()
        self.view.browser.deadlines.page_s = 20.0
        self.view.dialogs.noted = self.view.dialogs.said = ()

    def shown(self) -> Screen:
        way, icon, entry, last = ((60, 50), (0, 10), (0, 128), (230, 80))
        items = [(way, "link", "Administration"), (icon, "icon", "menu ☰")]
        items += [(entry, "link", "Administration")] if icon in self.clicked else []
        items += [(last, "link", "ISE Servers")] if entry in self.clicked else []
        return Screen(tuple(Item(kind=kind, names=((0, name),), box=(*at, 20, 20)) for at, kind, name in items))

    async def wait(self, ready: Callable[[Screen], object], what: str, *_: object, **_given: object) -> object:
        if (result := ready(self.shown())) is None:
            raise PageNotUnderstood(what)
        return result

    async def click(self, item: Item) -> None:
        self.clicked.append((item.left, item.top))


def test_the_menu_is_gone_through_where_the_way_to_the_page_had_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leads nowhere is clicked once; the menu that its icon opens then is begun anew at once."""
    page, path = Breadcrumbs(), ("menu_administration", "menu_servers", "menu_ise_servers")
    monkeypatch.setattr(menu, "_open", lambda hand, item, *_: hand.click(item))
    asyncio.run(menu.follow_menu(page, path, lambda _: False))  # type: ignore[arg-type]
    assert page.clicked == [(60, 50), (0, 10), (0, 128), (230, 80)]


class MenuSearch(Breadcrumbs):
    """A page whose menu can be found by one field alone; ``typed`` is what it was asked for."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        self.caption, self.typed = caption, list[str]()
        self.view.wait, self.view.not_found = self.wait, Mock(return_value=PageNotUnderstood("nothing leads on"))

    def shown(self) -> Screen:
        items = [Item(kind="textbox", names=((0, self.caption),), box=(0, 0, 100, 20))]
        items += [Item(kind="option", names=((0, "ISE Servers"),), box=(0, 30, 100, 20))] if self.typed else []
        return Screen(tuple(items))

    async def is_shown(self, key: str) -> bool:
        return bool(find(self.shown(), self.labels[key]))

    async def fill(self, _key: str, value: str) -> None:
        self.typed.append(value)


@pytest.mark.parametrize(("caption", "asked"), [("Search menu", ["ISE Servers"]), ("Search", [])])
def test_a_page_is_looked_for_in_the_search_of_the_menu_and_in_no_other(caption: str, asked: list[str]) -> None:
    """What is called Search alone looks for devices: nothing is typed there."""
    page = MenuSearch(caption)
    with nullcontext() if asked else pytest.raises(PageNotUnderstood):
        asyncio.run(menu.follow_menu(page, ("menu_servers", "menu_ise_servers"), lambda _: False))  # type: ignore[arg-type]
    assert (page.typed, page.clicked) == (asked, [(0, 30)] if asked else [])


@pytest.mark.parametrize(
    ("folded", "comes", "keys"), [(True, False, ["ArrowRight"]), (True, True, []), (False, False, [])]
)
def test_a_tree_that_a_click_does_not_open_is_opened_by_the_key_for_it(
    folded: bool, comes: bool, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its entry says that it is closed, and nothing came up by the click."""
    entry = Item(kind="menuitem", names=((0, "Administration"),), folded=folded)
    hand = Mock(labels=labels_for(), click=AsyncMock())
    hand.view.look, hand.view.current = AsyncMock(return_value=Screen((entry,))), AsyncMock(return_value=entry)
    hand.view.browser.page.keyboard.press = press = AsyncMock()
    monkeypatch.setattr(menu, "_shows", AsyncMock(return_value=comes))
    asyncio.run(menu._click_open(hand, entry, ["menu_settings"]))
    assert [call.args[0] for call in press.await_args_list] == keys
