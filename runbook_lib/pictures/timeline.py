"""An incident over time: what was rejected from when to when, the stages, the changes; lanes on one broken axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook_lib.pictures import svg
from runbook_lib.pictures.axis import span
from runbook_lib.pictures.broken_axis import BrokenAxis, broken_axis
from runbook_lib.pictures.picture import Picture
from runbook_lib.pictures.text import shorten, width_of

_EDGE, _TITLE, _BAR, _GAP, _SMALL = 14.0, 18.0, 24.0, 16.0, 12.0
_DOT = 20.0


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something that lasted; ``end`` None: its end is not known, and it is drawn broken to the picture's edge."""

    text: str
    start: datetime
    end: datetime | None
    tone: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """Something that happened at once; ``text`` is a number or a letter or two that the words explain."""

    text: str
    at: datetime
    tone: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    title: str
    spans: tuple[Span, ...] = ()
    points: tuple[Point, ...] = ()


def draw_timeline(
    lanes: Sequence[Lane], *, end: datetime, title: str, words: tuple[str, ...], width: float = 760
) -> Picture:
    """Return the lanes one below the other, the axis at the foot. ``end`` is the last moment that is known of."""
    axis = broken_axis([*_moments(lanes), end], _EDGE, width - _EDGE)
    height = _TITLE + _BAR + _GAP
    top = _GAP / 2
    floor = top + height * len(lanes)
    body: list[str] = []
    for lane in lanes:
        body.append(svg.label(lane.title, _EDGE, top + 12, size=13, bold=True))
        body.append(_breaks(axis, top + _TITLE - 3, top + _TITLE + _BAR + 3))
        body += [_span(each, axis, top + _TITLE, width) for each in lane.spans]
        body.append(_points(lane.points, axis, top + _TITLE + _BAR / 2, width))
        top += height
    body.append(_foot(axis, floor, width))
    return Picture(title=title, words=words, width=width, height=floor + 44, body="".join(body))


def _moments(lanes: Sequence[Lane]) -> Iterator[datetime]:
    for lane in lanes:
        for each in lane.spans:
            yield from (each.start, *([each.end] if each.end else []))
        yield from (point.at for point in lane.points)


def _span(each: Span, axis: BrokenAxis, y: float, width: float) -> str:
    left = axis.at(each.start)
    right = max(axis.at(each.end) if each.end else width - _EDGE, left + 3)
    box = svg.rectangle(left, y, right - left, _BAR, tone=each.tone, radius=3, dashed=each.end is None)
    if width_of(each.text, _SMALL) > right - left - 8:
        return box
    return box + svg.label(each.text, (left + right) / 2, y + 16, tone=each.tone, anchor="middle", size=_SMALL)


def _points(points: Sequence[Point], axis: BrokenAxis, y: float, width: float) -> str:
    """Return the points, moved apart where they would cover each other; a short line leads to their true place."""
    drawn, free = [], _EDGE
    wanted = [max(axis.at(point.at), _EDGE + _DOT / 2) for point in points]
    for number, point in enumerate(points):
        rest = len(points) - number - 1
        x = min(max(wanted[number], free + _DOT / 2), width - _EDGE - _DOT / 2 - rest * (_DOT + 2))
        free = x + _DOT / 2 + 2
        true = axis.at(point.at)
        drawn += [
            svg.line(((true, y - _BAR / 2 - 3), (x, y - _DOT / 2)), tone=point.tone),
            svg.circle(x, y, _DOT / 2, tone=point.tone),
            svg.label(point.text, x, y + 4, tone=point.tone, anchor="middle", size=_SMALL, bold=True),
        ]
    return "".join(drawn)


def _breaks(axis: BrokenAxis, top: float, floor: float) -> str:
    drawn = []
    for cut in axis.cuts:
        middle = (axis.pixels[cut] + axis.pixels[cut + 1]) / 2
        drawn += [svg.line(((middle + x, top), (middle + x, floor)), dashed=True, width=1) for x in (-3, 3)]
    return "".join(drawn)


def _foot(axis: BrokenAxis, floor: float, width: float) -> str:
    """Return the axis with its times: the edges first, then whatever fits between; cut times say how long they are."""
    drawn = [svg.line(((_EDGE, floor), (width - _EDGE, floor)))]
    taken: list[tuple[float, float]] = []
    days = len({moment.astimezone(UTC).date() for moment in axis.moments}) > 1
    ends = (0, len(axis.moments) - 1)
    around = [place + side for place in axis.cuts for side in (0, 1)]
    for place in dict.fromkeys((*ends, *around, *_inner(axis))):
        moment, x = axis.moments[place].astimezone(UTC), axis.pixels[place]
        text = f"{moment:%m-%d %H:%M}" if days else f"{moment:%H:%M:%S}"
        half = width_of(text, _SMALL) / 2
        middle = min(max(x, _EDGE + half), width - _EDGE - half)
        if any(left < middle + half and middle - half < right for left, right in taken):
            continue
        taken.append((middle - half - 8, middle + half + 8))
        drawn.append(svg.line(((x, floor), (x, floor + 5))))
        drawn.append(svg.label(text, middle, floor + 18, anchor="middle", size=_SMALL, tone="quiet"))
    for cut in axis.cuts:
        middle = (axis.pixels[cut] + axis.pixels[cut + 1]) / 2
        text = shorten(f"{span(axis.moments[cut + 1] - axis.moments[cut])} cut short", 200, _SMALL)
        half = width_of(text, _SMALL) / 2
        x = min(max(middle, _EDGE + half), width - _EDGE - half)
        drawn.append(svg.label(text, x, floor + 36, anchor="middle", size=_SMALL, tone="quiet"))
    return "".join(drawn)


def _inner(axis: BrokenAxis) -> list[int]:
    """Places between the edges, those in the middle first, so that the times are spread."""
    whole = len(axis.moments)
    order = [whole * part // 8 for part in (4, 2, 6, 1, 3, 5, 7)]
    return [place for place in order if 0 < place < whole - 1]
