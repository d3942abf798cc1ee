"""A report that cannot be written takes nothing from a repair that was proven."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from fleet_kit import task
from incident_kit import Incident, run_one_stage
from report_kit import whole_record
from site_kit import site_with

from runbook_lib.batch import runner
from runbook_lib.batch.runner import RunReport, StageReport
from runbook_lib.batch.site_run import SiteState, _of_report
from runbook_lib.decisions import Deletion
from runbook_lib.errors import RecordNotWritable
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.notebook.closing_stages import WritePostMortem
from runbook_lib.notebook.engine import NotebookResult
from runbook_lib.record.attestation import Seal
from runbook_lib.record.incident import Record
from runbook_lib.record.stages import progress_in_words
from runbook_lib.show.document import Link
from runbook_lib.show.report import post_mortem


def raise_(error: Exception) -> NoReturn:
    raise error


def test_a_failed_report_leaves_the_outcome(tmp_path: Path) -> None:
    """The outcome stays the one that stage 60 wrote, and no further one is written."""
    record = whole_record(tmp_path)
    before = record.journal.path.read_bytes()
    last = StageReport(stage=Stage.POST_MORTEM, state=StageState.FAILED, seconds=1, error_name="RecordNotWritable")
    assert runner._outcome(record, last, Stage.POST_MORTEM) is Outcome.REPAIRED
    assert record.journal.path.read_bytes() == before


@pytest.mark.parametrize(
    ("until", "seen", "outcome", "code"),
    [(Stage.DELETE, Deletion.GONE, None, 0), (Stage.DELETE, Deletion.NOT_DELETED_OR_CAME_BACK, Outcome.UNKNOWN, 6),
     (Stage.READD_ISE, Deletion.NOT_DELETED_OR_CAME_BACK, Outcome.UNKNOWN, 6),
     (Stage.LIST, Deletion.NOT_DELETED_OR_CAME_BACK, None, 0)],
)  # fmt: skip
def test_a_run_that_was_to_end_before_60_is_not_done_while_a_deletions_end_is_unknown(
    tmp_path: Path, until: Stage, seen: Deletion, outcome: Outcome | None, code: int
) -> None:
    """Its exit code, its outcome and what a fleet calls its site say what the record does; reading only, it is done."""
    incident = Incident(tmp_path)
    record = incident.record
    incident.sent("primary", "10.0.0.1_443", seen)
    last = StageReport(stage=until, state=StageState.DONE, seconds=1)
    assert runner._outcome(record, last, until) is outcome
    assert record.outcome() is outcome
    assert runner._exit_code(record, last, outcome) == code
    report = RunReport(
        incident="i",
        folder=tmp_path,
        stages=(last,),
        outcome=outcome,
        exit_code=code,
        seal=Seal(folder="seals/1", files=0, lines=0),
        changes="",
    )
    state, why = _of_report(task(1, until=until), report, record)
    assert (state, bool(why)) == ((SiteState.UNKNOWN, True) if outcome else (SiteState.DONE, False))


def test_an_interrupted_report_leaves_the_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the report is written ends the stage as interrupted; how the incident ended stays."""

    def interrupted(*_: object, **__: object) -> NotebookResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "execute", interrupted)
    record = whole_record(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_one_stage(record, Stage.POST_MORTEM)
    assert record.outcome() is Outcome.REPAIRED
    assert record.stage_states()[Stage.POST_MORTEM] is StageState.INTERRUPTED


@pytest.mark.parametrize(("sent", "outcome"), [(False, Outcome.STOPPED), (True, Outcome.UNKNOWN)])
def test_an_interruption_goes_on_where_the_record_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bool, outcome: Outcome
) -> None:
    """A notebook that cannot be kept hides neither the interruption nor what can still be written of it.

    It is unknown after a deletion whose end nobody saw, as where the record fails, or somebody closes the incident.
    """
    incident = Incident(tmp_path)
    record = incident.record
    if sent:
        incident.sent("primary", "10.0.0.1_443", Deletion.NOT_DELETED_OR_CAME_BACK)

    def interrupted(_template: object, output: Path, *_: object, **__: object) -> NotebookResult:
        output.write_text("{}")
        monkeypatch.setattr(record, "keep_bytes", lambda *_, **__: raise_(RecordNotWritable("full")))
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_one_stage(record, Stage.LIST)
    assert record.stage_states()[Stage.LIST] is StageState.INTERRUPTED
    assert record.outcome() is outcome


def test_a_notebook_that_cannot_be_written_is_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage failed, and why is told; the outcome is left to the run, which knows what was sent."""
    record = Record.create(tmp_path, "lab")
    monkeypatch.setattr(runner, "execute", lambda *_, **__: raise_(RecordNotWritable("no space")))
    with pytest.raises(RecordNotWritable):
        run_one_stage(record, Stage.LIST)
    assert record.stage_states()[Stage.LIST] is StageState.FAILED
    assert record.outcome() is None
    assert not [line for line in record.journal.read().lines if "interrupted" in line.text + line.seen]


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("", Outcome.FAILED),
        ("open", Outcome.UNKNOWN),
        ("not seen", Outcome.UNKNOWN),
        ("gone", Outcome.FAILED),
        ("proven", Outcome.REPAIRED),
    ],
)
def test_a_record_that_fails_at_the_end_of_a_stage_ends_with_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, outcome: Outcome
) -> None:
    """Failed, or unknown where the end of a change was not seen; a report changes none. The record's error is told."""
    incident = Incident(tmp_path)
    record = incident.record
    if what == "open":
        record.intend(Stage.DELETE, "primary", "10.0.0.1_443")
    elif what in ("gone", "not seen"):
        seen = Deletion.GONE if what == "gone" else Deletion.NOT_DELETED_OR_CAME_BACK
        incident.sent("primary", "10.0.0.1_443", seen)

    def run_each(*_: object) -> None:
        if what == "proven":  # by this very run: none begins in an incident that has ended
            record.set_outcome(Outcome.REPAIRED)
            record.start_stage(Stage.POST_MORTEM)
        raise RecordNotWritable("full")

    monkeypatch.setattr(runner, "_run_each", run_each)
    monkeypatch.setattr(runner, "SiteLock", lambda *_, **__: nullcontext())
    monkeypatch.setattr(runner, "WarmKernels", nullcontext)
    site, listener = site_with(), cast("Any", None)
    with pytest.raises(RecordNotWritable, match="full"):
        runner.run_stages(site, "lab", record, listener, until=Stage.LIST)
    assert record.outcome() is outcome


def test_a_deletion_whose_end_was_not_seen_is_doubtful_until_a_repair_proves_it(tmp_path: Path) -> None:
    """The entry was listed when it was read back: stage 60 settles what that was; what is sent later is open again."""
    incident = Incident(tmp_path)
    incident.sent("primary", "10.0.0.1_443", Deletion.NOT_DELETED_OR_CAME_BACK)
    reports = [post_mortem(incident.record.folder)]
    assert Deletion.NOT_DELETED_OR_CAME_BACK in progress_in_words(incident.record.journal.read().lines)
    incident.record.set_outcome(Outcome.REPAIRED)
    reports.append(post_mortem(incident.record.folder))
    assert progress_in_words(incident.record.journal.read().lines) == "1 entry deleted"
    incident.sent("primary", "10.0.0.1_443", Deletion.NOT_DELETED_OR_CAME_BACK)
    reports.append(post_mortem(incident.record.folder))
    not_known = "Result not known: delete 10.0.0.1_443 on the primary"
    assert [report.unproven.count(not_known) for report in reports] == [1, 0, 1]
    assert ["the result of 1 is not known" in " ".join(report.summary) for report in reports] == [True, False, True]


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        ("LoginQuestion", Outcome.UNKNOWN, 6),
        ("", Outcome.UNKNOWN, 6),
        ("PlanStale", Outcome.STOPPED, 3),
        ("RepairFailed", Outcome.FAILED, 1),
    ],
)
def test_a_run_that_a_device_ends_after_a_deletion_whose_end_was_not_seen_is_unknown(
    tmp_path: Path, error: str, outcome: Outcome, code: int
) -> None:
    """As where an incident stands says it; where all that was sent was seen, the device's error is what is told."""
    record, state = Incident(tmp_path).record, StageState.STOPPED if code == 3 else StageState.FAILED
    last = StageReport(stage=Stage.DELETE, state=state, seconds=1, error_name=error)
    if error == "LoginQuestion":
        assert runner._exit_code(record, last, runner._outcome(record, last, Stage.POST_MORTEM)) == 4
    incident = Incident(tmp_path, record=record)
    incident.sent("primary", "10.0.0.1_443", Deletion.NOT_DELETED_OR_CAME_BACK)
    assert runner._outcome(record, last, Stage.POST_MORTEM) is outcome
    assert runner._exit_code(record, last, outcome) == code


@pytest.mark.parametrize(
    ("attended", "href"),
    [(True, "../../20260101T000000Z-x-0000/report/post-mortem.html"), (False, "../report/post-mortem.html")],
)
def test_the_written_files_are_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attended: bool, href: str
) -> None:
    """From the copy that a person works in, and from the executed notebook that a run keeps in the record."""
    record = tmp_path / "20260101T000000Z-x-0000"
    copies = tmp_path / "work" / record.name
    for folder in (record / "report", copies):
        folder.mkdir(parents=True)
    monkeypatch.chdir(copies)
    context = SimpleNamespace(record=SimpleNamespace(folder=record), attended=attended)
    stage = cast(WritePostMortem, SimpleNamespace(context=context))
    link = WritePostMortem._link(stage, record / "report" / "post-mortem.html")
    assert link == Link("report/post-mortem.html", href)
    kept_in = copies if attended else record / "notebooks"
    assert (kept_in / href).resolve().parent == record / "report"
