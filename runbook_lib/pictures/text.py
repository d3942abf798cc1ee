"""How wide text is in a picture that no browser has seen yet: an estimate on the safe side, for a sans-serif face."""

from __future__ import annotations

import unicodedata

from runbook_lib.errors import printable

NARROW, WIDE = frozenset("iIljtfr.,:;'|!()[]{}-/ \u00b7"), frozenset("mwMW@%")
_UPPER, _LOWER, _THIN, _BROAD = 0.72, 0.6, 0.4, 0.98
MONOSPACE = 0.605
ELLIPSIS = "…"


def width_of(text: str, size: float, *, mono: bool = False) -> float:
    """Return the width in pixels at a font size in pixels; no common sans-serif face is much wider."""
    return size * sum(_advance(c, mono) for c in text)


def _advance(c: str, mono: bool) -> float:
    if unicodedata.combining(c):
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    if mono:
        return MONOSPACE
    if c in NARROW:
        return _THIN
    return _BROAD if c in WIDE else _UPPER if c.isupper() else _LOWER


def shorten(text: str, width: float, size: float, *, mono: bool = False) -> str:
    """Return the text on one line, its middle left out where it is wider than ``width`` pixels."""
    shown = " ".join(printable(text).split())
    if width_of(shown, size, mono=mono) <= width:
        return shown
    room = width - width_of(ELLIPSIS, size, mono=mono)
    head, tail = _fitting(shown, room * 0.6, size, mono), _fitting(shown[::-1], room * 0.4, size, mono)[::-1]
    return f"{head}{ELLIPSIS}{tail}"


def wrap(text: str, width: float, size: float, *, lines: int = 3) -> tuple[str, ...]:
    """Return the text in lines no wider than ``width`` pixels, at most ``lines``; the last is shortened."""
    rest, found = printable(text).split(), list[str]()
    while rest and len(found) < lines - 1:
        count = 1
        while count < len(rest) and width_of(" ".join(rest[: count + 1]), size) <= width:
            count += 1
        found.append(shorten(" ".join(rest[:count]), width, size))
        rest = rest[count:]
    return (*found, shorten(" ".join(rest), width, size)) if rest else tuple(found)


def _fitting(text: str, width: float, size: float, mono: bool) -> str:
    taken, used = 0, 0.0
    while taken < len(text) and (used := used + size * _advance(text[taken], mono)) <= width:
        taken += 1
    return text[:taken]
