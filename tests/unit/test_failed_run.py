"""The end of a run that went wrong, as it stands in a terminal of 80 columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import PRIMARYS, SECONDARYS, Incident

from runbook_lib.batch.runner import RunReport, StageReport
from runbook_lib.cli import running
from runbook_lib.cli.running import conclude, left_behind, shortened
from runbook_lib.decisions import Deletion, plan_digest
from runbook_lib.errors import MOST_LINES, AnswerNotUnderstood, PlanStale
from runbook_lib.models import Stage, StageState, Verdict
from runbook_lib.notebook.changing_stages import DeleteStale
from runbook_lib.record.attestation import Seal
from runbook_lib.repair.ha_state import REGISTRATION


def test_what_is_done_what_is_not_and_what_is_unknown_are_told_apart(tmp_path: Path) -> None:
    """Seen gone is done; sent and not seen is unknown, whatever the server said; planned and not sent is not done."""
    incident = Incident(tmp_path)
    incident.write_plan()
    incident.sent("primary", PRIMARYS[1])
    incident.sent("primary", PRIMARYS[2], Deletion.NOT_DELETED_OR_CAME_BACK)
    incident.record.intend(Stage.REGISTER, "primary", REGISTRATION)
    done, not_done, unknown, more, after = left_behind(incident.record, "runbook run lab").splitlines()
    assert done.split() == ["done:", "primary:", PRIMARYS[1]]
    assert not_done.split() == ["not", "done:", "secondary:", SECONDARYS[1]]
    assert unknown.split() == ["unknown:", "primary:", *str(REGISTRATION).split()]
    assert more.split() == ["primary:", PRIMARYS[2]]
    assert after.startswith("next:       runbook ")


def test_a_run_without_a_change_says_what_to_run_alone(tmp_path: Path) -> None:
    """Nothing sent, nothing planned: one line."""
    (only,) = left_behind(Incident(tmp_path).record, "runbook run lab").splitlines()
    assert only == "next:       runbook run lab"


def test_a_long_list_is_counted_and_fits_80_columns(tmp_path: Path) -> None:
    """Forty entries are three lines and a number, with the command that shows them all."""
    incident = Incident(tmp_path)
    plan = incident.plan()
    row = plan.deletions[0]
    rows = tuple(replace(row, key=f"{'a' * 90}{number}.example.com_8082") for number in range(40))
    plan = replace(plan, rows=rows)
    incident.record.write_plan(replace(plan, digest=plan_digest(plan)))
    lines = left_behind(incident.record, "runbook run lab").splitlines()
    assert f"and 37 more of 40: runbook plan {incident.record.incident}" in "\n".join(lines)
    assert len(lines) < 12
    assert max(map(len, lines)) <= 80


def stage_of(incident: Incident, **devices: object) -> DeleteStale:
    async def close() -> None: ...

    given = cast("Any", SimpleNamespace(close=close, **devices))
    return DeleteStale(replace(incident.context, devices=given, stage=Stage.DELETE))


def test_a_stage_is_not_done_where_a_list_that_it_read_went_on(tmp_path: Path) -> None:
    """What decided in it may have been too short a list; that is asked when it is closed, too."""

    def went_on() -> None:
        raise AnswerNotUnderstood("the TOFU list went on")

    incident = Incident(tmp_path)
    with pytest.raises(AnswerNotUnderstood, match="went on"):
        stage_of(incident, require_whole_lists=went_on).close()
    assert incident.record.stage_states()[Stage.DELETE] is StageState.FAILED


def failed(incident: Incident, found: str) -> str:
    """Let a stage end with an error that found something; return what is printed of it."""

    def act() -> None:
        raise PlanStale("Something moved", where="here", found=found, next_step="make a new plan")

    stage = stage_of(incident)
    with pytest.raises(PlanStale) as raised:
        stage._do(act)
    return str(raised.value)


def test_a_long_line_that_an_error_found_is_cut_where_it_is_shown_and_whole_in_the_record(tmp_path: Path) -> None:
    """At 2,000 characters, with how many follow."""
    incident = Incident(tmp_path)
    shown = failed(incident, "x" * 5000)
    assert "(3000 more characters)" in shown
    assert len(shown) < 2200
    (kept,) = (incident.record.folder / "errors").iterdir()
    assert kept.read_text() == "x" * 5000


@pytest.mark.parametrize(("count", "cut"), [(MOST_LINES, False), (MOST_LINES + 1, True), (40, True), (400, True)])
def test_a_long_list_that_an_error_found_is_cut_where_it_is_printed_and_whole_in_the_record(
    tmp_path: Path, count: int, cut: bool
) -> None:
    """On the terminal the first three, how many there are and where they stand, and the last three; what is next."""
    incident = Incident(tmp_path)
    found = "\n".join(f"primary: {number}.example.com_8082: is new in the store" for number in range(count))
    shown = failed(incident, found)
    folder = incident.record.folder / "errors"
    said = shortened(shown, folder)
    assert said.splitlines()[0] == "Something moved"
    assert "make a new plan" in said
    assert "primary: 2.example.com_8082" in said
    assert (str(folder) in said) is cut
    assert (f"and {count - 6} more of {count}: " in said) is (MOST_LINES < count < 400)
    assert ("primary: 3.example.com_8082" in said) is not cut
    assert len(said.splitlines()) <= MOST_LINES + 3
    kept = [path.read_text() for path in folder.glob("*")]
    assert kept == ([found] if cut else [])


@pytest.mark.parametrize("verdict", [Verdict.CONFIRMED_KEY, Verdict.UNCONFIRMED, Verdict.CONTRADICTED])
def test_a_run_that_stops_at_20_prints_its_plan_and_what_blocks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verdict: Verdict
) -> None:
    """``run --until 20``: each deletion, each reason, and a next command that approves none that is blocked."""
    incident = Incident(tmp_path, {"secondary": verdict})
    plan, record = incident.write_plan(), incident.record
    report = RunReport(
        incident=record.incident,
        folder=record.folder,
        stages=(StageReport(stage=Stage.LIST, state=StageState.DONE, seconds=1.0),),
        outcome=None,
        exit_code=0,
        seal=Seal(folder="seals/1", files=0, lines=0),
        changes="nothing was changed",
    )
    monkeypatch.setenv("SSH", "correct-horse")
    monkeypatch.setattr(running, "open_site", lambda _: incident.context.site)
    monkeypatch.setattr(running, "open_incident", lambda *_given, **_more: record)
    monkeypatch.setattr(running, "run_and_tell", lambda *_given, **_more: (report, 1.0))
    assert running.run_command("lab", until="20") == 0
    said = capsys.readouterr().out
    assert plan.digest in said
    assert "\nchanges: nothing was changed\n" in said
    assert bool(plan.blocked) is (verdict is not Verdict.CONFIRMED_KEY)
    assert all(reason in " ".join(said.split()) for reason in plan.blocked)
    assert ("it is blocked" in said) is bool(plan.blocked)
    assert ("runbook approve" in said) is not bool(plan.blocked)


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [(1, "RepairFailed", True), (4, "LoginRefused", True), (3, "ApprovalMissing", False), (0, "", False)],
)
def test_it_stands_at_the_end_of_a_run_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, error: str, told: bool
) -> None:
    """Below the error; a run that stops for an approval shows its plan and its command instead."""
    record = Incident(tmp_path).record
    (record.folder / "errors").mkdir()
    text = "what went wrong\n  found: " + "\n         ".join(map(str, range(40)))
    last = StageReport(stage=Stage.DELETE, state=StageState.FAILED, seconds=1.0, error_name=error, error_text=text)
    report = SimpleNamespace(
        incident=record.incident,
        folder=record.folder,
        stages=(last,),
        outcome=None,
        exit_code=code,
        seal="sealed",
        changes="1 entry deleted",
        report=None,
    )
    assert conclude(cast("Any", report), 1.0) == code
    ended, said = capsys.readouterr()
    by_hand = "log in by hand; once that works:\n            "
    assert ("next:       runbook" in said.replace(by_hand, "")) is told
    assert (by_hand in said) is (error == "LoginRefused")  # each further one may lock the user
    assert ("\nNext: runbook run" in ended) is (code == 0)  # it ended early because it was told to
    assert ("what went wrong" in said) is bool(code)
    assert ("and 34 more of 40" in said) is bool(code)
