"""The mismatches of a diagnosis over time: a lane for each server's log and subject, from its first to its last one.

A diagnosis keeps when a mismatch was reported first and last, and how often; not every time in between. So a lane says
that much, and how long the log went on without it. Times that hold no date have no place on the axis and are said in
words, as are servers whose logs were not at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runbook_lib.models import Diagnosis, Mismatch
from runbook_lib.pictures import svg
from runbook_lib.pictures.axis import Axis, span
from runbook_lib.pictures.picture import Picture
from runbook_lib.pictures.text import shorten
from runbook_lib.times import stamp

MOST_LANES = 20
TITLE = "Mismatches over time, in UTC"
_WIDTH, _EDGE, _LEFT, _RIGHT = 1000.0, 20.0, 300.0, 226.0
_TOP, _LANE, _SMALL = 56.0, 46.0, 12.0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One server's mismatches of one subject. ``quiet`` is how long its log went on after the last; None: not known."""

    server: str
    subject: str
    count: int
    first_utc: datetime | None
    last_utc: datetime | None
    end_utc: datetime | None
    zone_known: bool
    said: str = ""

    @property
    def quiet(self) -> timedelta | None:
        """How long the log went on after the last mismatch; None where one of the two is not known."""
        if self.last_utc is None or self.end_utc is None:
            return None
        return max(self.end_utc - self.last_utc, timedelta())

    def sentences(self) -> tuple[str, ...]:
        """Say what the lane shows."""
        what = f"Mismatches of {self.subject} in the {self.server}'s logs: {self.count:,}"
        if self.first_utc is None or self.last_utc is None:
            said = f" The first says {self.said}." if self.said else ""
            return (f"{what}, without a date.{said}",)
        when = f"{what}, the first at {stamp(self.first_utc)}, the last at {stamp(self.last_utc)}."
        zone = () if self.zone_known else ("Nobody says in which time zone this log was written; UTC was assumed.",)
        if self.quiet is None:
            return (when, *zone)
        if not self.quiet:
            return (when, *zone, "It is the last line of this log that holds a time.")
        return (when, *zone, f"After that the log goes on for {span(self.quiet)} without one.")


def draw_mismatches(diagnosis: Diagnosis) -> Picture:
    """Return the picture; its words say the same, lane by lane, and what was not at hand or not read whole."""
    lanes = lanes_of(diagnosis)
    dated = [lane for lane in lanes if lane.first_utc and lane.last_utc][:MOST_LANES]
    axis = _axis(dated)
    below = _TOP + max(len(dated), 1) * _LANE
    drawn = [_lane(lane, _TOP + place * _LANE, axis) for place, lane in enumerate(dated)]
    remarks = remarks_of(diagnosis)
    notes = [
        svg.label(shorten(note, _WIDTH - 2 * _EDGE, _SMALL), _EDGE, below + 44 + place * 18, size=_SMALL)
        for place, note in enumerate(remarks)
    ]
    if not dated:
        drawn = [svg.label("no mismatch with a date", _EDGE, _TOP + 24, tone="quiet")]
    return Picture(
        title=TITLE,
        words=(*(sentence for lane in lanes for sentence in lane.sentences()), *remarks),
        width=_WIDTH,
        height=below + 44 + len(remarks) * 18,
        body="".join((*(_ticks(axis, below) if axis else ()), *drawn, *notes)),
    )


def lanes_of(diagnosis: Diagnosis) -> tuple[Lane, ...]:
    """Return the lanes: those with dates first, by the time of their first mismatch."""
    lanes = [_of(mismatch, diagnosis.log_end_utc.get(mismatch.server)) for mismatch in diagnosis.mismatches]
    latest = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(lanes, key=lambda lane: lane.first_utc or latest))


def _of(mismatch: Mismatch, end_utc: datetime | None) -> Lane:
    return Lane(
        server=mismatch.server,
        subject=mismatch.subject,
        count=mismatch.count,
        first_utc=mismatch.first_utc,
        last_utc=mismatch.last_utc,
        end_utc=end_utc,
        zone_known=mismatch.zone_known,
        said=mismatch.first_said,
    )


def remarks_of(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Say what the lanes of the picture cannot: logs that were not at hand or not read whole, and what is left out."""
    lanes = lanes_of(diagnosis)
    undated = [lane for lane in lanes if lane.first_utc is None]
    left_out = len(lanes) - len(undated) - MOST_LANES
    found = [
        f"No logs of the {server} were at hand: nothing is known of its mismatches." for server in diagnosis.no_logs
    ]
    if diagnosis.damaged:
        found.append(
            f"Sources that were not read whole: {len(diagnosis.damaged)}; nothing is known of what follows there."
        )
    if undated:
        found.append(f"Kinds of mismatches without a date, which have no place in the picture: {len(undated)}.")
    if left_out > 0:
        found.append(f"Kinds of mismatches that are left out of the picture: {left_out}; the table holds all.")
    return tuple(found)


# -- strokes ----------------------------------------------------------------------------------------


def _axis(lanes: Sequence[Lane]) -> Axis | None:
    times = [time for lane in lanes for time in (lane.first_utc, lane.last_utc, lane.end_utc) if time]
    return Axis(min(times), max(times), _LEFT, _WIDTH - _RIGHT) if times else None


def _ticks(axis: Axis, below: float) -> list[str]:
    strokes = []
    for moment, words in axis.ticks():
        x = axis.at(moment)
        strokes.append(svg.line(((x, _TOP - 12), (x, below)), tone="quiet", width=0.5))
        strokes.append(svg.label(words, x, _TOP - 20, anchor="middle", size=_SMALL, tone="quiet"))
    day = svg.label(axis.day(), _EDGE, _TOP - 20, size=_SMALL, bold=True)
    return [day, *strokes]


def _lane(lane: Lane, top: float, axis: Axis | None) -> str:
    """Draw one lane: a bar from first to last with the count, and broken on to the log's end."""
    if axis is None or lane.first_utc is None or lane.last_utc is None:
        return ""
    first, last, y = axis.at(lane.first_utc), axis.at(lane.last_utc), top + 14
    zone = "" if lane.zone_known else " (zone?)"
    strokes = [
        svg.label(f"{lane.server}{zone}", _EDGE, y, size=_SMALL, bold=True),
        svg.label(shorten(lane.subject, _LEFT - _EDGE - 24, _SMALL), _EDGE, y + 16, size=_SMALL, tone="quiet"),
        svg.rectangle(first - 3, y - 8, last - first + 6, 16, tone="bad", radius=3),
    ]
    end = last
    if lane.end_utc is not None and lane.quiet:
        end = axis.at(lane.end_utc)
        strokes.append(svg.line(((last + 5, y), (end, y)), tone="quiet", dashed=True))
        strokes.append(svg.line(((end, y - 7), (end, y + 7)), tone="quiet"))
    strokes.append(svg.mark("bad", _WIDTH - _RIGHT + 24, y))
    count = f"{lane.count:,} mismatches" if lane.count != 1 else "1 mismatch"
    strokes.append(svg.label(count, _WIDTH - _RIGHT + 40, y + 4, size=_SMALL, tone="bad", bold=True))
    if lane.quiet is not None:
        words = f"then quiet for {span(lane.quiet)}" if lane.quiet else "up to the log's end"
        strokes.append(svg.label(words, _WIDTH - _RIGHT + 40, y + 20, size=_SMALL, tone="quiet"))
    return "".join(strokes)
