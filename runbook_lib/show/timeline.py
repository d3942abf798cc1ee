"""Pictures over time: the mismatches of a diagnosis, and an incident as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from runbook_lib.i18n.language import AsIs, duration, gettext, span
from runbook_lib.models import StageState
from runbook_lib.observations import Diagnosis, Mismatch
from runbook_lib.record.journal import Kind
from runbook_lib.show import svg
from runbook_lib.show.document import STATE_TONES, Drawn, Picture
from runbook_lib.show.report_model import OWN_STAGE, Impact, PostMortem, StageRow
from runbook_lib.show.svg import MOST_CUTS, Axis, shorten, time_axis, width_of

# -- An incident over time: what was rejected from when to when, the stages, the changes; lanes on one broken axis

_MARGIN, _DAY, _TITLE, _BAR, _GAP = 14.0, 22.0, 18.0, 24.0, 10.0
_DOT, _SMALL = 20.0, 12.0


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something that lasted; ``end`` None: its end is not known, and it is drawn broken to the picture's edge."""

    text: str = ""
    start: datetime
    end: datetime | None
    tone: str
    broken: bool = False


@dataclass(frozen=True, kw_only=True)
class Point:
    """Something that happened at once; ``text`` is a number or a letter or two that the words explain."""

    text: str
    at: datetime
    tone: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One row of the picture: what lasted, and what happened at one moment; ``note`` stands at the end of its title."""

    title: str
    note: str = ""
    spans: tuple[Span, ...] = ()
    points: tuple[Point, ...] = ()


def draw_timeline(
    lanes: Sequence[Lane], *, end: datetime, title: str, width: float, most_cuts: int = MOST_CUTS
) -> Picture:
    """Return the lanes one below the other, the axis at the foot. ``end`` is the last moment that is known of."""
    axis = time_axis([*_moments(lanes), end], _MARGIN, width - _MARGIN, most_cuts)
    height = _TITLE + _BAR + _GAP
    top = _DAY
    floor = top + height * len(lanes)
    body: list[str] = [svg.label(axis.days(), _MARGIN, 14, size=_SMALL, tone="quiet")]
    for lane in lanes:
        room = width - 2 * _MARGIN - (width_of(lane.note, _SMALL) + 3 * _GAP if lane.note else 0)
        body.append(svg.label(shorten(lane.title, room, 13), _MARGIN, top + 12, size=13, bold=True))
        if lane.note:
            body.append(svg.label(AsIs(lane.note), width - _MARGIN, top + 12, anchor="end", size=_SMALL))
        body.append(_breaks(axis, top + _TITLE - 3, top + _TITLE + _BAR + 3))
        following = [*(axis.at(each.start) for each in lane.spans[1:]), width - _MARGIN]
        for each, free in zip(lane.spans, following, strict=False):
            body.append(_span(each, axis, top + _TITLE, width, free))
        body.append(_points(lane.points, axis, top + _TITLE + _BAR / 2, width))
        top += height
    body.append(_foot(axis, floor, width))
    return Picture(title=title, width=width, height=floor + (44 if axis.cuts else 26), body="".join(body))


def _moments(lanes: Sequence[Lane]) -> Iterator[datetime]:
    for lane in lanes:
        for each in lane.spans:
            yield from (each.start, *([each.end] if each.end else []))
        yield from (point.at for point in lane.points)


def _span(each: Span, axis: Axis, y: float, width: float, free: float) -> str:
    """Return a bar with its text in it; in a narrow one it stands behind it, where there is room up to ``free``."""
    left = axis.at(each.start)
    right = max(axis.at(each.end) if each.end else width - _MARGIN, left + 3)
    box = svg.rectangle(left, y, right - left, _BAR, tone=each.tone, radius=3, dashed=each.broken or each.end is None)
    needed = width_of(each.text, _SMALL)
    inside = needed <= right - left - 8
    if not inside and needed > free - right - 4:
        return box
    x = (left + right - needed) / 2 if inside else right + 2
    return box + svg.label(each.text, x, y + 16, tone=each.tone, size=_SMALL)


def _points(points: Sequence[Point], axis: Axis, y: float, width: float) -> str:
    """Return the points, moved apart where they would cover each other; a short line leads to their true place."""
    drawn = []
    free = _MARGIN
    wanted = [max(axis.at(point.at), _MARGIN + _DOT / 2) for point in points]
    for number, point in enumerate(points):
        rest = len(points) - number - 1
        x = min(max(wanted[number], free + _DOT / 2), width - _MARGIN - _DOT / 2 - rest * (_DOT + 2))
        free = x + _DOT / 2 + 2
        true = axis.at(point.at)
        drawn += [
            svg.line(((true, y - _BAR / 2 - 3), (x, y - _DOT / 2)), tone=point.tone),
            svg.circle(x, y, _DOT / 2, tone=point.tone),
            svg.label(point.text, x, y + 4, tone=point.tone, anchor="middle", size=_SMALL, bold=True),
        ]
    return "".join(drawn)


def _breaks(axis: Axis, top: float, floor: float) -> str:
    drawn = []
    for cut in axis.cuts:
        middle = (axis.pixels[cut] + axis.pixels[cut + 1]) / 2
        drawn += [svg.line(((middle + aside, top), (middle + aside, floor)), dashed=True, width=1) for aside in (-3, 3)]
    return "".join(drawn)


def _foot(axis: Axis, floor: float, width: float) -> str:
    """Return the axis with its times: the edges first, then whatever fits between; cut times say how long they are."""
    drawn = [svg.line(((_MARGIN, floor), (width - _MARGIN, floor)))]
    taken: dict[str, tuple[float, float]] = {}
    days = not axis.is_one_day
    ends = (0, len(axis.moments) - 1)
    around = [place + side for place in axis.cuts for side in (0, 1)]
    for place in dict.fromkeys((*ends, *around, *_inner(axis))):
        moment, x = axis.moments[place].astimezone(UTC), axis.pixels[place]
        text = f"{moment:%m-%d %H:%M}" if days else f"{moment:%H:%M:%S}"
        half = width_of(text, _SMALL) / 2
        middle = min(max(x, _MARGIN + half), width - _MARGIN - half)
        if text in taken or any(left < middle + half and middle - half < right for left, right in taken.values()):
            continue
        taken[text] = (middle - half - 8, middle + half + 8)
        drawn.append(svg.line(((x, floor), (x, floor + 5))))
        drawn.append(svg.label(text, middle, floor + 18, anchor="middle", size=_SMALL, tone="quiet"))
    for cut in axis.cuts:
        middle = (axis.pixels[cut] + axis.pixels[cut + 1]) / 2
        text = shorten(f"{span(axis.moments[cut + 1] - axis.moments[cut])} cut short", 200, _SMALL)
        half = width_of(text, _SMALL) / 2
        x = min(max(middle, _MARGIN + half), width - _MARGIN - half)
        drawn.append(svg.label(text, x, floor + 36, anchor="middle", size=_SMALL, tone="quiet"))
    return "".join(drawn)


def _inner(axis: Axis) -> list[int]:
    """Places between the edges, those in the middle first, so that the times are spread."""
    order = [len(axis.moments) * part // 8 for part in (4, 2, 6, 1, 3, 5, 7)]
    return [place for place in order if 0 < place < len(axis.moments) - 1]


# -- The mismatches of a diagnosis over time: a lane for each server's log and subject, from its first to its last one.
#
# A diagnosis keeps when a mismatch was reported first and last, and how often; not every time in between. So a lane
# says that much, and how long the log went on without it. Times that hold no date have no place on the axis and are
# said in words, as are servers whose logs were not at hand.

MOST_LANES = 20
TITLE = "Mismatches over time, in UTC"
_NOTE = 18.0


@dataclass(frozen=True)
class MismatchLane:
    """One server's mismatches of one subject, and when its log ends as far as that is known."""

    of: Mismatch
    end_utc: datetime | None

    @property
    def quiet(self) -> timedelta | None:
        """How long the log went on after the last mismatch; None where one of the two is not known."""
        if self.of.last_utc is None or self.end_utc is None:
            return None
        return max(self.end_utc - self.of.last_utc, timedelta())

    def drawn(self) -> Lane:
        """Return the lane as it is drawn: a bar from first to last, and a broken one to the end of the log."""
        first, last = self.of.first_utc, self.of.last_utc
        assert first is not None
        assert last is not None
        spans = [Span(start=first, end=last, tone="bad")]
        words = [gettext(f"{self.of.count:,} mismatches" if self.of.count != 1 else "1 mismatch")]
        if self.quiet is not None:
            words.append(gettext(f"then quiet for {span(self.quiet)}" if self.quiet else "up to the log's end"))
        if self.quiet:
            spans.append(Span(start=last, end=self.end_utc, tone="quiet", broken=True))
        zone = "" if self.of.zone_known else " (zone?)"
        title = AsIs(f"{self.of.server}{zone}: {self.of.subject}")
        return Lane(title=title, note=", ".join(words), spans=tuple(spans))


def draw_mismatches(diagnosis: Diagnosis) -> Picture:
    """Return the picture, with what was not at hand or not read whole below its lanes."""
    lanes = [lane for lane in lanes_of(diagnosis) if lane.of.first_utc and lane.of.last_utc][:MOST_LANES]
    times = [time for lane in lanes for time in (lane.of.last_utc, lane.end_utc) if time]
    if times:
        all_of_it = [lane.drawn() for lane in lanes]
        drawn = draw_timeline(all_of_it, end=max(times), title=TITLE, width=WIDE, most_cuts=0)
    else:
        none = svg.label("no mismatch with a date", _MARGIN, 24, tone="quiet")
        drawn = Picture(title=TITLE, width=WIDE, height=36, body=none)
    notes = [shorten(note, WIDE - 2 * _MARGIN, _SMALL) for note in remarks_of(diagnosis)]
    body = [svg.label(note, _MARGIN, drawn.height + at * _NOTE, size=_SMALL) for at, note in enumerate(notes, 1)]
    height = drawn.height + len(notes) * _NOTE + 6 * bool(notes)
    return replace(drawn, height=height, body="".join((drawn.body, *body)))


def lanes_of(diagnosis: Diagnosis) -> tuple[MismatchLane, ...]:
    """Return the lanes: those with dates first, by the time of their first mismatch."""
    lanes = [MismatchLane(each, diagnosis.log_end_utc.get(each.server)) for each in diagnosis.mismatches]
    latest = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(lanes, key=lambda lane: lane.of.first_utc or latest))


def remarks_of(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Say what the lanes of the picture cannot: logs that were not at hand or not read whole, and what is left out."""
    lanes = lanes_of(diagnosis)
    undated = [lane for lane in lanes if lane.of.first_utc is None]
    left_out = len(lanes) - len(undated) - MOST_LANES
    notes = [f"No logs of the {server} were available, so its mismatches are unknown." for server in diagnosis.no_logs]
    if diagnosis.damaged:
        notes.append(f"Sources that were read only in part: {len(diagnosis.damaged)}; what follows there is unknown.")
    if undated:
        notes.append(f"Kinds of mismatches without a date, which have no place in the picture: {len(undated)}.")
    if left_out > 0:
        notes.append(f"Kinds of mismatches that are left out of the picture: {left_out}; the table holds all.")
    return tuple(notes)


# -- The same of a post-mortem: what was rejected, the stages, what people decided and what was changed

# No wider than the pane of a notebook in a window of 1024 pixels, and than A4: what is drawn smaller there is not read.
WIDE, NARROW = 660.0, 350.0
OF_INCIDENT = "The incident over time, in UTC"


def over_time(pm: PostMortem) -> Drawn | None:
    """Draw what was rejected, the stages, what people decided and what was changed; None for an empty journal."""
    if pm.opened_utc is None:
        return None
    # The last moment of the incident: what the report's own stage and the seals took is left out.
    own = f"stage {OWN_STAGE[:2]}"
    last = [each.utc for each in pm.moments if each.utc and each.where != own and each.kind is not Kind.SEALED]
    lanes, end = tuple(_lanes_of_incident(pm)), max(last, default=pm.opened_utc)
    wide, narrow = (draw_timeline(lanes, end=end, title=OF_INCIDENT, width=width) for width in (WIDE, NARROW))
    return Drawn(wide, narrow)


def _lanes_of_incident(pm: PostMortem) -> Iterator[Lane]:
    for impact in pm.impacts:
        if impact.since_utc:
            yield Lane(title=f"{impact.what}: rejected", spans=(_rejected(impact),))
    yield Lane(title="Stages", spans=tuple(_stage(row, pm.last_utc) for row in repair_stages(pm)))
    numbered = tuple(Point(text=str(change.number), at=change.utc, tone=change.final_tone) for change in pm.changes)
    yield Lane(title="Changes, by number", points=numbered)
    if pm.approvals:
        given = tuple(Point(text="A", at=approval.at_utc, tone="change") for approval, _ in pm.approvals)
        yield Lane(title="Approvals (A)", points=given)


def repair_stages(pm: PostMortem) -> tuple[StageRow, ...]:
    """The runs of all stages but the one that writes the report."""
    return tuple(row for row in pm.stages if row.stage != OWN_STAGE)


def _rejected(impact: Impact) -> Span:
    start = impact.since_utc
    length = duration(impact.duration, "its end is not known")
    assert start is not None
    return Span(text=length, start=start, end=None if impact.duration is None else impact.until_utc, tone="bad")


def _stage(row: StageRow, last_utc: datetime | None) -> Span:
    end = row.ended_utc or (None if row.state is StageState.RUNNING else last_utc)
    return Span(text=row.stage[:2], start=row.started_utc, end=end, tone=STATE_TONES.get(row.state, "plain"))
