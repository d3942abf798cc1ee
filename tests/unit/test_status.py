"""``runbook status``: where an incident stands, and one command that can be pasted."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from incident_kit import PRIMARYS, Incident

from runbook_lib.cli.app import whole_command
from runbook_lib.cli.plans import next_command, plan_command, status_command
from runbook_lib.cli.records import history_command
from runbook_lib.decisions import plan_digest
from runbook_lib.errors import RecordDamaged, SiteFileInvalid
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.record import incident as records
from runbook_lib.record import lock
from runbook_lib.record.incident import Record
from runbook_lib.record.lock import SiteLock, holder_of
from runbook_lib.show import rendering
from runbook_lib.show.incidents import AT_WORK

WIDE = 80


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the records and the locks of a test are; an incident that is opened later is the newer one by its name."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path))
    numbers = count()
    monkeypatch.setattr(records, "secrets", SimpleNamespace(token_hex=lambda _bytes: f"{next(numbers):04x}"))
    return tmp_path


@pytest.fixture
def incident(root: Path) -> Incident:
    """An incident of the lab whose stage 20 has made a plan."""
    incident = Incident(root)
    incident.record.end_stage(Stage.LIST, StageState.DONE)
    return incident


def told(capsys: pytest.CaptureFixture[str], site: str = "lab") -> tuple[str, str]:
    """What the command says, and its next command, which the command line takes."""
    status_command(site)
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    assert words[0] == "runbook"
    with whole_command().make_context("runbook", words[1:]) as context:
        command = whole_command().get_command(context, words[1])  # type: ignore[attr-defined]
        command.make_context(words[1], words[2:])
    return said, line.removeprefix("Next: ")


def value(said: str, name: str) -> str:
    return next(line.partition(":")[2].strip() for line in said.splitlines() if line.startswith(f"{name}:"))


def test_a_run_that_goes_on_has_no_outcome_yet(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """The outcome of the run before it is not the incident's: not in its status, the list, the history or the plan."""
    incident.write_plan()
    incident.record.set_outcome(Outcome.STOPPED, "not approved")

    def shown() -> list[str]:
        plan_command("lab", as_json=False)
        planned = capsys.readouterr().out.splitlines()[-1]
        history_command()
        status_command("")
        listed = capsys.readouterr().out
        return [value(told(capsys)[0], "outcome"), str(listed.count(AT_WORK)), planned]

    before = shown()
    assert before[:2] == ["stopped", "0"]
    with SiteLock("lab", ("a server",), incident=incident.record.incident):
        outcome, listed, planned = shown()
    assert (outcome.partition(" since ")[0], listed) == ("not yet, a run goes on", "2")
    assert planned == "Next: runbook status lab"
    assert shown() == before


def test_a_plan_that_waits_for_its_approval_is_approved_next(
    incident: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command as behind the plan itself; once it is approved, the run is next."""
    plan = incident.write_plan()
    said, command = told(capsys)
    assert command == f"runbook approve {plan.incident} {plan.digest}"
    assert (value(said, "plan"), value(said, "approved")) == (plan.digest, "not yet")
    plan_command("lab", as_json=False)
    assert f"Next: {command} --by NAME" in capsys.readouterr().out
    incident.approve(plan)
    said, command = told(capsys)
    assert command == f"runbook run lab --incident {plan.incident}"
    assert value(said, "approved") == "by Bob"


def test_what_blocks_a_plan_is_said_and_it_is_not_to_be_approved(
    incident: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every reason has its line, and the next command is the one that makes a new plan."""
    plan = replace(incident.plan(), blocked=("a reason", "another"))
    incident.record.write_plan(replace(plan, digest=plan_digest(plan)))
    said, command = told(capsys)
    assert [line for line in said.splitlines() if line.startswith("blocked:")] == [
        "blocked:  a reason",
        "blocked:  another",
    ]
    assert command.startswith("runbook run ")


def test_a_change_whose_result_was_not_seen_is_named_and_no_old_plan_is_offered(
    incident: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next run looks first; a plan from before the change is nothing to approve."""
    incident.write_plan()
    incident.sent("primary", PRIMARYS[1], None)
    said, command = told(capsys)
    assert f"primary: {PRIMARYS[1]}" in value(said, "unknown")
    assert command.startswith("runbook run ")


def test_a_plan_of_an_attempt_that_was_begun_anew_is_not_offered(incident: Incident) -> None:
    """Where stage 20 failed since, what it had planned before is old."""
    incident.write_plan()
    incident.record.end_stage(Stage.LIST, StageState.FAILED)
    assert next_command(incident.record).startswith("runbook run ")


@pytest.mark.parametrize(("written", "command"), [(True, "verify"), (False, "report")])
def test_a_closed_incident_has_its_report_next_and_then_its_check(
    incident: Incident, written: bool, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing leads into an incident that is over."""
    incident.record.set_outcome(Outcome.REPAIRED)
    if written:
        incident.record.end_stage(Stage.POST_MORTEM, StageState.DONE)
    said, following = told(capsys)
    assert following == f"runbook {command} {incident.record.incident}"
    assert value(said, "outcome") == "repaired"
    assert value(said, "incident").endswith(", closed")


def test_the_open_incident_counts_before_a_newer_one_that_is_closed(
    incident: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for ``runbook run``."""
    newer = Record.create(incident.record.root, "lab")
    newer.set_outcome(Outcome.REPAIRED)
    assert value(told(capsys)[0], "incident") == f"{incident.record.incident}, open"
    incident.record.set_outcome(Outcome.NOTHING_TO_DO)
    assert value(told(capsys)[0], "incident") == f"{newer.incident}, closed"


def test_who_holds_the_lock_is_said_and_comes_first(
    incident: Incident, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run is at work the next thing is to look again; what a dead run left behind is freed."""
    with SiteLock("lab", ["a server"], incident=incident.record.incident):
        holder = holder_of("lab")
        assert holder
        said, command = told(capsys)
        assert (value(said, "lock"), command) == (str(holder), "runbook status lab")
        monkeypatch.setattr(lock, "_lives", lambda _path: False)
        assert told(capsys)[1] == f"runbook unlock lab --holder {holder.id}"
    said, command = told(capsys)
    assert (value(said, "lock"), command.split()[1]) == ("nobody holds it", "run")


def test_a_damaged_newest_record_is_told_as_that(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 5 and what to do; an older incident is not taken for the newest, one site's damage is not another's."""
    newest = Record.create(incident.record.root, "lab")
    journal = newest.journal.path
    journal.write_bytes(journal.read_bytes().replace(b"opened", b"opende"))
    other = Record.create(incident.record.root, "paris")
    with pytest.raises(RecordDamaged) as refused:
        status_command("lab")
    assert refused.value.exit_code == 5
    assert f"runbook verify {newest.incident}" in refused.value.next_step
    assert value(told(capsys, "paris")[0], "incident").startswith(other.incident)
    status_command()
    rows = capsys.readouterr().out.splitlines()
    assert [row for row in rows if "damaged" in row and newest.incident in row]


def test_a_site_is_known_by_its_file_or_its_records(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that neither knows is refused with exit code 2; one without an incident has its first run next."""
    with pytest.raises(SiteFileInvalid) as refused:
        status_command("nowhere")
    assert refused.value.exit_code == 2
    assert told(capsys)[1] == "runbook run lab"
    Record.create(root / "records", "nowhere")
    assert value(told(capsys, "nowhere")[0], "site") == "nowhere"


def test_every_site_has_one_line_that_fits(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal of 80 columns; the open incident is named where there is one, and asked for next."""
    monkeypatch.setattr(rendering, "room", lambda: WIDE)
    folder = root / "records"
    assert told(capsys, "")[1] == "runbook diagnose LOGS"
    Record.create(folder, "amsterdam").set_outcome(Outcome.REPAIRED)
    open_one = Record.create(folder, "berlin")
    open_one.set_outcome(Outcome.STOPPED)
    Record.create(folder, "berlin").set_outcome(Outcome.REPAIRED)
    said, command = told(capsys, "")
    assert command == "runbook status berlin"
    (amsterdam,) = [line for line in said.splitlines() if "amsterdam" in line]
    (berlin,) = [line for line in said.splitlines() if "berlin" in line and "runbook" not in line]
    assert "repaired" in amsterdam
    assert "stopped, open" in berlin
    assert open_one.incident in berlin
    assert max(map(len, said.splitlines())) <= WIDE


def test_it_changes_no_record(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is asked, each file of the record stays as it is, and none is added."""
    incident.write_plan()
    before = _files(incident.record.folder)
    told(capsys)
    told(capsys, "")
    assert _files(incident.record.folder) == before


def _files(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.mark.parametrize("command", ["status", "run", "check", "notebook"])
def test_a_shell_offers_sites(command: str) -> None:
    """Those that begin as typed, and no fleet's file."""
    assert {"lab", "example", "fleet.example"} & {*offered(command, "la")} == {"lab"}
    assert {"lab", "example", "fleet.example"} & {*offered(command, "")} == {"lab", "example"}


@pytest.mark.parametrize("command", ["approve", "override", "close", "verify", "archive", "report"])
def test_a_shell_offers_incidents(root: Path, command: str) -> None:
    """The newest first, those that begin as typed."""
    assert offered(command, "") == []
    first, second = (Record.create(root / "records", "lab").incident for _ in range(2))
    assert offered(command, "2") == [second, first]
    assert offered(command, second) == [second]


def offered(command: str, begun: str) -> list[str]:
    """What the completion of a command's first argument offers."""
    whole = whole_command()
    with whole.make_context("runbook", [command], resilient_parsing=True) as context:
        found = whole.get_command(context, command)  # type: ignore[attr-defined]
        return [each.value for each in found.params[0].shell_complete(context, begun)]
