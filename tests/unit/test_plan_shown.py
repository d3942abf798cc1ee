"""What is approved is seen: where a run stops for it, whenever it is asked for, and in a dry run."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import Incident, run_one_stage

from runbook_lib.batch import runner
from runbook_lib.batch.runner import StageReport
from runbook_lib.cli import plans, running, site_file
from runbook_lib.cli.plans import dry_run_view, plan_command
from runbook_lib.decisions import Decision, Plan
from runbook_lib.device.prime import DELETE_TOFU
from runbook_lib.errors import (
    ApprovalMissing,
    BrowserMissing,
    DeletionRefused,
    ParameterRefused,
    RepairFailed,
    SiteFileInvalid,
    StageOutOfOrder,
)
from runbook_lib.models import Outcome, Stage, StageState, Verdict
from runbook_lib.notebook import opening, workspace
from runbook_lib.notebook.changing_stages import approve_by_form
from runbook_lib.notebook.engine import NotebookResult
from runbook_lib.notebook.reading_stages import ListCertificates, keep_given, withdraw
from runbook_lib.notebook.workspace import next_run
from runbook_lib.show import tables
from runbook_lib.show.expectation_form import Given

Run = Callable[..., tuple[str, dict[str, Any]]]


@pytest.fixture
def incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Incident:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    return Incident(tmp_path)


@pytest.fixture
def run(incident: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``runbook run`` whose stages end as they are told to; returns what was printed, and what the stages got."""

    def ended(stage: Stage, state: StageState, error: str = "", **options: Any) -> tuple[str, dict[str, Any]]:
        given: dict[str, Any] = {}
        last = StageReport(stage=stage, state=state, seconds=1.0, error_name=error, error_text=error)
        report = SimpleNamespace(
            incident=incident.record.incident,
            folder=incident.record.folder,
            stages=(last,),
            outcome=None,
            exit_code=3 if error else 0,
            seal="sealed",
            changes="nothing was changed",
            report=None,
        )

        def run_and_tell(*_given: object, **named: Any) -> tuple[Any, float]:
            given.update(named)
            return report, 1.0

        monkeypatch.setenv("SSH", "correct-horse")
        monkeypatch.setattr(running, "open_site", lambda _site: incident.context.site)
        monkeypatch.setattr(running, "open_incident", lambda *_given, **_named: incident.record)
        monkeypatch.setattr(running, "run_and_tell", run_and_tell)
        running.run_command("lab", **options)
        return capsys.readouterr().out, given

    return ended


def assert_shown(plan: Plan, said: str) -> None:
    assert plan.deletions
    for row in plan.deletions:
        assert row.command in said
        assert row.confirmed_sha256 in said
    assert plan.changes
    for change in plan.changes:
        assert change.kind in said
        assert change.condition in said


def test_a_run_that_stops_for_the_approval_prints_the_plan_and_how_to_approve_it(incident: Incident, run: Run) -> None:
    """Every command, every later change with its condition, and the one command that approves all of it."""
    plan = incident.write_plan()
    said, _ = run(Stage.DELETE, StageState.STOPPED, ApprovalMissing.__name__)
    assert_shown(plan, said)
    assert f"Next: runbook approve {plan.incident} {plan.digest} --by NAME" in said
    assert "What a run would do" not in said


def test_the_exact_commands_of_a_plan_stand_on_one_line_at_80_columns(incident: Incident) -> None:
    """The longest address of IPv4 fits; they are compared and copied, and so is the digest that each rests on."""
    plan = incident.write_plan()
    longest = DELETE_TOFU.format(key="192.168.255.254_8082")
    rows = tuple(replace(row, command=row.command and longest) for row in plan.rows)
    shown = tables.plan(replace(plan, rows=rows)).text(80).splitlines()
    for row in plan.deletions:
        assert any(longest in line for line in shown)
        assert any(row.confirmed_sha256 in line for line in shown)


def test_no_title_of_a_plan_is_wider_than_its_page(incident: Incident) -> None:
    """A title stands on one line above a table and is cut off where a notebook is narrower; what is long is a note."""
    assert max(len(table.title) for table in tables.plan(incident.write_plan()).tables) <= 80


def test_a_run_that_stops_at_a_blocked_plan_prints_what_blocks_it(incident: Incident, run: Run) -> None:
    """No command approves it."""
    incident.list({"secondary": Verdict.CONTRADICTED})
    plan = incident.write_plan()
    said, _ = run(Stage.DELETE, StageState.STOPPED, DeletionRefused.__name__)
    assert plan.blocked
    assert all(word in said for reason in plan.blocked for word in reason.split())
    assert "runbook approve" not in said


def test_a_run_that_failed_behind_its_plan_does_not_print_it(incident: Incident, run: Run) -> None:
    """What is left behind is told instead."""
    plan = incident.write_plan()
    said, _ = run(Stage.DELETE, StageState.FAILED, RepairFailed.__name__)
    assert plan.digest not in said


def test_a_dry_run_ends_with_the_plan_approves_nothing_and_says_what_a_run_would_do(
    incident: Incident, run: Run
) -> None:
    """Stage 20 is its last, without a digest, whatever was asked for as the last one."""
    plan = incident.write_plan()
    said, given = run(Stage.LIST, StageState.DONE, dry_run=True, until="70")
    assert (given["until"], given["approve"]) == (Stage.LIST, "")
    assert_shown(plan, said)
    shown, then = said.index(f"plan:     {plan.digest}"), said.index("What a run would do")
    assert shown < then < said.index("Nothing was changed.")


def test_an_approval_that_is_no_digest_is_refused_before_a_stage_runs(run: Run) -> None:
    """Three stages would run for nothing: no plan can have it."""
    with pytest.raises(ParameterRefused, match="not a plan's digest"):
        run(Stage.DELETE, StageState.DONE, approve="3f6c")


def test_what_a_run_would_do_stands_in_its_order(incident: Incident) -> None:
    """The stop for the approval first, in the lab its own approval; the deletions, the later changes, the report."""
    plan = incident.plan()
    for lab, first in ((False, "stop in stage 30 with exit code 3, for the approval"), (True, "approve this plan")):
        rows = [row.cells[0] for row in dry_run_view(plan, lab=lab).tables[0].rows]
        assert rows[0] == first
        assert rows[1:-1] == [f"{row.server}: {row.command}" for row in plan.deletions] + [
            f"{change.server}: {change.kind} ({change.target})" for change in plan.changes
        ]
        assert "post-mortem" in rows[-1]
    [only] = dry_run_view(replace(plan, blocked=("why",)), lab=True).tables[0].rows
    assert only.cells == ("stop in stage 30 with exit code 3", "at once: the plan is blocked")


def test_the_plan_is_printed_as_text_and_as_json_with_who_approved_it(
    incident: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    """By site and by incident, before and after the approval; nothing is contacted."""
    plan = incident.write_plan()
    plan_command("lab", as_json=False)
    before = capsys.readouterr().out
    assert_shown(plan, before)
    assert "approved: not yet" in before
    assert before.startswith("Site lab: 3 deletions and ")
    assert "; 2 entries are left alone" in before
    incident.approve(plan, "Ada Example")
    plan_command(plan.incident, as_json=False)
    after = capsys.readouterr().out
    assert "approved: by Ada Example" in after
    assert f"Next: runbook run lab --incident {plan.incident}" in after
    plan_command(plan.incident, as_json=True)
    value = json.loads(capsys.readouterr().out)
    assert (value["digest"], len(value["rows"]), len(value["changes"])) == (
        plan.digest,
        len(plan.rows),
        len(plan.changes),
    )
    assert [each["by"] for each in value["approvals"]] == ["Ada Example"]
    incident.record.set_outcome(Outcome.REPAIRED)
    plan_command(plan.incident, as_json=False)
    assert f"Next: runbook report {plan.incident}" in capsys.readouterr().out


def test_a_picture_stands_above_the_plan_and_what_is_deleted_above_what_is_left_alone(incident: Incident) -> None:
    """Whoever approves looks first and reads then; a certificate that contradicts comes before all else."""
    incident.list({"secondary": Verdict.CONTRADICTED})
    contradicted = next(row for row in incident.plan().rows if row.verdict is Verdict.CONTRADICTED)
    incident.list({})
    plan = incident.write_plan()
    shown = ListCertificates._shown_plan(cast("Any", SimpleNamespace(context=incident.context)), plan)
    page = shown._repr_html_()
    assert page.index("<svg") < page.index("would delete") < page.index("Exact commands")
    shown = tables.plan(replace(plan, rows=(*plan.rows, contradicted)))
    [rows] = [table.rows for table in shown.tables if table.title.startswith("Plan ")]
    assert rows[0].cells[:2] == contradicted.place
    assert [row.cells[3] == Decision.DELETE for row in rows] == [False, True, True, True, False, False]


@pytest.mark.parametrize(
    ("sent", "state", "code"), [(False, StageState.FAILED, 2), (True, StageState.STOPPED, 3)], ids=["before", "after"]
)
def test_exit_code_2_is_over_once_something_was_sent(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, sent: bool, state: StageState, code: int
) -> None:
    """A site's file that was spoilt between two stages: before the first change not begun, then for a person."""

    def spoilt(_template: object, output: Path, *_given: object, **_named: object) -> NotebookResult:
        return NotebookResult(output=output, completed=False, cause="error", error_name=SiteFileInvalid.__name__)

    monkeypatch.setattr(runner, "execute", spoilt)
    if sent:
        incident.sent("primary", incident.plan().deletions[0].key)
    last = run_one_stage(incident.record, Stage.REGISTER)
    assert (last.state, runner._exit_code(incident.record, last, None)) == (state, code)


def test_check_names_the_browser_and_each_secret_that_is_not_to_be_had(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them at once, with exit code 2; nothing is contacted."""

    def no_browser(_wanted: object) -> None:
        raise BrowserMissing("There is no browser", next_step="install one")

    for name in ("SSH", "ISE", "KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(site_file, "open_site", lambda _site: incident.context.site)
    monkeypatch.setattr(site_file, "find_browser", no_browser)
    assert site_file.check_command("lab", live=False) == 2
    said = capsys.readouterr().out
    assert all(words in said for words in ("env:SSH", "env:ISE", "env:KEY", "There is no browser", "install one"))


def test_a_plan_that_is_approved_already_is_called_that(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """`runbook approve` says who approved it before, and nothing of the kind the first time."""
    plan = incident.write_plan()
    for said_before in (False, True):
        plans.approve_command(plan.incident, plan.digest, by="Bob")
        assert ("This plan is approved already, by Bob" in capsys.readouterr().out) is said_before


def test_a_plan_of_an_incident_that_has_ended_is_not_approved(incident: Incident) -> None:
    """Nothing of it is done any more, as `runbook plan` says: whoever comes late adds no line after the seal."""
    plan = incident.write_plan()
    incident.record.set_outcome(Outcome.REPAIRED)
    with pytest.raises(StageOutOfOrder, match=r"has ended \(repaired\)") as caught:
        plans.approve_command(plan.incident, plan.digest, by="Bob")
    assert f"runbook report {plan.incident} " in caught.value.next_step
    assert incident.record.read_approvals() == ()


def test_nothing_is_done_any_more_in_an_incident_that_has_ended(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays what it was: a run, a notebook and an override are refused before they write a line; it is reported."""
    plan, record, site = incident.write_plan(), incident.record, incident.context.site
    monkeypatch.setattr(workspace, "open_site", lambda _: site)
    left_open = opening.open_runbook(Stage.DELETE, "lab", plan.incident)
    record.set_outcome(Outcome.REPAIRED)
    before = record.journal.read()
    monkeypatch.setattr(runner, "SiteLock", lambda *_, **__: nullcontext())
    monkeypatch.setattr(runner, "WarmKernels", nullcontext)
    accepted = {"sha256": "1" * 64, "by": "Bob", "reason": "-", "accept": "-"}
    stale = plan.deletions[0]
    for begin in (
        lambda: runner.run_stages(site, "lab", record, cast("Any", None), until=Stage.LIST),
        left_open.delete,
        # The forms that stand in open notebooks.
        lambda: approve_by_form(left_open.context, plan, "Bob", ""),
        lambda: keep_given(left_open.context, Given("ise", "1" * 64, None, self_=False)),
        lambda: withdraw(left_open.context, "ise"),
        lambda: plans.override_command(plan.incident, *stale.place, **accepted),
        *(lambda each=each: opening.open_runbook(each, "lab", plan.incident) for each in (Stage.START, Stage.VERIFY)),
    ):
        with pytest.raises(StageOutOfOrder, match=r"has ended \(repaired\)"):
            begin()
    assert record.journal.read() == before
    opening.open_runbook(Stage.POST_MORTEM, "lab", plan.incident)
    assert next_run(record) == f"runbook report {plan.incident}"
