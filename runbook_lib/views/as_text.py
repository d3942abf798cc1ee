"""A table as plain text: a grid where it fits, else one block per row. Control characters are made visible."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from runbook_lib.errors import one_line, printable
from runbook_lib.views.pages import first_page
from runbook_lib.views.rows import MARKS, Row, Table
from runbook_lib.views.translated import in_language

LOG_WIDTH = 160
NARROWEST = 40
# The least width of a column of words, tried in turn; then digests are broken in two; then each row is a block.
PROSE_WIDTHS = (26, 18)
_DIGEST = re.compile(r"\b([0-9a-f]{32})([0-9a-f]{32})\b")

Rows = list[tuple[str, ...]]

# rich measures and breaks lines; its own tables take ten times as long, which a fleet pays for each cell of a notebook.
# In a kernel rich would show what it prints by itself, as well: it is told that this is none.
_CONSOLE = Console(color_system=None, legacy_windows=False, force_jupyter=False)


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
    rows = [_cells(row) for row in table.rows] or [(printable(table.empty), *("" for _ in table.headers[1:]))]
    lines = [*_wrapped(one_line(table.title), width), *_drawn(table, rows, width)]
    if table.note:
        lines += _wrapped(printable(table.note).replace("\n", "\n  "), width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _drawn(table: Table, rows: Rows, width: int) -> Iterator[str]:
    broken = [tuple(_DIGEST.sub(r"\1\n\2", cell) for cell in cells) for cells in rows]
    for tried, prose in ((rows, PROSE_WIDTHS[0]), (rows, PROSE_WIDTHS[1]), (broken, PROSE_WIDTHS[1])):
        widths = _widths(table, tried, width, prose)
        if widths:
            return _grid([[table.headers], tried], widths)
    return _blocks(table, rows, width)


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


def _blocks(table: Table, rows: Rows, width: int) -> Iterator[str]:
    """Each row as a section of its own, a line for each cell that is not empty: the header, and the cell."""
    said = [[(header, cell) for header, cell in zip(table.headers, cells, strict=True) if cell] for cells in rows]
    sections: list[Rows] = [list(section) for section in said if section]
    first = max((cell_len(header) for section in sections for header, _ in section), default=0)
    second = max((_longest_line(cell) for section in sections for _, cell in section), default=0)
    return _grid(sections, [first, max(1, min(second, width - first - 7))])


def _grid(sections: Sequence[Sequence[Sequence[str]]], widths: Sequence[int]) -> Iterator[str]:
    """Draw rows in columns of these widths, with a line between two sections."""
    widths = [max(1, width) for width in widths]
    strokes = ["─" * (width + 2) for width in widths]
    yield f"┌{'┬'.join(strokes)}┐"
    for number, section in enumerate(sections):
        if number:
            yield f"├{'┼'.join(strokes)}┤"
        for row in section:
            columns = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
            for pieces in zip_longest(*columns, fillvalue=""):
                cells = (set_cell_size(piece, width) for piece, width in zip(pieces, widths, strict=True))
                yield f"│ {' │ '.join(cells)} │"
    yield f"└{'┴'.join(strokes)}┘"


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, no longer than ``width`` columns, broken between words where that is possible."""
    lines = []
    for line in text.split("\n"):
        fits = "\t" not in line and cell_len(line) <= width
        lines += [line] if fits else [str(piece) for piece in Text(line).wrap(_CONSOLE, width, overflow="fold")]
    return lines
