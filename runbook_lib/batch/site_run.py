"""One site's stages in this process: what is sent to whoever runs it, and what comes back."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from runbook_lib import secrets
from runbook_lib.batch.runner import CHANGING, UNSEEN, RunReport, StageReport, run_stages
from runbook_lib.errors import DeletionRefused, RecordError, RunbookError, SafetyStop, UsageError, redacted
from runbook_lib.models import FINAL, Outcome, Stage, Verdict
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.params.load import load_site
from runbook_lib.processes import gate_streams, leave_ctrl_c_to_the_parent, signals_taken
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind, LineTopic
from runbook_lib.record.lock import TOKEN_VARIABLE
from runbook_lib.repair.sent_changes import unseen_changes

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


FINISHED = frozenset({SiteState.REPAIRED, SiteState.REPAIRED_UNVERIFIED, SiteState.NOTHING_TO_DO, SiteState.DONE})
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
    incident: str
    approve: str
    until: Stage
    records: str
    token: str = ""

    def result(self, state: SiteState, why: str = "", *, seconds: float = 0.0) -> SiteResult:
        """Return how the site ended, by what was seen of it."""
        return SiteResult(site=self.site, incident=self.incident, state=state, why=why, seconds=round(seconds, 3))


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


def site_state(outcome: Outcome | None) -> SiteState:
    """Return what a roll-up calls the outcome of an incident; None: the stages that were asked for are done."""
    return SiteState.DONE if outcome is None else SiteState(outcome.value)


# -- One site's stages, run by ``runner.run_stages`` in this process, and told as one result whatever happens

READING = tuple(Stage)[: min(map(tuple(Stage).index, CHANGING))]
_CONCLUDING = (Stage.VERIFY, Stage.POST_MORTEM)
HALTED = "the fleet was stopped before anything was changed here"

EventCallback = Callable[[SiteEvent], None]


class _Listener:
    """Tells of the stages, and stops before the first change where the fleet has been stopped."""

    def __init__(self, task: SiteTask, record: Record, on_event: EventCallback, halted: Callable[[], bool]) -> None:
        self._task = task
        self._record = record
        self._on_event = on_event
        self._halted = halted

    def continues(self, unsealed: str) -> None:
        """The site's journal names it: nobody looks at a terminal there."""

    def stage_started(self, stage: Stage) -> None:
        if stage in CHANGING and self._halted() and not change_was_sent(self._record):
            raise SafetyStop(HALTED, where=self._task.site, next_step="run the same command to go on")
        self._on_event(SiteEvent(site=self._task.site, stage=stage))

    def doing(self, words: str) -> None:
        """A fleet shows stages, and nothing within them."""

    def stage_ended(self, report: StageReport) -> None:
        seconds = round(report.seconds, 3)
        self._on_event(SiteEvent(site=self._task.site, stage=report.stage, state=report.state, seconds=seconds))


def run_site(task: SiteTask, on_event: EventCallback, halted: Callable[[], bool]) -> SiteResult:
    """Run one site's stages; what ends them early is in the result. KeyboardInterrupt and SystemExit pass through."""
    started = time.monotonic()
    try:
        record = Record.open(Path(task.records), task.incident)
        known = len(record.journal.read().lines)
        site = load_site(Path(task.site_file))
        listener = _Listener(task, record, on_event, halted)
        report = run_stages(site, task.site_file, record, listener, approve=task.approve, until=task.until)
        state, why = _of_report(task, report, record)
    except RunbookError as error:
        return result_of_error(task, error, time.monotonic() - started)
    result = task.result(state, why, seconds=time.monotonic() - started)
    return replace(result, contradicted=saw_contradiction(record, known))


def result_of_error(task: SiteTask, error: RunbookError, seconds: float) -> SiteResult:
    """Return the result of a site that could not be run at all, or whose record failed under it."""
    stopped = isinstance(error, SafetyStop | UsageError)
    state = settled_state(task) if isinstance(error, RecordError) else refused_state(task, stopped=stopped)
    about = ": ".join(filter(None, (error.where, error.found)))
    why = f"{type(error).__name__}: {error.what}" + (f" ({about})" if about else "")
    return task.result(state, why, seconds=seconds)


def result_of_interruption(task: SiteTask) -> SiteResult:
    """Return the result of a run that was told to end: what its record says of it by now."""
    try:
        outcome = Record.open(Path(task.records), task.incident).outcome()
        state = SiteState.UNKNOWN if outcome is Outcome.UNKNOWN else settled_state(task, otherwise=SiteState.STOPPED)
    except RunbookError:
        state = SiteState.UNKNOWN
    return task.result(state, "the run was told to end at once")


def settled_state(task: SiteTask, *, otherwise: SiteState = SiteState.FAILED) -> SiteState:
    """Return what the site's own record says after a run that could not say it: unknown where a change may be open.

    Unknown too where another record lies there than the one that was run, as an older copy does.

    A repair that stage 60 has found stays one, whatever happened to the run after that.
    """
    try:
        record = Record.open(Path(task.records), task.incident)
        record.journal.require_known()
        if unseen_changes(record):
            return SiteState.UNKNOWN
        outcome = record.outcome()
        return site_state(outcome) if outcome in FINAL else otherwise
    except RunbookError:
        return SiteState.UNKNOWN


def refused_state(task: SiteTask, *, stopped: bool) -> SiteState:
    """Return what is to be said of a site at which this run did nothing: an earlier one may have left a change open."""
    with suppress(RunbookError):  # it lies elsewhere, and whoever has it tells
        if unseen_changes(Record.open(Path(task.records), task.incident)):
            return SiteState.UNKNOWN
    return SiteState.STOPPED if stopped else SiteState.FAILED


def change_was_sent(record: Record) -> bool:
    """Whether a change was sent in this incident, or may have been."""
    return any(line.kind is Kind.INTENT for line in record.journal.read().lines)


def saw_contradiction(record: Record, since_line: int) -> bool:
    """Whether a look at a host, after so many lines of the journal, contradicted what the operator knows."""
    lines = record.journal.read().lines[since_line:]
    return any((line.about.topic, line.about.seen) == (LineTopic.CERTIFICATE, Verdict.CONTRADICTED) for line in lines)


def _of_report(task: SiteTask, report: RunReport, record: Record) -> tuple[SiteState, str]:
    if report.seal.leaks and report.outcome is not Outcome.UNKNOWN:
        return SiteState.FAILED, f"its record cannot be relied on: {report.seal}"
    if report.exit_code == 0 and task.until not in _CONCLUDING:
        return SiteState.DONE, ""
    last = report.stages[-1]
    why = "" if report.exit_code == 0 else f"{last.stage}: {last.error_text or last.error_name or UNSEEN}"
    if last.error_name == DeletionRefused.__name__ and (blocked := record.read_plan().blocked):
        why = f"{last.stage}: the plan is blocked: {blocked[0]}\n{last.error_text}"  # a roll-up shows the first line
    return site_state(report.outcome), why


# -- ``python -m runbook_lib.batch.site_run [DESCRIPTOR]``: one site after the other for the process that started it
#
# One line of JSON each way: tasks and ``halt`` come in, events and results go out. When the input ends while a site is
# run, its starter is gone, and the run is ended as by SIGTERM: truthfully, and its record says so.

HALT = {"halt": True}


class Worker:
    """Reads on a thread of its own, so that a halt is heard while a site is run."""

    def __init__(self, source: TextIO, target: TextIO) -> None:
        self._source = source
        self._target = target
        self._tasks: queue.SimpleQueue[SiteTask | None] = queue.SimpleQueue()
        self._halted = threading.Event()
        self._busy = False

    def serve(self) -> None:
        """Run tasks until the input ends."""
        threading.Thread(target=self._read, name="tasks", daemon=True).start()
        while (task := self._tasks.get()) is not None:
            self._busy = True
            try:
                self._run(task)
            finally:
                self._busy = False
                secrets.REDACTOR.forget()  # the next site's kernels know none of them; all would be looked for

    def _run(self, task: SiteTask) -> None:
        os.environ[TOKEN_VARIABLE] = task.token
        try:
            result = run_site(task, lambda event: self._say("event", event), self._halted.is_set)
        except (KeyboardInterrupt, SystemExit):
            self._say("result", result_of_interruption(task))
            raise
        self._say("result", replace(result, why=redacted(result.why)))  # who hears it knows none of the secrets

    def _read(self) -> None:
        for line in self._source:
            value = json.loads(line)
            if value == HALT:
                self._halted.set()
            else:
                self._tasks.put(SiteTask(**{**value, "until": Stage(value["until"])}))
        self._tasks.put(None)
        if self._busy:
            os.kill(os.getpid(), signal.SIGTERM)

    def _say(self, kind: str, value: SiteEvent | SiteResult) -> None:
        with suppress(BrokenPipeError):  # nobody listens any more; the record has it
            self._target.write(json.dumps({kind: asdict(value)}) + "\n")
            self._target.flush()


def main() -> None:
    """Serve the process that started this one."""
    leave_ctrl_c_to_the_parent()
    # What notebooks and libraries print must not come between the lines.
    target = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    gate_streams()
    with signals_taken(), WarmKernels(inherited=int(sys.argv[1]) if sys.argv[1:] else None):
        Worker(sys.stdin, target).serve()


if __name__ == "__main__":
    main()
