"""A report that cannot be written takes nothing from a repair that was proven."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from report_kit import whole_record

from runbook_lib.batch import runner
from runbook_lib.batch.runner import StageReport
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.notebook.closing_stages import WritePostMortem
from runbook_lib.notebook.engine import NotebookResult
from runbook_lib.show.table import Link


def test_a_failed_report_leaves_the_outcome(tmp_path: Path) -> None:
    """The outcome stays the one that stage 60 wrote, and no further one is written."""
    record = whole_record(tmp_path)
    before = record.journal.path.read_bytes()
    last = StageReport(stage=Stage.POST_MORTEM, state=StageState.FAILED, seconds=1, error_name="RecordNotWritable")
    assert runner._outcome(record, last, Stage.POST_MORTEM) is Outcome.REPAIRED
    assert record.journal.path.read_bytes() == before


def test_an_interrupted_report_leaves_the_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the report is written ends the stage as interrupted; how the incident ended stays."""

    def interrupted(*_: object, **__: object) -> NotebookResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "execute", interrupted)
    record = whole_record(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        runner._run_stage(Stage.POST_MORTEM, "lab", record, {}, {}, cast("Any", None), cast("Any", None))
    assert record.outcome() is Outcome.REPAIRED
    assert record.stage_states()[Stage.POST_MORTEM] is StageState.INTERRUPTED


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
