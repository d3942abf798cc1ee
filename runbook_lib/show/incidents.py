"""Earlier incidents and the map of sites: tables and pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from runbook_lib.i18n.language import span
from runbook_lib.models import Outcome, PastIncident, SiteStatus, Unended
from runbook_lib.show import svg
from runbook_lib.show.document import PLAIN, Picture, Row, Table, mark_of
from runbook_lib.show.rendering import View
from runbook_lib.show.svg import Axis, even_axis, shorten, width_of

# -- The picture of all incidents: when each was opened, how long its repair took, and how it ended

INCIDENT_TONES = {
    Outcome.REPAIRED.value: "good",
    Outcome.REPAIRED_UNVERIFIED.value: "doubt",
    Outcome.NOTHING_TO_DO.value: "plain",
    Outcome.STOPPED.value: "change",
    Outcome.FAILED.value: "bad",
    Outcome.UNKNOWN.value: "bad",
    Unended.OPEN: "quiet",
    Unended.DAMAGED: "bad",
}
MOST_INCIDENTS_NAMED = 12
_WIDTH, _HISTORY_LEFT, _RIGHT, _HISTORY_TOP, _BOTTOM = 940.0, 96.0, 24.0, 74.0, 300.0
_APART = 34.0  # the band above the scale, of what was not repaired
_SCALE = tuple(timedelta(seconds=seconds) for seconds in (1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400))


def draw_history(incidents: Sequence[PastIncident], title: str = "Incidents so far") -> Picture:
    """Return the picture of incidents, one at least, of which it is known when they were opened."""
    axis = even_axis(list(map(_opened, incidents)), _HISTORY_LEFT + 20, _WIDTH - _RIGHT - 20)
    rungs = _rungs([timedelta(seconds=each.repair_s) for each in incidents if each.repair_s is not None])
    marks = "".join(_mark(each, axis, rungs, named=len(incidents) <= MOST_INCIDENTS_NAMED) for each in incidents)
    return Picture(
        title=title,
        width=_WIDTH,
        height=_BOTTOM + 74,
        body="".join((_scale(rungs), _times(axis), marks, _legend(incidents))),
    )


def _rungs(times: Sequence[timedelta]) -> tuple[timedelta, ...]:
    """The lengths of time on the scale: those around what there is, two at least."""
    longest, shortest = max(times, default=_SCALE[3]), min(times, default=_SCALE[2])
    low = max((number for number, rung in enumerate(_SCALE) if rung <= shortest), default=0)
    high = min((number for number, rung in enumerate(_SCALE) if rung >= longest), default=len(_SCALE) - 1)
    return _SCALE[min(low, high - 1) if high else 0 : max(high, 1) + 1]


def _height(seconds: float, rungs: Sequence[timedelta]) -> float:
    """How far up a length of time stands: each factor of ten is as far from the next."""
    low, high = (math.log10(rung.total_seconds()) for rung in (rungs[0], rungs[-1]))
    share = (math.log10(max(seconds, 1e-3)) - low) / (high - low)
    return _BOTTOM - min(max(share, 0.0), 1.0) * (_BOTTOM - _HISTORY_TOP - _APART)


def _mark(each: PastIncident, axis: Axis, rungs: Sequence[timedelta], *, named: bool) -> str:
    x = axis.at(_opened(each))
    y = _HISTORY_TOP + 8 if each.repair_s is None else _height(each.repair_s, rungs)
    drawn = svg.mark(INCIDENT_TONES[each.state], x, y)
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
        svg.line(((_HISTORY_LEFT, y), (_WIDTH - _RIGHT, y)), width=0.7)
        + svg.label(words, _HISTORY_LEFT - 10, y + 4, tone="quiet", anchor="end", size=12)
        for y, words in rows
    ]
    apart = svg.label("not repaired", _HISTORY_LEFT - 10, _HISTORY_TOP + 12, tone="quiet", anchor="end", size=12)
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
    parts = []
    x = _HISTORY_LEFT
    for state in INCIDENT_TONES:
        if counts[state]:
            words = f"{state}: {counts[state]}"
            parts.append(
                svg.mark(INCIDENT_TONES[state], x, _BOTTOM + 52) + svg.label(words, x + 14, _BOTTOM + 56, size=12)
            )
            x += 44 + width_of(words, 12)
    return "".join(parts)


def _opened(each: PastIncident) -> datetime:
    assert each.opened_utc is not None
    return each.opened_utc


# -- The map of sites: by how their newest incident ended, and by the days until their first certificate expires

TITLE = "Sites by outcome and by days to expiry"
SITE_TONES = INCIDENT_TONES | {"no incident": "quiet"}
BANDS = (("expired", -1), ("0 to 7", 7), ("8 to 30", 30), ("31 to 90", 90), ("91 to 365", 365), ("later", 10**9))
"""The columns, each with the most days that belong to it; what was never seen has one of its own."""
NOT_SEEN = "not seen"
MOST_SITES_NAMED = 4
_FLEET_LEFT, _FLEET_TOP, _WIDE, _LINE, _PAD = 182.0, 96.0, 112.0, 18.0, 10.0


def band_of(days: int | None) -> str:
    """Return the column of so many days."""
    return NOT_SEEN if days is None else next(name for name, most in BANDS if days <= most)


def draw_fleet(sites: Sequence[SiteStatus], now_utc: datetime) -> Picture:
    """Return the map: a row for each outcome that there is, a column for each span of days; few sites are named."""
    columns = [name for name, _ in BANDS] + [NOT_SEEN]
    cells: dict[tuple[str, str], list[str]] = {}
    for each in sites:
        cells.setdefault((each.state, band_of(each.days(now_utc))), []).append(each.site)
    rows = [state for state in SITE_TONES if any(state == row for row, _ in cells)]
    body, top = [_head(columns)], _FLEET_TOP
    for state in rows:
        most = max(len(cells.get((state, column), ())) for column in columns)
        height = _PAD * 2 + _LINE * (1 + min(most, MOST_SITES_NAMED))
        body.append(svg.mark(SITE_TONES[state], 22, top + 22) + svg.label(state, 36, top + 26, size=13))
        for number, column in enumerate(columns):
            if names := cells.get((state, column)):
                body.append(_cell(state, names, _FLEET_LEFT + number * _WIDE, top, height))
        top += height + 6
    if not rows:
        body.append(svg.label("no sites", _FLEET_LEFT, _FLEET_TOP + 20))
        top += 40
    width = _FLEET_LEFT + len(columns) * _WIDE + 10
    return Picture(title=TITLE, width=width, height=top + 14, body="".join(body))


def _head(columns: Sequence[str]) -> str:
    about = svg.label("days until the first certificate expires", _FLEET_LEFT, 48, tone="quiet", size=12)
    names = (svg.label(name, _FLEET_LEFT + at * _WIDE + 8, 76, bold=True, size=13) for at, name in enumerate(columns))
    rule = svg.line(((_FLEET_LEFT, 86), (_FLEET_LEFT + len(columns) * _WIDE, 86)))
    return svg.label("outcome", 22, 76, bold=True, size=13) + about + "".join(names) + rule


def _cell(state: str, names: Sequence[str], x: float, y: float, height: float) -> str:
    area = svg.rectangle(x + 2, y, _WIDE - 4, height, tone=SITE_TONES[state])
    count = svg.label(f"{len(names)}", x + 10, y + 22, bold=True, size=14)
    shown: list[str] = [shorten(name, _WIDE - 24, 11) for name in sorted(names)[:MOST_SITES_NAMED]]
    if len(names) > MOST_SITES_NAMED:
        shown[-1] = f"and {len(names) - MOST_SITES_NAMED + 1} more"
    lines = (svg.label(name, x + 10, y + 22 + _LINE * (number + 1), size=11) for number, name in enumerate(shown))
    return area + count + "".join(lines)


# -- What a list of earlier incidents looks like: a table, newest first, and a picture of when and how long

MOST_SHOWN = 50
MOST_DRAWN = 500
HEADERS = ("incident", "opened (UTC)", "site", "outcome", "time to repair", "who", "approved by")


def incidents(
    listed: Sequence[PastIncident], *, most: int = MOST_SHOWN, working: Collection[str] = frozenset()
) -> View[tuple[PastIncident, ...]]:
    """Show incidents, the newest first; ``most`` of them in the table (0: all), and more in the picture of several."""
    drawn = listed[:MOST_DRAWN]
    title = "Incidents so far" if len(drawn) == len(listed) else f"The newest {len(drawn):,} incidents"
    dated = [each for each in drawn if each.opened_utc]
    picture = (draw_history(dated, title),) if len(dated) > 1 else ()
    return View(tuple(listed), (table_of(listed, most, working),), picture)


AT_WORK = "a run goes on"
"""How an incident stands while somebody works on it: its newest outcome is that of an earlier run."""


def table_of(listed: Sequence[PastIncident], most: int = MOST_SHOWN, working: Collection[str] = frozenset()) -> Table:
    """Return the table of the newest ``most`` (0: all); ``working`` are those on which somebody works now."""
    shown = listed[:most] if most else listed
    left_out = len(listed) - len(shown)
    return Table(
        title=f"Incidents so far: {len(listed):,}",
        headers=HEADERS,
        rows=tuple(_row(each, each.incident in working) for each in shown),
        empty="none",
        whole=("incident",),
        note=f"The newest {len(shown):,}; {left_out:,} older ones are not shown." if left_out else "",
    )


def _state(one: PastIncident) -> str:
    if one.problem:
        return f"damaged: {one.problem}"
    return f"{one.state}, {one.after_seal} lines after its seal" if one.after_seal else one.state


def _row(one: PastIncident, working: bool) -> Row:
    return Row(
        one.incident,
        f"{one.opened_utc:%Y-%m-%d %H:%M}" if one.opened_utc else "",
        one.site,
        AT_WORK if working else _state(one),
        "" if one.repair_s is None else span(timedelta(seconds=one.repair_s)),
        one.by,
        ", ".join(one.approved_by),
        mark=PLAIN if working else mark_of(INCIDENT_TONES[one.state]),
    )


# -- How the sites stand: the map, and the same as a table -----------------------------------------


def fleet_map(value: Sequence[SiteStatus], now_utc: datetime | None = None) -> View[Sequence[SiteStatus]]:
    """The map of sites by outcome and by days to expiry, and a table of them, what expires first on top."""
    now = now_utc or datetime.now(UTC)
    ordered = sorted(value, key=lambda each: (each.not_after_utc is None, each.not_after_utc or now, each.site))
    table = Table(
        title=TITLE,
        headers=("site", "outcome", "days to first expiry", "newest incident"),
        rows=tuple(
            Row(
                each.site,
                each.state,
                "not seen" if (days := each.days(now)) is None else str(days),
                each.incident or "-",
                mark=mark_of(SITE_TONES.get(each.state, "")),
            )
            for each in ordered
        ),
        empty="no site is known",
        note="The days count from the certificates that were seen in the newest incident.",
        fold="The picture as a table",
    )
    return View(value, (table,), (draw_fleet(value, now),))
