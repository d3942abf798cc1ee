"""The plan: for every entry of both stores what is to happen to it and why, and what may be changed after that.

Nothing is contacted: a plan follows from what stages 10 and 20 saw and from what the records say of the past.

An entry is deleted only if four things come together: it stands for another host of the site, a
log (or the operator by name) says that its certificate no longer fits, the mismatch is not over
already, and the verdict on what the host presents now is a confirmed one. Anything stale that
falls short of that blocks the whole plan: half a repair would look like a repair. So does a verdict
``contradicted`` on any host, stale or not: an impostor at one may be one at another.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from runbook_lib.decisions import EVERY_CHANGE, Decision, Override, Plan, PlannedChange, PlanRow, plan_digest
from runbook_lib.device.names import parse_name
from runbook_lib.device.prime import DELETE_TOFU
from runbook_lib.device.tofu import LIST_TOFU
from runbook_lib.errors import RecordError, StageOutOfOrder, opening_line
from runbook_lib.models import PI_SERVERS, Inventory, Judgement, TofuEntry, Vantage, Verdict
from runbook_lib.observations import Diagnosis, Mismatch
from runbook_lib.params.model import Site
from runbook_lib.record.stages import ALARMING
from runbook_lib.repair.confirmation import override_for, overrides_in_words, overrides_of
from runbook_lib.repair.context import Context, Target, is_own, old_algorithms, target_of, targets
from runbook_lib.repair.ha_state import served_by_secondary
from runbook_lib.repair.planned_changes import changes_of
from runbook_lib.repair.sent_changes import ChangeHistory, change_history
from runbook_lib.repair.staleness import Staleness, fits_none, naming

Change = PlanRow | PlannedChange
"""Whatever an approval may allow: the deletion of an entry, or what stages 40 and 50 may do."""


def make_plan(
    site: Site,
    incident: str,
    diagnosis: Diagnosis,
    inventory: Inventory,
    past: ChangeHistory,
    *,
    now_utc: datetime,
    overrides: tuple[Override, ...] = (),
) -> Plan:
    """Return the plan with its digest. The same facts give the same digest, whoever asks and when."""
    planner = _Planner(site, diagnosis, inventory, past, overrides)
    rows = tuple(planner.row(server, entry) for server in PI_SERVERS for entry in inventory.store(server).entries)
    planner.block_contradicted(rows)
    planner.block_empty()
    plan = Plan(
        site=site.name,
        incident=incident,
        made_utc=now_utc,
        rows=rows,
        digest="",
        blocked=tuple(planner.blocked),
        notes=tuple(planner.notes(rows)),
        changes=changes_of(site, inventory, rows, past, overrides),
        format=EVERY_CHANGE,
    )
    return replace(plan, digest=plan_digest(plan))


def plan_of(context: Context, diagnosis: Diagnosis, inventory: Inventory) -> Plan:
    """Return the plan of this incident from these facts and what its record says of the past.

    An entry that is what it was keeps the spelling of its subject, however the server prints it this time: a plan that
    says the same has the same digest, and its approval holds.
    """
    plan = make_plan(
        context.site,
        context.record.incident,
        diagnosis,
        inventory,
        change_history(context),
        now_utc=context.now(),
        overrides=overrides_of(context.record),
    )
    try:
        before = context.record.read_plan()
    except (StageOutOfOrder, RecordError):
        return plan
    return plan if plan.digest == before.digest else _spelled_as(before, plan)


def _spelled_as(before: Plan, plan: Plan) -> Plan:
    spelled = {_meaning(row): row.subject for row in before.rows}
    rows = tuple(replace(row, subject=spelled.get(_meaning(row), row.subject)) for row in plan.rows)
    plan = replace(plan, rows=rows)
    return replace(plan, digest=plan_digest(plan))


def _meaning(row: PlanRow) -> tuple[object, ...]:
    """Return which entry a row is of: its server, its key, and its subject by the attributes."""
    return (row.server, row.key, parse_name(row.subject).rdns)


@dataclass
class _Planner:
    """One pass over the stores; collects what blocks the plan on the way."""

    _site: Site
    _diagnosis: Diagnosis
    _inventory: Inventory
    _past: ChangeHistory
    _overrides: tuple[Override, ...]
    blocked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stale = Staleness(self._site, self._diagnosis, self._inventory, self._past)

    def row(self, server: str, entry: TofuEntry) -> PlanRow:
        """Decide on one entry."""
        if is_own(self._site, server, entry):
            return _row(server, entry, "", Decision.LEFT_ALONE, "the server's own entry is never deleted")
        target = target_of(self._site, server, entry)
        if target is None:
            return _row(server, entry, "", Decision.LEFT_ALONE, "no host of this site that this server has to trust")
        judgement = self._inventory.judgement(target.name)
        if target.ssh is None:  # the site's file says that nobody looks from there
            unseen = tuple(each for each in judgement.not_available if each[0] is not Vantage.SELF)
            judgement = replace(judgement, not_available=unseen)
        fitting = self._stale.fitting(server, entry, judgement)
        evidence = self._stale.attributed(server, entry, target, fitting)
        if judgement.verdict is Verdict.CONTRADICTED:
            # Whatever the logs say of it: where one host may be an impostor, nothing is changed at this site.
            return self._by_verdict(server, entry, target, judgement, fitting)
        decided = partial(_row, server, entry, target.name)
        if fitting and not evidence:
            reason = "the operator named another entry as the one that the log means"
            return _judged(decided(Decision.LEFT_ALONE, reason), judgement, fitting)
        if not evidence and not self._stale.named(server, entry):
            return self._without_evidence(server, entry, target, judgement)
        if over := self._stale.why_over(server, entry, target, evidence):
            return _judged(decided(Decision.ALREADY_RIGHT, over), judgement, evidence)
        if deleted := self._stale.why_deleted_before(server, entry, evidence):
            return _judged(decided(Decision.LEFT_ALONE, deleted), judgement, evidence)
        if ambiguous := self._stale.why_ambiguous(server, entry, target, evidence):
            self.blocked.append(f"{server}: {entry.key}: {ambiguous}")
            return _judged(decided(Decision.CANNOT_TELL, ambiguous), judgement, evidence)
        return self._by_verdict(server, entry, target, judgement, evidence)

    def block_contradicted(self, rows: tuple[PlanRow, ...]) -> None:
        """Block the plan for a contradicted host of which no entry is listed, as for one that is."""
        for judgement in self._inventory.judgements:
            if judgement.verdict is Verdict.CONTRADICTED and judgement.target not in {row.target for row in rows}:
                self.blocked.append(judgement.in_words)

    def block_empty(self) -> None:
        """Block the plan for an empty list that the logs belie: each server lists itself at least, as published."""
        for server in PI_SERVERS:
            reported = () if self._inventory.store(server).entries else self._stale.reported(server)
            self.blocked += [
                f"{server}: its list is empty, and its logs report a mismatch of {each.subject}, which only an entry"
                f" causes; run {LIST_TOFU} there by hand, and find out why this login is shown nothing; newer logs that"
                " go on without the mismatch settle it as well"
                for each in reported[:1]
            ]

    def notes(self, rows: tuple[PlanRow, ...]) -> list[str]:
        """Say what the rows cannot: mismatches that no entry explains, logs that were not at hand, no entry at all."""
        notes = [*map(fits_none, self._stale.unexplained)]
        alarming = [judgement.target for judgement in self._inventory.judgements if judgement.verdict in ALARMING]
        notes += [
            f"{alarm.server}: another certificate was met there in this incident, {alarm.utc:%Y-%m-%d %H:%M:%S} UTC:"
            f" {alarm.seen}; find out who answered before you approve"
            for alarm in self._past.alarms.values()
            if alarm.server not in alarming  # its row says so
        ]
        notes += [f"{server}: no logs available" for server in self._diagnosis.no_logs]
        notes += [
            f"{other.source}: this looks like {other.looks_like}, not like a log"
            for other in self._diagnosis.not_logs
            if other.server in self._diagnosis.no_logs
        ]
        notes += [
            f"{name}: SSH may use {', '.join(names)}, which rest on SHA-1, since the site's file allows it"
            for name, names in old_algorithms(self._site).items()
        ]
        notes += [f"{damage.source}: {damage.problem}" for damage in self._diagnosis.damaged]
        notes += [
            f"{row.server}: {row.key}: the operator named it; no log line says that it is stale"
            for row in rows
            if row.decision is Decision.DELETE and not row.evidence
        ]
        sent = ((row, self._stale.sent_without_end(*row.place)) for row in rows if row.decision is Decision.DELETE)
        notes += [
            f"{row.server}: {row.key}: {when}; it is offered again and needs a new approval"
            for row, when in sent
            if when
        ]
        listed = {f"{row.server} {row.key}" for row in rows if row.target}
        notes += [
            f"{name}: named by the operator, and no entry of another host of the site; nothing is done for it"
            for name in self._site.policy.named_entries
            if name not in listed
        ]
        if served_by_secondary(self._inventory.ha):
            notes.append(
                "high availability: the servers report that the secondary is active, or may be: no change is planned;"
                " fail back first"
            )
        for target in targets(self._site):
            for observer in target.observers:
                if not any(row.server == observer and row.target == target.name for row in rows):
                    notes.append(f"{observer}: no entry of {target.name}; it is added at the next connection")
        return notes

    def _without_evidence(self, server: str, entry: TofuEntry, target: Target, judgement: Judgement) -> PlanRow:
        decided = partial(_row, server, entry, target.name)
        lacking = self._lacking(server)
        if not lacking:
            return decided(Decision.ALREADY_RIGHT, "no mismatch for it in this server's logs")
        if self._stale.healthy(target):
            reason = f"{lacking}, but both servers report high availability as healthy"
            return decided(Decision.ALREADY_RIGHT, reason)
        if judgement.verdict is Verdict.UNCHANGED:
            return _judged(decided(Decision.ALREADY_RIGHT, judgement.reason), judgement)
        if any(name.startswith(f"{server} ") for name in self._site.policy.named_entries):
            return decided(Decision.LEFT_ALONE, f"{lacking}, and the operator named other entries of this server")
        reason = f"{lacking}; name whole logs of this server in the site's file, or {naming(server, entry)}"
        self.blocked.append(f"{server}: {entry.key}: {reason}")
        return decided(Decision.CANNOT_TELL, reason)

    def _lacking(self, server: str) -> str:
        """Say what of a server's logs is not known, so that no line in them is no answer; empty where all was read."""
        if server in self._diagnosis.no_logs:
            return "no logs available"
        unread = self._diagnosis.unread(server)
        return f"no mismatch in what could be read of its logs, but {unread[0]} was not read whole" if unread else ""

    def _by_verdict(
        self, server: str, entry: TofuEntry, target: Target, judgement: Judgement, evidence: tuple[Mismatch, ...]
    ) -> PlanRow:
        verdict = judgement.verdict
        if not evidence and verdict is not Verdict.CONTRADICTED:
            judgement = replace(judgement, reason=f"named by the operator, and {judgement.reason}")

        def decided(decision: Decision, reason: str) -> PlanRow:
            return _judged(_row(server, entry, target.name, decision, reason), judgement, evidence)

        if verdict.confirmed and judgement.facts:
            return decided(Decision.DELETE, judgement.reason)
        if verdict is Verdict.UNCHANGED:
            return decided(Decision.ALREADY_RIGHT, judgement.reason)
        if verdict is Verdict.UNCONFIRMED and judgement.facts:
            override = override_for(self._overrides, server, entry.key, judgement.facts.sha256)
            if override:
                row = decided(Decision.DELETE, judgement.reason)
                return replace(row, override=overrides_in_words(override))
        self.blocked.append(f"{server}: {entry.key}: {verdict}: {judgement.reason}")
        decision = Decision.LEFT_ALONE if verdict is Verdict.CONTRADICTED else Decision.CANNOT_TELL
        row = decided(decision, f"{verdict}: {judgement.reason}")
        return replace(row, by_verdict=True)


def essence(row: Change) -> tuple[object, ...]:
    """Return what an approval covers of a change: the same essence is the same change, to the same certificate."""
    if isinstance(row, PlannedChange):
        return (row.kind, row.server, row.target, row.settings, row.confirmed_sha256, row.attempt)
    verdict = row.verdict if row.decision is Decision.DELETE else None
    return (*_meaning(row), row.target, row.command, row.confirmed_sha256, verdict, row.override)


def _row(server: str, entry: TofuEntry, target: str, decision: Decision, reason: str) -> PlanRow:
    return PlanRow(
        server=server,
        key=entry.key,
        subject=entry.subject,
        target=target,
        decision=decision,
        reason=reason,
        command=DELETE_TOFU.format(key=entry.key) if decision is Decision.DELETE else "",
        by_verdict=False,
    )


def _judged(row: PlanRow, judgement: Judgement, evidence: tuple[Mismatch, ...] = ()) -> PlanRow:
    """Return the row with what was seen of its host, and the first and the last line of each mismatch."""
    confirmed = judgement.facts.sha256 if row.decision is Decision.DELETE and judgement.facts else ""
    return replace(
        row,
        verdict=judgement.verdict,
        confirmed_sha256=confirmed,
        seen_from=tuple(judgement.seen_from),
        not_seen_from=tuple(f"{place}: {opening_line(why)}" for place, why in judgement.not_available),
        evidence=tuple(line.place for each in evidence for line in (each.evidence[:1] + each.evidence[-1:])),
    )
