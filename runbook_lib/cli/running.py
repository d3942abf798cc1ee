"""``runbook run``: the stages of one site in order, one line each, and a table at the end."""

from __future__ import annotations

import time

from runbook_lib import places
from runbook_lib.cli.interrupted import say_interrupted
from runbook_lib.cli.left import left_behind, shortened
from runbook_lib.cli.plans import show_plan, would
from runbook_lib.cli.progress import Progress
from runbook_lib.cli.terminal import err_lines, out, out_lines
from runbook_lib.errors import ApprovalMissing, DeletionRefused, ParameterRefused
from runbook_lib.models import Stage, StageState
from runbook_lib.params import Site
from runbook_lib.record import Record, find_open
from runbook_lib.record.seal import note_after_seal
from runbook_lib.runner import RunReport, StageReport, run_stages
from runbook_lib.session import open_incident, open_site
from runbook_lib.signals import Terminated
from runbook_lib.steps.expecting import check_given
from runbook_lib.views import Row, Table, View
from runbook_lib.views.standing import STATE_MARKS


def run_command(
    site: str,
    *,
    incident: str = "",
    resume: bool = False,
    until: str = "70",
    approve: str = "",
    expect: str = "",
    dry_run: bool = False,
) -> int:
    """Run and return the exit code; a bad expectation is refused before a record is opened or a server asked.

    ``dry_run``: the plan is made and shown, with what a run would do by it; nothing is approved or changed.
    """
    if dry_run and approve:
        raise ParameterRefused("A dry run approves nothing", next_step="leave out --approve, or --dry-run")
    last = Stage.LIST if dry_run else stage_named(until)
    settings = open_site(site)
    check_given(expect, settings)
    if resume and not incident and not find_open(places.records_dir(), settings.name):
        raise ParameterRefused(
            f"Site {settings.name} has no open incident to resume", next_step="leave out --resume to open a new one"
        )
    record = open_incident(settings, incident, what="runbook run", given=site)
    report, seconds = run_and_tell(settings, site, record, until=last, approve=approve, expect=expect)
    if stopped_at_plan(report):
        plan = record.read_plan()
        out()
        show_plan(record, plan)
        if dry_run:
            out()
            out_lines(would(plan, lab=settings.kind == "lab").text())
            out("Nothing was changed.")
    return conclude(report, seconds)


def stopped_at_plan(report: RunReport) -> bool:
    """Whether a run ended where its plan is looked at: made and no further, not approved, or blocked."""
    last = report.stages[-1]
    if last.stage is Stage.LIST:
        return last.state is StageState.DONE
    return last.error_name in (ApprovalMissing.__name__, DeletionRefused.__name__)


def run_and_tell(
    site: Site, argument: str, record: Record, *, until: Stage = Stage.POST_MORTEM, approve: str = "", expect: str = ""
) -> tuple[RunReport, float]:
    """Run the stages and tell of each while it goes on; return the report and the seconds that it took."""
    out(f"site {site.name} · incident {record.incident}")
    for line in note_after_seal(record):
        out(line)
    started = time.monotonic()
    try:
        with Progress(record).following() as progress:
            report = run_stages(site, argument, record, progress, until=until, approve=approve, expect=expect)
    except (KeyboardInterrupt, Terminated) as stop:
        say_interrupted(record, stop)
        raise
    return report, time.monotonic() - started


def conclude(report: RunReport, seconds: float) -> int:
    """Print the table that ends a run, and the error that ended it, if one did; return the exit code."""
    out()
    out_lines(summary(report, seconds).text())
    if report.report:
        out(f"report:  {report.report}")
    out(f"seal:    {report.seal}")
    out(f"outcome: {report.outcome or 'not finished'}")
    out(f"record:  {report.folder}")
    problem = shortened(report.stages[-1].error_text, report.folder / "errors")
    if report.exit_code and problem:
        err_lines(problem)
    if report.exit_code and not stopped_at_plan(report):
        err_lines("\n" + left_behind(Record.open(report.folder.parent, report.incident)))
    return report.exit_code


def summary(report: RunReport, seconds: float) -> View[RunReport]:
    """Return the table that ends a run: stage, outcome, seconds."""
    rows = [_row(stage) for stage in report.stages]
    rows.append(Row(cells=("all", report.outcome or "not finished", f"{seconds:.1f}")))
    table = Table(
        title=f"Incident {report.incident}",
        headers=("stage", "outcome", "seconds"),
        rows=tuple(rows),
    )
    return View(report, (table,))


def _row(stage: StageReport) -> Row:
    word = f"{stage.state} ({stage.error_name})" if stage.error_name else str(stage.state)
    return Row(cells=(stage.stage, word, f"{stage.seconds:.1f}"), mark=STATE_MARKS.get(stage.state, ""))


def stage_named(text: str) -> Stage:
    """Return the stage of a number or a name, as ``20`` or ``20_list_certificates``."""
    found = [stage for stage in Stage if text in (stage, stage[:2])]
    if not found:
        raise ParameterRefused(f"There is no stage {text!r}", next_step=f"one of: {', '.join(Stage)}")
    return found[0]
