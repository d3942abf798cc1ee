"""Lists of a readiness check without a header, and the words that count as states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.web import ha_page
from runbook_lib.web.ha_page import HaPages
from runbook_lib.web.readiness import RowGrowth, readiness, state_of
from runbook_lib.web.screen import Screen, ScreenRow
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
        ("OK?", "unknown"),
        ("Check failed", "failed"),
        ("Not ready", "failed"),
        ("Still running", "pending"),
        ("", ""),
    ],
)
def test_only_the_word_itself_counts_as_passed(words: str, state: str) -> None:
    """A failure and what goes on are known from a word in a short text; success never."""
    assert state_of(words, LABELS) == state


def checked(**states: str) -> Screen:
    """A page that shows these items with their states, and nothing else."""
    return Screen((), rows(*states.items()))


def test_a_row_that_comes_with_its_last_word_may_be_followed_by_one_more() -> None:
    """Rows that are all there while they are worked through have no successor; the longest gap counts otherwise."""
    begun, ended = checked(CPU="Running", RAM="Running"), checked(CPU="Passed", RAM="Passed")
    listed, one_by_one, slow = RowGrowth(), RowGrowth(), RowGrowth()
    assert [listed.rest_s(readiness(page, LABELS), 0.0) for page in (begun, ended)] == [0.8, 0.8]
    assert one_by_one.rest_s(readiness(ended, LABELS), 0.0) == 5
    shown = [("A", "Passed"), ("B", "Passed")]
    slow.rest_s(readiness(checked(**dict(shown)), LABELS), 10.0)
    assert slow.rest_s(readiness(checked(**dict(shown), C="Passed"), LABELS), 14.0) == 12


@pytest.mark.parametrize(
    ("sockets", "answered", "loads", "for_s"),
    [(0, True, 1, 0.3), (0, True, 0, 5.0), (1, True, 1, 15), (0, False, 0, 15)],
)
def test_rows_may_come_through_what_is_open_to_the_server(
    sockets: int, answered: bool, loads: int, for_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream or a socket brings them without another request; a page that came whole brings no more.

    A second check forgets nothing of what stood there before the first one, which the first one's table may cover.
    """
    hand = Mock(labels=LABELS, fill_until_kept=AsyncMock())
    view, traffic = hand.view, hand.view.traffic
    traffic.loads, traffic.requests, traffic.sockets = 0, 0, [object()] * sockets
    traffic.answered.return_value = answered
    stood, first = checked(Pre="Failed", Post="Failed"), checked(CPU="Passed", RAM="Passed")
    view.look, view.forget_messages = AsyncMock(side_effect=[stood, first]), AsyncMock()

    async def press(_key: str) -> None:
        traffic.loads = loads

    async def wait(ready: Callable[[Screen], object], *_given: object, rest: Stability) -> Any:
        ready(first)
        return rest._for_s

    hand.press, view.wait = press, wait
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
