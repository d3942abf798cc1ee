"""Which sites of a fleet may be run now: not finished in this round, planned, unchanged since, approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook_lib.errors import RunbookError
from runbook_lib.fleet.planning import keep_description
from runbook_lib.fleet.rollup import Rollup
from runbook_lib.fleet.round import Round
from runbook_lib.fleet.site_run import CHANGING, begun
from runbook_lib.fleet.sites import Fleet, FleetSite
from runbook_lib.fleet.task import SiteResult, SiteState, SiteTask, state_of
from runbook_lib.models import Stage
from runbook_lib.record import Kind, Record
from runbook_lib.record.stages import FINAL
from runbook_lib.session import open_incident

STAGES = tuple(Stage)


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What to run, and the results of the sites that are not run, in words that say why."""

    tasks: tuple[SiteTask, ...]
    settled: tuple[SiteResult, ...]


def admit(round_: Round, fleet: Fleet, rollup: Rollup | None, until: Stage, only: Sequence[str] = ()) -> Admission:
    """Return what may be run. Reading stages need no plan and no approval; ``only``: these sites, empty for all."""
    tasks: list[SiteTask] = []
    settled: list[SiteResult] = []
    for each in fleet.sites:
        if only and each.name not in only:
            continue
        try:
            found = _admit(round_, each, rollup, until)
        except RunbookError as error:
            found = _not_started(each, f"{type(error).__name__}: {error.what}")
        if isinstance(found, SiteTask):
            tasks.append(found)
        else:
            settled.append(found)
    return Admission(tasks=tuple(tasks), settled=tuple(settled))


def _admit(round_: Round, each: FleetSite, rollup: Rollup | None, until: Stage) -> SiteTask | SiteResult:
    if STAGES.index(until) < min(map(STAGES.index, CHANGING)):
        record = open_incident(each.site, "", what=f"runbook fleet run, {round_.incident}")
        return _task(round_, each, record, until, approve="")
    planned = rollup.site(each.name) if rollup else None
    if rollup is None or planned is None:
        why = {refused.site: refused.why for refused in rollup.not_planned} if rollup else {}
        return _not_started(each, why.get(each.name, "no plan of it in this round: runbook fleet plan makes one"))
    record = Record.open(round_.root, planned.incident)
    outcome = record.outcome()
    if outcome in FINAL:
        return SiteResult(site=each.name, incident=record.incident, state=state_of(outcome), why="in an earlier run")
    if each.sha256 != planned.described:
        why_changed = "its description has changed since the plan: plan again, and approve the new roll-up"
        return _not_started(each, why_changed, record.incident)
    if not _approved(round_, each.name, planned.plan, record, needed=planned.to_approve):
        return _not_started(each, f"nobody has approved its plan {planned.plan}", record.incident)
    fresh = each.site.kind == "lab" and not begun(record)
    return _task(round_, each, record, until, approve=planned.plan if fresh and planned.to_approve else "")


def _approved(round_: Round, site: str, plan: str, record: Record, *, needed: bool) -> bool:
    """Whether a person approved this plan: in the site's record, and where it needs no approval, in the round's."""
    if record.read_approvals(plan):
        return True
    lines = round_.journal.read().lines
    return not needed and any(
        line.kind is Kind.APPROVED and (line.server, line.expected) == (site, plan) for line in lines
    )


def _task(round_: Round, each: FleetSite, record: Record, until: Stage, *, approve: str) -> SiteTask:
    described = keep_description(round_, each)
    return SiteTask(
        site=each.name,
        site_file=str(round_.folder / described.path),
        described=each.sha256,
        incident=record.incident,
        approve=approve,
        until=until,
        records=str(round_.root),
    )


def _not_started(each: FleetSite, why: str, incident: str = "") -> SiteResult:
    return SiteResult(site=each.name, incident=incident, state=SiteState.NOT_STARTED, why=why)
