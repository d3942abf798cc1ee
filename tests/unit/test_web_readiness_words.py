"""Lists of a readiness check without a header, and the words that count as states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.observations import ReadinessItem
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.web import ha_page
from runbook_lib.web.ha_page import HaPages
from runbook_lib.web.ha_reading import RowState, objections, state_of, with_others
from runbook_lib.web.readiness import Readiness, readiness
from runbook_lib.web.screen import Item, RowGrowth, Screen, ScreenRow
from runbook_lib.web.traffic import Traffic
from runbook_lib.web.view import Stability

LABELS = labels_for()


def rows(*cells: tuple[str, ...], table: int = 0) -> tuple[ScreenRow, ...]:
    return tuple(ScreenRow(cells=row, table=table) for row in cells)


@pytest.mark.parametrize(
    "shown",
    [rows(("CPU: pass",), ("Disk: fail",)), rows(("CPU", "✔"), ("Disk", "✘")), rows(("✔", "CPU"), ("✘", "Disk"))],
)
def test_a_list_without_a_header_is_read_where_it_holds_every_row(shown: tuple[ScreenRow, ...]) -> None:
    """One list or table, beside tables that speak of no state."""
    result = readiness(Screen((), (*rows(("Failover Type", "Manual"), ("Mode", "None"), table=7), *shown)), LABELS)
    assert [(item.name, item.passed) for item in result.items] == [("CPU", True), ("Disk", False)]
    assert result.has_ended
    assert not result.unknown


def test_states_in_two_tables_without_a_header_are_not_understood() -> None:
    """Either could be a part of the check."""
    shown = (*rows(("CPU", "Passed"), ("RAM", "Passed")), *rows(("Disk", "Passed"), ("Port", "Passed"), table=1))
    assert readiness(Screen((), shown), LABELS).problem


def test_a_row_of_a_list_without_a_known_state_has_not_passed() -> None:
    """It counts as an item, wherever in the list it stands."""
    result = readiness(Screen((), rows(("CPU: pass",), ("RAM: pass",), ("Disk: grue",))), LABELS)
    assert [item.passed for item in result.items] == [True, True, False]
    assert not result.has_ended or result.unknown


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("Passed", "passed"),
        ("✔", "passed"),
        ("Not passed", "unknown"),
        ("Passed with remarks", "unknown"),
        *((words, "unknown") for words in ("OK?", "Pass*", "Passed ⚠", "Ready!", "Passed†")),
        ("Check failed", "failed"),
        ("Not ready", "failed"),
        ("Still running", "pending"),
        ("", "blank"),
    ],
)
def test_only_the_word_itself_counts_as_passed(words: str, state: str) -> None:
    """A failure and what goes on are known from a word in a short text; success never."""
    assert state_of(words, LABELS) is RowState[state.upper()]


@pytest.mark.parametrize(
    ("state", "others", "whole"),
    [
        ("passed", ("Passed", "320 MB/s"), "passed"),
        ("passed", ("Failed",), "failed"),
        ("pending", ("Failed",), "failed"),
        ("passed", ("In Progress",), "pending"),
        ("passed", ("No", "no failure", "0 failed"), "passed"),
        ("passed", ("failed on the secondary",), "unknown"),
    ],
)
def test_a_row_is_what_the_worst_of_its_cells_says(state: str, others: tuple[str, ...], whole: str) -> None:
    """Some tables have a column of states for each server, under captions of its own."""
    assert with_others(RowState[state.upper()], others, LABELS) is RowState[whole.upper()]


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("Overall result: Failed", True),
        ("Result: NOT READY", True),
        ("Readiness check failed: the secondary server is not reachable.", True),
        ("The check ended with 1 error and 0 warnings", True),
        ("8 passed, 0 failed", False),
        ("Errors: 0", False),
        ("The check ended without error", False),
        ("Passed Failed Warning", False),
        ("The last backup failed", False),
        ("192.0.2.99 failed", False),
        ("Registration takes an hour", False),
        ("", False),
    ],
)
def test_what_is_said_beside_rows_that_have_passed_counts(text: str, objects: bool) -> None:
    """As an item that has not passed; no count of nothing, no legend and nothing about something else does.

    Of what is shown no more, such as the words that a cell held for a while, only what speaks of the check.
    """
    said = objections((text,), (), LABELS, "10.0.0.2")
    assert [(item.name, item.passed) for item in said] == [(text, False)] * objects
    gone = ("Failed", "Attempt 1 failed", "The readiness check failed.")
    assert [item.name for item in objections((), gone, LABELS, "10.0.0.2")] == ["The readiness check failed."]


def test_a_column_for_each_server_is_read_without_a_header_that_is_known() -> None:
    """The header itself is no row; each row is what its servers say together."""
    head = ScreenRow(cells=("Check", "Primary", "Secondary"), header=True)
    shown = (head, *rows(("CPU", "Passed", "Passed"), ("RAM", "Passed", "Failed"), ("Disk", "Passed", "Running")))
    result = readiness(Screen((), shown), LABELS)
    assert [(item.name, item.passed) for item in result.items] == [("CPU", True), ("RAM", False), ("Disk", False)]
    assert result.open == 1


def checked(**states: str) -> Screen:
    """A page that shows these items with their states, and nothing else."""
    return Screen((), rows(*states.items()))


@pytest.mark.parametrize(("window", "pressed"), [(True, 1), (False, 2)])
def test_a_form_that_opens_in_a_window_of_its_own_is_gone_to(
    hand: Mock, window: bool, pressed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is loaded where everything is looked at; where there is none, the click was swallowed and is made again."""
    hand.view.browser.deadlines.page_s = 1.0
    hand.is_shown = AsyncMock(side_effect=lambda key: key == "ha_configuration")
    hand.press = AsyncMock()
    monkeypatch.setattr(ha_page.menu, "take_over_window", AsyncMock(side_effect=[False, window]))
    hand.wait = AsyncMock(side_effect=[PageNotUnderstood("not there"), True])
    asyncio.run(HaPages(hand).open_configuration())
    assert (hand.press.await_count, hand.wait.await_count) == (pressed, 2)


def test_the_menu_is_looked_for_on_the_first_page_after_a_window(hand: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was loaded from it may have none."""
    monkeypatch.setattr(ha_page.menu, "follow_menu", AsyncMock())
    hand.view.windows, hand.view.browser.go, hand.wait = [Mock()], AsyncMock(), AsyncMock()
    hand.view.browser.deadlines.page_s = 1.0
    asyncio.run(HaPages(hand).open())
    hand.view.browser.go.assert_awaited_once_with("/")


SEVEN = {f"Check {number}": "Passed" for number in range(7)}


def test_a_row_that_comes_with_its_last_word_may_be_followed_by_one_more() -> None:
    """Rows that are all there while they are worked through have no successor; otherwise the gaps between them count,
    the time that they took together, and whether there are as many as are known."""

    def shown(growth: RowGrowth, count: int, now: float, waiting: int = 0) -> float:
        return growth.rest_s(count, waiting, now)

    listed, at_once, slow, many = RowGrowth(), RowGrowth(), RowGrowth(), RowGrowth()
    assert [shown(listed, 2, 0.0, 2), shown(listed, 2, 0.0)] == [0.8, 0.8]
    assert [shown(at_once, 7, 0.0), shown(RowGrowth(), 2, 0.0)] == [5, 10]
    assert [shown(slow, 2, 10.0), shown(slow, 3, 14.0)] == [10, 12]
    assert [shown(many, count, 1.5 * count) for count in (2, 3, 4, 5, 6, 7)][-1] == 7.5


@pytest.fixture
def hand() -> Mock:
    """The hands on a page that shows nothing yet, and whose server has answered everything."""
    made = Mock(labels=LABELS, fill_until_kept=AsyncMock())
    made.view.traffic = Mock(loads=0, sockets=[], **{"answered.return_value": True, "asks_on.return_value": False})
    made.view.windows = []
    made.view.look, made.view.forget_messages = AsyncMock(return_value=checked()), AsyncMock()
    made.view.earlier_messages = made.view.new_messages = made.view.dialogs.said = ()
    made.view.problem = lambda what, *_: PageNotUnderstood(what)
    return made


@pytest.fixture
def check(hand: Mock, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[int, Screen]], tuple[ReadinessItem, ...]]:
    """``check(pages)``: what Check Readiness returns where the page shows each of them from its second on.

    ``hand.second`` is the last one that was looked at.
    """
    monkeypatch.setattr("time.monotonic", lambda: float(hand.second))
    monkeypatch.setattr(HaPages, "_fill", AsyncMock())
    monkeypatch.setattr(ha_page, "take_picture", AsyncMock())

    def run(pages: Mapping[int, Screen]) -> tuple[ReadinessItem, ...]:
        async def wait(ready: Callable[[Screen], Any], *_given: object, **_named: object) -> Any:
            for hand.second in range(900):
                if result := ready(pages[max(at for at in pages if at <= hand.second)]):
                    return result
            raise AssertionError

        hand.view.wait, hand.press, hand.second = wait, AsyncMock(), 0
        return asyncio.run(HaPages(hand).readiness(Mock()))

    return run


Check = Callable[[Mapping[int, Screen]], tuple[ReadinessItem, ...]]


def test_what_the_page_says_beside_its_rows_is_heard(check: Check, hand: Mock) -> None:
    """On the page, in a message that has gone or in a dialogue; not what it said before, nor beside a failed row."""
    told, view = "The readiness check failed.", hand.view
    rows, item = checked(**SEVEN), Item(kind="text", names=((0, told),))
    beside = {0: checked(), 1: Screen((*rows.items, item), rows.rows)}
    assert [one.name for one in check(beside)] == [*SEVEN, told]
    view.earlier_messages = (told,)
    assert [one.name for one in check(beside)] == [*SEVEN]
    view.new_messages = (told,)
    assert not check({0: checked(), 1: rows})[-1].passed
    view.new_messages, view.dialogs.said = (), (told,)
    assert not check({0: checked(), 1: rows})[-1].passed
    assert len(check({0: checked(), 1: checked(**SEVEN | LATE)})) == len(SEVEN | LATE)


def test_a_failed_row_apart_from_the_others_is_heard(check: Check, hand: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a table of its own, however far below and without a header; not one that stood there before, nor a count."""
    passed = Readiness(tuple(ReadinessItem(name=name, passed=True, detail="") for name in SEVEN))
    monkeypatch.setattr(ha_page, "readiness", lambda page, _: passed if len(page.rows) > 1 else Readiness())
    for cells, heard in ((("Disk", "Failed"), True), (("Disk: failed",), True), (("Failed", "0"), False)):
        apart = ScreenRow(cells=cells, table=9)
        pages = {0: checked(), 1: Screen((), (*checked(**SEVEN).rows, apart))}
        hand.view.look.return_value = checked()
        assert [one.name for one in check(pages) if not one.passed] == [" ".join(cells)] * heard
        hand.view.look.return_value = Screen((), (apart,))
        assert all(one.passed for one in check(pages))


LATE = {"Check 9": "Failed"}


@pytest.mark.parametrize("gap", [8, 30])
def test_the_first_rows_are_never_all_that_is_checked(check: Check, hand: Mock, gap: int) -> None:
    """A page may draw each row after the one before it, with its last word, while its server says nothing."""
    rows = list((SEVEN | LATE).items())
    pages = {0: checked()} | {1 + gap * n: checked(**dict(rows[: n + 1])) for n in range(len(rows))}
    assert not check(pages)[-1].passed
    two = {0: checked(), 1: checked(**dict(rows[:2]))}
    with pytest.raises(PageNotUnderstood, match="Check 0, Check 1 alone"):
        check(two)
    type(hand.view.traffic).loads = property(lambda _: hand.second)  # they came with a page of their own
    assert len(check(two)) == 2


def test_rows_may_follow_while_the_page_goes_on_asking_its_server(check: Check, hand: Mock) -> None:
    """Each with its last word: then they are all once it asks no more, and a person is asked where it never ends."""
    hand.view.traffic.asks_on = lambda _since: hand.second < 50
    assert not check({0: checked(), 1: checked(**SEVEN), 45: checked(**SEVEN | LATE)})[-1].passed
    check({0: checked(), 1: checked(**SEVEN)})
    assert hand.second == 50, "what has stood still while it was asked for has rested"
    hand.view.traffic.asks_on = lambda _since: True
    with pytest.raises(PageNotUnderstood, match="goes on asking"):
        check({0: checked(), 1: checked(**SEVEN)})
    begun = checked(**dict.fromkeys(SEVEN, "Running"))  # they were all there before
    assert len(check({0: begun, 9: checked(**SEVEN)})) == len(SEVEN)


def test_an_earlier_result_that_stands_there_is_not_taken_for_this_one(check: Check, hand: Mock) -> None:
    """It goes when the new one comes; one that never changes is the new one only after long."""
    hand.view.look.return_value = old = checked(**SEVEN)
    assert not all(item.passed for item in check({0: old, 12: checked(**SEVEN | {"Check 3": "Failed"})}))
    for pages, seconds in (({0: old}, 15), ({0: old, 1: checked(), 2: old}, 7)):
        assert all(item.passed for item in check(pages))
        assert hand.second == seconds


@pytest.mark.parametrize(
    ("sockets", "answered", "loads", "for_s"),
    [(0, True, 1, 0.3), (0, True, 0, 5.0), (1, True, 1, 15), (0, False, 0, 15)],
)
def test_rows_may_come_through_what_is_open_to_the_server(
    hand: Mock, sockets: int, answered: bool, loads: int, for_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream or a socket brings them without another request; a page that came whole brings no more.

    A second check forgets nothing of what stood there before the first one, which the first one's table may cover.
    """
    traffic = hand.view.traffic
    traffic.sockets, traffic.answered.return_value = [object()] * sockets, answered
    stood, first = checked(Pre="Failed", Post="Failed"), checked(**SEVEN)
    hand.view.look = AsyncMock(side_effect=[stood, first])

    async def press(_key: str) -> None:
        traffic.loads = loads

    async def wait(ready: Callable[[Screen], object], *_given: object, rest: Stability) -> Any:
        ready(first)
        return rest._for_s

    hand.press, hand.view.wait = press, wait
    monkeypatch.setattr(HaPages, "_fill", AsyncMock())
    monkeypatch.setattr(ha_page, "take_picture", AsyncMock())
    pages = HaPages(hand)
    assert asyncio.run(pages.readiness(Mock())) == for_s
    asyncio.run(pages.readiness(Mock()))
    assert {item.name for item in pages._unchecked} >= {"Pre", "Post"}


@pytest.mark.parametrize("more", [{"RAM": "Failed"}, {"RAM": "Passed"}, {"CPU": "Failed"}, {}])
def test_a_check_that_shows_more_than_when_it_had_ended_stops_the_click(
    more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came late has not been looked at, whatever it says; what stood there before the check is no news of it."""
    pages = HaPages(Mock(labels=LABELS))
    stood = {"Pre-HA Registration": "Failed"}
    pages._unchecked = readiness(checked(CPU="Failed", Disk="Passed", **stood), LABELS).items
    pages._checked = readiness(checked(CPU="Passed", Disk="Passed"), LABELS).items
    pages.view.problem = lambda what, *_: PageNotUnderstood(what)  # type: ignore[method-assign]
    pages.view.look = AsyncMock(return_value=checked(**{"CPU": "Passed", "Disk": "Passed"} | stood | more))  # type: ignore[method-assign]
    monkeypatch.setattr(HaPages, "_fields", AsyncMock())
    with pytest.raises(PageNotUnderstood, match="nothing was clicked") if more else nullcontext():
        asyncio.run(pages._as_checked(HaForm(secondary_server="10.0.0.2", auth_key="k3y-Secret")))
    pages._checked, pages.view.look = (), AsyncMock(side_effect=AssertionError)  # type: ignore[method-assign]
    asyncio.run(pages._as_checked(HaForm(secondary_server="10.0.0.2", auth_key="k3y-Secret")))


def test_a_frame_that_loads_itself_anew_brings_nothing_new() -> None:
    """Such as one with alarms: what stands on the page was not loaded again by that."""
    traffic, main = Traffic(Mock()), Mock(parent_frame=None, url="https://h/ha")
    alarms = Mock(parent_frame=main, url="https://h/alarms?t=1")
    for frame, url, loads in ((main, "/ha", 1), (alarms, "/alarms?t=1", 2), (alarms, "/alarms?t=2", 2),
                              (alarms, "/result", 3), (main, "/ha", 4)):  # fmt: skip
        frame.url = url
        traffic._note_load(frame)
        assert traffic.loads == loads
