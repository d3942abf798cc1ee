"""The strokes that pictures are drawn with. All text is data: it is escaped, and nothing in it becomes a tag.

Colours are classes, never attributes: each stroke has a tone (what it means) and a way (``line``, ``area``, ``solid``,
``text``), so one style sheet makes it light, dark or fit for paper. Nothing here has an id, a link, a script or a
style attribute: a strict content security policy has nothing to refuse, and two pictures on a page never clash.
"""

from __future__ import annotations

from html import escape
from typing import Literal

from runbook_lib.errors import printable
from runbook_lib.pictures.palette import TONES
from runbook_lib.words import said

__all__ = ["TONES", "arrow", "circle", "element", "group", "label", "line", "mark", "rectangle"]

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
    return element("text", about, escape(printable(said(text)))) + " "


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
    way: str = "area",
    radius: Number = 6,
    dashed: bool = False,
) -> str:
    """Return a box; as ``area`` it has a pale wash and an outline, as ``solid`` it is filled."""
    about: dict[str, str | Number] = {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0), "rx": radius}
    about["class"] = _class(tone, way)
    return element("rect", about | {"stroke-dasharray": DASHES} if dashed else about)


def circle(x: Number, y: Number, radius: Number, *, tone: str = "plain", way: str = "area") -> str:
    return element("circle", {"cx": x, "cy": y, "r": radius, "class": _class(tone, way)})


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
