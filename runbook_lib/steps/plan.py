"""The plan: for every entry of both stores, what is to happen to it and why. Pure; nothing is contacted.

An entry is deleted only if four things come together: it stands for another host of the site, a
log (or the operator by name) says that its certificate no longer fits, the mismatch is not over
already, and the verdict on what the host presents now is a confirmed one. Anything stale that
falls short of that blocks the whole plan: half a repair would look like a repair.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from runbook_lib.canonical import plan_digest
from runbook_lib.models import (
    Decision,
    Diagnosis,
    Inventory,
    Judgement,
    Mismatch,
    Override,
    Plan,
    PlanRow,
    TofuEntry,
    Verdict,
)
from runbook_lib.params import Site
from runbook_lib.parse.ha import StateKind, kind_of_state
from runbook_lib.parse.names import fits
from runbook_lib.steps.history import Past
from runbook_lib.steps.overriding import in_words, overriding
from runbook_lib.steps.targets import PI_SERVERS, Target, is_own, target_of, targets

DELETE_COMMAND = "ncs certvalidation tofu-certs deletecert host {key}"


def make_plan(
    site: Site,
    incident: str,
    diagnosis: Diagnosis,
    inventory: Inventory,
    past: Past,
    *,
    now_utc: datetime,
    overrides: tuple[Override, ...] = (),
) -> Plan:
    """Return the plan with its digest. The same facts give the same digest, whoever asks and when."""
    planner = _Planner(site, diagnosis, inventory, past, overrides)
    rows = tuple(planner.row(server, entry) for server in PI_SERVERS for entry in inventory.store(server).entries)
    return Plan(
        site=site.name,
        incident=incident,
        made_utc=now_utc,
        rows=rows,
        digest=plan_digest(rows, site=site.name, incident=incident),
        blocked=tuple(planner.blocked),
        notes=tuple(planner.notes(rows)),
    )


class _Planner:
    """One pass over the stores; collects what blocks the plan on the way."""

    def __init__(
        self, site: Site, diagnosis: Diagnosis, inventory: Inventory, past: Past, overrides: tuple[Override, ...]
    ) -> None:
        self._site = site
        self._diagnosis = diagnosis
        self._inventory = inventory
        self._past = past
        self._overrides = overrides
        self._used: set[Mismatch] = set()
        self.blocked: list[str] = []

    def row(self, server: str, entry: TofuEntry) -> PlanRow:
        """Decide on one entry."""
        if is_own(self._site, server, entry):
            return _row(server, entry, "", Decision.LEFT_ALONE, "the server's own entry is never deleted")
        target = target_of(self._site, server, entry)
        if target is None:
            return _row(server, entry, "", Decision.LEFT_ALONE, "not a host of this site")
        judgement = self._inventory.judgement(target.name)
        evidence = self._evidence(server, entry, judgement)
        named = self._named(server, entry)
        if not evidence and not named:
            return self._without_evidence(server, entry, target)
        if settled := self._settled(server, entry, target, evidence, named):
            return _row(server, entry, target.name, Decision.ALREADY_RIGHT, settled, judgement, evidence)
        if doubt := self._doubt(server, entry, target, evidence, named):
            self.blocked.append(f"{server}: {entry.key}: {doubt}")
            return _row(server, entry, target.name, Decision.CANNOT_TELL, doubt, judgement, evidence)
        return self._by_verdict(server, entry, target, judgement, evidence)

    def notes(self, rows: tuple[PlanRow, ...]) -> list[str]:
        """Say what the rows cannot: mismatches that no entry explains, logs that were not at hand, no entry at all."""
        found = [
            f"{mismatch.server}: a mismatch of {mismatch.subject} fits no entry of its store"
            for mismatch in self._diagnosis.mismatches
            if mismatch not in self._used
        ]
        found += [f"{server}: no logs at hand" for server in self._diagnosis.no_logs]
        for target in targets(self._site):
            for observer in target.observers:
                if not any(row.server == observer and row.target == target.name for row in rows):
                    found.append(f"{observer}: no entry of {target.name}; it is added at the next connection")
        return found

    def _evidence(self, server: str, entry: TofuEntry, judgement: Judgement) -> tuple[Mismatch, ...]:
        """Return the mismatches on this server whose subject is the entry's, or the presented certificate's.

        The product logs no address, so the subject is all there is; it selects an entry for a closer
        look and confirms nothing.
        """
        subjects = [entry.subject, *([judgement.facts.subject] if judgement.facts else [])]
        found = tuple(
            mismatch
            for mismatch in self._diagnosis.mismatches
            if mismatch.server == server and any(fits(mismatch.subject, subject) for subject in subjects)
        )
        self._used.update(found)
        return found

    def _named(self, server: str, entry: TofuEntry) -> bool:
        return f"{server} {entry.key}" in self._site.policy.named_entries

    def _without_evidence(self, server: str, entry: TofuEntry, target: Target) -> PlanRow:
        if server in self._diagnosis.no_logs:
            if self._healthy(target):
                reason = "no logs at hand, but both servers report high availability as healthy"
                return _row(server, entry, target.name, Decision.ALREADY_RIGHT, reason)
            if any(name.startswith(f"{server} ") for name in self._site.policy.named_entries):
                reason = "no logs at hand, and the operator named other entries of this server"
                return _row(server, entry, target.name, Decision.LEFT_ALONE, reason)
            reason = (
                "no logs of this server are at hand; add them to the site's file, or name the entry"
                f" there (policy: named_entries: ['{server} {entry.key}'])"
            )
            self.blocked.append(f"{server}: {entry.key}: {reason}")
            return _row(server, entry, target.name, Decision.CANNOT_TELL, reason)
        return _row(server, entry, target.name, Decision.ALREADY_RIGHT, "no mismatch of it in this server's logs")

    def _settled(
        self, server: str, entry: TofuEntry, target: Target, evidence: tuple[Mismatch, ...], named: bool
    ) -> str:
        """Say why the mismatch is over, or nothing. An entry that the operator named is never called settled."""
        if named:
            return ""
        last = _last(evidence)
        settled_utc = self._past.settled_utc.get((server, entry.key))
        if settled_utc and last and last <= settled_utc:
            return f"its last mismatch ({last:%Y-%m-%d %H:%M:%S} UTC) is before its repair ({settled_utc:%H:%M:%S} UTC)"
        if self._healthy(target):
            return "both servers report high availability as healthy, so they accept each other's certificates"
        end = self._diagnosis.log_end_utc.get(server)
        limit = timedelta(hours=self._site.policy.mismatch_current_h)
        if last and end and end - last > limit:
            return f"its last mismatch is {(end - last).days} days older than the end of the log: it has ceased"
        return ""

    def _healthy(self, target: Target) -> bool:
        """Whether both servers' own HA state says that they talk to each other; says nothing of an ISE server."""
        if target.name not in PI_SERVERS:
            return False
        return all(kind_of_state(status.state) is StateKind.HEALTHY for status in self._inventory.ha)

    def _doubt(self, server: str, entry: TofuEntry, target: Target, evidence: tuple[Mismatch, ...], named: bool) -> str:
        """Say why this entry cannot be told from another, or nothing."""
        if entry.key != f"{entry.host}_{entry.port}":
            return "the device spells the entry's port unusually, so the command might mean another one"
        entries = self._inventory.store(server).entries
        if sum(other.key == entry.key for other in entries) > 1:
            return "the list holds this entry more than once"
        if named:
            return ""
        rivals = [
            other.key
            for other in entries
            if other.key != entry.key
            and (rival := target_of(self._site, server, other))
            and rival.name != target.name
            and any(fits(mismatch.subject, other.subject) for mismatch in evidence)
        ]
        if rivals:
            return (
                f"the subject in the log fits {', '.join(rivals)} too; name the stale entry in the site's file"
                f" (policy: named_entries: ['{server} {entry.key}'])"
            )
        return ""

    def _by_verdict(
        self, server: str, entry: TofuEntry, target: Target, judgement: Judgement, evidence: tuple[Mismatch, ...]
    ) -> PlanRow:
        verdict = judgement.verdict
        if verdict.confirmed:
            return _row(server, entry, target.name, Decision.DELETE, judgement.reason, judgement, evidence)
        if verdict is Verdict.UNCHANGED:
            return _row(server, entry, target.name, Decision.ALREADY_RIGHT, judgement.reason, judgement, evidence)
        if verdict is Verdict.UNCONFIRMED and judgement.facts:
            override = overriding(self._overrides, server, entry.key, judgement.facts.sha256)
            if override:
                row = _row(server, entry, target.name, Decision.DELETE, judgement.reason, judgement, evidence)
                return replace(row, override=in_words(override))
        self.blocked.append(f"{server}: {entry.key}: {verdict}: {judgement.reason}")
        decision = Decision.LEFT_ALONE if verdict is Verdict.CONTRADICTED else Decision.CANNOT_TELL
        return _row(server, entry, target.name, decision, f"{verdict}: {judgement.reason}", judgement, evidence)


def _last(evidence: tuple[Mismatch, ...]) -> datetime | None:
    """Return the newest time of the evidence; None where a line has no time, since it may be from just now."""
    times = [mismatch.last_utc for mismatch in evidence]
    return None if None in times or not times else max(time for time in times if time)


def _row(
    server: str,
    entry: TofuEntry,
    target: str,
    decision: Decision,
    reason: str,
    judgement: Judgement | None = None,
    evidence: tuple[Mismatch, ...] = (),
) -> PlanRow:
    delete = decision is Decision.DELETE
    return PlanRow(
        server=server,
        key=entry.key,
        subject=entry.subject,
        target=target,
        decision=decision,
        reason=reason,
        command=DELETE_COMMAND.format(key=entry.key) if delete else "",
        verdict=judgement.verdict if judgement else None,
        confirmed_sha256=judgement.facts.sha256 if delete and judgement and judgement.facts else "",
        seen_from=tuple(judgement.seen_from) if judgement else (),
        evidence=tuple(
            f"{line.source}:{line.number}"
            for mismatch in evidence
            for line in (mismatch.evidence[:1] + mismatch.evidence[-1:])
        ),
    )
