"""One plan per site, each in an incident of its site, and the roll-up over them in the round.

The same verbs as in stages 10 and 20, without notebooks and many sites at a time; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from runbook_lib.console.identity import identities
from runbook_lib.errors import RecordDamaged, RunbookError
from runbook_lib.fleet.processes import in_processes
from runbook_lib.fleet.rollup import NotPlanned, PlannedSite, Rollup, rollup_digest
from runbook_lib.fleet.round import STAGE, Round
from runbook_lib.fleet.sites import FleetSite, resolved
from runbook_lib.models import Answer, Plan, Stage, Verdict
from runbook_lib.params import secret_references, site_without_secrets
from runbook_lib.record import Artifact, Kind, Record, SiteLock, operator, seal_record
from runbook_lib.record.facts import to_json_value
from runbook_lib.record.vault import slug
from runbook_lib.secrets import learn
from runbook_lib.session import open_incident
from runbook_lib.session.stages import DiagnoseLogs, ListCertificates
from runbook_lib.steps.context import Context
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.inventory import recorded_inventory

Tell = Callable[[str], None]
PURPOSE = "plan, as one of a fleet"
SHARE = 25
"""Sites that one process plans; a fleet of more is planned in several processes."""
PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What planning one site came to: a plan that could be carried out, or why there is none."""

    plan: PlannedSite | None
    refused: NotPlanned | None

    @property
    def site(self) -> str:
        return self.plan.site if self.plan else self.refused.site if self.refused else ""


def plan_fleet(round_: Round, sites: Iterable[FleetSite], *, at_once: int, tell: Tell) -> Rollup:
    """Plan every site, keep the roll-up in the round, and return it.

    A site that cannot be planned does not keep the others from it. Raises ``RecordNotWritable`` where the round's own
    record takes no more.
    """
    sites = tuple(sites)
    work = partial(_plan_some, round_.root, round_.incident, at_once)
    processes = 1 if len(sites) <= SHARE else PROCESSES
    told = in_processes(sites, work, processes=processes, share=SHARE, hear=lambda each: tell(_summary(each)))
    by_name = {each.site: each for each in told}
    found = [by_name[each.name] for each in sites]
    planned = tuple(each.plan for each in found if each.plan)
    rollup = Rollup(
        fleet=round_.site,
        round=round_.incident,
        made_utc=datetime.now(UTC),
        digest=rollup_digest(planned, fleet=round_.site, round_id=round_.incident),
        sites=planned,
        not_planned=tuple(each.refused for each in found if each.refused),
    )
    path = f"rollups/{rollup.digest}.json"
    round_.keep_json(path, to_json_value(rollup), kind=Kind.DECIDED, seen=rollup.digest, text="roll-up")
    return rollup


def newest_rollup(round_: Round) -> Rollup | None:
    """Return the newest roll-up of a round; raises ``RecordDamaged`` where its digest is not that of its sites."""
    for line in reversed(round_.journal.read().lines):
        if line.kind is Kind.DECIDED and line.artifact and line.text == "roll-up":
            found = round_.read_json(line.artifact, Rollup)
            if found.digest != rollup_digest(found.sites, fleet=round_.site, round_id=round_.incident):
                raise RecordDamaged("the roll-up's digest is not that of its sites", where=line.artifact.path)
            return found
    return None


def keep_description(round_: Round, each: FleetSite) -> Artifact:
    """Keep what the fleet's description says of a site: it is the site's file for whatever runs in this round."""
    path = f"sites/{slug(each.name, 60)}.json"
    return round_.keep_gated(path, resolved(each.site), stage=STAGE, server=each.name, seen=each.sha256, text="site")


def _plan_some(
    root: Path, round_id: str, at_once: int, sites: Sequence[FleetSite], tell: Callable[[Planned], None]
) -> None:
    round_ = Round.open(root, round_id)
    with ThreadPoolExecutor(at_once, thread_name_prefix="plan") as pool:
        for planned in pool.map(partial(_plan, round_), sites):
            tell(planned)


def _plan(round_: Round, each: FleetSite) -> Planned:
    keep_description(round_, each)
    record: Record | None = None
    try:
        record = open_incident(each.site, "", what=f"runbook fleet plan, {round_.incident}")
        found = _plan_in(record, each)
    except RunbookError as error:
        incident = record.incident if record else ""
        found = Planned(plan=None, refused=NotPlanned(site=each.name, incident=incident, why=_in_words(error)))
    told = found.plan.plan if found.plan else found.refused.why if found.refused else ""
    round_.journal.append(
        Kind.OBSERVED, stage=STAGE, server=each.name, seen=told, text="planned" if found.plan else "not planned"
    )
    return found


def _plan_in(record: Record, each: FleetSite) -> Planned:
    site = each.site
    learn(secret_references(site))
    with SiteLock(site.name, identities(site), purpose=PURPOSE, incident=record.incident):
        diagnosing = DiagnoseLogs(_context(record, each, Stage.DIAGNOSE))
        diagnosing.diagnose()
        diagnosing.close()
        listing = ListCertificates(_context(record, each, Stage.LIST))
        listing.inventory()
        plan = listing.plan().value
        listing.close()
    seal_record(record, site_without_secrets(site))
    contradicted = any(
        judgement.verdict is Verdict.CONTRADICTED for judgement in recorded_inventory(listing.context).judgements
    )
    return _planned(record, each, plan, contradicted=contradicted)


def _planned(record: Record, each: FleetSite, plan: Plan, *, contradicted: bool) -> Planned:
    if plan.blocked:
        why = "blocked: " + "; ".join(plan.blocked)
        refused = NotPlanned(site=each.name, incident=record.incident, why=why, contradicted=contradicted)
        return Planned(plan=None, refused=refused)
    part = PlannedSite(
        site=each.name,
        incident=record.incident,
        plan=plan.digest,
        described=each.sha256,
        deletions=tuple(f"{row.server}: {row.command}" for row in plan.deletions),
        changes=tuple(f"{change.server}: {change.kind} ({change.target})" for change in plan.changes),
        needs_approval=plan.needs_approval,
    )
    return Planned(plan=part, refused=None)


def _context(record: Record, each: FleetSite, stage: Stage) -> Context:
    def keep(answer: Answer, parsed: object) -> None:
        record.keep_answer(answer, parsed, stage=stage)

    return Context(
        site=each.site,
        record=record,
        stage=stage,
        devices=Devices(each.site, keep),
        operator=operator(),
        records_root=record.root,
    )


def _in_words(error: RunbookError) -> str:
    return ": ".join(part for part in (type(error).__name__, error.what, error.where) if part)


def _summary(found: Planned) -> str:
    if found.plan is None:
        return f"{found.site}: not planned: {found.refused.why if found.refused else ''}"
    count = len(found.plan.deletions)
    said = f"{count} deletions" if count else "nothing to delete"
    return f"{found.site}: {said}" + (f", plan {found.plan.plan[:16]}…" if found.plan.needs_approval else "")
