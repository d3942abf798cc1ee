"""Long tables: they scroll, what matters comes first, and what is not shown is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.certificates.facts import expiry
from runbook_lib.decisions import Decision, Plan, PlanRow
from runbook_lib.show import tables
from runbook_lib.show.document import MOST_ROWS, MOST_ROWS_IN_TEXT, Row, Table, cut_short
from runbook_lib.show.rendering import View, html

T = datetime(2026, 11, 23, tzinfo=UTC)
MANY = 10_000


def table(rows: int, **marks: str) -> Table:
    """A table of numbered rows; ``row_7="bad"`` marks one."""
    made = tuple(Row(f"entry {n}", str(n), mark=marks.get(f"row_{n}", "")) for n in range(rows))
    return Table(title="Entries", headers=("entry", "number"), rows=made, artifact="facts/x", note="Read it.")


def plan(rows: int) -> Plan:
    row = PlanRow(
        server="primary", key="host_8082", subject="", target="", decision=Decision.LEFT_ALONE, reason="no host of it"
    )
    stale = replace(row, key="stale_443", decision=Decision.DELETE, command="ncs … stale_443")
    return Plan(site="s", incident="i", made_utc=T, rows=(*(row,) * (rows - 1), stale), digest="a" * 64)


def test_a_table_that_is_not_long_is_shown_whole() -> None:
    """Nothing is cut, nothing scrolls, and nothing is said of cutting."""
    assert cut_short(table(MOST_ROWS_IN_TEXT), 5) == table(MOST_ROWS_IN_TEXT)
    assert "rb-long" not in html(table(MOST_ROWS_IN_TEXT))


def test_a_long_table_scrolls_with_every_row_in_html() -> None:
    """It can be reached with the keyboard and has a name; on paper it does not scroll."""
    shown = html(table(120, row_119="bad"))
    assert shown.count("<tr") == 121
    assert '<div class="rb rb-long" role="group" tabindex="0" aria-label="Entries">' in shown
    assert "@media print{.rb-long{max-height:none}}" in shown
    assert shown.index("entry 119<") < shown.index("entry 0<")
    assert "First" not in shown


@pytest.mark.parametrize(
    ("form", "most"), [(View._repr_html_, MOST_ROWS), (View.text, MOST_ROWS_IN_TEXT)], ids=["HTML", "text"]
)
def test_of_a_very_long_table_the_most_urgent_rows_are_shown_and_the_rest_counted(
    form: Callable[[View[None]], str], most: int
) -> None:
    """So many rows, how many there are, and where the whole list is."""
    shown = form(View(None, (table(MANY),)))
    assert f"First {most} of 10,000; the whole list is at facts/x." in shown.replace("<wbr>", "")
    assert "Read it." in shown
    assert f"entry {most - 1}" in shown
    assert f"entry {most}" not in shown


def test_what_needs_a_look_is_shown_first_wherever_it_stands() -> None:
    """One deletion at the end of ten thousand entries is the first row, and the decisions are counted."""
    shown = tables.plan(plan(MANY))
    for form in (shown._repr_html_(), shown.text()):
        assert form.index("stale_443") < form.index("host_8082")
        assert "left alone: 9,999 · would delete: 1" in form
        assert "the whole list is at plans/" in form


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(days=12, hours=1), "expires in 12 days"),
        (timedelta(days=1, hours=1), "expires in 1 day"),
        (timedelta(hours=3), "expires within a day"),
        (timedelta(0), "expired today"),
        (-timedelta(days=1, hours=1), "expired 1 day ago"),
        (-timedelta(days=1400), "expired 1,400 days ago"),
    ],
)
def test_expiry_is_said_in_days(after: timedelta, words: str) -> None:
    """Whole days, counted down; what has expired says for how long."""
    assert expiry(T + after, T) == words
