"""The stages in order for one site, as notebooks, in one incident.

A resumed run is the same run: every stage observes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runbook_lib import errors, paths
from runbook_lib.device.prime import identities
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.notebook.engine import NotebookResult, execute
from runbook_lib.notebook.forked_kernel import start_up_variables
from runbook_lib.notebook.runbook import LAST_STAGE
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.params.load import secret_references, site_without_secrets
from runbook_lib.params.model import Site
from runbook_lib.paths import find_browser
from runbook_lib.processes import environment_with
from runbook_lib.record.artifacts import note_template
from runbook_lib.record.attestation import Seal, note_after_seal, seal_record
from runbook_lib.record.files import gate_notebook, write_new
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import SiteLock
from runbook_lib.record.stages import progress_in_words
from runbook_lib.repair.sent_changes import anything_sent, unseen_changes
from runbook_lib.secrets import SecretRef, learn

if TYPE_CHECKING:
    from runbook_lib.notebook.provisioner import NotebookKernel

ON_PAGES = frozenset({Stage.REGISTER, Stage.READD_ISE, Stage.VERIFY, Stage.POST_MORTEM})
"""The stages that may need a browser, and those after them."""
CHANGING = frozenset({Stage.DELETE, Stage.REGISTER, Stage.READD_ISE})
"""The stages that change something, and so take an approval."""
UNSEEN = "nobody saw how a change ended; 60_verify finds out"


class Listener(Protocol):
    """Told of a run while it goes on, from the thread that runs it; what a stage is doing should return at once.

    ``continues`` is told before the first stage what stands in the journal after its newest seal, where anything does.
    """

    def continues(self, unsealed: str) -> None: ...
    def stage_started(self, stage: Stage) -> None: ...
    def doing(self, words: str) -> None: ...
    def stage_ended(self, report: StageReport) -> None: ...


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """One stage of a run: its state, how long it took, and the error that ended it, if one did.

    ``error_text`` is a RunbookError's own text (what, where, found, next), or what else ended the notebook.
    """

    stage: Stage
    state: StageState
    seconds: float
    error_name: str = ""
    error_text: str = ""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One run: its stages so far, the incident's outcome, the exit code, the seal that ended it.

    A run that went well and left a secret in its record ends as one whose record cannot be relied on.
    ``changes`` says what was changed in the whole incident. ``report`` is the page of the post-mortem that the run
    wrote, None where it did not come so far.
    """

    incident: str
    folder: Path
    stages: tuple[StageReport, ...]
    outcome: Outcome | None
    exit_code: int
    seal: Seal
    changes: str
    report: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What all stages of a run share: ``site`` as the notebooks get it, and by stage what ``given`` adds to that."""

    site: str
    record: Record
    listener: Listener
    given: Mapping[Stage, dict[str, str]]
    secrets: tuple[SecretRef, ...]


def run_stages(
    site: Site,
    site_argument: str,
    record: Record,
    listener: Listener,
    *,
    approve: str = "",
    expect: str = "",
    until: Stage = Stage.POST_MORTEM,
) -> RunReport:
    """Run the stages up to ``until`` and return how they went; stops after the first that is not done.

    ``site_argument`` is what the notebooks get as ``site``; stage 20 gets ``expect``, the changing ones ``approve``.
    Holds the site's lock for the whole run; raises SiteLocked where another run has it, StageOutOfOrder where the
    incident has ended, and BrowserMissing before anything is contacted where a stage will need one. After Ctrl-C or
    SIGTERM the record says so before the interruption goes on. However the run ends, the record is sealed at its end.
    """
    if until in ON_PAGES:
        find_browser(site.browser)
    given = {Stage.LIST: {"expect": expect} if expect else {}}
    given |= {stage: {"approve": approve} if approve else {} for stage in CHANGING}
    secrets = secret_references(site)
    run = _Run(site=site_argument, record=record, listener=listener, given=given, secrets=secrets)
    # What the notebooks' kernels print and write is kept by this process, so its gate must know the secrets too.
    learn(secrets)
    lock = SiteLock(site.name, identities(site), purpose="run the stages", incident=record.incident)
    with lock, WarmKernels():
        record.require_open()
        try:
            for unsealed in note_after_seal(record):  # under the lock: a run that is refused has continued nothing
                listener.continues(unsealed)
            reports = _run_each(run, until)
            outcome = _outcome(record, reports[-1], until)
        except BaseException as error:
            with suppress(errors.RunbookError):  # what ended the run is what has to be told
                _note_failure(record, error)
            with suppress(errors.RunbookError):
                seal_record(record, site_without_secrets(site))
            raise
        sealed = seal_record(record, site_without_secrets(site))
    lines = record.journal.read().lines
    kept = (line.path for line in reversed(lines))
    pages = (record.folder / path for path in kept if path.startswith("report/") and path.endswith(".html"))
    return RunReport(
        incident=record.incident,
        folder=record.folder,
        stages=tuple(reports),
        outcome=outcome,
        exit_code=_exit_code(record, reports[-1], outcome) or (errors.RecordError.exit_code if sealed.leaks else 0),
        seal=sealed,
        changes=progress_in_words(lines),
        report=next(pages, None) if reports[-1].stage is Stage.POST_MORTEM else None,
    )


def _note_failure(record: Record, error: BaseException) -> None:
    """Give the incident its outcome after an error: an interruption has one, and no report's error changes it."""
    begun = [line.stage for line in record.journal.read().lines if line.kind is Kind.STAGE_STARTED]
    if isinstance(error, errors.SafetyStop):  # of the listener, before a stage
        record.set_outcome(_unfinished(record, Outcome.STOPPED), error.what)
    elif isinstance(error, errors.RunbookError) and begun[-1:] != [Stage.POST_MORTEM]:
        record.set_outcome(_unfinished(record, Outcome.FAILED), type(error).__name__)


def _run_each(run: _Run, until: Stage) -> list[StageReport]:
    from runbook_lib.notebook.provisioner import NotebookKernel  # and with it Jupyter

    reports: list[StageReport] = []
    environment = kernel_environment(run.secrets) | {LAST_STAGE: until.value}
    with NotebookKernel(keeps=True) as kernel:
        for stage in tuple(Stage)[: tuple(Stage).index(until) + 1]:
            run.listener.stage_started(stage)
            report = _run_stage(run, stage, environment, kernel)
            reports.append(report)
            run.listener.stage_ended(report)
            if report.state is not StageState.DONE:
                break
    return reports


def kernel_environment(secrets: Iterable[SecretRef]) -> dict[str, str]:
    """Return the environment of a stage's kernel: of all ``env:`` secrets it gets those of its own site."""
    named = (secret.locator for secret in secrets if secret.scheme == "env")
    return environment_with([*named, *start_up_variables(os.environ)])


def _run_stage(run: _Run, stage: Stage, environment: Mapping[str, str], kernel: NotebookKernel) -> StageReport:
    record = run.record
    template = paths.notebooks_dir() / f"{stage}.ipynb"
    parameters = {"site": run.site, "incident": record.incident, **run.given.get(stage, {})}
    started = time.monotonic()
    note_template(record, stage, template)
    running = begin_notebook(record, stage)
    try:
        result = execute(
            template,
            running,
            parameters,
            env=environment,
            progress=lambda _at, _of, _state, words: run.listener.doing(words),
            kernel=kernel,
        )
    except BaseException as error:
        with suppress(errors.RecordError):  # the interruption goes on, whatever the record takes
            if isinstance(error, errors.RunbookError):
                _end(record, stage, StageState.FAILED, error.what)
            else:
                _end(record, stage, StageState.INTERRUPTED, "the run was interrupted")
                if stage is not Stage.POST_MORTEM:
                    record.set_outcome(_unfinished(record, Outcome.STOPPED), "the run was interrupted")
        with suppress(errors.RecordError):
            _keep_notebook(record, stage, running)
        raise
    _keep_notebook(record, stage, running)
    if not result.completed:
        ended = StageState.STOPPED if _is_for_a_person(record, result.error_name) else StageState.FAILED
        _end(record, stage, ended, result.cause)
    return StageReport(
        stage=stage,
        state=record.stage_states()[stage],
        seconds=time.monotonic() - started,
        error_name=result.error_name,
        error_text=_advice(result, record.folder / "notebooks" / f"{stage}.ipynb"),
    )


def begin_notebook(record: Record, stage: Stage) -> Path:
    """Return where a running notebook is written: a new file, whatever lay there, since a link would lead elsewhere."""
    running = record.place(f"notebooks/{stage}.running.ipynb")
    write_new(running, b"", over=True)
    return running


def _advice(result: NotebookResult, kept: Path) -> str:
    """Return what a terminal shows of a failure: a RunbookError's own text; for others where to read more."""
    if result.completed or errors.kind_called(result.error_name):
        return result.error_text
    text = result.error_text or result.cause
    return str(
        errors.RunbookError(
            f"{result.error_name or 'The stage ended'}: {text}",
            where=" · ".join(part for part in (str(kept), result.heading) if part),
            next_step="open the executed notebook; to continue, run the same command: every stage looks first",
        )
    )


def _keep_notebook(record: Record, stage: Stage, running: Path) -> None:
    """Put the executed notebook among the record's files, through its redaction gate.

    Where it cannot be kept it stays as the run left it, unless it holds a secret.
    """
    if running.exists() and running.stat().st_size:
        as_run = running.read_bytes()
        executed = gate_notebook(as_run)
        try:
            record.keep_bytes(f"notebooks/{stage}.ipynb", executed, stage=stage, text="executed notebook")
        except errors.RecordError:
            if executed != as_run:
                running.unlink(missing_ok=True)
            raise
    running.unlink(missing_ok=True)


def _end(record: Record, stage: Stage, state: StageState, why: str) -> None:
    """Say how a stage ended where it could not say so itself: its kernel died, or it never began."""
    if record.stage_states()[stage] in {StageState.PENDING, StageState.RUNNING, StageState.INTERRUPTED}:
        record.end_stage(stage, state, why)


def _unfinished(record: Record, otherwise: Outcome) -> Outcome:
    """Return what a run is called that nothing of the repair's own judged: unknown where a change's end is."""
    return Outcome.UNKNOWN if unseen_changes(record) else otherwise


def _outcome(record: Record, last: StageReport, until: Stage) -> Outcome | None:
    """Write and return the outcome of a run that ended before stage 60 wrote it; the report adds none.

    Done as asked for is none, but where something was sent whose end only stage 60 can tell.
    """
    if last.stage is Stage.POST_MORTEM:
        return record.outcome()
    if last.state is StageState.DONE:
        if until in CHANGING and unseen_changes(record):
            record.set_outcome(Outcome.UNKNOWN, UNSEEN)
            return Outcome.UNKNOWN
        return record.outcome() if until is Stage.VERIFY else None
    kind = Outcome.STOPPED if last.state is StageState.STOPPED else Outcome.FAILED
    ended_by = errors.kind_called(last.error_name) or errors.DeviceError
    # What stops for safety, and what failed by the repair's own judgement, is known; of the rest somebody has to look.
    unseen = unseen_changes(record) if issubclass(ended_by, errors.DeviceError) else record.pending_changes()
    outcome = Outcome.UNKNOWN if last.state is StageState.UNKNOWN or unseen else kind
    record.set_outcome(outcome, f"{last.stage}: {last.error_name}")
    return outcome


def _is_for_a_person(record: Record, error_name: str) -> bool:
    """Whether a stage's error says that nothing was begun although something was sent before: code 2 would be wrong."""
    kind = errors.kind_called(error_name)
    return kind is not None and issubclass(kind, errors.UsageError) and anything_sent(record)


def _exit_code(record: Record, last: StageReport, outcome: Outcome | None) -> int:
    if outcome is Outcome.UNKNOWN:
        return errors.OutcomeUnknown.exit_code
    if last.state is StageState.DONE:
        return 0
    if _is_for_a_person(record, last.error_name):
        return errors.DecisionNeeded.exit_code
    kind = errors.kind_called(last.error_name)
    return kind.exit_code if kind else 1
