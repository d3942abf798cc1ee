"""The lab as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab_clients import shown
from waiting import wait_until

from runbook_lib.lab import LabAlreadyUp, LabDied, LabError, LabNotUp, LabOptionInvalid, LabOptions, daemon
from runbook_lib.lab.__main__ import main

QUICK = LabOptions(scenario="healthy", keys="ec", monitor_interval_s=0.2)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose lab, if any, is ended with the test."""
    yield tmp_path / "lab"
    if daemon.is_up(tmp_path / "lab"):
        daemon.down(tmp_path / "lab")


def until_gone(folder: Path) -> None:
    wait_until(lambda: not daemon.is_up(folder), "the end of the lab")


def test_it_outlives_its_starter(folder: Path) -> None:
    """Started by a process that has ended, it still presents its certificate."""
    command = [sys.executable, "-m", "runbook_lib.lab", "--folder", str(folder), "up", "--scenario", "healthy"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    primary = daemon.status(folder)["servers"]["primary"]
    assert shown((primary["address"], primary["ports"]["hm"])) == primary["presents_sha256"]


def test_a_second_start_is_refused_unless_told_otherwise(folder: Path) -> None:
    """The running lab stays as it is."""
    pid = daemon.up(folder, QUICK)["pid"]
    with pytest.raises(LabAlreadyUp):
        daemon.up(folder, QUICK)
    assert daemon.up(folder, QUICK, exist_ok=True)["pid"] == pid


def test_two_starters_at_once_get_one_lab(folder: Path) -> None:
    """Whoever comes second waits for the first and finds its lab."""
    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda _: daemon.up(folder, QUICK, exist_ok=True), range(2)))
    assert states[0]["pid"] == states[1]["pid"]


def test_down_ends_it_and_up_begins_anew(folder: Path) -> None:
    """After the end nothing is up; a new lab has new keys."""
    first = daemon.up(folder, QUICK)
    daemon.down(folder)
    assert not daemon.is_up(folder)
    assert not json.loads((folder / "state.json").read_text())["running"]
    with pytest.raises(LabNotUp):
        daemon.status(folder)
    assert daemon.up(folder, QUICK)["host_keys"] != first["host_keys"]


def test_a_killed_lab_is_not_up(folder: Path) -> None:
    """What it left behind does not count, and does not stand in the way of the next."""
    os.kill(daemon.up(folder, QUICK)["pid"], signal.SIGKILL)
    until_gone(folder)
    with pytest.raises(LabNotUp):
        daemon.down(folder)
    daemon.up(folder, QUICK)


def test_renew_changes_what_a_running_lab_presents(folder: Path) -> None:
    """And the name of a server that does not exist is refused with the names that do."""
    before = daemon.up(folder, QUICK)["servers"]["ise"]["presents_sha256"]
    assert daemon.renew(folder, "ise")["servers"]["ise"]["presents_sha256"] != before
    with pytest.raises(LabOptionInvalid, match="primary, secondary, ise"):
        daemon.renew(folder, "nobody")


def test_death_during_the_start_is_reported_with_its_last_words(folder: Path) -> None:
    """A folder with other people's files is left alone, and the reason reaches the starter."""
    (folder / "secrets").mkdir(parents=True)
    with pytest.raises(LabDied, match="no lab made it"):
        daemon.up(folder, QUICK)
    assert (folder / "secrets").is_dir()


def test_nobody_there_for_long_ends_it(folder: Path) -> None:
    """The idle limit is checked while it runs."""
    daemon.up(folder, LabOptions(scenario="healthy", keys="ec", monitor_interval_s=600.0, idle_hours=0.0014))
    until_gone(folder)


def test_secrets_are_private_and_not_in_the_state(folder: Path) -> None:
    """Files of mode 0600, and no password in what everybody may read."""
    state = json.dumps(daemon.up(folder, QUICK))
    files = [*(folder / "secrets").iterdir(), folder / "control.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not any(path.read_text().strip() in state for path in (folder / "secrets").iterdir())


def test_options_that_do_not_exist_are_refused() -> None:
    """All at once, and before anything is started."""
    with pytest.raises(LabError, match="colour, size"):
        LabOptions.from_dict({"size": 1, "colour": 2})


def test_the_command_says_what_is_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few lines for people, JSON for programs, 2 and a sentence where no lab is up."""
    place = ["--folder", str(folder)]
    assert main([*place, "up", "--scenario", "healthy", "--monitor-interval-s", "0.2"]) == 0
    assert "Primary Active" in capsys.readouterr().out
    assert main([*place, "--json", "status"]) == 0
    assert json.loads(capsys.readouterr().out)["options"]["monitor_interval_s"] == 0.2
    assert main([*place, "down"]) == 0
    assert main([*place, "status"]) == 2
    said = capsys.readouterr().err
    assert "no lab is running" in said
    assert "`runbook lab up`" in said
