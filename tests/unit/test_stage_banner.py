"""The sign over a stage: production and the lab differ in words, size and colour, and each can be read."""

from __future__ import annotations

import re
from pathlib import Path

from contrast import contrast
from incident_kit import Incident

from runbook_lib.models import Verdict
from runbook_lib.show import tables
from runbook_lib.show.document import ALARM, COLOURS, MARKS, READY, Row, Table
from runbook_lib.show.rendering import Sign, Signed, View

SERVERS = "primary 192.0.2.10, secondary 192.0.2.20"
LIGHT, DARK = "#ffffff", "#111111"
REAL, LAB = (Sign(production=real, site="paris", servers=SERVERS) for real in (True, False))


def style(sign: Sign, name: str) -> str:
    found = re.search(rf"[;\"]{name}:([^;\"]+)", sign.html())
    return found[1] if found else ""


def test_production_differs_in_words_size_and_colour() -> None:
    """Each alone tells the two apart: what it says, how large it is, and that it is filled."""
    assert "PRODUCTION" in REAL.html()
    assert "PRODUCTION" not in LAB.html()
    assert "LAB" in LAB.html()
    assert int(style(REAL, "font-size").removesuffix("px")) >= 2 * int(style(LAB, "font-size").removesuffix("px"))
    assert style(REAL, "background")
    assert not style(LAB, "background")
    assert SERVERS in REAL.html()


def test_the_sign_can_be_read_on_light_and_dark_pages() -> None:
    """White on the red 7 to 1; the edge of the lab's 3 to 1 on both, its letters are the page's own."""
    assert contrast(style(REAL, "color"), style(REAL, "background")) >= 7
    edge = style(LAB, "border").split()[-1]
    assert min(contrast(edge, page) for page in (LIGHT, DARK)) >= 3
    assert not style(LAB, "color")


def test_the_sign_stands_over_the_text_as_well() -> None:
    """In a terminal or a notebook without HTML a bar stands above and below what is real."""
    table = Table(title="a title", headers=("what",), rows=(Row("x"),))
    real, lab = (Signed(None, (table,), sign=sign).text(80) for sign in (REAL, LAB))
    assert real.count("█" * 80) == 2
    assert "█" not in lab
    assert max(map(len, real.splitlines())) <= 80
    assert real.index("PRODUCTION: real servers · paris") < real.index("a title")


def test_what_is_ready_is_no_failure_and_an_alarm_is_the_loudest() -> None:
    """Of the marks the alarm alone fills its row; ready has a sign and a colour that are not those of a failure."""
    rows = tuple(Row(mark, mark=mark) for mark in COLOURS)
    shown = View(None, (Table(title="t", headers=("what",), rows=rows),))._repr_html_()
    filled = re.findall(r"\.rb \.(\w+)>\*\{background:(#\w+)!important;color:(#\w+)", shown)
    assert [mark for mark, _, _ in filled] == [ALARM]
    assert contrast(*filled[0][1:]) >= 7
    narrow = shown.split("@media screen and (max-width:1200px)")[1]
    assert ".rb .alarm>*{font-size:13px}" in narrow  # with larger letters the plan is cut off in a window of 1024
    assert MARKS[READY] not in (MARKS["bad"], MARKS["doubt"])
    assert all(min(contrast(COLOURS[READY], page) for page in (LIGHT, DARK)) >= 3 for _ in rows)


def test_a_row_to_be_deleted_is_ready_and_a_contradicted_one_outshouts_the_page(tmp_path: Path) -> None:
    """No red cross stands at what waits to be done; where somebody may be answering as a host nothing is ready."""
    good, bad = (
        tables.plan(Incident(tmp_path / verdict, {"secondary": verdict}).plan())
        for verdict in (Verdict.CONFIRMED_KEY, Verdict.CONTRADICTED)
    )
    (planned,) = [table for table in good.tables if table.title.startswith("Plan ")]
    marks = [row.mark for row in planned.rows if "would delete" in row.cells]
    assert marks == [READY] * 3
    blocked, _, rows = bad.tables[:3]
    assert "Blocked" in blocked.title
    assert [row.mark for row in rows.rows if Verdict.CONTRADICTED in row.cells] == [ALARM]
    assert READY not in [row.mark for row in rows.rows]
