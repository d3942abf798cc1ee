"""The document model: tables of cells, lists and pictures; which rows and columns are shown, and in which language.

``rendering`` shows it in notebooks and terminals, ``report_page`` in the post-mortem.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from os.path import commonpath, isabs
from typing import NamedTuple

from runbook_lib.errors import printable
from runbook_lib.i18n.language import ENGLISH, gettext, language
from runbook_lib.models import Stage, StageState
from runbook_lib.observations import LogLine

# -- Marks: the sign beside a word or a row whose meaning a colour says too -------------------------

GOOD, BAD, DOUBT, READY, ALARM, PLAIN = "good", "bad", "doubt", "ready", "alarm", ""
MARKS = {GOOD: "✔", BAD: "✘", DOUBT: "?", READY: "→", ALARM: "!!!", PLAIN: "", "change": "▲", "plain": "", "quiet": ""}
COLOURS = {GOOD: "#2e9e4f", BAD: "#d9382c", DOUBT: "#b86e00", READY: "#2472c8", ALARM: "#d9382c"}
"""The marks of rows, each with the colour of its strip: a contrast of at least 3 to 1 on light and dark pages."""

STATE_TONES: dict[str, str] = {
    StageState.DONE: GOOD,
    StageState.FAILED: BAD,
    StageState.STOPPED: DOUBT,
    StageState.INTERRUPTED: DOUBT,
    StageState.UNKNOWN: BAD,
}
"""How well a stage ended, as a picture's tone and as a row's mark; those that have not ended are not in it."""


TONE_OF = {True: GOOD, False: BAD, None: DOUBT}
"""How well something is as it should be, as a row's mark and as a picture's tone; None where that is not known."""


def mark_of(tone: str) -> str:
    """Return the mark of a row whose picture has this tone; none for one that is neither good, bad nor in doubt."""
    return tone if tone in (GOOD, BAD, DOUBT) else PLAIN


# -- The colours of pictures and reports, by what they mean; for light and dark screens, and for paper.
#
# A tone is never said by its colour alone: a word stands beside it, or the shape of ``svg.mark``. Every ink
# is readable on the page and on its own wash (contrast of at least 4.5 to 1; a test computes it).


class Ink(NamedTuple):
    """One tone: for lines and letters, and the pale wash that its areas are filled with."""

    ink: str
    wash: str


LIGHT = {
    "page": Ink("#ffffff", "#ffffff"),
    "plain": Ink("#1f2328", "#f3f5f7"),
    "quiet": Ink("#57606a", "#f3f5f7"),
    "good": Ink("#1a6b31", "#e5f4e9"),
    "bad": Ink("#b3261e", "#fdeceb"),
    "doubt": Ink("#7d5000", "#fdf1d8"),
    "change": Ink("#0a4f97", "#e5f0fb"),
}
DARK = {
    "page": Ink("#12161c", "#12161c"),
    "plain": Ink("#e6edf3", "#1d232b"),
    "quiet": Ink("#a3adb8", "#1d232b"),
    "good": Ink("#6fce87", "#12301c"),
    "bad": Ink("#ff938a", "#3b1715"),
    "doubt": Ink("#e5b84d", "#33270b"),
    "change": Ink("#86bdff", "#10263f"),
}
TONES = tuple(name for name in LIGHT if name != "page")


def variables(palette: dict[str, Ink]) -> str:
    """Return the palette as CSS variables: ``--good`` and ``--good-wash``, and so on for each tone."""
    return "".join(f"--{name}:{tone.ink};--{name}-wash:{tone.wash};" for name, tone in palette.items())


# -- Cells, rows and tables; lists and pictures ------------------------------------------------------

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


@dataclass(frozen=True)
class Code:
    """A cell to be read or copied letter by letter: a key, a digest, a command, a line of a log."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Marked:
    """A cell of words with the mark that ``tone`` has in ``MARKS``."""

    tone: str
    text: str

    def __str__(self) -> str:
        return f"{MARKS[self.tone]} {self.text}".strip()


@dataclass(frozen=True, kw_only=True)
class Ref:
    """Where it stands in a record: the journal's line (0: in none) and the file that the line names (empty: none)."""

    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        return " ".join((f"line {self.line}" if self.line else "-", *filter(None, (self.path,))))


NO_REF = Ref()
Cell = str | Link | Code | Marked | Ref


def link_to(text: str, href: str) -> Cell:
    """Return a link, or only its text where the path is not plain or leads further up than a link may."""
    return Link(text, href) if _HREF.fullmatch(href) else text


@dataclass(frozen=True, init=False)
class Row:
    """One row's cells; ``mark`` is one of ``COLOURS`` or ``PLAIN``, and is said in words by a cell too.

    ``ready`` is what waits to be done, ``alarm`` what has to be read before anything else.
    """

    cells: tuple[Cell, ...]
    mark: str

    def __init__(self, *cells: Cell, mark: str = PLAIN) -> None:
        object.__setattr__(self, "cells", cells)  # the dataclass is frozen
        object.__setattr__(self, "mark", mark)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A title, headers, rows, and one sentence on how to read it.

    ``whole`` names the headers whose cells are compared or copied as they are (keys, commands): these
    stay on one line, in letters of one width. Of a long table the most urgent rows are shown: ``artifact`` says
    where the whole list is kept, and ``counted`` is the header whose words are counted over all rows. ``below`` names
    the headers whose cells have a notebook's whole width, below their row. ``fold``: a notebook shows the table once
    this line is opened. ``ref`` is where all rows of a report's table come from, if that is one place.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    note: str = ""
    empty: str = "nothing"
    whole: tuple[str, ...] = ()
    artifact: str = ""
    counted: str = ""
    below: tuple[str, ...] = ()
    fold: str = ""
    ref: Ref = NO_REF


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of ``width`` by ``height`` pixels. A table beside it says the same, for whoever does not see it.

    ``body`` are elements made by ``svg``: nothing else may be put there.
    """

    title: str
    width: float
    height: float
    body: str

    def inline(self, before: str = "") -> str:
        """Return the SVG, what stands ``before`` its body first, for a page whose style sheet holds ``svg.STYLE``."""
        size = f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}"'
        about = f'class="pic" role="img" aria-label="{escape(printable(self.title))}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {about} {size}>{before}{self.body}</svg>'


@dataclass(frozen=True)
class Drawn:
    """A picture for a wide and for a narrow page. ``words`` say what it shows, where no table of the page does."""

    wide: Picture
    narrow: Picture
    words: tuple[str, ...] = ()


# -- A table without idle columns, and in the reader's language. What is compared or copied stays as it is


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
        below=tuple(map(gettext, table.below)),
        fold=gettext(table.fold),
    )


def without_idle_columns(table: Table) -> Table:
    """Return the table without the columns that say nothing in any row; the first one stays."""
    cells = list(zip(*(row.cells for row in table.rows), strict=True))
    filled = [
        place for place, column in enumerate(cells) if not place or any(str(cell) not in ("", "-") for cell in column)
    ]
    if len(filled) == len(cells):
        return table
    return replace(
        table,
        headers=tuple(table.headers[place] for place in filled),
        rows=tuple(Row(*(row.cells[place] for place in filled), mark=row.mark) for row in table.rows),
    )


def _row(row: Row, kept: set[int]) -> Row:
    return Row(*(cell if place in kept else _cell(cell) for place, cell in enumerate(row.cells)), mark=row.mark)


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, (Link, Marked)):
        return replace(cell, text=gettext(cell.text))
    return gettext(cell) if isinstance(cell, str) else cell


# -- Long tables: what matters first, and what is not shown said in numbers

MOST_ROWS, MOST_ROWS_IN_TEXT = 500, 50
"""Rows that are shown of a table; in HTML, those above the second number scroll."""
_URGENCY = {ALARM: 0, BAD: 1, READY: 2, DOUBT: 2, GOOD: 3, PLAIN: 3}


def cut_short(table: Table, most: int) -> Table:
    """Return a table with its most urgent rows, and a note that says how many there are and where; short ones whole."""
    total = len(table.rows)
    if total <= MOST_ROWS_IN_TEXT:
        return table
    where = f"; the whole list is at {table.artifact}" if table.artifact else ""
    cut = f"First {most} of {total:,}{where}." if total > most else ""
    rows = sorted(table.rows, key=lambda row: _URGENCY[row.mark])[:most]
    notes = (cut, totals(table), table.note)
    return replace(table, rows=tuple(rows), note="\n".join(filter(None, notes)))


def totals(table: Table) -> str:
    """Return how many rows hold each word of the table's counted column, or nothing where it counts none."""
    if not table.counted:
        return ""
    place = table.headers.index(table.counted)
    counts = Counter(str(row.cells[place]) for row in table.rows)
    return " · ".join(f"{word}: {count:,}" for word, count in counts.most_common())


# -- Places in logs, short enough for a table: file and line below the folder that they have in common

LEAST_PARTS = 2


def first_and_last(evidence: Sequence[LogLine]) -> tuple[str, ...]:
    """Return the places of the first and the last line; one where they are the same."""
    return tuple(dict.fromkeys(line.place for line in (*evidence[:1], *evidence[-1:])))


def common_folder(places: Sequence[str]) -> str:
    """Return the folder below which all places lie; empty where that says nothing, such as ``/var``."""
    folders = [where.rpartition("/")[0] for where in places]
    if not folders or not all(map(isabs, folders)):
        return ""
    common = commonpath(folders)
    return common if common.count("/") >= LEAST_PARTS else ""


def places_below(places: Sequence[str], folder: str) -> str:
    """Return one place a line, relative to ``folder``; a second line number of one file stands beside the first."""
    shown: dict[str, list[str]] = {}
    for where in places:
        file, _, number = where.rpartition(":")
        numbers = shown.setdefault(file.removeprefix(f"{folder}/") if folder else file, [])
        if number not in numbers:
            numbers.append(number)
    return "\n".join(f"{file}:{', '.join(numbers)}" for file, numbers in shown.items())


def facts_folder(stage: Stage) -> str:
    """Return where the record keeps what a stage found, whole."""
    return f"facts/{stage}/ in the record"


def below(folder: str) -> str:
    """Return the sentence that says what the places are relative to."""
    return f"Evidence: file:lines, below {folder}." if folder else ""
