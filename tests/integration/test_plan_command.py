"""``runbook plan`` and ``runbook approve``: what is approved is seen, on a terminal and in a batch."""

from __future__ import annotations

import json
import os
import pty
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cli_runs import Commands, Said

from runbook_lib.paths import project_root

sys.path.append(str(project_root() / "tests" / "unit"))  # the record is built as the unit tests build it
from incident_kit import Incident
from repair_site import StartLab, changes

from runbook_lib.decisions import Plan
from runbook_lib.models import Verdict

NAMES = "--by", "Ada Example"


def planned(folder: Path, verdict: Verdict = Verdict.CONFIRMED_KEY) -> Plan:
    """Leave an incident of the site ``lab`` whose secondary has this verdict, with its plan."""
    return Incident(folder, {"secondary": verdict}).write_plan()


def on_a_terminal(commands: Commands, answer: str, *words: str) -> Said:
    """Run a command on a terminal of 80 columns, on which a person types ``answer``."""
    person, terminal = pty.openpty()
    os.write(person, f"{answer}\n".encode())

    def read() -> str:
        shown = b""
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while piece := os.read(person, 65536):
                shown += piece
        return shown.decode().replace("\r\n", "\n")

    with ThreadPoolExecutor() as threads:
        reading = threads.submit(read)
        try:
            environment = {"COLUMNS": "80", "RUNBOOK_OPERATOR": "ada@desk"}
            said = commands.run(*words, terminal=terminal, environment=environment)
        finally:
            os.close(terminal)
        shown = reading.result()
    os.close(person)
    return replace(said, out=shown)


def approvals(commands: Commands, plan: Plan) -> list[str]:
    return [path.name for path in (commands.records / plan.incident / "approvals").glob("*")]


def test_the_plan_is_printed_whenever_it_is_asked_for(commands: Commands, tmp_path: Path) -> None:
    """By incident and by site, as text with each command and the next one, and as JSON with all that is in it."""
    plan = planned(tmp_path)
    for which in (plan.incident, "lab"):
        said = commands.run("plan", which)
        assert said.code == 0, said.err
        for row in plan.deletions:
            assert row.command in said.out
            assert row.confirmed_sha256 in said.out
        assert f"Next: runbook approve {plan.incident} {plan.digest} --by NAME" in said.out
    value = json.loads(commands.run("plan", plan.incident, "--json").out)
    assert (value["digest"], len(value["rows"]), value["approvals"]) == (plan.digest, len(plan.rows), [])
    assert commands.run("plan", "no-such-site").code == 2
    assert list(commands.records.glob("*")) == [commands.records / plan.incident], "it opens nothing"


def test_a_site_without_an_incident_has_no_plan(commands: Commands) -> None:
    """Exit 3 and the command that makes one; no incident is opened for the question."""
    said = commands.run("plan", "lab")
    assert said.code == 3
    assert "runbook run lab --dry-run" in said.err
    assert not commands.records.exists()


def test_the_plan_fits_a_terminal(commands: Commands, tmp_path: Path) -> None:
    """At 80 columns no line of its tables is wider; the commands to copy stand whole."""
    plan = planned(tmp_path)
    said = on_a_terminal(commands, "", "plan", plan.incident)
    tables = [line for line in said.out.splitlines() if line[:1] in "┌│├└"]
    assert tables
    assert max(map(len, tables)) <= 80


@pytest.mark.parametrize("answer", ["yes", "YES "])
def test_on_a_terminal_the_plan_is_shown_and_yes_approves_it(commands: Commands, tmp_path: Path, answer: str) -> None:
    """With no digest, and with its first twelve digits; by whoever runs it where nobody is named."""
    plan = planned(tmp_path)
    said = on_a_terminal(commands, answer, "approve", plan.incident, plan.digest[:12])
    assert said.code == 0, said.err
    shown, asked, done = map(said.out.index, (plan.deletions[0].key, "Type yes", "Approved by ada@desk"))
    assert shown < asked < done
    assert approvals(commands, plan)


@pytest.mark.parametrize("answer", ["", "y", "no", "yes please"])
def test_anything_but_yes_approves_nothing(commands: Commands, tmp_path: Path, answer: str) -> None:
    """It never approves its own plan outside the lab, and never takes silence for consent.

    Anything but yes: exit 3, and no approval.
    """
    plan = planned(tmp_path)
    said = on_a_terminal(commands, answer, "approve", plan.incident)
    assert (said.code, approvals(commands, plan)) == (3, [])
    assert "nothing was approved" in said.err


@pytest.mark.parametrize("digits", [0, 11, 12, 63])
def test_a_batch_names_the_whole_digest(commands: Commands, tmp_path: Path, digits: int) -> None:
    """Where nobody can be asked a part of the digest is refused with exit 2, the whole one is taken."""
    plan = planned(tmp_path)
    refused = commands.run("approve", plan.incident, plan.digest[:digits], *NAMES)
    assert (refused.code, approvals(commands, plan)) == (2, [])
    assert "all 64 digits" in refused.err
    assert commands.run("approve", plan.incident, plan.digest, *NAMES).code == 0
    assert "approved: by Ada Example" in commands.run("plan", plan.incident).out


def test_too_few_digits_and_other_digits_are_refused_on_a_terminal(commands: Commands, tmp_path: Path) -> None:
    """Eleven digits name no plan, and twelve of another plan not this one; the question is not even asked."""
    plan = planned(tmp_path)
    for digits in (plan.digest[:11], "0" * 12):
        said = on_a_terminal(commands, "yes", "approve", plan.incident, digits)
        assert (said.code, approvals(commands, plan)) == (2, [])
        assert "Type yes" not in said.out


@pytest.mark.parametrize("verdict", [Verdict.UNCONFIRMED, Verdict.CONTRADICTED])
def test_a_blocked_plan_is_refused_with_its_reasons(commands: Commands, tmp_path: Path, verdict: Verdict) -> None:
    """Exit 3, each reason, and nothing is written; neither a yes nor the whole digest helps."""
    plan = planned(tmp_path, verdict)
    assert plan.blocked
    for said in (
        commands.run("approve", plan.incident, plan.digest, *NAMES),
        on_a_terminal(commands, "yes", "approve", plan.incident),
    ):
        assert (said.code, approvals(commands, plan)) == (3, [])
        assert all(reason in " ".join(said.err.split()) for reason in plan.blocked)
    assert "it is blocked" in commands.run("plan", plan.incident).out


def test_a_dry_run_makes_the_plan_and_says_what_a_run_would_do(start_lab: StartLab, commands: Commands) -> None:
    """Exit 0, the plan and each step in order; nothing is changed or approved, and --approve is refused beside it."""
    lab = start_lab("renewed", keys="ec", monitor_interval_s=1.0)
    said = commands.run("run", lab.site_file, "--dry-run")
    assert said.code == 0, said.err
    [made] = (json.loads(path.read_text()) for path in commands.records.glob("*/plans/*.json"))
    wanted = [row["command"] for row in made["rows"] if row["command"]]
    last = said.out.split("What a run would do", 1)[1]
    order = [
        last.index(words) for words in ("the site is the lab", *wanted, "register high availability", "post-mortem")
    ]
    assert len(wanted) == 3
    assert order == sorted(order)
    assert "Nothing was changed." in last
    assert changes(lab.truth()).nothing
    assert not list(commands.records.glob("*/approvals/*"))
    assert commands.run("run", lab.site_file, "--dry-run", "--approve", "0" * 64).code == 2
