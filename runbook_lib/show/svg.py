"""The picture kit: strokes, their style sheet, the width of text, one time axis."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from typing import Literal

from runbook_lib.errors import printable
from runbook_lib.i18n.language import AsIs, gettext
from runbook_lib.show.document import DARK, LIGHT, TONES, Picture, variables

# -- What a page that shows pictures has in its style sheet, and a picture in a file of its own -----

FACE = "system-ui,-apple-system,'Segoe UI','DejaVu Sans',Arial,sans-serif"
MONO = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"

_TONES = "".join(f".pic .{tone}{{--tone:var(--{tone});--wash:var(--{tone}-wash)}}" for tone in TONES)
# JupyterLab, Notebook 7 and VS Code have themes of their own, whatever the system's is; each marks its page.
_ON_DARK = ":is([data-jp-theme-light=false],.vscode-dark,.vscode-high-contrast) .pic"
_ON_LIGHT = ":is([data-jp-theme-light=true],.vscode-light,.vscode-high-contrast-light) .pic"
_COLOURS = (
    f".pic{{{variables(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{.pic{{{variables(DARK)}}}}}"
    # A light page of high contrast bears the mark of the dark one, too: light is said last.
    f"{_ON_DARK}{{{variables(DARK)}}}{_ON_LIGHT}{{{variables(LIGHT)}}}"
    f"@media print{{[data-jp-theme-light] .pic,.pic{{{variables(LIGHT)}}}}}"
)
STYLE = (
    f"{_COLOURS}{_TONES}"
    f".pic{{background:var(--page);font-family:{FACE};max-width:100%;height:auto}}"
    ".pic .text{fill:var(--tone)}.pic .line{stroke:var(--tone);fill:none;stroke-linecap:round;stroke-linejoin:round}"
    ".pic .area{fill:var(--wash);stroke:var(--tone);stroke-width:1.5}.pic .solid{fill:var(--tone)}"
    f".pic .bold{{font-weight:700}}.pic .mono{{font-family:{MONO}}}"
)
"""What a page that shows pictures has in its style sheet, once."""


def standalone(picture: Picture) -> str:
    """Return the SVG that brings its style sheet with it, for a file of its own."""
    return picture.inline(f"<style>{STYLE}</style>")


# -- How wide text is in a picture that no browser has seen yet: an estimate on the safe side, for a sans-serif face

NARROW, WIDE = frozenset("iIljtfr.,:;'|!()[]{}-/ \u00b7"), frozenset("mwMW@%")
_UPPER, _LOWER, _THIN, _BROAD = 0.72, 0.6, 0.4, 0.98
MONOSPACE = 0.605
ELLIPSIS = "…"
_PIECES = re.compile(r"[^\s\u2e80-\uffef]+[，。；：、）」]*\s*|[\u2e80-\uffef][，。；：、）」]*\s*")


def width_of(text: str, size: float, *, mono: bool = False) -> float:
    """Return the width in pixels at a font size in pixels; no common sans-serif face is much wider."""
    return size * sum(_advance(character, mono) for character in text)


def _advance(c: str, mono: bool) -> float:
    if unicodedata.combining(c):
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    if mono:
        return MONOSPACE
    if c in NARROW:
        return _THIN
    if c in WIDE:
        return _BROAD
    return _UPPER if c.isupper() else _LOWER


def shorten(text: str, width: float, size: float, *, mono: bool = False) -> AsIs:
    """Return the text on one line in the reader's language, its middle left out where it is wider than ``width``."""
    shown = " ".join(printable(gettext(text)).split())
    if width_of(shown, size, mono=mono) <= width:
        return AsIs(shown)
    room = width - width_of(ELLIPSIS, size, mono=mono)
    head, tail = _fitting(shown, room * 0.6, size, mono), _fitting(shown[::-1], room * 0.4, size, mono)[::-1]
    return AsIs(f"{head}{ELLIPSIS}{tail}")


def wrap(text: str, width: float, size: float, *, lines: int = 3) -> tuple[AsIs, ...]:
    """Return the text in the reader's language in lines no wider than ``width``, at most ``lines``; the last shortened.

    A line ends between words, and after any Chinese character.
    """
    rest, broken = _PIECES.findall(printable(gettext(text))), list[AsIs]()
    while rest and len(broken) < lines - 1:
        count = 1
        while count < len(rest) and width_of("".join(rest[: count + 1]).rstrip(), size) <= width:
            count += 1
        broken.append(shorten(AsIs("".join(rest[:count])), width, size))
        rest = rest[count:]
    return (*broken, shorten(AsIs("".join(rest)), width, size)) if rest else tuple(broken)


def _fitting(text: str, width: float, size: float, mono: bool) -> str:
    taken, used = 0, 0.0
    while taken < len(text) and (used := used + size * _advance(text[taken], mono)) <= width:
        taken += 1
    return text[:taken]


# -- The strokes that pictures are drawn with. All text is data: it is escaped, and nothing in it becomes a tag.
#
# Colours are classes, never attributes: each stroke has a tone (what it means) and a way (``line``, ``area``,
# ``solid``, ``text``), so one style sheet makes it light, dark or fit for paper. Nothing here has an id, a link, a
# script or a style attribute: a strict content security policy has nothing to refuse, and two pictures on a page never
# clash.

Anchor = Literal["start", "middle", "end"]
Number = float | int
TEXT_SIZE = 14.0
DASHES = "6 5"
_WAYS = ("line", "area", "solid", "text")
# One shape a tone, so that it is told apart without its colour: tick, cross, question mark, triangle, dot, ring.
_MARKS = {
    "good": "M-4.5 0.5L-1.5 4L4.5 -4",
    "bad": "M-4 -4L4 4M4 -4L-4 4",
    "doubt": "M-3 -2.5A3 3 0 1 1 0 0.8V2.2M0 5V5.4",
    "change": "M0 -5L5 4H-5Z",
    "plain": "M-2 0A2 2 0 1 0 2 0A2 2 0 1 0 -2 0",
    "quiet": "M-3.5 0A3.5 3.5 0 1 0 3.5 0A3.5 3.5 0 1 0 -3.5 0",
}


def element(name: str, attributes: dict[str, str | Number], *children: str) -> str:
    """Return one element. ``children`` are elements already; text goes through ``label``."""
    written = "".join(f' {key}="{escape(_number(value))}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def group(*children: str, x: Number = 0, y: Number = 0) -> str:
    """Return the children as one, moved."""
    return element("g", {"transform": f"translate({_number(x)} {_number(y)})"}, *children)


def label(
    text: str,
    x: Number,
    y: Number,
    *,
    tone: str = "plain",
    anchor: Anchor = "start",
    size: Number = TEXT_SIZE,
    bold: bool = False,
    mono: bool = False,
) -> str:
    """Return one line of text, its base line at ``y``; control characters are shown, not obeyed.

    A blank follows it: where a front end takes the drawing out and leaves its words, they are still words.
    """
    extra = " bold" * bold + " mono" * mono
    about: dict[str, str | Number] = {"x": x, "y": y, "class": _class(tone, "text") + extra, "font-size": size}
    if anchor != "start":
        about["text-anchor"] = anchor
    return element("text", about, escape(printable(gettext(text)))) + " "


def line(
    points: tuple[tuple[Number, Number], ...], *, tone: str = "quiet", width: Number = 1.5, dashed: bool = False
) -> str:
    """Return a line through two or more points; ``dashed`` says broken, or not known."""
    path = "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    about: dict[str, str | Number] = {"d": path, "class": _class(tone, "line"), "stroke-width": width}
    return element("path", about | {"stroke-dasharray": DASHES} if dashed else about)


def arrow(
    start: tuple[Number, Number], end: tuple[Number, Number], *, tone: str = "quiet", dashed: bool = False
) -> str:
    """Return a straight line with a head at its end."""
    (x1, y1), (x2, y2) = start, end
    length = max(((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5, 1e-6)
    dx, dy = (x2 - x1) / length * 9, (y2 - y1) / length * 9
    corners = ((x2, y2), (x2 - dx - dy / 2, y2 - dy + dx / 2), (x2 - dx + dy / 2, y2 - dy - dx / 2))
    head = "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in corners) + "Z"
    shaft = line((start, (x2 - dx, y2 - dy)), tone=tone, width=2, dashed=dashed)
    return shaft + element("path", {"d": head, "class": _class(tone, "solid")})


def rectangle(
    x: Number,
    y: Number,
    width: Number,
    height: Number,
    *,
    tone: str = "plain",
    radius: Number = 6,
    dashed: bool = False,
) -> str:
    """Return a box with a pale wash and an outline."""
    about: dict[str, str | Number] = {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0), "rx": radius}
    about["class"] = _class(tone, "area")
    return element("rect", about | {"stroke-dasharray": DASHES} if dashed else about)


def circle(x: Number, y: Number, radius: Number, *, tone: str = "plain") -> str:
    """Return a circle with a pale wash and an outline."""
    return element("circle", {"cx": x, "cy": y, "r": radius, "class": _class(tone, "area")})


def mark(tone: str, x: Number, y: Number) -> str:
    """Return the shape that stands for a tone, about 18 pixels wide, around (x, y)."""
    sign = element("path", {"d": _MARKS[tone], "class": _class(tone, "line"), "stroke-width": 2})
    return group(circle(0, 0, 9, tone=tone), sign, x=x, y=y)


def _class(tone: str, way: str) -> str:
    if tone not in TONES or way not in _WAYS:
        raise ValueError(f"no such tone or way: {tone} {way}")
    return f"{tone} {way}"


def _number(value: str | Number) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".rstrip("0").rstrip(".")


# -- A time axis: where a moment stands between two edges. A long time without any event is cut short on it, so that
# what happened around it can be seen.

CUT = 44.0
"""The pixels that stand for a time that is cut short."""
MOST_CUTS = 4


@dataclass(frozen=True)
class Axis:
    """Moments (UTC) in order, the pixel at which each stands, and after which of them the time is cut short."""

    moments: tuple[datetime, ...]
    pixels: tuple[float, ...]
    cuts: tuple[int, ...] = ()

    @property
    def first(self) -> datetime:
        """The moment at its left edge."""
        return self.moments[0]

    @property
    def last(self) -> datetime:
        """The moment at its right edge."""
        return self.moments[-1]

    def at(self, moment: datetime) -> float:
        """Return the pixel at which a moment stands; one outside stands at the nearer edge."""
        if moment <= self.first:
            return self.pixels[0]
        if moment >= self.last:
            return self.pixels[-1]
        place = bisect_right(self.moments, moment) - 1
        share = (moment - self.moments[place]) / (self.moments[place + 1] - self.moments[place])
        return self.pixels[place] + share * (self.pixels[place + 1] - self.pixels[place])

    @property
    def is_one_day(self) -> bool:
        """Whether the axis begins and ends on the same day, in UTC."""
        return self.first.astimezone(UTC).date() == self.last.astimezone(UTC).date()

    def days(self) -> str:
        """Return the day, or the days, that the axis covers."""
        first, last = self.first.astimezone(UTC), self.last.astimezone(UTC)
        return f"{first:%Y-%m-%d} UTC" if self.is_one_day else f"{first:%Y-%m-%d} to {last:%Y-%m-%d} UTC"


def time_axis(events: Iterable[datetime], left: float, right: float, most_cuts: int = MOST_CUTS) -> Axis:
    """Return the axis from the first event to the last. A time longer than all others together is cut short."""
    moments = tuple(sorted(set(events)))
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    cuts = _cuts(gaps, most_cuts)
    drawn = sum(gap for number, gap in enumerate(gaps) if number not in cuts)
    room = right - left - CUT * len(cuts)
    pixels = [left]
    for number, gap in enumerate(gaps):
        wide = CUT if number in cuts else room * gap / drawn
        pixels.append(pixels[-1] + wide)
    return Axis(moments, tuple(pixels), cuts)


def _cuts(gaps: list[float], most: int) -> tuple[int, ...]:
    left = dict(enumerate(gaps))
    cuts: list[int] = []
    while len(left) > 1 and len(cuts) < most:
        longest = max(left, key=lambda number: left[number])
        if left[longest] <= sum(left.values()) - left[longest]:
            break
        cuts.append(longest)
        del left[longest]
    return tuple(sorted(cuts))
