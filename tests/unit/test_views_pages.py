"""Long tables: one page is shown, what matters comes first, and whoever looks through the rest can."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.decisions import Decision, Plan, PlanRow
from runbook_lib.show import findings, tables
from runbook_lib.show.progress import LongList
from runbook_lib.show.rendering import View
from runbook_lib.show.table import PAGE, Pages, Row, Table, first_page

T = datetime(2026, 11, 23, tzinfo=UTC)
MANY = 10_000


def table(rows: int, **marks: str) -> Table:
    """A table of numbered rows; ``row_7="bad"`` marks one."""
    made = tuple(Row(cells=(f"entry {n}", str(n)), mark=marks.get(f"row_{n}", "")) for n in range(rows))
    return Table(title="Entries", headers=("entry", "number"), rows=made, artifact="facts/x", note="Read it.")


def plan(rows: int) -> Plan:
    row = PlanRow(
        server="primary", key="host_8082", subject="", target="", decision=Decision.LEFT_ALONE, reason="no host of it"
    )
    stale = replace(row, key="stale_443", decision=Decision.DELETE, command="ncs … stale_443")
    return Plan(site="s", incident="i", made_utc=T, rows=(*(row,) * (rows - 1), stale), digest="a" * 64)


def test_a_table_of_one_page_is_shown_whole() -> None:
    """Nothing is cut, and nothing is said of cutting."""
    assert first_page(table(PAGE)) == table(PAGE)


def test_of_a_long_table_the_first_page_is_shown_and_the_rest_counted() -> None:
    """In HTML and in text: fifty rows, how many there are, and where the whole list is."""
    shown = View(None, (table(MANY),))
    assert shown._repr_html_().count("<tr>") == PAGE + 1
    for form in (shown._repr_html_(), shown.text()):
        assert "First 50 of 10,000; the whole list is at facts/x." in form
        assert "Read it." in form
        assert "entry 49" in form
        assert "entry 50" not in form


def test_what_needs_a_look_is_on_the_first_page_wherever_it_stands() -> None:
    """One deletion at the end of ten thousand entries is the first row, and the decisions are counted."""
    shown = tables.plan(plan(MANY))
    for form in (shown._repr_html_(), shown.text()):
        assert form.index("stale_443") < form.index("host_8082")
        assert "left alone: 9,999 · would delete: 1" in form
        assert "the whole list is at plans/" in form


def test_pages_are_filtered_sorted_and_turned() -> None:
    """The filter looks at all cells without regard to case; numbers sort as numbers; a page too far is the last."""
    pages = Pages(table(120, row_119="bad"))
    assert pages.page().rows[0].cells[0] == "entry 119"
    assert pages.page(by="number").rows[2].cells[0] == "entry 2"
    assert pages.page(by="entry").rows[2].cells[0] == "entry 10"
    assert [row.cells[0] for row in pages.page(needle="ENTRY 7", by="number").rows][:2] == ["entry 7", "entry 70"]
    assert pages.page(99, by="number").rows[-1].cells[0] == "entry 119"
    assert pages.page(-1).first == 1


@pytest.mark.parametrize(
    ("number", "needle", "said"),
    [
        (0, "", "Rows 1 to 50 of 120."),
        (2, "", "Rows 101 to 120 of 120."),
        (0, "entry 7", "Rows 1 to 11 of 11 that hold it, of 120 in all."),
        (0, "nowhere", "None of the 120 rows holds that."),
    ],
)
def test_a_page_says_which_rows_it_holds(number: int, needle: str, said: str) -> None:
    """In a whole sentence."""
    assert Pages(table(120)).page(number, needle=needle).said == said


def test_controls_show_the_page_that_is_asked_for_and_no_other() -> None:
    """Empty until asked; then one page, and the buttons end where the pages do."""
    controls = LongList(table(120))
    assert controls.page.value == ""
    controls.forth.click()
    assert "Rows 51 to 100 of 120." in controls.page.value
    assert controls.page.value.count("<tr>") == PAGE + 1
    controls.forth.click()
    assert controls.forth.disabled
    controls.filter.value = "entry 11"
    assert "Rows 1 to 11 of 11" in controls.page.value
    assert controls.back.disabled
    assert controls.forth.disabled
    controls.sort.value = "number"
    assert controls.page.value.index("entry 11<") < controls.page.value.index("entry 110<")


def test_every_control_says_what_it_is() -> None:
    """Each has a label of its own and a sentence to it; what was found is announced."""
    controls = LongList(table(120))
    parts = [controls.filter, controls.sort, controls.back, controls.forth]
    assert len({part.description for part in parts}) == 4
    assert all(part.tooltip for part in parts)
    controls.filter.value = "x"
    assert 'role="status"' in controls.page.value


def test_controls_are_for_people_and_long_tables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a batch, or for a short table, IPython is sent on to what is stored: one table, no widget."""
    with pytest.raises(NotImplementedError):
        View(None, (table(MANY),))._ipython_display_()
    monkeypatch.setattr("runbook_lib.show.rendering.attended", lambda: True)
    with pytest.raises(NotImplementedError):
        View(None, (table(PAGE),))._ipython_display_()


def test_a_person_gets_the_table_first_and_the_controls_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays when the kernel is gone is the table: it is an output of its own, and the controls are a sentence."""
    displayed: list[object] = []
    monkeypatch.setattr("runbook_lib.show.rendering.attended", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda shown, **_: displayed.append(shown))
    View(None, (table(MANY), table(3)))._ipython_display_()
    first, controls = displayed
    assert isinstance(first, dict)
    assert "First 50 of 10,000" in first["text/html"]
    assert isinstance(controls, dict)
    assert "application/vnd.jupyter.widget-view+json" in controls
    assert controls["text/plain"] in controls["text/html"]
    assert controls["text/plain"].startswith("A filter, an order and further pages need a kernel")


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
    assert findings.expiry(T + after, T) == words
