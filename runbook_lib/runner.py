"""The stages in order for one site, as notebooks, in one incident. A resumed run is the same run: every stage observes first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runbook_lib import errors, places
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.notebook_run import execute
from runbook_lib.params import Site
from runbook_lib.record import Record, SiteLock

UNKNOWN_EXIT = errors.OutcomeUnknown.exit_code
Say = Callable[[Stage, str], None]


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """One stage of a run: its state, how long it took, and the error that ended it, if one did."""

    stage: Stage
    state: StageState
    seconds: float
    error_name: str = ""
    error_text: str = ""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One run: its stages so far, the incident's outcome, the exit code."""

    incident: str
    folder: Path
    stages: tuple[StageReport, ...]
    outcome: Outcome | None
    exit_code: int


def run_stages(
    site: Site,
    site_argument: str,
    record: Record,
    *,
    approve: str = "",
    until: Stage = Stage.VERIFY,
    say: Say = lambda stage, line: None,
) -> RunReport:
    """Run the stages up to ``until`` and return how they went; stops after the first that is not done.

    ``site_argument`` is what the notebooks get as ``site``. Holds the site's lock for the whole run;
    raises SiteLocked where another run has it. After Ctrl-C or SIGTERM the record says so before
    the interruption goes on.
    """
    reports: list[StageReport] = []
    with SiteLock(places.records_dir(), site.name, purpose="run the stages", incident=record.incident):
        for stage in _up_to(until):
            report = _run_stage(stage, site_argument, record, approve if stage is Stage.DELETE else "", say)
            reports.append(report)
            if report.state is not StageState.DONE:
                break
        outcome = _outcome(record, reports[-1], until)
    return RunReport(
        incident=record.incident,
        folder=record.folder,
        stages=tuple(reports),
        outcome=outcome,
        exit_code=_exit_code(reports[-1], outcome),
    )


def _up_to(until: Stage) -> Iterator[Stage]:
    for stage in Stage:
        yield stage
        if stage is until:
            return


def _run_stage(stage: Stage, site: str, record: Record, approve: str, say: Say) -> StageReport:
    template = places.notebooks_dir() / f"{stage}.ipynb"
    running = record.folder / "notebooks" / f"{stage}.running.ipynb"
    running.parent.mkdir(mode=0o700, exist_ok=True)
    parameters = {"site": site, "incident": record.incident, **({"approve": approve} if approve else {})}
    started = time.monotonic()
    try:
        result = execute(
            template, running, parameters, progress=lambda _i, _n, state, heading: say(stage, f"{heading}: {state}")
        )
    except BaseException:
        _keep_notebook(record, stage, running)
        _end(record, stage, StageState.INTERRUPTED, "the run was interrupted")
        record.set_outcome(_unfinished(record, Outcome.STOPPED), "the run was interrupted")
        raise
    _keep_notebook(record, stage, running)
    if not result.completed:
        _end(record, stage, StageState.FAILED, result.cause)
    return StageReport(
        stage=stage,
        state=record.stage_states()[stage],
        seconds=time.monotonic() - started,
        error_name=result.error_name,
        error_text=result.error_text,
    )


def _keep_notebook(record: Record, stage: Stage, running: Path) -> None:
    """Put the executed notebook among the record's files, through its redaction gate."""
    if running.exists():
        record.keep_bytes(f"notebooks/{stage}.ipynb", running.read_bytes(), stage=stage, text="executed notebook")
        running.unlink()


def _end(record: Record, stage: Stage, state: StageState, why: str) -> None:
    """Say how a stage ended where it could not say so itself: its kernel died, or it never began."""
    if record.stage_states()[stage] in {StageState.PENDING, StageState.RUNNING, StageState.INTERRUPTED}:
        record.end_stage(stage, state, why)


def _unfinished(record: Record, otherwise: Outcome) -> Outcome:
    return Outcome.UNKNOWN if record.pending_changes() else otherwise


def _outcome(record: Record, last: StageReport, until: Stage) -> Outcome | None:
    """Write and return the outcome of a run that did not reach its end; a whole run wrote its own in stage 60."""
    if last.state is StageState.DONE:
        return record.outcome() if until is Stage.VERIFY else None
    kind = Outcome.STOPPED if last.state is StageState.STOPPED else Outcome.FAILED
    outcome = Outcome.UNKNOWN if last.state is StageState.UNKNOWN else _unfinished(record, kind)
    record.set_outcome(outcome, f"{last.stage}: {last.error_name}")
    return outcome


def _exit_code(last: StageReport, outcome: Outcome | None) -> int:
    if outcome is Outcome.UNKNOWN:
        return UNKNOWN_EXIT
    if last.state is StageState.DONE:
        return 0
    kind = getattr(errors, last.error_name, None)
    if isinstance(kind, type) and issubclass(kind, errors.RunbookError):
        return kind.exit_code
    return 1

__all__ = ["RunReport", "StageReport", "run_stages"]
