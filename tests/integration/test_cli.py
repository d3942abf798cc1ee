"""The command line without a repair: help, completion, bad input, devices that cannot be talked to."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from cli_runs import Commands
from repair_site import StartLab, contacts
from typer.testing import CliRunner
from waiting import wait_until

from runbook_lib import __version__
from runbook_lib.cli.app import app
from runbook_lib.cli.groups import Addresses, Scenario
from runbook_lib.lab import SCENARIOS, LabOptions
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.record.incident import Record, find_open
from runbook_lib.record.lock import holder_of

COMMANDS = (
    "run",
    "check",
    "status",
    "approve",
    "unlock",
    "demo",
    "lab up",
    "lab status",
    "lab down",
    "lab renew",
    "lab jupyter",
)

BAD_SITE = """\
name: berlin
primary:
  address: 192.0.2.10
  ssh:
    user: admin
    password: Tr0ub4dor&3
    host_key: ["ssh-ed25519 AAAA"]
  expect:
    sha256: "12ab"
secondary:
  address: 192.0.2.10
  ssh: {user: admin, password: "env:SECONDARY", port: "22"}
  logz: []
ha:
  auth_key: env:KEY
  virtual_ipv6: fe80::1
"""


# -- front door ------------------------------------------------------------------------------------


def test_version_is_the_packages(commands: Commands) -> None:
    """``runbook --version`` prints the version of the package and ends well."""
    said = commands.run("--version")
    assert (said.code, said.out) == (0, f"runbook {__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_with_an_example(command: str) -> None:
    """The help of each command shows how it is used."""
    said = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="runbook", env={"COLUMNS": "200"})
    assert said.exit_code == 0
    assert re.search(rf"Examples?: runbook {command}", said.output)


def test_help_names_every_command_and_exit_code() -> None:
    """The first help lists all commands and says what the exit codes mean."""
    said = CliRunner().invoke(app, ["--help"], prog_name="runbook", env={"COLUMNS": "200"})
    text = " ".join(said.output.split())
    assert all(command.split()[0] in text for command in COMMANDS)
    assert all(re.search(rf"\b{code} [a-z]", text) for code in range(7))


@pytest.mark.parametrize("seconds", ["-5", "0", "nan", "inf"])
def test_a_triage_whose_phases_take_no_time_is_refused(seconds: str) -> None:
    """It would call every site unreachable."""
    said = CliRunner().invoke(app, ["fleet", "triage", "fleet.yaml", "--phase-s", seconds], prog_name="runbook")
    assert (said.exit_code, "Invalid value for '--phase-s'" in said.output) == (2, True)


def test_shell_completion_knows_the_labs_scenarios(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """The completion that ``--show-completion`` prints offers what the options take."""
    # Otherwise the shell is looked for among this process's ancestors, where none may be.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    shown = commands.run("--show-completion", "bash")
    assert "_RUNBOOK_COMPLETE=complete_bash" in shown.out
    for name, value in {
        "_RUNBOOK_COMPLETE": "complete_bash",
        "COMP_WORDS": "runbook lab up --scenario renewed-i",
        "COMP_CWORD": "4",
    }.items():
        monkeypatch.setenv(name, value)
    assert commands.run().out.split() == ["renewed-ise-only"]


def test_options_of_the_lab_are_the_labs() -> None:
    """The command line offers the scenarios and addresses that the lab has, no more and no less."""
    assert {*get_args(Scenario)} == {*SCENARIOS}
    for addresses in get_args(Addresses):
        assert LabOptions(addresses=addresses).addresses == addresses


def test_lab_lives_between_commands(commands: Commands) -> None:
    """The lab goes up, tells its state, renews a certificate, and goes down, each by a command of its own."""
    up = commands.run("lab", "up", "--scenario", "healthy", "--monitor-interval-s", "0.2", "--no-forwarding")
    try:
        before = yaml.safe_load(commands.run("lab", "status", "--json").out)
        renewed = commands.run("lab", "renew", "ise")
        after = yaml.safe_load(commands.run("lab", "status", "--json").out)
        checked = commands.run("check", commands.lab / "site.yaml", "--live")
        again = commands.run("lab", "up")
    finally:
        down = commands.run("lab", "down")
    assert (up.code, renewed.code, checked.code, again.code, down.code) == (0, 0, 0, 2, 0)
    assert (before["options"]["scenario"], before["options"]["forwarding"]) == ("healthy", False)
    assert before["servers"]["ise"]["presents_sha256"] != after["servers"]["ise"]["presents_sha256"]
    assert "✔ primary: release: answers, release 3.10.6\n" in checked.out
    assert "│ ✔" not in checked.out  # the table holds what is not as expected
    assert commands.run("lab", "status").code == 2


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "check"])
def test_every_problem_of_a_site_file_is_named_at_once(commands: Commands, tmp_path: Path, verb: str) -> None:
    """A bad site file costs exit 2 and one list of problems with file, line and key; the password stays unsaid."""
    (tmp_path / "berlin.yaml").write_text(BAD_SITE)
    said = commands.run(verb, tmp_path / "berlin.yaml")
    assert said.code == 2
    named = re.findall(r"berlin\.yaml:(\d+): ([\w.\[\]]+):", said.err)
    assert {
        ("6", "primary.ssh.password"),
        ("7", "primary.ssh.host_key[0]"),
        ("9", "primary.expect.sha256"),
        ("11", "secondary.address"),
        ("12", "secondary.ssh.port"),
        ("13", "secondary.logz"),
        ("16", "ha.virtual_ipv6"),
    } == set(named)
    assert "nothing was contacted" in said.err
    assert "Tr0ub4dor" not in said.err + said.out
    assert not commands.records.exists()


def test_bad_site_file_contacts_nobody(start_lab: StartLab, commands: Commands) -> None:
    """It never contacts anything when the site's file has a problem.

    One wrong key in the file of a site that runs: the servers do not hear of it.
    """
    lab = start_lab("healthy", monitor_style="slow")
    lab.site_file.write_text(lab.site_file.read_text().replace("failover: manual", "failover: sometimes"))
    said = commands.run("run", lab.site_file)
    assert said.code == 2
    assert "ha.failover" in said.err
    assert contacts(lab) == []


def test_record_that_cannot_be_written_ends_the_run_before_it_begins(start_lab: StartLab, commands: Commands) -> None:
    """Where the records' folder cannot be made, exit 5, and the servers do not hear of it."""
    lab = start_lab("healthy", monitor_style="slow")
    commands.records.write_text("a file where the folder should be")
    said = commands.run("run", lab.site_file)
    assert said.code == 5
    assert str(commands.records) in said.err
    assert contacts(lab) == []


# -- devices that cannot be talked to ------------------------------------------------------------


def edit(site_file: Path, **changes: dict[str, object]) -> Path:
    """Write a copy of a site's file beside it, with sections of it updated."""
    site = yaml.safe_load(site_file.read_text())
    for section, values in changes.items():
        site[section].update(values)
    copy = site_file.with_name("edited.yaml")
    copy.write_text(yaml.safe_dump(site, sort_keys=False))
    return copy


def test_server_that_is_down_ends_the_run_with_exit_4(start_lab: StartLab, commands: Commands) -> None:
    """A server that does not answer is named, the error stands on the terminal once, and nothing is changed."""
    lab = start_lab("renewed", monitor_style="slow")
    lab.set_fault("silent", "secondary", service="ssh")
    site = edit(lab.site_file, deadlines={"connect_s": 15.0})
    said = commands.run("run", site)
    assert said.code == 4
    assert said.err.count("\n  next:") == 1
    assert "secondary" in said.err
    assert "Traceback" not in said.out + said.err
    assert [line for line in lab.truth() if "deletecert" in line["what"]] == []
    with socket.create_connection((lab.world["servers"]["secondary"]["address"], 2222)):
        pass  # it does listen: it was the deadline that ended the run


def test_changed_host_key_ends_the_run_with_exit_4_and_no_password_sent(
    start_lab: StartLab, commands: Commands
) -> None:
    """A server that was deployed anew shows another host key: one attempt, no login, both keys named."""
    lab = start_lab("after-redeploy", monitor_style="slow")
    said = commands.run("run", lab.site_file)
    assert said.code == 4
    assert "another SSH host key than the pinned one; no password was sent" in said.err
    assert "replace the pin" in said.err
    assert not [line for line in lab.truth() if line["server"] == "secondary" and line["what"] == "login"]


def test_server_without_a_pinned_host_key_is_not_logged_in_to(start_lab: StartLab, commands: Commands) -> None:
    """``check --live`` shows the fingerprint to compare, and sends no password."""
    lab = start_lab("healthy", monitor_style="slow")
    site = yaml.safe_load(lab.site_file.read_text())
    site["primary"]["ssh"]["host_key"] = []
    lab.site_file.write_text(yaml.safe_dump(site))
    said = commands.run("check", lab.site_file, "--live")
    assert said.code == 4
    assert re.search(r"presents SHA256:\S{43}", said.err)
    assert not [line for line in lab.truth() if line["server"] == "primary" and line["what"] == "login"]


def test_release_before_3_5_stops_check_and_run_unless_the_site_accepts_it(
    start_lab: StartLab, commands: Commands
) -> None:
    """An older release is exit 3 for both, with no change; ``allow_older_release`` lets it pass."""
    lab = start_lab("renewed", monitor_style="slow", release="3.4.1")
    checked, ran = commands.run("check", lab.site_file, "--live"), commands.run("run", lab.site_file)
    assert (checked.code, ran.code) == (3, 3)
    assert all("allow_older_release" in said.err for said in (checked, ran))
    assert [line for line in lab.truth() if "deletecert" in line["what"]] == []
    site = yaml.safe_load(lab.site_file.read_text()) | {"policy": {"allow_older_release": True}}
    lab.site_file.write_text(yaml.safe_dump(site))
    assert commands.run("check", lab.site_file, "--live").code == 0


# -- runs that were cut short ------------------------------------------------------------------------


TAKE_AND_DIE = """
import os, sys
from pathlib import Path
from runbook_lib.device.prime import identities
from runbook_lib.params.load import load_site
from runbook_lib.record.lock import SiteLock
SiteLock("lab", identities(load_site(Path(sys.argv[1])))).__enter__()
os._exit(9)
"""


def test_lock_of_a_run_that_died_is_freed_by_naming_its_holder(start_lab: StartLab, commands: Commands) -> None:
    """A stale lock stops the next run with exit 3 and the command that frees it; that command frees it once."""
    lab = start_lab("healthy", monitor_style="slow")
    subprocess.run([sys.executable, "-c", TAKE_AND_DIE, str(lab.site_file)], check=False)
    refused = commands.run("run", lab.site_file)
    assert refused.code == 3
    free = re.search(r"runbook (unlock) lab (--holder) (\w+)", refused.err)
    assert free
    assert commands.run(free[1], lab.site_file, *free.groups()[1:]).code == 0
    assert commands.run(free[1], lab.site_file, *free.groups()[1:]).code == 2


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_run_that_is_stopped_by_hand_says_so_in_its_record(
    start_lab: StartLab, commands: Commands, stop: signal.Signals, code: int
) -> None:
    """Ctrl-C, SIGTERM or SIGHUP: the shell's exit code, no traceback, the stage interrupted, the incident open.

    The last words say by what, that nothing was changed, where the record is, and the command that goes on.
    """
    lab = start_lab("healthy", monitor_style="slow")
    lab.set_fault("silent_command", command="show version")  # there the run is until it is stopped
    run = commands.start("run", lab.site_file)
    wait_until(lambda: any(line["what"] == "show version" for line in lab.truth()), "a command of the run at a server")
    run.send_signal(stop)
    said = commands.end(run)
    record = Record.open(commands.records, find_open(commands.records, "lab") or "")
    assert said.code == code
    assert "Traceback" not in said.out + said.err
    assert record.stage_states()[Stage.START] is StageState.INTERRUPTED
    assert record.outcome() is Outcome.STOPPED
    name = "Ctrl-C" if stop is signal.SIGINT else stop.name
    assert f"{name} ended the run in stage 00_start_here." in said.err
    assert "nothing; no server was changed" in said.err
    assert f"record:  {record.folder}\n" in said.err
    assert f"next:    runbook run {lab.site_file} --incident {record.incident}\n" in said.err
    assert not holder_of("lab")
