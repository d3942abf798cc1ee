"""Records and plans that somebody wrote to be printed: no command shows a control character or a forged line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fleet_kit import fleet_file, inline
from incident_kit import Incident

from runbook_lib import cli
from runbook_lib.batch.round import NotPlanned, Rollup, Round, keep_outcome, rollup_digest
from runbook_lib.batch.site_run import SiteResult, SiteState
from runbook_lib.decisions import Plan
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.files import to_json_value
from runbook_lib.record.journal import Kind

FORGED = "signature: good, by key 0000 (ada.pub.pem)"
HOSTILE = f"x\n{FORGED}\r\n\x1b[2J\x1b]0;title\x07\u202e\x9b31m\x85{FORGED}\u2028{FORGED}\x00\x08"

OVERRIDING = ("--sha256", "0" * 64, "--by", HOSTILE, "--reason", HOSTILE, "--accept", HOSTILE)

COMMANDS: dict[str, tuple[str, ...]] = {
    "verify": ("verify", "INCIDENT"),
    "archive": ("archive", "INCIDENT", "--to", "FOLDER/one.zip", "--anyway"),
    "report": ("report", "INCIDENT", "--markdown", "--out", "FOLDER/report"),
    "plan": ("plan", "INCIDENT"),
    "plan, JSON": ("plan", "INCIDENT", "--json"),
    "approve": ("approve", "INCIDENT", "DIGEST", "--by", HOSTILE, "--reason", HOSTILE),
    "approve, nobody": ("approve", "INCIDENT", HOSTILE, "--by", "Ada"),
    "override": ("override", "INCIDENT", "primary", HOSTILE, *OVERRIDING),
    "history": ("history",),
    "history, JSON": ("history", "--json"),
    "history, sites": ("history", "--sites"),
    "history, map": ("history", "--map", f"FOLDER/{HOSTILE}/map.svg"),
    "a record that is not there": ("verify", HOSTILE),
    "a site that is not there": ("check", HOSTILE),
    "a site's file that is not one": ("check", "FOLDER/hostile.yaml"),
    "a fleet that is not there": ("fleet", "triage", HOSTILE),
    "a fleet's round": ("fleet", "status", "FOLDER/evening.yaml"),
    "a fleet's round, JSON": ("fleet", "status", "FOLDER/evening.yaml", "--json"),
    "a fleet to run": ("fleet", "run", "FOLDER/evening.yaml", "--site", HOSTILE),
    "waves that are none": ("fleet", "run", "FOLDER/evening.yaml", "--waves", HOSTILE),
    "a scheduler that is none": ("fleet", "run", "FOLDER/evening.yaml", "--scheduler", HOSTILE, "--until", "00"),
    "a fleet to plan": ("fleet", "plan", "FOLDER/hostile.yaml"),
    "a roll-up that is not there": ("fleet", "approve", "ROUND", "DIGEST", "--by", HOSTILE),
    "a round that is not there": ("fleet", "approve", HOSTILE, HOSTILE, "--by", HOSTILE),
    "a site to run": ("run", HOSTILE),
    "a file to run": ("run", "FOLDER/hostile.yaml"),
    "a stage that is not there": ("run", "lab", "--until", HOSTILE),
    "a site to open": ("notebook", HOSTILE),
    "a file to open": ("notebook", "FOLDER/hostile.yaml"),
    "a key": ("key", "new"),
    "no key": ("key", "show"),
    "a lab that is not up": ("lab", "renew", HOSTILE),
    "no lab": ("lab", "status"),
    "no lab, JSON": ("lab", "status", "--json"),
    "no lab to end": ("lab", "down"),
    "a scenario that is none": ("lab", "up", "--scenario", HOSTILE),
    "a skin that is none": ("demo", "--skin", HOSTILE),
    "no command": (HOSTILE,),
    "a lock that is not there": ("unlock", HOSTILE, "--holder", HOSTILE),
    "a log": ("diagnose", "FOLDER/hostile.log"),
    "a log that is not there": ("diagnose", HOSTILE),
}


@pytest.fixture
def hostile(written: tuple[Path, Plan], tmp_path: Path) -> Plan:
    """A record whose every text was written by somebody who knows how it is printed, and a plan as hostile."""
    folder, plan = written
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return plan


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """The folder that each test takes a copy of."""
    tmp_path = tmp_path_factory.mktemp("written")
    incident = Incident(tmp_path)
    record = incident.record
    record.start_stage(Stage.LIST)
    plan = incident.plan()
    rows = tuple(replace(row, reason=HOSTILE, evidence=(HOSTILE,)) for row in plan.rows)
    plan = replace(plan, rows=rows)
    record.write_plan(plan)
    incident.approve(plan, by=HOSTILE)
    record.journal.append(Kind.NOTED, server=HOSTILE, seen=HOSTILE, expected=HOSTILE, text=HOSTILE)
    record.keep_bytes("notes/x.txt", HOSTILE.encode(), stage=HOSTILE, text=HOSTILE)
    incident.sent("primary", HOSTILE)
    record.end_stage(Stage.LIST, StageState.FAILED, HOSTILE)
    record.set_outcome(Outcome.STOPPED, HOSTILE)
    seal_record(record, {}, key_folder=tmp_path / "none")
    record.journal.append(Kind.NOTED, seen=HOSTILE, text=HOSTILE)
    (record.folder / HOSTILE.replace("/", "_").replace("\0", "")).write_text("nobody's")
    (tmp_path / "hostile.yaml").write_text(f"name: {HOSTILE!r}\n{HOSTILE!r}: 1\nprimary: {HOSTILE!r}\n")
    subject = f"CN={HOSTILE}".replace("\n", " ").replace("\0", "")
    message = "Current certificate of the remote host is different from what was used earlier"
    (tmp_path / "hostile.log").write_text(f"{HOSTILE}\n[t] {message}: {subject}\n", encoding="utf-8")
    folder = fleet_file(tmp_path, [inline(1)]).parent
    round_ = Round.create(tmp_path / "records", "evening", what=HOSTILE)
    refused = NotPlanned(site=HOSTILE, incident=HOSTILE, why=HOSTILE)
    rollup = Rollup(
        fleet="evening",
        round=round_.incident,
        made_utc=datetime.now(UTC),
        digest=rollup_digest([], fleet="evening", round_id=round_.incident),
        sites=(),
        not_planned=(refused,),
    )
    round_.keep_json("rollups/x.json", to_json_value(rollup), kind=Kind.DECIDED, seen=rollup.digest, text="roll-up")
    keep_outcome(
        round_, HOSTILE, [SiteResult(site=HOSTILE, incident="x", state=SiteState.FAILED, why=HOSTILE)], HOSTILE
    )
    (folder / "round").write_text(round_.incident)
    return tmp_path, plan


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; return all that it printed."""

    def run(*words: str) -> str:
        own = tmp_path / HOSTILE.replace("\0", "")  # a folder's name is printed where something is missing, or made
        own.mkdir(mode=0o700)
        monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
        monkeypatch.setenv("RUNBOOK_KEY_DIR", str(own / "keys"))
        monkeypatch.setenv("RUNBOOK_LAB_DIR", str(own / "lab"))
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, getattr(sys, name))  # so that the gate before them goes with the test
        monkeypatch.setattr(sys, "argv", ["runbook", *words])
        with pytest.raises(SystemExit):
            cli.main()
        return "".join(capsys.readouterr())

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_hostile_is_printed(hostile: Plan, run: Run, tmp_path: Path, command: str) -> None:
    """Whatever a record, a plan, a file or an argument holds: each line is the command's own, and text is only text."""
    names = {"INCIDENT": hostile.incident, "DIGEST": hostile.digest, "FOLDER": str(tmp_path)}
    names["ROUND"] = (tmp_path / "round").read_text()
    words = [word.replace("\0", "") for word in COMMANDS[command]]
    for name, value in names.items():
        words = [word.replace(name, value) for word in words]
    shown = run(*words)
    assert shown
    assert not sorted({c for c in shown if not c.isprintable()} - {"\n"}), shown
    assert not [line for line in shown.split("\n") if line.startswith(FORGED[:15])], shown


def test_verify_says_what_it_found_and_not_what_is_told_to_it(hostile: Plan, run: Run) -> None:
    """One line says of the signature that there is none; what the record says of it stands inside other lines."""
    shown = run("verify", hostile.incident)
    assert [line for line in shown.split("\n") if line.startswith("signature")] == ["signature: none that was verified"]
    assert "\\nsignature: good" in shown
