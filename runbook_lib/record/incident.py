"""The record of one incident: ``Record``; and all records of a folder."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any, ClassVar, Self, TypeVar

from runbook_lib import paths
from runbook_lib.decisions import Approval, Plan, plan_digest
from runbook_lib.errors import ParameterRefused, RecordError, RecordNotWritable, StageOutOfOrder
from runbook_lib.models import FINAL, Outcome, PastIncident, Stage, StageState
from runbook_lib.processes import ProcessName, account, operator
from runbook_lib.record import stages
from runbook_lib.record.artifacts import ALSO_A_WORD, ArtifactStore, damaged, slug
from runbook_lib.record.files import gate_json, is_private, make_folder, plain_json_value, to_json_value
from runbook_lib.record.journal import About, Artifact, Kind, read_json_value
from runbook_lib.record.signing import note_seen, seen_here
from runbook_lib.record.stages import CLOSING
from runbook_lib.redactor import MARKED
from runbook_lib.secrets import NotPrivate

# ``records/<incident>/`` holds ``journal.jsonl``, ``incident.json``, ``answers/`` (what devices said: the
# raw text, and beside it what was understood), ``certificates/``, ``facts/<stage>/`` (what one stage
# leaves to the next), ``plans/``, ``approvals/`` and whatever else is kept. Folders have mode 0700,
# files 0600. No file is ever changed: other content for the same name goes to ``name-2``. Whatever is
# kept passes the redaction gate.

T = TypeVar("T")
INCIDENT = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9-]{1,40}-[0-9a-f]{4}")
_STAMP = "%Y%m%dT%H%M%SZ"
OPENING = "incident.json"
_OPENING_KEYS = ("incident", "site", "kind", "opened_utc", "by", "what", "given")
_FACT = re.compile(r"[a-z][a-z0-9_]{0,60}")


def parse_opening(data: bytes) -> dict[str, str]:
    """Read what an incident was opened with, empty texts for what is not said; ``ValueError`` if it is no opening."""
    value = read_json_value(data)
    if not isinstance(value, dict) or not all(isinstance(value.get(key, ""), str) for key in _OPENING_KEYS):
        raise ValueError("it is not the opening of an incident")
    opening = {key: value.get(key, "") for key in _OPENING_KEYS}
    if not opening["incident"] or datetime.fromisoformat(opening["opened_utc"]).tzinfo is None:
        raise ValueError("it names no incident, or no time in a zone")
    return opening


class Record(ArtifactStore):
    """One incident's record. Make one with ``create`` or ``open``."""

    PREFIX: ClassVar = ""
    PATTERN: ClassVar = INCIDENT
    NOT_THERE: ClassVar = "There is no such incident"
    TAKE_ANOTHER: ClassVar = "give the name of a folder there; runbook history lists them"
    """What a fleet's round, which is a record too, says in its own way: its names, and that it does not exist."""

    def __init__(self, root: Path, incident: str, site: str) -> None:
        super().__init__(root / incident)
        self.root = root
        self.incident = incident
        self.site = site

    def __repr__(self) -> str:
        return f"<Record {self.incident} of site {self.site}>"

    @classmethod
    def create(cls, root: Path, site: str, *, kind: str = "", what: str = "", given: str = "") -> Self:
        """Open a new incident of ``site``, whose ``kind`` is ``lab`` or ``production``.

        ``what``: why or by which stage, ``given``: the name or path of its file.
        Its name is newer than those of the site's other incidents, even if the clock was set back since.
        """
        now = datetime.now(UTC)
        opened = f"{now:{_STAMP}}"
        names = named_there(root, f"-{site_slug(site)}-", cls.PATTERN)
        if names:
            opened = _later_than(names[0].removeprefix(cls.PREFIX).partition("-")[0], opened)
        incident = f"{cls.PREFIX}{opened}-{site_slug(site)}-{secrets.token_hex(2)}"
        record = cls(root, incident, site)
        make_folder(record.folder)
        opening = {"incident": incident, "site": site, "opened_utc": now.isoformat(), "by": operator()}
        opening |= {"kind": kind, "what": what, "given": given}
        try:
            record.keep_json(OPENING, gate_json(opening), kind=Kind.INCIDENT_OPENED, expected=site, text=what)
        except RecordNotWritable:
            rmtree(record.folder, ignore_errors=True)  # it would be a damaged record for ever
            raise
        return record

    @classmethod
    def open(cls, root: Path, incident: str) -> Self:
        """Open an incident's record. Checks the journal's chain and who it is of.

        Raises ``ParameterRefused`` if there is none of that name, ``RecordDamaged`` if it does not verify.
        """
        if not cls.PATTERN.fullmatch(incident) or not (root / incident).is_dir():
            raise ParameterRefused(cls.NOT_THERE, where=str(root), found=incident, next_step=cls.TAKE_ANOTHER)
        record = cls(root, incident, "")
        opening = record.opening()
        if opening["incident"] != incident:
            raise damaged(record.folder, f"it is the record of {opening['incident']}")
        record.site = opening["site"]
        record.require_as_signed()
        return record

    def opening(self) -> dict[str, str]:
        """``incident``, ``site``, its ``kind``, ``opened_utc``, ``by``, ``what`` and ``given``, as they were then."""
        lines = self.journal.read().lines
        if not lines or lines[0].kind is not Kind.INCIDENT_OPENED or lines[0].artifact is None:
            raise damaged(self.journal.path, "it does not begin with the opening of an incident")
        try:
            return parse_opening(self.read_bytes(lines[0].artifact))
        except ValueError as error:
            raise damaged(self.folder / lines[0].artifact.path, str(error)) from None

    # -- facts that one stage leaves to the next --------------------------------------------------

    def write_facts(self, stage: Stage, name: str, value: object, *, by_person: bool = False) -> Artifact:
        """Leave ``value`` (dataclasses of ``models``, or collections of them) under ``name`` for later stages.

        ``by_person``: it is a person's word; where others may write in the folder it is noted outside of it that this
        account wrote it. Raises ValueError for a name that could not stand in a file's, RecordNotWritable.
        """
        if not _FACT.fullmatch(name):
            raise ValueError(f"not a name for facts: {name}")
        path = f"facts/{stage.value}/{name}.json"
        artifact = self.keep_json(path, to_json_value(value), stage=stage.value, text=name)
        if by_person and not is_private(self.folder):
            note_seen(paths.key_dir(), {artifact.sha256: ""})
        return artifact

    def read_facts(
        self, stage: Stage, name: str, kind: type[T], *, by_person: bool = False, before: int | None = None
    ) -> T:
        """What ``stage`` left last under ``name``, at all or ``before`` the number of a journal line.

        ``by_person``: where others may write in the folder, only what this account wrote counts. Raises
        ``StageOutOfOrder`` if it has not left any, ``RecordDamaged`` if the file is not what the journal says.
        """
        wanted = re.compile(rf"facts/{stage.value}/{name}(?:-\d+)?\.json")
        ours = None if not by_person or is_private(self.folder) else self._seen_here()
        for line in reversed(self.journal.read().lines):
            if (
                line.artifact
                and wanted.fullmatch(line.path)
                and (before is None or line.n < before)
                and (ours is None or line.artifact.sha256 in ours)
            ):
                return self.read_json(line.artifact, kind)
        raise StageOutOfOrder(
            f"the record holds no {name.replace('_', ' ')} yet",
            where=str(self.folder),
            next_step=f"run {stage.value} first, with the same incident: {self.incident}",
        )

    def _seen_here(self) -> Collection[str]:
        with suppress(NotPrivate):  # others have a hand in what was noted, so none of it counts
            return seen_here(paths.key_dir())
        return ()

    # -- plan and approval ------------------------------------------------------------------------

    def write_plan(self, plan: Plan) -> Artifact:
        """Keep a plan. ``ValueError`` if its digest is not that of its content and this incident.

        Raises ParameterRefused where a secret stands in its text, so that it could not be kept whole.
        """
        if not self._has_its_digest(plan):
            raise ValueError("the plan's digest is not that of its content")
        value = to_json_value(plan)
        if value != plain_json_value(plan) or any(MARKED.search(row.subject) for row in plan.rows):
            raise ParameterRefused(
                "the text of the plan contains a secret of this site, so the plan could not be kept whole",
                next_step=ALSO_A_WORD,
            )
        path = f"plans/{plan.digest}.json"
        return self.keep_json(path, value, kind=Kind.DECIDED, seen=plan.digest, text="plan")

    def read_plan(self, digest: str = "") -> Plan:
        """The newest plan, or the newest with that digest. Raises ``StageOutOfOrder`` if there is none."""
        for line in reversed(self.journal.read().lines):
            if line.artifact and stages.is_of_plan(line) and digest in ("", line.seen):
                plan = self.read_json(line.artifact, Plan)
                if not self._has_its_digest(plan):
                    raise damaged(self.folder / line.artifact.path, "the digest is not that of its rows and changes")
                return plan
        raise StageOutOfOrder(
            "the record holds no such plan" if digest else "the record holds no plan yet",
            where=str(self.folder),
            found=digest,
            next_step=f"run {Stage.LIST.value} first, with the same incident: {self.incident}",
        )

    def _has_its_digest(self, plan: Plan) -> bool:
        """Whether it is a plan of this incident, and the digest that of what it says; an unknown format has none."""
        with suppress(ValueError):
            return plan.incident == self.incident and plan.digest == plan_digest(plan)
        return False

    def write_approval(self, approval: Approval) -> Artifact:
        """Keep an approval of a plan that this record holds, and note outside of it that this account wrote it.

        ``StageOutOfOrder`` if it holds no plan of that digest.
        """
        self.read_plan(approval.digest)
        path = f"approvals/{approval.digest}.json"
        value = to_json_value(approval)
        artifact = self.keep_json(path, value, kind=Kind.APPROVED, expected=approval.digest, seen=approval.by)
        try:
            note_seen(paths.key_dir(), {artifact.sha256: ""})
        except RecordNotWritable:
            if not approval.signature:  # one speaks for itself
                raise
        return artifact

    def read_approvals(self, digest: str = "") -> tuple[Approval, ...]:
        """All approvals in their order, or those of one plan. A file that no journal line names counts for nothing."""
        return tuple(approval for approval, _ in self.approvals() if digest in ("", approval.digest))

    def approvals(self) -> tuple[tuple[Approval, Artifact], ...]:
        """All approvals in their order, each with its file. Whether they count is another question."""
        lines = self.journal.read().lines
        named = [line.artifact for line in lines if line.kind is Kind.APPROVED and line.artifact]
        return tuple((self.read_json(artifact, Approval), artifact) for artifact in named)

    # -- stages, changes, outcome -----------------------------------------------------------------

    def start_stage(self, stage: Stage, *, text: str = "") -> None:
        """Write down that a stage begins, and in which process."""
        self.journal.append(Kind.STAGE_STARTED, stage=stage.value, seen=str(ProcessName.current()), text=text)

    def end_stage(self, stage: Stage, state: StageState, reason: str = "") -> None:
        """Write down how a stage ended and why; raises ValueError for a state that is no end."""
        if state in (StageState.PENDING, StageState.RUNNING):
            raise ValueError(f"a stage does not end {state.value}")
        self.journal.append(Kind.STAGE_ENDED, stage=stage.value, seen=state.value, text=reason)

    def stage_states(self) -> dict[str, StageState]:
        """Return the state of each stage, by its name, as its last attempt left it."""
        return stages.stage_states(self.journal.read().lines)

    def earlier_ends(self) -> dict[str, tuple[StageState, ...]]:
        """How the attempts before the last one ended, for each stage that had any."""
        return stages.earlier_ends(self.journal.read().lines)

    def intend(self, stage: Stage, server: str, change: About | str, **how: Any) -> stages.RecordedChange:
        """Write down a change before it is sent: on disk when this returns. Then send it, once.

        ``how``: what is ``expected`` of it, and ``unless``, as ``Journal.append`` takes them.
        """
        line = self.journal.append(Kind.INTENT, stage=stage.value, server=server, text=change, **how)
        return stages.RecordedChange(self.journal, line)

    def pending_changes(self) -> tuple[stages.RecordedChange, ...]:
        """The changes that may have been sent and whose result is not known; the device has to be asked."""
        pending = stages.pending_changes(self.journal.read().lines)
        return tuple(stages.RecordedChange(self.journal, line) for line in pending)

    def outcome(self) -> Outcome | None:
        """Return the newest outcome, None where there is none yet."""
        return stages.outcome(self.journal.read().lines)

    def is_closed(self) -> bool:
        """Whether the newest outcome closes the incident, or a person did; otherwise the repair goes on in it."""
        return stages.is_closed(self.journal.read().lines)

    def require_open(self) -> None:
        """Raise StageOutOfOrder where the incident is closed: it stays what it was, so nothing more is done in it."""
        if self.is_closed():
            anew = shlex.join(("runbook", "run", self.opening()["given"] or self.site))
            then = f"70_post_mortem or runbook report {self.incident} shows it; 00_start_here or {anew} opens a new one"
            what = f"Incident {self.incident} has ended ({self.outcome()}): nothing more is done in it"
            raise StageOutOfOrder(what, next_step=then)

    def set_outcome(self, outcome: Outcome, reason: str = "") -> None:
        """Write down an outcome of the incident and why it is that."""
        self.journal.append(Kind.OUTCOME, seen=outcome.value, text=reason)

    def close(self, outcome: Outcome, *, by: str, reason: str) -> Artifact:
        """Write the outcome of an incident that ``by`` closes unfinished; no repair goes on in it after that.

        Raises ValueError for an outcome that only a look at the servers gives.
        """
        if outcome in FINAL:
            raise ValueError(f"only a repair that was looked at ends {outcome}")
        closing = gate_json({"by": by, "reason": reason, "outcome": outcome.value, "account": account()})
        text = f"closed by {by}: {reason}"
        return self.keep_json(f"{CLOSING}.json", closing, kind=Kind.OUTCOME, seen=outcome.value, text=text)


def _later_than(newest: str, opened: str) -> str:
    """Return the time of an incident's name, a second after the newest one's where the clock was set back since."""
    with suppress(ValueError, OverflowError):  # the folder's name does not begin with a time
        if newest >= opened:
            return f"{datetime.strptime(newest, _STAMP) + timedelta(seconds=1):{_STAMP}}"
    return opened


def site_slug(site: str) -> str:
    """The site's name as it stands in an incident's."""
    return slug(site, 40)


def slug_in(incident: str) -> str:
    """Return how an incident's name calls its site: of a damaged record nothing else tells whose it is."""
    return incident.partition("-")[2][:-5]


# -- All records of a folder: which incidents there are, and which one of a site is open -----------


def list_records(root: Path, site: str = "") -> Iterator[PastIncident]:
    """Yield every incident's record under ``root``, the newest first; those that are damaged too, with their problem.

    With ``site`` those of that site alone, and nothing of the others is read; of a damaged one only the name tells.
    """
    for incident in named_there(root, f"-{site_slug(site)}-" if site else ""):
        summary = _summary(root, incident)
        if not site or summary.site == site or summary.problem:
            yield summary


def find_open(root: Path, site: str) -> str | None:
    """The newest incident of ``site`` that is open; a damaged record is passed over, as no repair can go on in it."""
    return next((each.incident for each in list_records(root, site) if each.is_open), None)


def named_there(root: Path, part: str = "", pattern: re.Pattern[str] = INCIDENT) -> list[str]:
    """Return the names of all incidents' folders that hold ``part``, the newest first; nothing in them is read."""
    if not root.is_dir():
        return []
    names = (path.name for path in root.iterdir() if part in path.name)
    return sorted((name for name in names if pattern.fullmatch(name) and (root / name).is_dir()), reverse=True)


def _summary(root: Path, incident: str) -> PastIncident:
    """Return what is told at once of an incident: of which site, its outcome, who closed it, what is wrong with it."""
    try:
        record = Record.open(root, incident)
        by_hand = stages.closed_by(record.journal.read().lines)
    except RecordError as error:
        return PastIncident(incident=incident, problem=error.what)
    closed_by = by_hand.text if by_hand else ""
    return PastIncident(incident=incident, site=record.site, outcome=record.outcome(), closed_by=closed_by)
