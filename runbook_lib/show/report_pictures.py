"""The pictures of a post-mortem: the incident over time, and who trusts whom before and after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from runbook_lib.i18n.language import count, duration, utc_time
from runbook_lib.models import StageState
from runbook_lib.record.journal import Kind
from runbook_lib.show.report_model import OWN_STAGE, Drawn, Impact, PostMortem, StageRow
from runbook_lib.show.table import STATE_TONES
from runbook_lib.show.timeline import Lane, Point, Span, draw_timeline
from runbook_lib.show.trust import addresses_of, draw_trust, trust_as_planned, trust_as_verified

WIDE, NARROW = 1000.0, 350.0
TITLE = "The incident over time, in UTC"


def over_time(pm: PostMortem) -> Drawn | None:
    """Draw what was rejected, the stages, what people decided and what was changed; None for an empty journal."""
    if pm.opened_utc is None:
        return None
    lanes, words, end = tuple(_lanes(pm)), tuple(_words(pm)), _end(pm, pm.opened_utc)
    wide, narrow = (draw_timeline(lanes, end=end, title=TITLE, words=words, width=each) for each in (WIDE, NARROW))
    return Drawn(wide, narrow)


def _end(pm: PostMortem, otherwise: datetime) -> datetime:
    """The last moment of the incident: what the report's own stage and the seals took is left out."""
    own = f"stage {OWN_STAGE[:2]}"
    last = [each.utc for each in pm.moments if each.utc and each.where != own and each.kind is not Kind.SEALED]
    return max(last, default=otherwise)


def who_trusts_whom(pm: PostMortem) -> tuple[Drawn, ...]:
    """Draw who trusted whom as the plan found it, and as the verification found it, where either was made."""
    if pm.inventory is None:
        return ()
    found = [trust_as_planned(pm.plan, pm.inventory)] if pm.plan else []
    found += [trust_as_verified(addresses_of(pm.inventory), pm.checks)] if pm.checks else []
    return tuple(Drawn(picture, picture) for picture in map(draw_trust, found))


def _lanes(pm: PostMortem) -> Iterator[Lane]:
    for impact in pm.impacts:
        if impact.since_utc:
            yield Lane(title=f"{impact.what}: rejected", spans=(_rejected(impact),))
    yield Lane(title="Stages", spans=tuple(_stage(row, pm.last_utc) for row in repairing(pm)))
    points = [(change.utc, str(change.number), change.tone) for change in pm.changes]
    yield Lane(title="Changes, by number", points=tuple(Point(text=t, at=at, tone=tone) for at, t, tone in points))
    if pm.approvals:
        given = tuple(Point(text="A", at=approval.at_utc, tone="change") for approval, _ in pm.approvals)
        yield Lane(title="Approvals (A)", points=given)


def repairing(pm: PostMortem) -> tuple[StageRow, ...]:
    """The runs of all stages but the one that writes the report."""
    return tuple(row for row in pm.stages if row.stage != OWN_STAGE)


def _rejected(impact: Impact) -> Span:
    start, length = impact.since_utc, duration(impact.duration, "its end is not known")
    assert start is not None
    end = impact.until_utc if impact.duration is not None else None
    return Span(text=length, start=start, end=end, tone="bad")


def _stage(row: StageRow, last_utc: datetime | None) -> Span:
    end = row.ended_utc or (None if row.state is StageState.RUNNING else last_utc)
    return Span(text=row.stage[:2], start=row.started_utc, end=end, tone=STATE_TONES.get(row.state, "plain"))


def _words(pm: PostMortem) -> Iterator[str]:
    for impact in pm.impacts:
        if impact.since_utc:
            until = f" to {utc_time(impact.until_utc)}" if impact.until_utc else "; its end is not known"
            yield f"{impact.what} was rejected from {utc_time(impact.since_utc)}{until}."
    for row in repairing(pm):
        ended = f"to {utc_time(row.ended_utc)}" if row.ended_utc else "without an end in the journal"
        yield f"Stage {row.name} ran from {utc_time(row.started_utc)} {ended}: {row.state}."
    for change in pm.changes:
        result = change.result or "its result is not known"
        yield f"Change {change.number} at {utc_time(change.utc)}: {change.what} on the {change.server}: {result}."
    if pm.approvals:
        yield f"{count(len(pm.approvals), 'approval')}: " + ", ".join(
            f"{approval.by} at {utc_time(approval.at_utc)}" for approval, _ in pm.approvals
        )
