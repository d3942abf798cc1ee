"""One site's stages in this process: what is sent to whoever runs it, and what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runbook_lib.batch.runner import RunReport, StageReport, run_stages
from runbook_lib.errors import RecordError, RunbookError, SafetyStop, UsageError
from runbook_lib.models import Outcome, Stage, Verdict
from runbook_lib.params.load import load_site
from runbook_lib.record.about import LineTopic
from runbook_lib.record.attestation import note_after_seal
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.stages import FINAL

# -- What is sent to whoever runs one site, and what comes back: plain values, JSON both ways, no secret in them


class SiteState(StrEnum):
    """What a roll-up says of a site."""

    REPAIRED = "repaired"
    REPAIRED_UNVERIFIED = "repaired_unverified"
    NOTHING_TO_DO = "nothing_to_do"
    DONE = "done"  # the stages that were asked for are done, and 60 was not among them
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_STARTED = "not_started"


FINISHED = frozenset(
    {SiteState.REPAIRED, SiteState.REPAIRED_UNVERIFIED, SiteState.NOTHING_TO_DO, SiteState.DONE},
)
FAILURES = frozenset({SiteState.FAILED, SiteState.UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    """One site to be run: its file (as the round keeps it), its incident, and the plan that was approved.

    ``approve`` is empty where stage 30 is to find the approval by itself; a site that calls itself the lab would
    approve any plan, so there it is the digest of the one that a person approved. ``token`` lets the one who runs it
    work under the lock that whoever sent the task holds.
    """

    site: str
    site_file: str
    described: str
    incident: str
    approve: str
    until: Stage
    records: str
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class SiteEvent:
    """Something that happened meanwhile: a stage began (``state`` empty) or ended."""

    site: str
    stage: Stage
    state: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SiteResult:
    """How one site ended; ``why`` is a sentence where it is not finished."""

    site: str
    incident: str
    state: SiteState
    why: str = ""
    contradicted: bool = False
    seconds: float = 0.0


def state_of(outcome: Outcome | None) -> SiteState:
    """Return what a roll-up calls the outcome of an incident; None: the stages that were asked for are done."""
    return SiteState.DONE if outcome is None else SiteState(outcome.value)


# -- One site's stages, run by ``runner.run_stages`` in this process, and told as one result whatever happens

CHANGING = frozenset({Stage.DELETE, Stage.REGISTER, Stage.READD_ISE})
_CONCLUDING = (Stage.VERIFY, Stage.POST_MORTEM)
HALTED = "the fleet was stopped before anything was changed here"

EventCallback = Callable[[SiteEvent], None]


class Halted(SafetyStop):
    """The fleet stops, and nothing was changed at this site yet."""


class _Listener:
    """Tells of the stages, and stops before the first change where the fleet has been stopped."""

    def __init__(self, task: SiteTask, record: Record, tell: EventCallback, halted: Callable[[], bool]) -> None:
        self._task = task
        self._record = record
        self._tell = tell
        self._halted = halted

    def stage_started(self, stage: Stage) -> None:
        if stage in CHANGING and self._halted() and not begun(self._record):
            self._record.set_outcome(Outcome.STOPPED, HALTED)
            raise Halted(HALTED, where=self._task.site, next_step="run the same command to go on")
        self._tell(SiteEvent(site=self._task.site, stage=stage))

    def doing(self, words: str) -> None:
        """A fleet shows stages, and nothing within them."""

    def stage_ended(self, report: StageReport) -> None:
        self._tell(
            SiteEvent(site=self._task.site, stage=report.stage, state=report.state, seconds=round(report.seconds, 3))
        )


def run_site(task: SiteTask, tell: EventCallback, halted: Callable[[], bool]) -> SiteResult:
    """Run one site's stages; what ends them early is in the result. KeyboardInterrupt and SystemExit pass through."""
    started = time.monotonic()
    try:
        record = Record.open(Path(task.records), task.incident)
        note_after_seal(record)
        known = len(record.journal.read().lines)
        site = load_site(Path(task.site_file))
        listener = _Listener(task, record, tell, halted)
        report = run_stages(site, task.site_file, record, listener, approve=task.approve, until=task.until)
        result = _of_report(task, report)
    except RunbookError as error:
        return result_of_error(task, error, time.monotonic() - started)
    return SiteResult(
        site=task.site,
        incident=task.incident,
        state=result[0],
        why=result[1],
        contradicted=saw_contradiction(record, known),
        seconds=round(time.monotonic() - started, 3),
    )


def result_of_error(task: SiteTask, error: RunbookError, seconds: float) -> SiteResult:
    """Return the result of a site that could not be run at all, or whose record failed under it."""
    stopped = isinstance(error, SafetyStop | UsageError)
    state = SiteState.STOPPED if stopped else SiteState.FAILED
    if isinstance(error, RecordError):
        state = settled_state(task)
    about = ": ".join(filter(None, (error.where, error.found)))
    why = f"{type(error).__name__}: {error.what}" + (f" ({about})" if about else "")
    return SiteResult(site=task.site, incident=task.incident, state=state, why=why, seconds=round(seconds, 3))


def result_of_interruption(task: SiteTask) -> SiteResult:
    """Return the result of a run that was told to end: what its record says of it by now."""
    try:
        outcome = Record.open(Path(task.records), task.incident).outcome()
        state = SiteState.UNKNOWN if outcome is Outcome.UNKNOWN else settled_state(task, otherwise=SiteState.STOPPED)
    except RunbookError:
        state = SiteState.UNKNOWN
    return SiteResult(site=task.site, incident=task.incident, state=state, why="the run was told to end at once")


def settled_state(task: SiteTask, *, otherwise: SiteState = SiteState.FAILED) -> SiteState:
    """Return what the site's own record says after a run that could not say it: unknown where a change may be open.

    A repair that stage 60 has found stays one, whatever happened to the run after that.
    """
    try:
        record = Record.open(Path(task.records), task.incident)
        if record.pending_changes():
            return SiteState.UNKNOWN
        outcome = record.outcome()
        return state_of(outcome) if outcome in FINAL else otherwise
    except RunbookError:
        return SiteState.UNKNOWN


def begun(record: Record) -> bool:
    """Whether a change was sent in this incident, or may have been."""
    return any(line.kind is Kind.INTENT for line in record.journal.read().lines)


def saw_contradiction(record: Record, since_line: int) -> bool:
    """Whether a look at a host, after so many lines of the journal, contradicted what the operator knows."""
    lines = record.journal.read().lines[since_line:]
    return any((line.about.topic, line.about.seen) == (LineTopic.CERTIFICATE, Verdict.CONTRADICTED) for line in lines)


def _of_report(task: SiteTask, report: RunReport) -> tuple[SiteState, str]:
    if report.seal.leaks and report.outcome is not Outcome.UNKNOWN:
        return SiteState.FAILED, f"its record cannot be relied on: {report.seal}"
    if report.exit_code == 0 and task.until not in _CONCLUDING:
        return SiteState.DONE, ""
    last = report.stages[-1]
    why = "" if report.exit_code == 0 else f"{last.stage}: {last.error_text or last.error_name}"
    return state_of(report.outcome), why
