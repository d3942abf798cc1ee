"""Reading values, milestones, tables and refusals off lists of items without a browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from runbook_lib.errors import OutcomeUnknown, PageNotUnderstood
from runbook_lib.params.labels import labels_for
from runbook_lib.web import ise_page
from runbook_lib.web.controls import find
from runbook_lib.web.ha_reading import ha_page, milestones
from runbook_lib.web.ise_page import IsePages, _Form
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.reading import fresh_texts, further_rows, ise_servers, meaning, refusal, row_of, value_beside
from runbook_lib.web.screen import Item, Screen, ScreenRow, Scroll, Stability
from runbook_lib.web.submit import Submit

LABELS = labels_for()
NOW = datetime(2024, 5, 1, tzinfo=UTC)


def text(words: str, x: int, y: int, width: int = 150, **more: object) -> Item:
    return Item(kind="text", names=((0, words),), box=(x, y, width, 20), **more)  # type: ignore[arg-type]


def bar(value: str, x: int, y: int) -> Item:
    return Item(kind="progressbar", value=value, box=(x, y, 150, 10))


def screen(*items: Item, rows: tuple[ScreenRow, ...] = ()) -> Screen:
    return Screen(tuple(Item(**{**item.__dict__, "index": n}) for n, item in enumerate(items)), rows)


def table(*rows: tuple[str, ...], header: bool = True, number: int = 0) -> tuple[ScreenRow, ...]:
    return tuple(ScreenRow(cells=cells, header=header and not n, table=number) for n, cells in enumerate(rows))


@pytest.mark.parametrize(
    "page",
    [
        screen(text("Configuration Mode: Primary Active", 0, 0)),
        screen(text("Configuration Mode", 0, 0), text("Primary Active", 200, 0)),
        screen(text("Configuration mode:", 0, 0), text("Primary Active", 0, 22)),
        screen(text("Configuration Mode Primary Active", 0, 0)),
        screen(rows=table(("Configuration Mode", "Primary Active"), ("Failover Type", "Manual"), header=False)),
        screen(rows=table(("Configuration Mode", "Failover Type"), ("Primary Active", "Manual"))),
        screen(rows=table(("Configuration Mode", "Failover Type"), ("Primary Active", "Manual"), header=False)),
        screen(Item(kind="textbox", names=((0, "Configuration Mode"),), value="Primary Active")),
    ],
)
def test_configuration_mode_is_read_wherever_it_stands(page: Screen) -> None:
    """In one text, beside, below, in rows, in columns or in a field that cannot be written."""
    assert ha_page(page, LABELS, NOW).configuration_mode == "Primary Active"


def test_a_caption_that_is_not_there_has_no_value() -> None:
    """None is returned, and not an empty text, where the caption itself is missing."""
    assert value_beside(screen(text("Dashboard", 0, 0)), LABELS["configuration_mode"]) is None


NAMES = ("Pre-HA Registration", "Database Replication", "Post HA Registration")


SHOWN = tuple(zip(range(3), NAMES, (100, 40, 0), strict=True))
LAYOUTS = {
    "one text": screen(*(text(f"{name}: {n}%", 0, 30 * i) for i, name, n in SHOWN)),
    "rows": screen(*(x for i, name, n in SHOWN for x in (text(name, 0, 30 * i), text(f"{n} %", 200, 30 * i)))),
    "stacked": screen(*(x for i, name, n in SHOWN for x in (text(name, 0, 50 * i), text(f"{n}%", 0, 50 * i + 22)))),
    "below": screen(
        *(text(name, 160 * i, 0) for i, name, _ in SHOWN), *(bar(str(n), 160 * i, 25) for i, _, n in SHOWN)
    ),
    "above": screen(
        *(bar(str(n), 160 * i, 0) for i, _, n in SHOWN), *(text(name, 160 * i, 15) for i, name, _ in SHOWN)
    ),
    "named bars": screen(
        *(Item(kind="progressbar", names=((0, name),), value=str(n), box=(0, 30 * i, 99, 9)) for i, name, n in SHOWN)
    ),
}


@pytest.mark.parametrize("page", LAYOUTS.values(), ids=LAYOUTS)
def test_milestones_are_read_in_any_layout(page: Screen) -> None:
    """In rows, in columns with the numbers below or above, in one text, or as named progress bars."""
    assert [(step.name, step.percent) for step in milestones(page, LABELS)] == list(
        zip(NAMES, (100, 40, 0), strict=True)
    )


def test_words_beside_a_milestone_count_where_it_has_no_number() -> None:
    """Complete is 100, failed is failed, anything else 0."""
    words = ("Completed", "Failed", "Pending")
    page = screen(*(x for i, word in enumerate(words) for x in (text(NAMES[i], 0, 30 * i), text(word, 200, 30 * i))))
    assert [(step.percent, step.failed) for step in milestones(page, LABELS)] == [(100, False), (0, True), (0, False)]


def test_a_registration_half_way_is_under_way() -> None:
    """Some milestones begun and not all ended: under way; a failed one: not."""
    page = screen(text("Database Replication 40%", 0, 0), text("Pre-HA Registration 100%", 0, 30))
    assert ha_page(page, LABELS, NOW).under_way
    failed = screen(text("Database Replication", 0, 0), text("Failed at 40%", 200, 0))
    assert not ha_page(failed, LABELS, NOW).under_way


@pytest.mark.parametrize(
    ("where", "read"),
    [
        ({"live": True}, True),
        ({}, True),
        ({"row": 0}, True),
        ({"nav": True}, True),
        ({"frame": 1}, True),
        ({"dialog": "Registration"}, True),
        ({"heading": True}, False),
    ],
)
def test_a_sentence_that_reports_a_failure_is_read_wherever_it_stands(where: dict[str, object], read: bool) -> None:
    """In no region that the page reads aloud, in a row, beside a menu, in a frame, in a dialogue; a heading names."""
    shown = screen(text("HA not Configured", 0, 0), text("Database replication failed.", 700, 900, **where))
    page = ha_page(shown, LABELS, NOW)
    assert (page.message == "Database replication failed.") is read
    assert not page.under_way


@pytest.mark.parametrize(
    ("words", "under_way"),
    [
        ("Registration is already in progress by user jdoe.", True),
        ("Another administrator has started the registration.", True),
        ("While registration is in progress, do not restart.", False),
        ("The HA Health Monitor is already running.", False),
        ("Another user may be logged in.", False),
    ],
)
def test_a_registration_that_somebody_else_has_begun_is_under_way(words: str, under_way: bool) -> None:
    """Wherever the page says so; what it says of any registration, or of something else, is no word on one."""
    page = ha_page(screen(text("HA not Configured", 0, 0), text(words, 0, 90)), LABELS, NOW)
    assert (page.under_way, page.message == words) == (under_way, under_way)


def test_a_warning_beside_work_under_way_is_no_failure() -> None:
    """A page that says what must not be done meanwhile has not refused anything."""
    words = "Registration in progress. It cannot be interrupted."
    assert refusal([words], LABELS) == ""
    assert refusal(["Registration failed"], LABELS) == "Registration failed"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("Authentication key does not match between primary 10.0.0.1 and secondary servers 10.0.0.2", "wrong_key"),
        ("TOFU failed. Current certificate of the remote host is different from what was used earlier", "mismatch"),
        ("HTTP Status 401 - Unauthorized", "unauthorized"),
        ("The server already exists.", "duplicate"),
        ("No more than two ISE servers: maximum reached", "too_many"),
        ("Unable to connect to 10.0.0.9", "unreachable"),
        ("Something else failed", ""),
    ],
)
def test_refusals_have_meanings(words: str, meant: str) -> None:
    """Wrong key, mismatch, 401, duplicate, one too many and unreachable are told apart."""
    assert meaning(words, LABELS) == meant


def test_only_texts_that_are_new_are_fresh() -> None:
    """A text that stood there before is not news; a second one of it is."""
    before = screen(text("Errors: 0", 0, 0), text("Failed", 0, 30))
    after = screen(text("Errors: 0", 0, 0), text("Failed", 0, 30), text("Failed", 0, 60))
    assert fresh_texts(before, after) == ("Failed",)


def test_ise_servers_are_read_with_what_their_status_means() -> None:
    """Reachable answers, unreachable does not, and of other words nothing is known."""
    rows = table(("", "Server Address", "Port", "Status"), ("", "192.0.2.1", "443", "Reachable"),
                 ("", "192.0.2.2", "443", "Unreachable"), ("", "ise-3.example", "443", "Grue"))  # fmt: skip
    listed = ise_servers(screen(rows=rows), LABELS)
    assert [(row.address, row.status, row.answers) for row in listed] == [
        ("192.0.2.1", "Reachable", True),
        ("192.0.2.2", "Unreachable", False),
        ("ise-3.example", "Grue", None),
    ]


@pytest.mark.parametrize(
    "shown", ["192.0.2.1", "192.0.2.1:443", "ise-1 (192.0.2.1)", "192.0.2.1 (ise-1)", "ise-1.example:443 (192.0.2.1)"]
)
def test_an_ise_server_is_known_however_its_address_is_written(shown: str) -> None:
    """With its port, or its name beside it; and so is the box in its row."""
    rows = table(("", "Server", "Status"), ("", "192.0.2.2", "Reachable"), ("", shown, "Reachable"))
    boxes = [Item(kind="checkbox", row=row) for row in (1, 2)]
    page = screen(*boxes, rows=rows)
    assert row_of("192.0.2.1", ise_servers(page, LABELS)) == ise_servers(page, LABELS)[1]
    found = IsePages(SimpleNamespace(view=None, labels=LABELS))._box(page, "192.0.2.1")  # type: ignore[arg-type]
    assert found is page.items[1]


EMPTY = screen(text("No data available", 0, 0))
COLUMNS = screen(rows=table(("", "Server Address", "Status")))


@pytest.mark.parametrize(
    ("page", "asked", "silent_s", "for_s"),
    [
        (screen(text("ISE Servers", 0, 0)), (1, 1), 9.0, 6.0),
        (COLUMNS, (1, 1), 9.0, 6.0),
        (screen(text("Server Address", 0, 0), text("Status", 200, 0)), (1, 1), 9.0, 6.0),
        (EMPTY, (1, 1), 9.0, 0.5),
        (EMPTY, (1, 1), 0.4, 6.0),
        (EMPTY, (0, 0), 9.0, 6.0),
        (EMPTY, (0, 1), 9.0, 1.2),
    ],
    ids=[
        *("nothing", "columns", "captions"),
        *(
            "words",
            "words while an answer is drawn",
            "words that nobody asked for",
            "words before the list is asked for",
        ),
    ],
)
def test_an_empty_list_is_believed_sooner_where_the_page_says_that_it_is_one(
    page: Screen, asked: tuple[int, int], silent_s: float, for_s: float
) -> None:
    """Where it says nothing the rows may not be drawn yet, by a timer that asks nobody, whatever columns are there.

    Nor is it where the page has asked the server nothing since it was opened, and where an answer has just come: what
    stands there then stood there before it. ``asked``: its questions until the first and until the second look.
    """
    waited: list[float] = []
    view = Mock(look=AsyncMock(return_value=page))
    view.traffic.answered = lambda opened, for_s: silent_s >= for_s
    view.traffic.failed_at = 0.0

    async def wait(ready: Callable[[Screen], object], what: str, *, rest: Stability) -> object:
        for count in asked:
            view.traffic.questions.return_value = count
            assert ready(page) is None
        waited.append(rest._for_s)
        return ()

    async def opened() -> None: ...

    pages = IsePages(SimpleNamespace(view=view, labels=LABELS, wait=wait))  # type: ignore[arg-type]
    pages.open = opened  # type: ignore[method-assign]
    asyncio.run(pages.servers())
    assert waited == [for_s]


def test_a_list_that_is_drawn_anew_is_no_sign_that_a_server_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a moment nothing stands in it, whether the page removed the row or refused to."""
    seen: list[object] = []
    turned = Turned(listed_on(ONE))

    async def send(self: Submit, done: Callable[[Screen], object]) -> None:
        command = Item(kind="combobox", names=((0, "Select a command"),))
        for settled in (Mock(return_value=False), Mock(return_value=True)):
            monkeypatch.setattr(Stability, "is_stable", settled)
            seen.append(done(screen(command, text("No data available", 0, 0))))
        raise PageNotUnderstood("it stays so")

    pages = turned.ise(monkeypatch)
    turned.view.wait = AsyncMock(return_value=Item(kind="checkbox", checked=True))
    monkeypatch.setattr(Submit, "send", send)
    with pytest.raises(PageNotUnderstood):
        asyncio.run(pages.remove(ONE))
    assert seen == [None, True]


def listed_on(*addresses: str, foot: str = "", way: str = "") -> Screen:
    """A page of the list of ISE servers, with what stands at its foot and what turns it, if anything does."""
    heads = [text("Server Address", 0, 0, row=0), text("Status", 200, 0, row=0)]
    cells = [text(address, 0, 30 * n, row=n) for n, address in enumerate(addresses, 1)]
    at_foot = [text(foot, 0, 30 * len(addresses) + 40)] if foot else []
    ways = [Item(kind="button", names=((0, way),), box=(300, 200, 60, 20))] if way else []
    rows = table(("Server Address", "Status"), *[(address, "Reachable") for address in addresses])
    return screen(*heads, *cells, *at_foot, *ways, rows=rows)


ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"
WHOLE = listed_on(ONE, TWO, foot="1 - 2 of 2 items", way="Next page")


class Turned:
    """A list of ISE servers that is turned page by page, as far as reading it goes; ``clicked`` counts the turns."""

    def __init__(self, *pages: Screen) -> None:
        self.pages, self.clicked = pages, 0
        self.labels, self.view, self.stands_with_fields = LABELS, Mock(), AsyncMock()
        self.view.traffic.failed_at, self.view.traffic.names = 0.0, AsyncMock(return_value=False)
        self.view.look = AsyncMock(side_effect=lambda **_: self.pages[self.clicked])
        self.view.element = AsyncMock(return_value=Mock(evaluate=AsyncMock(return_value=[])))
        self.view.problem.side_effect = lambda what, *_, **_given: PageNotUnderstood(what)
        self.view.unknown.side_effect = lambda what, *_: OutcomeUnknown(what)

    async def wait(self, ready: Callable[[Screen], object], what: str, *_: object, **_given: object) -> object:
        found = [ready(self.pages[self.clicked]) for _ in range(3)][-1]
        if found is None:
            raise PageNotUnderstood(what)
        return found

    async def press(self, key: str) -> None:
        if key != "next_page" or not find(await self.view.look(), LABELS[key]):
            raise PageNotUnderstood(key)
        self.clicked = min(self.clicked + 1, len(self.pages) - 1)

    async def is_shown(self, key: str) -> bool:
        return bool(find(await self.view.look(), LABELS[key]))

    def ise(self, monkeypatch: pytest.MonkeyPatch) -> IsePages:
        monkeypatch.setattr(Stability, "is_stable", lambda *_given: True)
        monkeypatch.setattr(IsePages, "open", AsyncMock())
        return IsePages(self)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ((WHOLE,), (ONE, TWO)),
        ((listed_on(ONE, foot="1 - 1 of 2", way="›"), listed_on(TWO, foot="2 - 2 of 2", way="›")), (ONE, TWO)),
        ((listed_on(ONE, foot="Page 1 of 2", way="Next"), listed_on(TWO, foot="Page 2 of 2", way="Next")), (ONE, TWO)),
        ((listed_on(ONE, foot="1 2 3", way=">"), *(listed_on(n, foot="1 2 3", way=">") for n in (TWO, THREE))),
         (ONE, TWO, THREE)),
        ((listed_on(ONE, way="Next"), listed_on(TWO)), (ONE, TWO)),
        ((listed_on(ONE, way=">"),), (ONE,)),
        ((screen(*listed_on(ONE).items, Item(kind="combobox", names=((0, "Filter"),), value="All"),
                 Item(kind="combobox", value="Quick Filter"), rows=listed_on(ONE).rows),), (ONE,)),
    ],
    ids=["one page", "rows are counted", "pages are counted", "numbers of pages", "only a way on", "no sign of more",
         "filtered by nothing"],
)  # fmt: skip
def test_a_list_of_ise_servers_is_read_to_its_last_page(
    pages: tuple[Screen, ...], found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands on none of its pages alone is not listed."""
    turned = Turned(*pages)
    listed = asyncio.run(turned.ise(monkeypatch).servers())
    assert tuple(row.address for row in listed) == found
    assert turned.clicked == len(pages) - 1


@pytest.mark.parametrize("added", [TWO, THREE])
def test_a_server_that_was_added_to_another_page_of_the_list_is_found_there(
    added: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that is shown after *Save* does not tell of it; where no page does, the result stays unknown."""
    turned = Turned(listed_on(ONE))

    async def sent(*_: object) -> None:
        turned.pages = (listed_on(ONE, way="Next"), listed_on(added))
        raise OutcomeUnknown("the page does not show the result")

    for owner, name in ((IsePages, "_command"), (_Form, "fill")):
        monkeypatch.setattr(owner, name, AsyncMock())
    monkeypatch.setattr(Submit, "send", sent)
    with nullcontext() if added == TWO else pytest.raises(OutcomeUnknown):
        pages = cast("Any", PrimePages.__new__(PrimePages))
        pages._browser, pages._ise = SimpleNamespace(guard=nullcontext), turned.ise(monkeypatch)
        assert asyncio.run(pages.add_ise(TWO, "admin", "x")).address == TWO
    assert turned.clicked == 1


@pytest.mark.parametrize(
    "page",
    [
        listed_on(ONE, foot="1 - 1 of 60"),
        listed_on(ONE, foot="1 - 1 of 60", way="Next page"),
        listed_on(ONE, foot="Total: 2"),
        listed_on(foot="Total: 2"),
        screen(*listed_on(ONE).items, rows=(ScreenRow(cells=(ONE, "Reachable"), total=9),)),
        screen(*EMPTY.items, Item(kind="textbox", names=((0, "Quick Filter"),), value="198.")),
    ],
    ids=[
        "no way on",
        "a way that leads nowhere",
        "rows that are not drawn",
        "none is drawn",
        "by its markup",
        "filtered",
    ],
)
def test_a_list_of_ise_servers_that_is_read_in_part_is_not_known(page: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands on its other pages."""
    with pytest.raises(PageNotUnderstood):
        asyncio.run(Turned(page).ise(monkeypatch).servers())


@pytest.mark.parametrize("answers", [[], ["list"]])
def test_a_list_that_asked_the_server_nothing_is_loaded_anew(
    answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it lacks a server that is sought: a page may draw what it remembers, without a row that the server has."""
    turned = Turned(listed_on(ONE))
    turned.view.traffic.heard.return_value = answers

    async def load_anew(_: str) -> None:
        turned.pages = (WHOLE,)

    turned.view.browser.go = load_anew
    listed = asyncio.run(turned.ise(monkeypatch).servers(TWO))
    assert [row.address for row in listed] == ([ONE] if answers else [ONE, TWO])


@pytest.mark.parametrize("words", ["Add", "Add Server"])
def test_an_empty_list_of_something_else_is_not_believed(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither columns nor words tell whose it is: *Add* alone may be that of another tab."""
    turned = Turned(screen(Item(kind="button", names=((0, words),))))
    with pytest.raises(PageNotUnderstood) if words == "Add" else nullcontext():
        assert asyncio.run(turned.ise(monkeypatch).servers()) == ()


def test_a_filtered_list_is_called_so_where_its_last_page_was_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What turns its pages is there, and disabled: what keeps it from being known is the filter."""
    page = listed_on(ONE)
    way = Item(kind="button", names=((0, "Next"),), disabled=True)
    by = Item(kind="textbox", names=((0, "Quick Filter"),), value="192.")
    with pytest.raises(PageNotUnderstood, match=r"filtered by '192\.'"):
        asyncio.run(Turned(screen(*page.items, way, by, rows=page.rows)).ise(monkeypatch).servers())


@pytest.mark.parametrize(
    ("others", "chosen", "clicks"),
    [(("Servers",), "pxGrid", 1), (("ISE Servers",), "pxGrid", 1), (("Trustsec",), "pxGrid", 0),
     (("Servers",), "Servers", 0), (("Servers", "ISE Servers"), "ISE Servers", 0)],
)  # fmt: skip
def test_the_tab_of_the_servers_is_gone_to(
    others: tuple[str, ...], chosen: str, clicks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the page comes up with another one, which may have a list and an *Add* of its own."""
    tabs = [Item(kind="tab", names=((0, words),), checked=words == chosen) for words in ("pxGrid", *others)]
    turned = Turned(screen(*tabs, *listed_on(ONE).items, rows=listed_on(ONE).rows))
    turned.click = AsyncMock()  # type: ignore[attr-defined]
    monkeypatch.setattr(ise_page.menu, "open_by_menu", AsyncMock())
    asyncio.run(IsePages(turned).open())  # type: ignore[arg-type]
    assert turned.click.await_count == clicks  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("bottom", "moved", "whole_page", "told"),
    [(82, False, False, False), (120, False, False, True), (82, True, False, True), (400, False, True, False)],
)
def test_rows_that_are_drawn_once_they_are_scrolled_to_are_missed(
    bottom: int, moved: bool, whole_page: bool, told: bool
) -> None:
    """What scrolls has room for more than is drawn; where all of the page scrolls that is its end."""
    command = Item(kind="combobox", names=((0, "Select a command"),), box=(0, 0, 90, 20))
    items = (command, *listed_on(ONE, TWO).items)
    scrolled = (replace(item, index=n, scrolls=(0,) * (item.row > 0 or whole_page)) for n, item in enumerate(items))
    scrolls = (Scroll(number=0, frame=0, moved=moved, top=0, bottom=bottom),)
    shown = Screen(tuple(scrolled), listed_on(ONE, TWO).rows, scrolls=scrolls)
    assert bool(further_rows(shown, LABELS, ise_servers(shown, LABELS))) is told


@pytest.mark.parametrize("failed", [True, False])
def test_an_empty_list_is_not_believed_where_the_server_did_not_answer(
    failed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows may have been in what did not come; a failure from before the page was opened says nothing."""
    turned = Turned(EMPTY)
    turned.view.traffic.failed_at = time.monotonic() + (60 if failed else -60)
    with pytest.raises(PageNotUnderstood) if failed else nullcontext():
        assert asyncio.run(turned.ise(monkeypatch).servers()) == ()


@pytest.mark.parametrize(("asks", "foot", "turns"), [(0, "", 2), (1, "", 1), (0, "1 - 1 of 2", 2)])
def test_what_turns_nothing_is_pressed_twice(asks: int, foot: str, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is whole then: another list's, or a last page. Not where the page asks, or says that there is more."""
    turned, pressed = Turned(listed_on(ONE, foot=foot, way="Next")), AsyncMock()
    turned.view.traffic.questions.return_value = asks
    monkeypatch.setattr(turned, "press", pressed)
    with pytest.raises(PageNotUnderstood) if asks or foot else nullcontext():
        pages = turned.ise(monkeypatch)
        for _ in range(2):  # the second time it is known of these servers
            assert [row.address for row in asyncio.run(pages.servers())] == [ONE]
    assert pressed.await_count == turns


@pytest.mark.parametrize(("still", "for_s"), [(True, 3.0), (False, 6.0)])
def test_what_turns_nothing_is_told_sooner_on_a_page_that_is_still(still: bool, for_s: float) -> None:
    """It has asked its server for nothing either."""
    turned, shown, page = Turned(), Stability(), listed_on(ONE, way="Next")
    turned.view.at_rest, turned.view.traffic.questions.return_value = still, 0
    known = frozenset(ise_servers(page, LABELS))
    IsePages(turned)._settled(0.0, shown, known)(page)  # type: ignore[arg-type]
    assert shown._for_s == for_s


@pytest.mark.parametrize("by", ["ticked", "selected"])
@pytest.mark.parametrize(
    ("chosen", "foot", "stops"),
    [
        ((ONE,), "", False),
        ((TWO,), "", True),
        ((ONE, TWO), "", True),
        ((ONE,), "1 - 2 of 3 items", True),
        ((), "", True),
    ],
    ids=["ours", "another one", "another one as well", "perhaps one on another page", "none that is marked"],
)
def test_only_the_row_of_a_server_is_chosen_when_it_is_removed(
    by: str, chosen: tuple[str, ...], foot: str, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether rows have boxes or are marked themselves: a list may keep what was chosen, on other pages too, or not
    show what it has chosen."""
    page = listed_on(ONE, TWO, foot=foot)
    boxes = [Item(kind="checkbox", checked=of in chosen, row=n) for n, of in enumerate((ONE, TWO), 1)]
    rows = [replace(row, selected=by == "selected" and row.cells[0] in chosen) for row in page.rows]
    pages = Turned(screen(*page.items, *(boxes if by == "ticked" else ()), rows=tuple(rows))).ise(monkeypatch)
    with pytest.raises(PageNotUnderstood, match="nothing was removed") if stops else nullcontext():
        asyncio.run(pages._require_alone(ONE, ise_servers(page, LABELS)))


def test_a_server_is_not_gone_from_a_list_that_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may show its list from the start again after a click; the row may stand on another page then.

    From one that is empty it is, though its commands are called after the one that was chosen.
    """
    empty = screen(Item(kind="combobox", value="Delete ISE Server(s)"), text("No data available", 0, 30))
    turned, seen = Turned(listed_on(TWO)), list[object]()
    turned.view.wait = AsyncMock(return_value=Item(kind="checkbox", checked=True))

    async def send(self: Submit, done: Callable[[Screen], object]) -> None:
        seen.extend(done(listed_on(ONE, foot=foot, way="Next")) for foot in ("1 - 1 of 2", "1 - 1 of 1"))
        seen.append(done(empty))
        turned.pages = (empty,)

    monkeypatch.setattr(Submit, "send", send)
    asyncio.run(turned.ise(monkeypatch).remove(TWO))
    assert seen == [None, True, True]


FIELD = {"ise_address": "Server Address", "ise_user": "User Name", "ise_password": "Password"}


def step(*keys: str, buttons: tuple[str, ...], words: str = "Add ISE Server") -> Screen:
    """A step of a form: its fields, and its buttons, ``-`` before one that is disabled."""
    kinds = {key: "password" if "password" in key else "textbox" for key in keys}
    fields = [Item(kind=kinds[key], names=((0, FIELD[key]),)) for key in keys]
    named = [Item(kind="button", names=((0, name.strip("-")),), disabled=name[0] == "-") for name in buttons]
    return screen(text(words, 0, 0), *fields, *named)


ON, SAVE = ("Back", "Next"), ("Back", "-Next", "Save")
STEPS = {
    "one page": (step(*FIELD, buttons=("Save", "Cancel")),),
    "a pager beside it": (step(*FIELD, buttons=("Save", "Next")),),
    "three steps": (
        *(step("ise_address", buttons=(*ON, "-Save"), words="1"), step("ise_user", buttons=ON, words="2")),
        step("ise_password", buttons=SAVE, words="3"),
    ),
    "a summary": (step("ise_address", buttons=ON), step("ise_user", "ise_password", buttons=ON, words="2"),
                  step(buttons=("Finish",), words="Summary")),
}  # fmt: skip


class Wizard(Turned):
    """A form that shows one step after another; ``log`` is what was done, and on which."""

    def __init__(self, *pages: Screen) -> None:
        super().__init__(*pages)
        self.log: list[str] = []
        self.view.wait, self.view.comes = self.wait, self.comes
        self.stands_with_fields = AsyncMock(return_value=True)

    async def fill(self, key: str, value: str, *, secret: bool = False) -> None:
        if not await self.is_shown(key):
            raise PageNotUnderstood(f"{key} is not there")
        self.log.append(f"{self.clicked} {key} {value} {secret}")

    async def fill_until_kept(self, fill: Callable[[], Awaitable[None]]) -> None:
        self.log.append("kept")
        await fill()

    async def press_once(self, key: str, ready: Callable[[], Awaitable[None]], **_given: bool) -> None:
        await ready()
        self.clicked += key == "wizard_next"
        self.view.traffic.questions.return_value = 1

    async def wait(self, ready: Callable[[Screen], object], what: str, *_: object, **_given: object) -> object:
        if not (found := ready(await self.view.look())):
            raise PageNotUnderstood(what)
        return found

    async def comes(self, ready: Callable[[Screen], object], *_: object, **_given: object) -> object:
        return ready(await self.view.look())


@pytest.mark.parametrize("pages", STEPS.values(), ids=STEPS)
def test_a_form_over_several_steps_is_filled_in_step_by_step(pages: tuple[Screen, ...]) -> None:
    """Each step holds what was typed before the next one comes, and none comes once the button that sends is there."""
    wizard = Wizard(*pages)
    form = _Form(wizard, "192.0.2.1", "admin", "Secret")  # type: ignore[arg-type]
    asyncio.run(form.fill())
    assert wizard.clicked == len(pages) - 1
    typed = [line for line in dict.fromkeys(wizard.log) if line != "kept"]
    on = {key: next(n for n, page in enumerate(pages) if find(page, LABELS[key])) for key in FIELD}
    values = ("192.0.2.1 False", "admin False", "Secret True")
    assert typed == [f"{on[key]} {key} {value}" for key, value in zip(FIELD, values, strict=True)]
    assert wizard.log.count("kept") == len(pages) - 1
    assert set(form.shown) == {key for key in FIELD if on[key] == len(pages) - 1}


@pytest.mark.parametrize(
    ("pages", "error"),
    [
        ((step("ise_address", buttons=("Save",)),), PageNotUnderstood),
        ((step("ise_address", buttons=ON), step("ise_address", buttons=ON, words="Invalid")), OutcomeUnknown),
        ((step("ise_address", buttons=ON), step(buttons=("Save",), words="2")), OutcomeUnknown),
    ],
    ids=["no way on", "a step that refuses", "a step without its field"],
)
def test_a_form_whose_steps_do_not_come_is_not_sent(pages: tuple[Screen, ...], error: type[Exception]) -> None:
    """After a step that has asked the server nobody knows whether it was; before that nothing was."""
    with pytest.raises(error):
        asyncio.run(_Form(Wizard(*pages), "192.0.2.1", "admin", "Secret").fill())  # type: ignore[arg-type]


def test_rows_of_other_tables_are_no_ise_servers() -> None:
    """Lists and tables without an address add nothing."""
    rows = (*table(("User", "root"), header=False), ScreenRow(cells=("192.0.2.9",), listed=True, table=3))
    assert ise_servers(screen(rows=rows), LABELS) == ()


def test_a_colon_in_a_cell_of_its_own_is_no_value() -> None:
    """The value is the next cell that says something."""
    page = screen(rows=table(("Configuration Mode", ":", "PRIMARY  ACTIVE"), header=False))
    assert ha_page(page, LABELS, NOW).configuration_mode == "PRIMARY  ACTIVE"


@pytest.mark.parametrize(
    "shown", ["40 %", "40%", "40.0 %", "40,0%", "40\u00a0%", "(40 % done)", "４０％", "%40", "٤٠٪"]
)
def test_a_percentage_is_read_however_it_is_written(shown: str) -> None:
    """With or without a space, a fraction or words around it, in other digits, and with the sign before it."""
    (step,) = milestones(screen(text("DATABASE REPLICATION", 0, 0), text(shown, 200, 0)), LABELS)
    assert step.percent == 40


def test_ise_servers_without_a_table_are_read_line_by_line() -> None:
    """Below a head of columns, or with a state that is known; an address in any other line is no server."""
    head = (text("IP Address", 0, 0), text("Status", 200, 0))
    line = (text("198.51.100.7", 0, 30), text("Reachable", 200, 30))
    (server,) = ise_servers(screen(*head, *line), LABELS)
    assert (server.address, server.answers) == ("198.51.100.7", True)
    assert ise_servers(screen(text("Signed in from", 0, 0), text("198.51.100.7", 200, 0)), LABELS) == ()
