"""A table as HTML and as plain text, what a cell of a notebook shows of a value, and the sign over a stage."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from runbook_lib.errors import one_line, printable
from runbook_lib.i18n.language import gettext
from runbook_lib.show.document import (
    COLOURS,
    MARKS,
    MOST_ROWS,
    MOST_ROWS_IN_TEXT,
    Cell,
    Link,
    Picture,
    Row,
    Table,
    cut_short,
    in_language,
    without_idle_columns,
)
from runbook_lib.show.svg import STYLE as PICTURES_STYLE

# -- A table as HTML for a notebook. All text is data: it is escaped, and nothing in it becomes a link or a tag


def style_sheet(name: str) -> str:
    """Return one of ``templates`` as an element of a page, on one line and without its comments."""
    text = Path(__file__).with_name("templates").joinpath(name).read_text(encoding="utf-8")
    return f"<style>{re.sub(r'/[*].*?[*]/', '', text, flags=re.DOTALL).replace(chr(10), '')}</style>"


_MARKED = "".join(
    f".rb .{mark}>:first-child,.rb .{mark}+.below>:first-child{{border-left-color:{colour}}}"
    for mark, colour in COLOURS.items()
)
STYLE = style_sheet("tables.css").replace("MARKS", _MARKED)
# Jupyter takes the style sheet out of a notebook that it does not trust, as every copy from elsewhere is, and sets text
# in tables to the right. What stands at a cell itself is left.
_LEFT, _WHOLE = ' style="text-align:left"', ' class="whole"'
SHORT = 24  # characters that are not worth a second line
_LONG_TITLE = 100  # characters of a title that goes over lines: on one it would push its table out of view
_DIGEST = re.compile(r"\b([0-9a-f]{16})([0-9a-f]{16})([0-9a-f]{16})([0-9a-f]{16})\b")
_HALVES, _QUARTER = r"\1\2\n\3\4", '<wbr class="quarter">'
# Jupyter, and pages made of notebooks, set what follows these as a formula: a device could hide, colour or link words.
_FORMULA = re.compile(r"\$|\\(?=[()\[\]]|begin|end|(?:eq)?ref)")
_PASSED_OVER = r'<span class="tex2jax_ignore mathjax_ignore">\g<0></span>'
_OPTION, _FOLDER_END = re.compile(r"(?<!\S)--[a-z][a-z-]*"), re.compile(r"(?<=[\w.-])/(?=[\w.])")
_LONG = (
    "<style>.rb-long{max-height:40em}.rb-long thead th{position:sticky;top:0;background:var(--jp-layout-color0,Canvas)}"
    "@media print{.rb-long{max-height:none}}</style>"
)


def html(table: Table) -> str:
    """Return the table in HTML, in the reader's language; ``STYLE`` has to stand before the first one.

    A long one scrolls; of a very long one the most urgent rows are there.
    """
    long = len(table.rows) > MOST_ROWS_IN_TEXT
    table = in_language(without_idle_columns(cut_short(table, MOST_ROWS)))
    beside = [header for header in table.headers if header not in table.below]
    columns = "".join(f'<th scope="col"{_LEFT}>{escape(header)}</th>' for header in beside)
    alone = len(beside) == 1  # the title says what a single column holds
    kind = ' class="one"' if alone else ""
    head = "" if alone else f"<thead><tr>{columns}</tr></thead>"
    body = "".join(_row(table, row) for row in table.rows)
    if not table.rows:
        body = f'<tr><td colspan="{len(beside)}"{_LEFT}>{text_of(table.empty)}</td></tr>'
    note = f"<p>{text_of(table.note)}</p>" if table.note else ""
    # Wide tables scroll by themselves; what scrolls has to be reached with the keyboard, and has a name then.
    style, long_too = (_LONG, " rb-long") if long else ("", "")
    frame = f'{style}<div class="rb{long_too}" role="group" tabindex="0" aria-label="{escape(printable(table.title))}">'
    wraps = ' class="wraps"' if len(table.title) > _LONG_TITLE else ""
    shown = (
        f"{frame}<table{kind}><caption{wraps}{_LEFT}>{text_of(table.title)}</caption>"
        f"{head}<tbody>{body}</tbody></table>{note}</div>"
    )
    folded = f'<details class="rb-fold"><summary>{text_of(table.fold)}</summary>{shown}</details>'
    return folded if table.fold else shown


def figure(picture: Picture) -> str:
    """Return a picture with its title below; a page needs ``svg.STYLE`` once."""
    title = f"<figcaption>{text_of(gettext(picture.title))}</figcaption>"
    return f'<figure class="rb tex2jax_ignore mathjax_ignore">{picture.inline()}{title}</figure>'


def _row(table: Table, row: Row) -> str:
    named = list(zip(table.headers, row.cells, strict=True))
    beside = [(header, cell) for header, cell in named if header not in table.below]
    cells = "".join(
        _cell(cell, heads=place == 0 < len(beside) - 1, whole=header in table.whole, mark="" if place else row.mark)
        for place, (header, cell) in enumerate(beside)
    )
    shown = f'<tr class="{row.mark}">{cells}</tr>' if row.mark else f"<tr>{cells}</tr>"
    below = "".join(
        f"<p>{escape(header)}: <span{_WHOLE if header in table.whole else ''}>{_shown(cell)}</span></p>"
        for header, cell in named
        if header in table.below and str(cell) not in ("", "-")
    )
    return shown + (f'<tr class="below"><td colspan="{len(beside)}"{_LEFT}>{below}</td></tr>' if below else "")


def _shown(cell: Cell) -> str:
    return f'<a href="{escape(cell.href)}">{text_of(cell.text)}</a>' if isinstance(cell, Link) else text_of(str(cell))


def _cell(cell: Cell, *, heads: bool, whole: bool, mark: str) -> str:
    """Return one cell; the first of several ``heads`` its row, so that a screen reader says whose value is read."""
    marked = f"{MARKS[mark]} " if mark else ""
    short = max(map(len, str(cell).split(None if whole else "\n")), default=0) <= SHORT
    kind = " ".join(("whole",) * whole + ("short",) * short)
    name, scope = ("th", ' scope="row"') if heads else ("td", "")
    about = f' class="{kind}"' if kind else ""
    return f"<{name}{scope}{about}{_LEFT}>{marked}{_shown(cell)}</{name}>"


def text_of(text: str) -> str:
    """Escape; a path may be broken, a digest in the middle, or where room is short at each quarter; no option is."""
    shown = _FOLDER_END.sub("/<wbr>", _FORMULA.sub(_PASSED_OVER, escape(printable(text))))
    shown = _OPTION.sub(r'<span class="option">\g<0></span>', shown)
    return _DIGEST.sub(rf'<span class="digest">\1{_QUARTER}\2<wbr>\3{_QUARTER}\4</span>', shown)


# -- A table as plain text: a grid where it fits, else one block per row. Control characters are made visible

LOG_WIDTH = 160
NARROWEST = 40
# The least width of a column of words, tried in turn; then digests are broken in two; then each row is a block.
PROSE_WIDTHS = (26, 18)
Rows = list[tuple[str, ...]]

# rich measures and breaks lines; its own tables take ten times as long, which a fleet pays for each cell of a notebook.
# In a kernel rich would also display what it prints: it is told that this is not a kernel.
_CONSOLE = Console(color_system=None, legacy_windows=False, force_jupyter=False)


def room() -> int:
    """Return how many columns there are: those of the terminal, or more where the text goes into a file."""
    if sys.stdout is not None and sys.stdout.isatty():
        return max(NARROWEST, shutil.get_terminal_size().columns)
    return LOG_WIDTH


def text(table: Table, width: int) -> str:
    """Return the table in plain text, of a long one the most urgent rows, no wider than ``width`` columns.

    Words and keys are broken only where one alone is wider than the whole text; digests in the
    middle where that makes a grid of it.
    """
    table = in_language(cut_short(table, MOST_ROWS_IN_TEXT))
    rows = [_cells(row) for row in table.rows]
    empty = (f"  {line}" for line in _wrapped(printable(table.empty), width - 2))
    shown = _drawn(table, rows, width) if rows else empty
    lines = [*_wrapped(one_line(table.title), width), *shown]
    if table.note:
        lines += _wrapped(printable(table.note).replace("\n", "\n  "), width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _drawn(table: Table, rows: Rows, width: int) -> Iterator[str]:
    broken = [tuple(_DIGEST.sub(_HALVES, cell) for cell in cells) for cells in rows]
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
    natural = [max(_longest(cell.split("\n")) for cell in column) for column in columns]
    least = [
        wish if header in table.whole else min(wish, max(prose, *(_longest(cell.split()) for cell in column)))
        for header, column, wish in zip(table.headers, columns, natural, strict=True)
    ]
    spare = width - (3 * len(columns) + 1) - sum(least)
    if spare < 0:
        return None
    needed = sum(natural) - sum(least)
    if needed <= spare:
        return natural
    return [low + (wish - low) * spare // needed for low, wish in zip(least, natural, strict=True)]


def _longest(pieces: Iterable[str]) -> int:
    return max(map(cell_len, pieces), default=0)


def _blocks(table: Table, rows: Rows, width: int) -> Iterator[str]:
    """Each row as a section of its own, a line for each cell that says something: the header, and the cell."""
    named = [list(zip(table.headers, cells, strict=True)) for cells in rows]
    filled = [[(header, cell) for header, cell in cells if cell not in ("", "-")] for cells in named]
    sections: list[Rows] = [list(section) for section in filled if section]
    first = min(_longest(header for section in sections for header, _ in section), width // 3)
    if (room := width - first - 7) < 64:  # a digest does not fit
        sections = [[(header, _DIGEST.sub(_HALVES, cell)) for header, cell in section] for section in sections]
    second = _longest(line for section in sections for _, cell in section for line in cell.split("\n"))
    return _grid(sections, [first, max(1, min(second, room))])


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


# -- Whether a person is there to read what a cell shows while it runs -----------------------------


def notebook_shell() -> Any:
    """Return IPython's shell where this runs in a notebook or a console of it, else None."""
    ipython: Any = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def attended() -> bool:
    """Whether the cell that runs now was started by somebody who can be asked.

    Jupyter's front ends offer to answer questions (``input``) with each cell that they start; papermill, nbclient and
    nbval do not. Outside of a notebook nobody is assumed.
    """
    return bool(getattr(getattr(notebook_shell(), "kernel", None), "_allow_stdin", False))


# -- What a cell of a notebook shows of a value: tables, in HTML or in plain text ------------------

T = TypeVar("T")


@dataclass(frozen=True)
class View(Generic[T]):
    """Tables for people, and pictures that say the same; ``value`` is the thing itself."""

    value: T
    tables: tuple[Table, ...] = field(repr=False)
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    def _repr_html_(self) -> str:
        style = f"<style>{PICTURES_STYLE}</style>" if self.pictures else ""
        shown = [html(table) for table in self.tables]
        # What is decisive stands above the pictures; what says the same as they do is folded below them.
        first = next((place for place, table in enumerate(self.tables) if table.fold), 0)
        shown[first:first] = [figure(picture) for picture in self.pictures]
        return STYLE + style + "".join(shown)

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Return the same in plain text, no wider than ``width`` columns; None: as wide as there is room.

        The tables say what the pictures show.
        """
        return "\n".join(text(table, room() if width is None else width) for table in self.tables)


# -- The sign over a stage: whether what is run here reaches real servers. Size, colour and words differ, each alone

PRODUCTION = "PRODUCTION: real servers"
LAB = "LAB: simulated servers on this machine"
REAL = "What you run here affects these servers:"
# White on this red has a contrast of 7.9 to 1, whatever the page; the blue edge has more than 3 to 1 on light and on
# dark ones. All of it stands at the element: Jupyter drops style sheets that it does not trust.
_PRODUCTION = (
    "background:#a4161a;color:#fff;border:6px double #fff;outline:3px solid #a4161a;padding:.5em .8em;"
    "margin:.4em 3px .8em;font-size:26px;line-height:1.3;font-weight:700;overflow-wrap:anywhere"
)
_SERVERS = "font-size:15px;font-weight:400;line-height:1.5"
_LAB = "display:inline-block;border:2px dashed #4a7dbf;padding:.2em .7em;margin:.3em 0 .6em;font-size:13px"


@dataclass(frozen=True)
class Sign:
    """Whether a site is real, its name, and its servers in words."""

    production: bool
    site: str
    servers: str

    def html(self) -> str:
        """Return the sign in HTML, in the reader's language."""
        if not self.production:
            return f'<div role="note" style="{_LAB}">{text_of(gettext(LAB))} · {text_of(self.site)}</div>'
        servers = f'<div style="{_SERVERS}">{text_of(gettext(REAL))} {text_of(self.servers)}</div>'
        return (
            f'<div role="note" style="{_PRODUCTION}">{text_of(gettext(PRODUCTION))} · '
            f"{text_of(self.site)}{servers}</div>"
        )

    def text(self, width: int) -> str:
        """Return the sign in plain text: production has a bar above and below."""
        if not self.production:
            return f"{LAB} · {self.site}\n"
        bar = "█" * min(width, 80)
        return f"{bar}\n█ {PRODUCTION} · {self.site}\n█ {REAL}\n█ {self.servers}\n{bar}\n"


@dataclass(frozen=True, repr=False)
class Signed(View[T]):
    """Tables below a sign."""

    sign: Sign = Sign(production=True, site="", servers="")

    def _repr_html_(self) -> str:
        return self.sign.html() + super()._repr_html_()

    def text(self, width: int | None = None) -> str:
        """Return sign and tables in plain text."""
        return self.sign.text(room() if width is None else width) + super().text(width)
