"""``runbook run``: the stages of one site in order, one line each, and what is said where a run did not end well."""

from __future__ import annotations

import signal
import textwrap
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path

from runbook_lib import errors, paths
from runbook_lib.batch.runner import RunReport, StageReport, run_stages
from runbook_lib.cli.plans import dry_run_view, show_plan
from runbook_lib.cli.terminal import begin_line, can_renew_line, err_lines, out, out_lines, prose, renew_line
from runbook_lib.decisions import is_sha256
from runbook_lib.i18n.language import count, stamp
from runbook_lib.models import Stage, StageState
from runbook_lib.notebook.opening import open_incident, stage_named
from runbook_lib.notebook.workspace import next_run, open_site
from runbook_lib.params.model import Site
from runbook_lib.processes import Terminated
from runbook_lib.record.incident import Record, find_open
from runbook_lib.record.journal import About, Kind, Line, LineTopic
from runbook_lib.record.stages import pending_changes
from runbook_lib.repair.inventory import check_given
from runbook_lib.repair.preflight import require_logins
from runbook_lib.repair.sent_changes import about_deletion, change_intents, deletion_intents, unseen_changes
from runbook_lib.secrets import REDACTOR
from runbook_lib.show.document import STATE_TONES, Row, Table
from runbook_lib.show.rendering import View

# -- What a terminal shows of a run while it goes on: one line per stage and one per change, each with its seconds

LOOK_EVERY_S = 0.5
Change = tuple[str, str, About]


class RunProgress:
    """Begins a line as a stage or a change starts, and ends it with how that went; the journal tells of changes.

    On a terminal the last line also says what the stage is doing, and for how long; it is renewed until it is ended.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._told = len(record.journal.read().lines)
        self._sent_utc: dict[Change, datetime] = {}
        self._open_line = ""
        self._stage, self._doing, self._began = "", "", 0.0
        self._renewed = False
        self._guard = threading.Lock()
        self._over = threading.Event()

    @contextmanager
    def following(self) -> Iterator[RunProgress]:
        """Follow the journal meanwhile: the stages' kernels write to it."""
        follower = threading.Thread(target=self._follow, name="progress", daemon=True)
        follower.start()
        try:
            yield self
        finally:
            self._over.set()
            follower.join()
            self._break_line()

    def continues(self, unsealed: str) -> None:
        out(unsealed)

    def stage_started(self, stage: Stage) -> None:
        with self._guard:
            self._begin(stage)
            self._stage, self._doing, self._began = stage, "", time.monotonic()

    def doing(self, words: str) -> None:
        self._doing = words  # shown at the next look: this is called with each line that a cell prints

    def stage_ended(self, report: StageReport) -> None:
        with self._guard:
            self._stage = ""
            self._tell_changes()
            self._end(report.stage, f"{report.state}, {report.seconds:.1f} s")

    def _follow(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            with self._guard:
                self._tell_changes()
                if self._stage and can_renew_line():
                    took = f"{time.monotonic() - self._began:.0f} s"
                    renew_line(f"{self._open_line or self._stage} … {f'{self._doing}, ' if self._doing else ''}{took}")
                    self._renewed = True

    def _tell_changes(self) -> None:
        try:
            lines = self._record.journal.read().lines
        except errors.RunbookError:
            return  # the stage that writes to it will say so
        new, self._told = lines[self._told :], len(lines)
        for line in new:
            self._tell(line)

    def _tell(self, line: Line) -> None:
        change = (line.stage, line.server, line.about.subject)
        what = f"    {line.server}: {'delete ' if line.stage == Stage.DELETE else ''}{line.text}"
        if line.kind is Kind.INTENT:
            self._sent_utc[change] = line.utc
            self._begin(what)
        elif line.about.topic is LineTopic.MILESTONES:
            self._break_line()
            out(f"    {line.server}: {line.seen}")
        elif line.kind is Kind.RESULT:
            since = self._sent_utc.pop(change, None)
            self._end(what, f"{line.seen}, {(line.utc - since).total_seconds():.1f} s" if since else line.seen)

    def _begin(self, what: str) -> None:
        self._break_line()
        begin_line(f"{what} … ")
        self._open_line = what

    def _end(self, what: str, how: str) -> None:
        self._as_begun()
        if self._open_line != what:
            self._break_line()
            begin_line(f"{what}: ")
        out(how)
        self._open_line = ""

    def _as_begun(self) -> None:
        """Take back what the renewed line said beyond what was begun."""
        if self._renewed:
            renew_line(f"{self._open_line} … " if self._open_line else "")
            self._renewed = False

    def _break_line(self) -> None:
        self._as_begun()
        if self._open_line:
            out()
            self._open_line = ""


# -- What the terminal says of a run that did not end well: what is done, what is not, what is unknown, and what to run.
#
# From the record alone, for somebody at night: 80 columns, lists are counted, with their first three.

SHOWN = 3
_WIDTH, _INDENT, _FURTHER = 80, " " * 12, " " * 9


def left_behind(record: Record, then: str) -> str:
    """Return the text, ``then`` as what comes next; if nothing was sent and nothing is planned, that alone."""
    unknown = unseen_changes(record)
    sent = [(server, about_deletion(key)) for server, key in deletion_intents(record)]
    changes = [("primary", what) for what, _ in change_intents(record)]
    planned = []
    with suppress(errors.StageOutOfOrder):
        planned = [(row.server, about_deletion(row.key)) for row in record.read_plan().deletions]
    rows = [
        ("done", [change for change in (*sent, *changes) if change not in unknown]),
        ("not done", [change for change in planned if change not in sent]),
        ("unknown", unknown),
    ]
    lines = [line for name, places in rows if places for line in _left_row(name, _listed(places, record))]
    return "\n".join([*lines, *_left_row("next", then.splitlines())])


def shortened(problem: str, folder: Path) -> str:
    """Return an error's text; of a long list that it found, the first and last three items and where the whole list is.

    ``folder`` is where a stage keeps what was found; where it kept nothing, the text stays as it is.
    """
    lines = problem.split("\n")
    begin = next((n for n, line in enumerate(lines) if line.startswith("  found: ")), len(lines))
    end = begin + 1
    while end < len(lines) and lines[end].startswith(_FURTHER):
        end += 1
    if end - begin <= errors.MOST_LINES or not folder.is_dir():
        return problem
    cut = lines[end - 1].endswith(" more characters)")
    many = "more" if cut else f"{end - begin - 2 * SHOWN} more of {end - begin}"
    more = f"{_FURTHER}and {many}: {errors.one_line(str(folder))}"
    return "\n".join([*lines[: begin + SHOWN], more, *lines[end - SHOWN :]])


def _listed(places: Sequence[tuple[str, About]], record: Record) -> Iterable[str]:
    """Yield the first three, and how many there are beside them and where those stand."""
    for server, what in islice(places, SHOWN):
        whole = REDACTOR.redact_text(errors.one_line(f"{server}: {what}"))  # before it is broken into lines
        yield from textwrap.wrap(whole, _WIDTH - len(_INDENT), subsequent_indent="  ")
    if len(places) > SHOWN:
        yield f"and {len(places) - SHOWN} more of {len(places)}: runbook plan {record.incident}"


def _left_row(name: str, lines: Iterable[str]) -> list[str]:
    return [f"{'' if number else name + ':':<{len(_INDENT)}}{line}" for number, line in enumerate(lines)]


# -- What a run says that a signal has ended: what was sent, what goes on without it, and how to take it up again

GOES_ON = {
    Stage.DELETE: "a command that has reached the server is carried out there; its list says what became of it",
    Stage.REGISTER: "the servers carry out what has reached them, a registration takes half an hour to hours",
    Stage.READD_ISE: "what has reached the page is carried out there; the page says what became of it",
}


def interrupted(record: Record, stop: BaseException) -> str:
    """Say from the record alone what a run that a signal ended leaves behind; ``stop`` is what the signal raised."""
    lines = record.journal.read().lines
    pending = pending_changes(lines)
    made = sum(line.kind is Kind.SENT for line in lines)
    known = f"{count(made, 'change')}, each result is in the record" if made else "nothing; no server was changed"
    rows = [("sent", _sent(change, lines)) for change in pending] or [("sent", known)]
    going_on = dict.fromkeys(GOES_ON.get(Stage(change.stage), "") for change in pending)
    rows += [("goes on", text) for text in going_on if text]
    rows.append(("record", str(record.folder)))
    how = "" if record.is_closed() else "\nit looks at everything first; what was sent is not sent again"
    rows.append(("next", next_run(record) + how))
    begun = [line.stage for line in lines if line.kind is Kind.STAGE_STARTED]
    name = signal.Signals(stop.signum).name if isinstance(stop, Terminated) else "Ctrl-C"
    ended = f"{name} ended the run" + (f" in stage {begun[-1]}." if begun else " before its first stage.")
    return "\n".join([ended, *(f"  {name + ':':<9}{text.replace(chr(10), chr(10) + ' ' * 11)}" for name, text in rows)])


def _sent(change: Line, lines: tuple[Line, ...]) -> str:
    same = (Kind.SENT, change.stage, change.server, change.about.subject)
    left = [line for line in lines[change.n :] if (line.kind, line.stage, line.server, line.about.subject) == same]
    how = (
        f"sent at {stamp(left[-1].utc)}; its result was not seen" if left else "was about to be sent; it may have left"
    )
    return errors.one_line(f"{change.text}, {change.server}: {how}")


# -- ``runbook run``: the stages of one site in order, one line each, and a table at the end -------


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
    Raises ParameterRefused where what was given does not go together, and what ``run_stages`` raises.
    """
    if dry_run and approve:
        raise errors.ParameterRefused("A dry run approves nothing", next_step="leave out --approve, or --dry-run")
    if approve and not is_sha256(approve):
        raise errors.ParameterRefused(
            "This is not a plan's digest; nothing was begun",
            found=f"--approve {approve}",
            next_step=f"give all 64 digits, as runbook plan {incident or site} shows them, or leave out --approve",
        )
    last = Stage.LIST if dry_run else stage_named(until)
    settings = open_site(site)
    check_given(expect, settings)
    if resume and not incident and not find_open(paths.records_dir(), settings.name):
        raise errors.ParameterRefused(
            f"Site {settings.name} has no open incident to resume", next_step="leave out --resume to open a new one"
        )
    if last not in (Stage.START, Stage.DIAGNOSE):
        require_logins(settings)  # an incident is opened for what can begin
    record = open_incident(settings, incident, what="runbook run", given=site)
    report, seconds = run_and_tell(settings, site, record, until=last, approve=approve, expect=expect)
    if stopped_at_plan(report):
        plan = record.read_plan()
        out()
        show_plan(record, plan)
        if dry_run:
            out()
            out_lines(dry_run_view(plan, lab=settings.kind == "lab").text())
            out("Nothing was changed.")
    return conclude(report, seconds)


def stopped_at_plan(report: RunReport) -> bool:
    """Whether a run ended where its plan is looked at: made and no further, not approved, or blocked."""
    last = report.stages[-1]
    if last.stage is Stage.LIST:
        return last.state is StageState.DONE
    return last.error_name in (errors.ApprovalMissing.__name__, errors.DeletionRefused.__name__)


def run_and_tell(
    site: Site, argument: str, record: Record, *, until: Stage = Stage.POST_MORTEM, approve: str = "", expect: str = ""
) -> tuple[RunReport, float]:
    """Run the stages and tell of each while it goes on; return the report and the seconds that it took."""
    out(f"site {site.name} · incident {record.incident}")
    started = time.monotonic()
    try:
        with RunProgress(record).following() as progress:
            report = run_stages(site, argument, record, progress, until=until, approve=approve, expect=expect)
    except (KeyboardInterrupt, Terminated) as stop:
        err_lines("\n" + interrupted(record, stop))
        raise
    return report, time.monotonic() - started


def conclude(report: RunReport, seconds: float, then: str = "") -> int:
    """Print the table that ends a run, and the error that ended it, if one did; return the exit code.

    ``then`` is the next command where that is not the one that continues the incident.
    """
    out()
    out_lines(summary(report, seconds).text())
    if report.report:
        out(f"report:  {report.report}")
    prose(f"seal:    {report.seal}")
    prose(f"changes: {report.changes}")
    out(f"outcome: {report.outcome or 'not finished'}")
    out(f"record:  {report.folder}")
    last, record = report.stages[-1], Record.open(report.folder.parent, report.incident)
    if report.exit_code and (problem := shortened(last.error_text, report.folder / "errors")):
        err_lines(problem)
    if report.exit_code and not stopped_at_plan(report):
        # Each refused login may lock the user.
        first = "log in by hand; once that works:\n" * (last.error_name == errors.LoginRefused.__name__)
        err_lines("\n" + left_behind(record, first + (then or next_run(record))))
    if not report.exit_code and not report.outcome and not stopped_at_plan(report):
        out(f"read:    {record.folder / 'notebooks' / last.stage}.ipynb")
        prose(f"Next: {next_run(record)}")
    return report.exit_code


def summary(report: RunReport, seconds: float) -> View[RunReport]:
    """Return the table that ends a run: stage, outcome, seconds."""
    rows = [
        Row(
            stage.stage,
            f"{stage.state} ({stage.error_name})" if stage.error_name else str(stage.state),
            f"{stage.seconds:.1f}",
            mark=STATE_TONES.get(stage.state, ""),
        )
        for stage in report.stages
    ]
    rows.append(Row("all", report.outcome or "not finished", f"{seconds:.1f}"))
    title = f"Incident {report.incident}"
    return View(report, (Table(title=title, headers=("stage", "outcome", "seconds"), rows=tuple(rows)),))
