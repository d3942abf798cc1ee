"""Plain-text tables against those that rich draws."""

from __future__ import annotations

import io
import random

from certificate_kit import NOW, seen
from rich.box import SQUARE
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from runbook_lib.certificates.facts import sha256_of
from runbook_lib.models import Inventory, Vantage
from runbook_lib.show.document import Row, Table
from runbook_lib.show.findings import presented
from runbook_lib.show.rendering import text

WORDS = (
    "a",
    "yes",
    "certificate",
    "é",
    "证书",
    "不可信",
    "x" * 30,
    "0123456789abcdef" * 4,
    "",
    "  two",
    "line\nbreak",
    "😀",
)


def drawn_by_rich(table: Table) -> str:
    """A table that has room enough, as rich draws it."""
    grid = Grid(header_style="", box=SQUARE)
    for header in table.headers:
        grid.add_column(Text(header))
    for row in table.rows:
        grid.add_row(*(Text(str(cell)) for cell in row.cells))
    out = io.StringIO()
    Console(file=out, width=10_000, color_system=None, legacy_windows=False).print(grid)
    return out.getvalue()


def test_a_grid_is_drawn_as_rich_draws_it() -> None:
    """Columns stand under each other whatever the width of a letter, and cells keep their lines."""
    chance = random.Random(20261123)
    for _ in range(100):
        headers = tuple(f"{chance.choice(WORDS[:6])} {number}" for number in range(chance.randint(1, 6)))
        rows = tuple(
            Row(*tuple(" ".join(chance.choices(WORDS, k=chance.randint(0, 3))) for _ in headers))
            for _ in range(chance.randint(1, 5))
        )
        shown = text(Table(title="Title", headers=headers, rows=rows), 10_000)
        assert shown.partition("\n")[2] == drawn_by_rich(Table(title="", headers=headers, rows=rows))


def test_what_says_nothing_has_no_line_of_its_own() -> None:
    """Where each row is a block, a cell that is empty or a dash is left out."""
    headers = ("entry", "stands for", "verdict", "why")
    rows = (Row("192.0.2.10_8082", "-", "", "the server's own entry is never deleted"),)
    shown = text(Table(title="Plan", headers=headers, rows=rows, whole=("entry",)), 40)
    assert "why" in shown
    assert "192.0.2.10_8082" in shown
    assert "stands for" not in shown
    assert "verdict" not in shown


def test_a_table_without_rows_says_so_below_its_title() -> None:
    """However narrow the terminal is; no frame stands around it, and no header without a value."""
    for width in (40, 160):
        shown = text(Table(title="Changes", headers=("on", "change"), empty="nothing is changed"), width)
        assert shown == "Changes\n  nothing is changed\n"


def test_a_digest_in_a_block_is_broken_in_its_middle_where_it_does_not_fit() -> None:
    """So its halves can be compared one below the other; where it fits it stays on one line."""
    digest = "0123456789abcdef" * 4
    for width, lines in ((50, [digest[:32], digest[32:]]), (100, [digest])):
        shown = text(
            Table(title="T", headers=("on", "SHA-256"), rows=(Row("a " * 30, digest),), whole=("SHA-256",)), width
        )
        assert [line.split("│")[2].strip() for line in shown.split("\n") if digest[:8] in line] == lines


def test_a_look_that_failed_is_told_with_what_was_seen_before_it() -> None:
    """A certificate that was met once is not shown as if it had been seen each time, and not left out."""
    look = seen(Vantage.PEER, b"a certificate", problem="closed")
    tables = presented(Inventory(stores=(), presented=(look,), judgements=(), ha=()), NOW)
    shown = " ".join(text(table, 200) for table in tables)
    assert f"no answer: closed; seen before that: {sha256_of(b'a certificate')}" in " ".join(shown.split())
