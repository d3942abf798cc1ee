"""The parts that a report is made of, before it is HTML or Markdown: both are written from the same parts."""

from __future__ import annotations

from dataclasses import dataclass

from runbook_lib.pictures import Picture
from runbook_lib.report.values import Ref, Screenshot

MARKS = {"good": "✔", "bad": "✘", "doubt": "?", "change": "▲", "plain": "", "quiet": ""}
"""The sign beside a word whose tone a colour says too."""


@dataclass(frozen=True)
class Code:
    """Text to be read or copied letter by letter: a key, a digest, a command, a line of a log."""

    text: str


@dataclass(frozen=True)
class Marked:
    """A word with its tone."""

    tone: str
    text: str


Cell = str | Code | Marked | Ref


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table. The first cell of a row names it."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "nothing"


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """A picture for a wide and for a narrow page."""

    wide: Picture
    narrow: Picture


@dataclass(frozen=True)
class Shots:
    pictures: tuple[Screenshot, ...]


@dataclass(frozen=True)
class Blank:
    """Room for a person to write in; ``hint`` says what belongs there."""

    key: str
    hint: str


Block = str | Grid | Bullets | Drawn | Shots | Blank


@dataclass(frozen=True, kw_only=True)
class Section:
    """A chapter; ``ident`` is the anchor that leads to it."""

    ident: str
    title: str
    blocks: tuple[Block, ...]
