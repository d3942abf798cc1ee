"""Lists of a readiness check without a header, and the words that count as states."""

from __future__ import annotations

import pytest

from runbook_lib.params.labels import labels_for
from runbook_lib.web.readiness import readiness, state_of
from runbook_lib.web.screen import Screen, ScreenRow

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
    assert result.told
    assert not result.unknown


def test_states_in_two_tables_without_a_header_are_not_understood() -> None:
    """Either could be a part of the check."""
    shown = (*rows(("CPU", "Passed"), ("RAM", "Passed")), *rows(("Disk", "Passed"), ("Port", "Passed"), table=1))
    assert readiness(Screen((), shown), LABELS).problem


def test_a_row_of_a_list_without_a_known_state_has_not_passed() -> None:
    """It counts as an item, wherever in the list it stands."""
    result = readiness(Screen((), rows(("CPU: pass",), ("RAM: pass",), ("Disk: grue",))), LABELS)
    assert [item.passed for item in result.items] == [True, True, False]
    assert not result.told or result.unknown


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
