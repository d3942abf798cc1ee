"""The picture of all incidents: when each was opened, how long its repair took, and how it ended."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from runbook_lib.models import Outcome, PastIncident
from runbook_lib.pictures import svg
from runbook_lib.pictures.axis import Axis, span
from runbook_lib.pictures.picture import Picture
from runbook_lib.pictures.text import shorten, width_of

TONES = {
    Outcome.REPAIRED.value: "good",
    Outcome.REPAIRED_UNVERIFIED.value: "doubt",
    Outcome.NOTHING_TO_DO.value: "plain",
    Outcome.STOPPED.value: "change",
    Outcome.FAILED.value: "bad",
    Outcome.UNKNOWN.value: "bad",
    "open": "quiet",
    "damaged": "bad",
}
MOST_NAMED = 12
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 940.0, 96.0, 24.0, 74.0, 300.0
_APART = 34.0  # the band above the scale, of what was not repaired
_SCALE = tuple(timedelta(seconds=s) for s in (1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400))


def draw_history(incidents: Sequence[PastIncident], title: str = "Incidents so far") -> Picture:
    """Return the picture; its words count the outcomes and give the longest and the middle time to repair."""
    shown = [each for each in incidents if each.opened_utc is not None]
    if not shown:
        line = svg.label("No incident is known.", _LEFT, _TOP)
        return Picture(title=title, words=("No incident is known.",), width=_WIDTH, height=_TOP + 30, body=line)
    moments = [each.opened_utc for each in shown if each.opened_utc is not None]
    axis = Axis(min(moments), max(moments), _LEFT + 20, _WIDTH - _RIGHT - 20)
    rungs = _rungs([timedelta(seconds=each.repair_s) for each in shown if each.repair_s is not None])
    marks = "".join(_mark(each, axis, rungs, named=len(shown) <= MOST_NAMED) for each in shown)
    return Picture(
        title=title,
        words=_words(shown),
        width=_WIDTH,
        height=_BOTTOM + 74,
        body="".join((_scale(rungs), _times(axis), marks, _legend(shown))),
    )


def _rungs(times: Sequence[timedelta]) -> tuple[timedelta, ...]:
    """The lengths of time on the scale: those around what there is, two at least."""
    longest, shortest = max(times, default=_SCALE[3]), min(times, default=_SCALE[2])
    low = max((n for n, rung in enumerate(_SCALE) if rung <= shortest), default=0)
    high = min((n for n, rung in enumerate(_SCALE) if rung >= longest), default=len(_SCALE) - 1)
    return _SCALE[min(low, high - 1) if high else 0 : max(high, 1) + 1]


def _height(seconds: float, rungs: Sequence[timedelta]) -> float:
    """How far up a length of time stands: each factor of ten is as far from the next."""
    low, high = (math.log10(rung.total_seconds()) for rung in (rungs[0], rungs[-1]))
    share = (math.log10(max(seconds, 1e-3)) - low) / (high - low)
    return _BOTTOM - min(max(share, 0.0), 1.0) * (_BOTTOM - _TOP - _APART)


def _mark(each: PastIncident, axis: Axis, rungs: Sequence[timedelta], *, named: bool) -> str:
    assert each.opened_utc is not None
    x = axis.at(each.opened_utc)
    y = _TOP + 8 if each.repair_s is None else _height(each.repair_s, rungs)
    drawn = svg.mark(TONES[each.state], x, y)
    if named:
        near_edge = x > _WIDTH - 160
        drawn += svg.label(
            shorten(each.site, 120, 12), x - 14 if near_edge else x + 14, y + 4, tone="quiet", size=12,
            anchor="end" if near_edge else "start",
        )  # fmt: skip
    return drawn


def _scale(rungs: Sequence[timedelta]) -> str:
    rows = [(_height(rung.total_seconds(), rungs), span(rung)) for rung in rungs]
    lines = [
        svg.line(((_LEFT, y), (_WIDTH - _RIGHT, y)), width=0.7)
        + svg.label(words, _LEFT - 10, y + 4, tone="quiet", anchor="end", size=12)
        for y, words in rows
    ]
    apart = svg.label("not repaired", _LEFT - 10, _TOP + 12, tone="quiet", anchor="end", size=12)
    return svg.label("Time to repair", 14, 24, bold=True) + apart + "".join(lines)


def _times(axis: Axis) -> str:
    ticks = "".join(
        svg.line(((axis.at(moment), _BOTTOM), (axis.at(moment), _BOTTOM + 6)))
        + svg.label(words, axis.at(moment), _BOTTOM + 22, tone="quiet", anchor="middle", size=12)
        for moment, words in axis.ticks()
    )
    return ticks + svg.label(f"opened, {axis.day()}", _WIDTH - _RIGHT, 24, tone="quiet", anchor="end", size=12)


def _legend(shown: Sequence[PastIncident]) -> str:
    counts = Counter(each.state for each in shown)
    parts, x = [], _LEFT
    for state in TONES:
        if counts[state]:
            words = f"{state}: {counts[state]}"
            parts.append(svg.mark(TONES[state], x, _BOTTOM + 52) + svg.label(words, x + 14, _BOTTOM + 56, size=12))
            x += 44 + width_of(words, 12)
    return "".join(parts)


def _words(shown: Sequence[PastIncident]) -> tuple[str, ...]:
    counts = Counter(each.state for each in shown)
    said = ", ".join(f"{counts[state]} {state}" for state in TONES if counts[state])
    first, last = (f"{_opened(each):%Y-%m-%d}" for each in (min(shown, key=_opened), max(shown, key=_opened)))
    words = [f"{len(shown)} incidents between {first} and {last}: {said}."]
    times = sorted(each.repair_s for each in shown if each.repair_s is not None)
    if times:
        middle, longest = (span(timedelta(seconds=s)) for s in (times[len(times) // 2], times[-1]))
        words.append(f"Repairs took {middle} in the middle, and {longest} at the longest.")
    return tuple(words)


def _opened(each: PastIncident) -> datetime:
    assert each.opened_utc is not None
    return each.opened_utc
