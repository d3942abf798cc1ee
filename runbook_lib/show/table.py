"""The document model of tables: title, rows, cells, links; pages of long ones; the reader's language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runbook_lib.i18n.language import ENGLISH, gettext, language

# -- The parts of a table: a title, headers, rows, cells. How they are shown is said in ``as_html`` and ``as_text``

GOOD, BAD, DOUBT, READY, ALARM, PLAIN = "good", "bad", "doubt", "ready", "alarm", ""
MARKS = {GOOD: "✔", BAD: "✘", DOUBT: "?", READY: "→", ALARM: "!!!", PLAIN: ""}
COLOURS = {GOOD: "#2e9e4f", BAD: "#d9382c", DOUBT: "#b86e00", READY: "#2472c8", ALARM: "#d9382c"}
"""The strip before a row or a sentence: a contrast of at least 3 to 1 on light and dark pages."""

_HREF = re.compile(r"(?:\.\./){0,2}[A-Za-z0-9_-][A-Za-z0-9_./-]*(?:#[a-z0-9-]+)?")


@dataclass(frozen=True)
class Link:
    """A cell that leads to a file of ours. ``href`` is a relative path of plain characters, perhaps with an anchor."""

    text: str
    href: str

    def __post_init__(self) -> None:
        if not _HREF.fullmatch(self.href):
            raise ValueError(f"{self.href!r} is not a plain relative path; text of a device is no link")

    def __str__(self) -> str:
        return self.text


Cell = str | Link


def link_to(text: str, href: str) -> Cell:
    """Return a link, or only its text where the path is not plain or leads further up than a link may."""
    return Link(text, href) if _HREF.fullmatch(href) else text


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row's cells; ``mark`` is one of ``MARKS``, and is said in words by a cell too.

    ``ready`` is what waits to be done, ``alarm`` what has to be read before anything else.
    """

    cells: tuple[Cell, ...]
    mark: str = PLAIN


@dataclass(frozen=True, kw_only=True)
class Table:
    """A title, headers, rows, and one sentence on how to read it.

    ``whole`` names the headers whose cells are compared or copied as they are (keys, commands): these
    stay on one line, in letters of one width. Of a long table the first page is shown (``pages``): ``artifact`` says
    where the whole list is kept, and ``counted`` is the header whose words are counted over all rows.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    note: str = ""
    empty: str = "nothing"
    whole: tuple[str, ...] = ()
    artifact: str = ""
    counted: str = ""


# -- A table in the reader's language. What is compared or copied, and what a device said, stays as it is


def in_language(table: Table) -> Table:
    """Return the table as the reader's language says it; columns that are ``whole`` keep their cells."""
    if language() == ENGLISH:
        return table
    kept = {place for place, header in enumerate(table.headers) if header in table.whole}
    return replace(
        table,
        title=gettext(table.title),
        headers=tuple(map(gettext, table.headers)),
        rows=tuple(_row(row, kept) for row in table.rows),
        note=gettext(table.note),
        empty=gettext(table.empty),
        whole=tuple(map(gettext, table.whole)),
    )


def _row(row: Row, kept: set[int]) -> Row:
    return replace(row, cells=tuple(cell if place in kept else _cell(cell) for place, cell in enumerate(row.cells)))


def _cell(cell: Cell) -> Cell:
    return Link(gettext(cell.text), cell.href) if isinstance(cell, Link) else gettext(cell)


# -- Long tables in pages: what matters first, filtered and sorted, and what is not shown said in numbers

PAGE = 50
"""Rows that a page holds. A table of up to this many is shown whole."""
_URGENCY = {ALARM: 0, BAD: 1, READY: 2, DOUBT: 2, GOOD: 3, PLAIN: 3}


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some rows of a table: from ``first`` (from 1) on, of ``matching`` that fit the filter, of ``total`` in all."""

    rows: tuple[Row, ...]
    first: int
    matching: int
    total: int

    @property
    def said(self) -> str:
        """Which rows these are."""
        last = self.first + len(self.rows) - 1
        if not self.rows:
            return f"None of the {self.total:,} rows holds that."
        if self.matching < self.total:
            return f"Rows {self.first:,} to {last:,} of {self.matching:,} that hold it, of {self.total:,} in all."
        return f"Rows {self.first:,} to {last:,} of {self.total:,}."


class Pages:
    """A table that is looked through. Each text is put together once, however often the filter changes."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._texts = ["\n".join(map(str, row.cells)).casefold() for row in table.rows]

    def page(self, number: int = 0, *, needle: str = "", by: str = "", size: int = PAGE) -> Page:
        """Return one page, counted from 0; a number beyond the last is the last.

        ``needle`` is looked for in all cells, without regard to case; ``by`` is the header to sort by, empty: what
        needs a look first, else as the table has it.
        """
        wanted = needle.strip().casefold()
        rows = [row for row, text in zip(self.table.rows, self._texts, strict=True) if wanted in text]
        rows = _sorted(rows, self.table.headers.index(by)) if by else urgent_first(rows)
        first = min(max(number, 0), max(len(rows) - 1, 0) // size) * size
        found = tuple(rows[first : first + size])
        return Page(rows=found, first=first + 1, matching=len(rows), total=len(self.table.rows))


def is_long(table: Table) -> bool:
    """Whether a table has more rows than are shown at once."""
    return len(table.rows) > PAGE


def first_page(table: Table) -> Table:
    """Return a table with its most urgent rows, and a note that says how many there are and where; short ones whole."""
    if not is_long(table):
        return table
    total = len(table.rows)
    where = f"; the whole list is at {table.artifact}" if table.artifact else ""
    cut = f"First {PAGE} of {total:,}{where}."
    notes = (cut, totals(table), table.note)
    return replace(table, rows=tuple(urgent_first(table.rows)[:PAGE]), note="\n".join(filter(None, notes)))


def totals(table: Table) -> str:
    """Return how many rows hold each word of the table's counted column, or nothing where it counts none."""
    if not table.counted:
        return ""
    place = table.headers.index(table.counted)
    counts = Counter(str(row.cells[place]) for row in table.rows)
    return " · ".join(f"{word}: {count:,}" for word, count in counts.most_common())


def urgent_first(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, those that are marked as bad first, then the doubtful ones; otherwise in their order."""
    return sorted(rows, key=lambda row: _URGENCY[row.mark])


def _sorted(rows: list[Row], place: int) -> list[Row]:
    """Sort by one column: by number where every cell is one, else as words."""
    texts = [str(row.cells[place]).replace(",", "") for row in rows]
    if all(text.isdigit() for text in texts):
        return sorted(rows, key=lambda row: int(str(row.cells[place]).replace(",", "")))
    return sorted(rows, key=lambda row: str(row.cells[place]).casefold())
