"""Long tables in pages: what matters first, filtered and sorted, and what is not shown said in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runbook_lib.views.rows import ALARM, BAD, DOUBT, GOOD, PLAIN, READY, Row, Table

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
