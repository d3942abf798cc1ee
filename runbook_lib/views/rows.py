"""The parts of a table: a title, headers, rows, cells. How they are shown is said in ``as_html`` and ``as_text``."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
