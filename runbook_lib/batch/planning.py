"""One plan per site and the roll-up over them, as a table too; one approval for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from runbook_lib.batch.round import STAGE, NotPlanned, PlannedSite, Rollup, Round, rollup_digest
from runbook_lib.batch.sites import FleetSite, in_processes
from runbook_lib.device.prime import DELETE_TOFU, identities
from runbook_lib.errors import ParameterRefused, RunbookError, redacted
from runbook_lib.i18n.language import count
from runbook_lib.models import Stage
from runbook_lib.notebook.opening import open_incident
from runbook_lib.notebook.reading_stages import DiagnoseLogs, ListCertificates
from runbook_lib.params.load import secret_references, site_without_secrets
from runbook_lib.processes import operator
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.files import to_json_value
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import SiteLock
from runbook_lib.record.stages import alarms_in_words
from runbook_lib.repair.approval import approve, approver
from runbook_lib.repair.context import Context, Devices
from runbook_lib.repair.inventory import recorded_inventory
from runbook_lib.secrets import learn
from runbook_lib.show.document import Row, Table
from runbook_lib.show.rendering import View

# -- One plan per site, each in an incident of its site, and the roll-up over them in the round. ---
#
# The same verbs as in stages 10 and 20, without notebooks and many sites at a time; nothing is changed.

PURPOSE = "plan, as one of a fleet"
SHARE = 25
"""Sites that one process plans; a fleet of more is planned in several processes."""
PROCESSES = 2


Planned = PlannedSite | NotPlanned
"""What planning one site came to: a plan that could be carried out, or why there is none."""


def plan_fleet(round_: Round, sites: Iterable[FleetSite], *, at_once: int, show: Callable[[str], None]) -> Rollup:
    """Plan every site, keep the roll-up in the round, and return it.

    A site that cannot be planned does not keep the others from it. Raises ``RecordNotWritable`` where the round's own
    record takes no more.
    """
    sites = tuple(sites)
    work = partial(_plan_some, round_.root, round_.incident, at_once)
    processes = 1 if len(sites) <= SHARE else PROCESSES
    results = in_processes(sites, work, processes=processes, share=SHARE, on_result=lambda each: show(_summary(each)))
    by_name = {each.site: each for each in results}
    plans = [by_name[each.name] for each in sites]
    planned = tuple(each for each in plans if isinstance(each, PlannedSite))
    rollup = Rollup(
        fleet=round_.site,
        round=round_.incident,
        made_utc=datetime.now(UTC),
        digest=rollup_digest(planned, fleet=round_.site, round_id=round_.incident),
        sites=planned,
        not_planned=tuple(each for each in plans if isinstance(each, NotPlanned)),
    )
    path = f"rollups/{rollup.digest}.json"
    round_.keep_json(path, to_json_value(rollup), kind=Kind.DECIDED, seen=rollup.digest, text="roll-up")
    return rollup


def _plan_some(
    root: Path, round_id: str, at_once: int, sites: Sequence[FleetSite], on_result: Callable[[Planned], None]
) -> None:
    round_ = Round.open(root, round_id)
    with ThreadPoolExecutor(at_once, thread_name_prefix="plan") as pool:
        for planned in pool.map(partial(_plan, round_), sites):
            on_result(planned)


def _plan(round_: Round, each: FleetSite) -> Planned:
    described = round_.folder / round_.keep_description(each).path
    record: Record | None = None
    try:
        record = open_incident(each.site, "", what=f"runbook fleet plan, {round_.incident}", given=str(described))
        planned = _plan_in(record, each)
    except RunbookError as error:
        why = redacted(": ".join(filter(None, (type(error).__name__, error.what, error.where))))
        planned = NotPlanned(site=each.name, incident=record.incident if record else "", why=why)
    seen, text = (planned.why, "not planned") if isinstance(planned, NotPlanned) else (planned.plan, "planned")
    round_.journal.append(Kind.OBSERVED, stage=STAGE, server=each.name, seen=seen, text=text)
    return planned


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
    if plan.blocked:
        contradicted = bool(recorded_inventory(listing.context).contradictions)
        why = "blocked: " + "; ".join(plan.blocked)
        return NotPlanned(site=each.name, incident=record.incident, why=why, contradicted=contradicted)
    return PlannedSite(
        site=each.name,
        incident=record.incident,
        plan=plan.digest,
        described=each.sha256,
        deletions=tuple(f"{row.server}: {row.command}" for row in plan.deletions),
        changes=tuple(f"{change.server}: {change.kind} ({change.target})" for change in plan.changes),
        needs_approval=plan.needs_approval,
        met=alarms_in_words(record.journal.read().lines),
    )


def _context(record: Record, each: FleetSite, stage: Stage) -> Context:
    return Context(
        site=each.site,
        record=record,
        stage=stage,
        devices=Devices(each.site, partial(record.keep_answer, stage=stage)),
        operator=operator(),
        records_root=record.root,
    )


def _summary(planned: Planned) -> str:
    if isinstance(planned, NotPlanned):
        return f"{planned.site}: not planned: {planned.why}"
    words = f"{len(planned.deletions)} deletions" if planned.deletions else "nothing to delete"
    return f"{planned.site}: {words}" + (f", plan {planned.plan[:16]}…" if planned.needs_approval else "")


# -- A roll-up as a table, before it is approved


def rollup_view(rollup: Rollup) -> View[Rollup]:
    """Return the table of a roll-up: each site with its plan, and those without one with the reason."""
    rows = [Row(each.site, each.incident, each.plan[:16] + "…", planned_changes(each)) for each in rollup.sites]
    rows += [
        Row(each.site, each.incident or "-", "none", each.why, mark="bad" if each.contradicted else "")
        for each in rollup.not_planned
    ]
    impostors = sum(each.contradicted for each in rollup.not_planned)
    sites = count(impostors, "site")
    note = f"{sites} with a contradicted certificate: a suspected interception." if impostors else ""
    left_out = count(len(rollup.not_planned), "site is", "sites are")
    table = Table(
        title=f"Roll-up of {count(len(rollup.sites), 'plan')}; {left_out} not covered",
        headers=("site", "incident", "plan", "what is planned, or why nothing"),
        rows=tuple(rows),
        empty="no sites",
        note=note,
    )
    return View(rollup, (table,))


def planned_changes(each: PlannedSite) -> str:
    """Return the entries that would be deleted, and what may follow: an approval covers both. The plan says more."""
    command = DELETE_TOFU.format(key="")
    deleted = "; ".join(line.replace(command, "delete ") for line in each.deletions) or "nothing to delete"
    planned = f"{deleted}; then, where it is needed: {'; '.join(each.changes)}" if each.changes else deleted
    return f"find out who answered at {', '.join(each.met)} before you approve: {planned}" if each.met else planned


# -- One approval for the whole roll-up, or for single sites of it: ordinary approvals in each site's own record


@dataclass(frozen=True, kw_only=True)
class Approved:
    """Which sites the approval covers, and which not, and why."""

    covered: tuple[PlannedSite, ...]
    not_covered: Mapping[str, str]


def approve_rollup(round_: Round, digest: str, *, by: str, reason: str = "", only: Iterable[str] = ()) -> Approved:
    """Approve the newest roll-up of a round by its digest; ``only``: these sites of it, empty for all.

    Each covered site gets an approval in its own record, bound to the digest of its plan and naming the roll-up. A site
    whose newest plan is another one by now is not covered. Raises ParameterRefused without a name, with another digest
    than the roll-up's, or for a site that is not in it.
    """
    by = approver(by)
    rollup = round_.newest_rollup()
    if rollup is None or rollup.digest != digest:
        raise ParameterRefused(
            "This is not the digest of the round's newest roll-up; nothing was approved",
            where=f"round {round_.incident}",
            found=f"given   {digest}\nroll-up {rollup.digest if rollup else 'none'}",
            next_step="look at the roll-up (runbook fleet status) and approve it with its own digest",
        )
    covered: list[PlannedSite] = []
    not_covered: dict[str, str] = {}
    for each in _wanted(rollup, tuple(only)):
        why = _approve(round_, rollup, each, by=by, reason=reason)
        if why:
            not_covered[each.site] = why
        else:
            covered.append(each)
            round_.journal.append(Kind.APPROVED, stage=STAGE, server=each.site, expected=each.plan, seen=by)
    return Approved(covered=tuple(covered), not_covered=not_covered)


def _wanted(rollup: Rollup, only: tuple[str, ...]) -> tuple[PlannedSite, ...]:
    unknown = [name for name in only if rollup.site(name) is None]
    if unknown:
        why = {each.site: each.why for each in rollup.not_planned}
        raise ParameterRefused(
            "The roll-up holds no plan of these sites; nothing was approved",
            found="\n".join(f"{name}: {why.get(name, 'no site of this round')}" for name in unknown),
            next_step="approve sites that are in it; settle what blocks the others and plan again",
        )
    return tuple(each for each in rollup.sites if not only or each.site in only)


def _approve(round_: Round, rollup: Rollup, each: PlannedSite, *, by: str, reason: str) -> str:
    """Write one site's approval; return why not, where its plan is not the planned one any more."""
    try:
        record = Record.open(round_.root, each.incident)
        newest = record.read_plan()
        if newest.digest != each.plan:
            return f"its newest plan is another one: {newest.digest}"
        if newest.needs_approval:
            how = f"runbook fleet approve, round {round_.incident}, roll-up {rollup.digest}"
            approve(record, each.plan, by=by, how=how, reason=reason)
    except RunbookError as error:
        return f"{type(error).__name__}: {error.what}"
    return ""
