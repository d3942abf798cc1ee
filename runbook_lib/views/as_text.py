"""A table as plain text: a grid where it fits, else one block per row. Control characters are made visible."""

from __future__ import annotations

import io
import re
import shutil
import sys

from rich.box import SQUARE
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from runbook_lib.errors import printable
from runbook_lib.views.pages import first_page
from runbook_lib.views.rows import MARKS, Row, Table
from runbook_lib.views.translated import in_language

LOG_WIDTH = 160
NARROWEST = 40
# The least width of a column of words, tried in turn; then digests are broken in two; then each row is a block.
PROSE_WIDTHS = (26, 18)
_DIGEST = re.compile(r"\b([0-9a-f]{32})([0-9a-f]{32})\b")

Rows = list[tuple[str, ...]]


def room() -> int:
    """Return how many columns there are: those of the terminal, or more where the text goes into a file."""
    if sys.stdout is not None and sys.stdout.isatty():
        return max(NARROWEST, shutil.get_terminal_size().columns)
    return LOG_WIDTH


def text(table: Table, width: int) -> str:
    """Return the table in plain text, its first page where it is long, no wider than ``width`` columns.

    Words and keys are broken only where one alone is wider than the whole text; digests in the
    middle where that makes a grid of it.
    """
    table = in_language(first_page(table))
    rows = [_cells(row) for row in table.rows] or [(table.empty, *("" for _ in table.headers[1:]))]
    out = io.StringIO()
    # In a kernel rich would show the table by itself, as well: it is told that this is none.
    console = Console(file=out, width=width, color_system=None, legacy_windows=False, force_jupyter=False)
    console.print(Text(printable(table.title)))
    console.print(_drawn(table, rows, width))
    if table.note:
        console.print(Text(printable(table.note)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _drawn(table: Table, rows: Rows, width: int) -> Grid:
    broken = [tuple(_DIGEST.sub(r"\1\n\2", cell) for cell in cells) for cells in rows]
    for tried, prose in ((rows, PROSE_WIDTHS[0]), (rows, PROSE_WIDTHS[1]), (broken, PROSE_WIDTHS[1])):
        widths = _widths(table, tried, width, prose)
        if widths:
            return _grid(table, tried, widths)
    return _blocks(table, rows)


def _cells(row: Row) -> tuple[str, ...]:
    mark = f"{MARKS[row.mark]} " if row.mark else ""
    first, *rest = (printable(str(cell)) for cell in row.cells)
    return (mark + first, *rest)


def _widths(table: Table, rows: Rows, width: int, prose: int) -> list[int] | None:
    """Return each column's width, or None where the table is too wide to be read as a grid."""
    columns = [(header, *cells) for header, *cells in zip(table.headers, *rows, strict=True)]
    natural = [max(_longest_line(cell) for cell in column) for column in columns]
    least = [
        wish if header in table.whole else min(wish, max(prose, *map(_longest_word, column)))
        for header, column, wish in zip(table.headers, columns, natural, strict=True)
    ]
    spare = width - (3 * len(columns) + 1) - sum(least)
    if spare < 0:
        return None
    needed = sum(natural) - sum(least)
    if needed <= spare:
        return natural
    return [low + (wish - low) * spare // needed for low, wish in zip(least, natural, strict=True)]


def _longest_line(cell: str) -> int:
    return max((cell_len(line) for line in cell.split("\n")), default=0)


def _longest_word(cell: str) -> int:
    return max((cell_len(word) for word in cell.split()), default=0)


def _grid(table: Table, rows: Rows, widths: list[int]) -> Grid:
    grid = Grid(header_style="", box=SQUARE)
    for header, width in zip(table.headers, widths, strict=True):
        grid.add_column(Text(header), overflow="fold", width=max(1, width))
    for cells in rows:
        grid.add_row(*map(Text, cells))
    return grid


def _blocks(table: Table, rows: Rows) -> Grid:
    grid = Grid(show_header=False, box=SQUARE)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for cells in rows:
        for header, cell in zip(table.headers, cells, strict=True):
            if cell:
                grid.add_row(Text(header), Text(cell))
        grid.add_section()
    return grid
