"""The colours of pictures and reports, by what they mean; for light and dark screens, and for paper.

A tone is never said by its colour alone: a word stands beside it, or the shape of ``svg.mark``. Every ink
is readable on the page and on its own wash (contrast of at least 4.5 to 1; a test computes it).
"""

from __future__ import annotations

from typing import NamedTuple


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
