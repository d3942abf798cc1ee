"""One table, shown three ways: HTML in a notebook, plain text in a terminal and in a record, rows as data.

All text is data: it is escaped in HTML, and control characters are made visible in a terminal.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from html import escape
from typing import Generic, TypeVar

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from runbook_lib.errors import printable

T = TypeVar("T")

TEXT_WIDTH = 120
GOOD, BAD, DOUBT, PLAIN = "good", "bad", "doubt", ""
_MARKS = {GOOD: "✔", BAD: "✘", DOUBT: "?", PLAIN: ""}
_STYLE = (
    "<style>"
    ".rb{margin:.5em 0;font-size:13px;line-height:1.45}"
    ".rb caption{caption-side:top;text-align:left;font-weight:600;padding:.3em 0}"
    ".rb th,.rb td{text-align:left!important;vertical-align:top;padding:.25em .8em;white-space:pre-wrap;"
    "overflow-wrap:anywhere;border-bottom:1px solid rgba(128,128,128,.35)}"
    ".rb .good{border-left:4px solid #2a7d3a}.rb .bad{border-left:4px solid #b3261e}.rb .doubt{border-left:4px solid #b26a00}"
    ".rb-note{font-size:13px;margin:.3em 0 1em}"
    "</style>"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row's cells; ``mark`` is ``good``, ``bad``, ``doubt`` or nothing, and is said in words by a cell too."""

    cells: tuple[str, ...]
    mark: str = PLAIN


@dataclass(frozen=True, kw_only=True)
class Table:
    """A title, headers, rows, and one sentence on how to read it."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    note: str = ""
    empty: str = "nothing"


@dataclass(frozen=True)
class View(Generic[T]):
    """What a notebook's cell shows of a value; ``value`` is the thing itself."""

    value: T
    tables: tuple[Table, ...] = field(repr=False)

    def _repr_html_(self) -> str:
        return _STYLE + "".join(_html(table) for table in self.tables)

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int = TEXT_WIDTH) -> str:
        """Return the same in plain text, no wider than ``width`` columns."""
        return "\n".join(_text(table, width) for table in self.tables)


def _html(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in table.headers)
    body = "".join(
        f'<tr class="{row.mark}">' + "".join(_cell(row, place) for place in range(len(row.cells))) + "</tr>"
        for row in table.rows
    )
    if not table.rows:
        body = f'<tr><td colspan="{len(table.headers)}">{escape(table.empty)}</td></tr>'
    note = f'<p class="rb-note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<table class="rb"><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
    )


def _cell(row: Row, place: int) -> str:
    mark = f"{_MARKS[row.mark]} " if place == 0 and row.mark else ""
    return f'<td class="{row.mark if place == 0 else ""}">{mark}{escape(printable(row.cells[place]))}</td>'


def _text(table: Table, width: int) -> str:
    shown = RichTable(title=Text(table.title), title_justify="left", title_style="", header_style="", show_lines=False)
    for header in table.headers:
        shown.add_column(Text(header), overflow="fold")
    for row in table.rows:
        mark = f"{_MARKS[row.mark]} " if row.mark else ""
        first, *rest = (printable(cell) for cell in row.cells)
        shown.add_row(Text(mark + first), *(Text(cell) for cell in rest))
    if not table.rows:
        shown.add_row(Text(table.empty))
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, legacy_windows=False)
    console.print(shown)
    if table.note:
        console.print(Text(table.note))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
