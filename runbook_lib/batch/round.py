"""A round: one evening of one fleet, its roll-up under one digest, which sites may be run, and its sealed outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.batch.site_run import (
    FAILURES,
    FINISHED,
    READING,
    SiteResult,
    SiteState,
    SiteTask,
    change_was_sent,
    site_state,
)
from runbook_lib.batch.sites import Fleet, FleetSite, resolved_site_file
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import RecordDamaged, RunbookError
from runbook_lib.models import FINAL, Outcome, Stage
from runbook_lib.notebook.opening import open_incident
from runbook_lib.record.artifacts import slug
from runbook_lib.record.attestation import Seal, seal_record
from runbook_lib.record.files import to_json_value
from runbook_lib.record.incident import INCIDENT, Record, site_slug
from runbook_lib.record.journal import Artifact, Kind

# ``records/fleet-<id>/`` is a record as an incident's is: a journal, files that are written once, a seal. It holds
# ``incident.json`` (which fleet, by whom), ``sites/<name>.json`` (what the fleet's description said of each site when
# it was planned), ``rollups/<digest>.json`` (the plans of all sites under one digest) and ``outcomes/`` (how each site
# ended). What was done at a site is in the incident of that site; the round names it.

STAGE = "fleet"
"""Under this name the journal of a round tells of sites."""


class Round(Record):
    """The record of one round; ``incident`` is its id, ``site`` the fleet's name, for ``create`` and ``open`` too."""

    PREFIX = "fleet-"
    PATTERN = re.compile(rf"{PREFIX}{INCIDENT.pattern}")
    NOT_THERE = "There is no such round"
    TAKE_ANOTHER = "give the name of a folder fleet-… there; runbook fleet status FLEET shows the newest one's"

    def __repr__(self) -> str:
        return f"<Round {self.incident} of fleet {self.site}>"

    def newest_rollup(self) -> Rollup | None:
        """Return the newest roll-up; raises ``RecordDamaged`` where its digest is not that of its sites."""
        for line in reversed(self.journal.read().lines):
            if line.kind is Kind.DECIDED and line.artifact and line.artifact.path.startswith("rollups/"):
                rollup = self.read_json(line.artifact, Rollup)
                if rollup.digest != rollup_digest(rollup.sites, fleet=self.site, round_id=self.incident):
                    raise RecordDamaged("the roll-up's digest is not that of its sites", where=line.artifact.path)
                return rollup
        return None

    def keep_description(self, each: FleetSite) -> Artifact:
        """Keep what the fleet's description says of a site: it is the site's file for whatever runs in this round.

        Its name ends in the SHA-256 of its content, so that it is read as it was kept or not at all.
        """
        data = resolved_site_file(each.site)
        path = f"sites/{slug(each.name, 40)}-{sha256_hex(data)}.json"
        return self.keep_gated(path, data, stage=STAGE, server=each.name, seen=each.sha256, text="site")


def newest_round(root: Path, fleet: str) -> Round | None:
    """Return the newest round of a fleet; one of another fleet is not even opened."""
    named = re.compile(rf"{Round.PREFIX}\d+T\d+Z-{site_slug(fleet)}-[0-9a-f]+")
    names = [path.name for path in root.iterdir() if named.fullmatch(path.name)] if root.is_dir() else []
    rounds = (Round.open(root, name) for name in sorted(names, reverse=True) if Round.PATTERN.fullmatch(name))
    return next((each for each in rounds if each.site == fleet), None)


# -- The plans of many sites under one digest, which one approval can name. Pure. ------------------
#
# The digest is SHA-256 over the canonical form (``runbook_lib.decisions``) of ``{"format": "runbook-fleet-plan-v1",
# "fleet": …, "round": …, "sites": [...]}``. Each site has exactly the keys ``site``, ``incident``, ``plan`` (the digest
# of its plan) and ``described`` (the digest of what the fleet's description said of it); the sites stand in the order
# of their own canonical forms, compared as bytes. Sites without a plan that could be carried out are not in it.

ROLLUP_FORMAT = "runbook-fleet-plan-v1"


@dataclass(frozen=True, kw_only=True)
class PlannedSite:
    """One site's part of a roll-up, whose plan's digest covers it all.

    For people: ``deletions`` (``server: command``) and ``changes``, what may follow them. ``needs_approval``: something
    is to be done as things stand; a roll-up of release 0.1.0 knows deletions alone, and does not say. ``met``: where
    somebody else may have answered earlier in the incident.
    """

    site: str
    incident: str
    plan: str
    described: str
    deletions: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    needs_approval: bool | None = None
    met: tuple[str, ...] = ()

    @property
    def to_approve(self) -> bool:
        """Whether its plan has to be approved before anything is done at this site."""
        return bool(self.deletions) if self.needs_approval is None else self.needs_approval


@dataclass(frozen=True, kw_only=True)
class NotPlanned:
    """A site that no approval of the roll-up covers, and why."""

    site: str
    incident: str
    why: str
    contradicted: bool = False


@dataclass(frozen=True, kw_only=True)
class Rollup:
    """All plans of one round, and the digest that an approval names."""

    fleet: str
    round: str
    made_utc: datetime
    digest: str
    sites: tuple[PlannedSite, ...]
    not_planned: tuple[NotPlanned, ...] = ()

    def site(self, name: str) -> PlannedSite | None:
        """Return a site's plan by the site's name, None where it has none."""
        return next((each for each in self.sites if each.site == name), None)


def rollup_digest(sites: Iterable[PlannedSite], *, fleet: str, round_id: str) -> str:
    """The digest that an approval of a whole round names."""
    fields = ("site", "incident", "plan", "described")
    parts = sorted(({name: getattr(each, name) for name in fields} for each in sites), key=canonical_json)
    return sha256_hex(canonical_json({"format": ROLLUP_FORMAT, "fleet": fleet, "round": round_id, "sites": parts}))


# -- How a round stands: what became of every site, kept in the round and sealed, so that a signature covers it


@dataclass(frozen=True, kw_only=True)
class SiteOutcome:
    """One line of the signed roll-up. ``lines`` and ``head`` bind it to its incident's journal as it was then."""

    site: str
    incident: str
    state: SiteState
    why: str
    seconds: float
    lines: int
    head: str


@dataclass(frozen=True, kw_only=True)
class RoundOutcome:
    """The signed roll-up. ``rollup`` is the digest that was approved, empty where the stages only read."""

    fleet: str
    round: str
    rollup: str
    made_utc: datetime
    stopped: str
    sites: tuple[SiteOutcome, ...]

    @property
    def counts(self) -> dict[SiteState, int]:
        """The number of sites in each state in which there is one."""
        counted = Counter(each.state for each in self.sites)
        return {state: counted[state] for state in SiteState if counted[state]}


def keep_outcome(
    round_: Round, rollup: str, results: Iterable[SiteResult], stopped: str, others: Iterable[SiteState] = ()
) -> tuple[RoundOutcome, Seal]:
    """Keep what became of every site, say how the round ended, and seal it; raises ``RecordNotWritable``.

    ``others``: how the sites of the round stand that this run was not asked for; the round's outcome counts them too.
    """
    outcome = RoundOutcome(
        fleet=round_.site,
        round=round_.incident,
        rollup=rollup,
        made_utc=datetime.now(UTC),
        stopped=stopped,
        sites=tuple(_of_site(round_, result) for result in results),
    )
    value: Any = to_json_value(outcome)
    value["counts"] = {state.value: number for state, number in outcome.counts.items()}
    round_.keep_json("outcomes/outcome.json", value, seen=_in_words(outcome), text="outcome of the round")
    if SiteState.DONE not in outcome.counts:  # what was only read has no outcome
        left = tuple(others)
        words = _in_words(outcome) + (f", and {len(left)} that were not asked for" if left else "")
        round_.set_outcome(worst_outcome((*outcome.counts, *left)), words)
    described = {each.site: each.incident for each in outcome.sites}
    return outcome, seal_record(round_, {"fleet": round_.site, "sites": described})


def worst_outcome(states: Iterable[SiteState]) -> Outcome:
    """Return the worst that became of a site, as the outcome of the round; not started is stopped."""
    became = {SiteState.STOPPED if state is SiteState.NOT_STARTED else state for state in states}
    worst = (Outcome.UNKNOWN, Outcome.FAILED, Outcome.STOPPED, Outcome.REPAIRED_UNVERIFIED, Outcome.REPAIRED)
    return next((outcome for outcome in worst if site_state(outcome) in became), Outcome.NOTHING_TO_DO)


def exit_code(outcome: RoundOutcome) -> int:
    """Return the exit code of a run, by the table of exit codes: the worst that became of a site."""
    states = set(outcome.counts)
    if SiteState.UNKNOWN in states:
        return 6
    if states & FAILURES:
        return 1
    return 3 if states - FINISHED else 0


def newest_outcome(round_: Round) -> RoundOutcome | None:
    """Return what a round came to when it was run last, or None; raises ``RecordDamaged`` where the file says none."""
    for line in reversed(round_.journal.read().lines):
        if line.kind is Kind.KEPT and line.artifact and line.artifact.path.startswith("outcomes/"):
            from pydantic import TypeAdapter

            data = round_.read_bytes(line.artifact)
            try:  # ``counts`` is for readers of the file; here it follows from the sites.
                return TypeAdapter(RoundOutcome).validate_json(data)
            except ValueError:
                raise RecordDamaged("the file holds no outcome of a round", where=line.artifact.path) from None
    return None


def _of_site(round_: Round, result: SiteResult) -> SiteOutcome:
    lines = 0
    head = ""
    if result.incident:
        with suppress(RunbookError):  # it lies elsewhere, or is damaged: nothing is claimed of it
            journal = Record.open(round_.root, result.incident).journal.read()
            lines = len(journal.lines)
            head = journal.head
    said = {name: value for name, value in asdict(result).items() if name != "contradicted"}
    return SiteOutcome(**said, lines=lines, head=head)


def _in_words(outcome: RoundOutcome) -> str:
    return ", ".join(f"{number} {state.value}" for state, number in outcome.counts.items()) or "no sites"


# -- Which sites of a fleet may be run now: not finished in this round, planned, unchanged since, approved


def admit(
    round_: Round, fleet: Fleet, rollup: Rollup | None, until: Stage, only: Sequence[str] = ()
) -> tuple[list[SiteTask], list[SiteResult]]:
    """Return what may be run, and the results of the sites that are not run, in words that say why.

    Reading stages need no plan and no approval; ``only``: these sites, empty for all.
    """
    tasks: list[SiteTask] = []
    settled: list[SiteResult] = []
    for each in fleet.sites:
        if only and each.name not in only:
            continue
        try:
            admission = _admit(round_, each, rollup, until)
        except RunbookError as error:
            admission = _not_started(each, f"{type(error).__name__}: {error.what}")
        if isinstance(admission, SiteTask):
            tasks.append(admission)
        else:
            settled.append(admission)
    return tasks, settled


def _admit(round_: Round, each: FleetSite, rollup: Rollup | None, until: Stage) -> SiteTask | SiteResult:
    if until in READING:
        record = open_incident(each.site, "", what=f"runbook fleet run, {round_.incident}")
        return _task(round_, each, record, until, approve="")
    planned = rollup.site(each.name) if rollup else None
    if rollup is None or planned is None:
        why = {refused.site: refused.why for refused in rollup.not_planned} if rollup else {}
        return _not_started(each, why.get(each.name, "no plan of it in this round: runbook fleet plan makes one"))
    record = Record.open(round_.root, planned.incident)
    outcome = record.outcome()
    if outcome in FINAL:
        return SiteResult(site=each.name, incident=record.incident, state=site_state(outcome), why="in an earlier run")
    if record.is_closed():
        return _not_started(each, "a person has closed its incident: plan again", record.incident)
    if each.sha256 != planned.described:
        why_changed = "its description has changed since the plan: plan again, and approve the new roll-up"
        return _not_started(each, why_changed, record.incident)
    if not _approved(round_, each.name, planned.plan, record, needed=planned.to_approve):
        return _not_started(each, f"nobody has approved its plan {planned.plan}", record.incident)
    fresh = each.site.kind == "lab" and not change_was_sent(record)
    return _task(round_, each, record, until, approve=planned.plan if fresh and planned.to_approve else "")


def _approved(round_: Round, site: str, plan: str, record: Record, *, needed: bool) -> bool:
    """Whether a person approved this plan: in the site's record, and where it needs no approval, in the round's."""
    if record.read_approvals(plan):
        return True
    approved = (line for line in round_.journal.read().lines if line.kind is Kind.APPROVED)
    return not needed and (site, plan) in ((line.server, line.expected) for line in approved)


def _task(round_: Round, each: FleetSite, record: Record, until: Stage, *, approve: str) -> SiteTask:
    described = round_.keep_description(each)
    return SiteTask(
        site=each.name,
        site_file=str(round_.folder / described.path),
        incident=record.incident,
        approve=approve,
        until=until,
        records=str(round_.root),
    )


def _not_started(each: FleetSite, why: str, incident: str = "") -> SiteResult:
    return SiteResult(site=each.name, incident=incident, state=SiteState.NOT_STARTED, why=why)
