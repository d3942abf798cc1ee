"""``runbook run`` cut short in the middle of a change, and the next one that finishes; journals cut or edited."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from cli_runs import Commands
from long_way import LONG
from repair_site import DELETE, StartLab, changes, run_stage
from resume_site import (
    assert_no_more_than_approved,
    assert_record_is_true,
    entry,
    quick_site,
    run_changing_stages,
    sent_deletions,
    stale_entries,
)
from waiting import wait_until

from runbook_lib import paths
from runbook_lib.lab import Lab
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.processes import ProcessName
from runbook_lib.record.incident import Record, find_open
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import holder_of
from runbook_lib.repair.sent_changes import unseen_changes

pytestmark = pytest.mark.usefixtures("one_browser")

PAPERMILL = str(Path(sys.executable).with_name("papermill"))


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Where Ctrl-C is ignored, as in the background of a script, commands inherit that and rightly go on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def record_of(commands: Commands) -> Record:
    return Record.open(commands.records, find_open(commands.records, "lab") or "")


def kill_kernel(record: Record, stage: Stage) -> None:
    """Kill the process that runs a stage, as its own line in the journal names it."""
    lines = [n for n in record.journal.read().lines if n.kind is Kind.STAGE_STARTED and n.stage == stage]
    process = ProcessName.parse(lines[-1].seen)
    assert process
    assert process.alive
    os.kill(process.pid, signal.SIGKILL)


def cut_short(how: str, run: Popen[str], record: Record, stage: Stage) -> None:
    if how == "kernel":
        kill_kernel(record, stage)
    else:
        run.send_signal(getattr(signal, how))


# -- in the middle of a change ---------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("kernel", 6)])
def test_deletion_that_is_cut_short_is_unknown_until_the_store_was_asked_again(
    start_lab: StartLab, commands: Commands, how: str, code: int
) -> None:
    """A command hangs and the run is cut short: unknown, no lock left behind; the next run finds out and finishes."""
    lab = start_lab("renewed", keys="ec", monitor_interval_s=0.6)
    site = quick_site(lab)
    hung = ("primary", entry(lab, "secondary"))
    lab.set_fault("silent_command", "primary", command=f"{DELETE}{hung[1]}")
    run = commands.start("run", site, "--until", "30")
    wait_until(lambda: sent_deletions(lab)[hung], "the deletion at the server")
    cut_short(how, run, record_of(commands), Stage.DELETE)
    said = commands.end(run)
    lab.clear_fault()
    record = record_of(commands)
    assert said.code == code
    assert "Traceback" not in said.out + said.err
    if how == "SIGINT":
        assert "Ctrl-C ended the run in stage 30_delete_stale_certificates." in said.err
        assert f"{hung[1]}, primary: " in said.err
        assert "its list says what became of it" in said.err
    assert record.stage_states()[Stage.DELETE] is StageState.UNKNOWN
    assert record.outcome() is Outcome.UNKNOWN
    assert holder_of("lab") is None
    assert_record_is_true(record, lab)

    if how == "kernel":
        resumed = commands.run("run", site, "--resume", "--until", "30").code
        assert resumed == (6 if unseen_changes(record) else 0)  # a monitor may have been quicker than the look
    else:
        run_changing_stages(site)

    assert record.stage_states()[Stage.DELETE] is StageState.DONE
    assert find_open(commands.records, "lab") == record.incident
    # Newer lines of the log said that the first command of it had no effect, so that one came a second time.
    assert sent_deletions(lab) == Counter({hung: 1}) + Counter(stale_entries(lab))
    assert Counter(changes(lab.truth()).deleted) == Counter(stale_entries(lab))
    assert_record_is_true(record, lab)


def test_deletion_in_a_cell_that_ran_out_of_time_is_unknown_until_the_store_was_asked_again(
    start_lab: StartLab, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell's timeout under papermill: exit 1, nothing is claimed of the command that hangs; the next run finishes."""
    lab = start_lab("renewed", keys="ec", monitor_interval_s=0.6)
    monkeypatch.setenv("RUNBOOK_RECORDS", str(commands.records))
    site = quick_site(lab, command_s=600.0)  # the cell gives up, not the command
    for stage in (Stage.DIAGNOSE, Stage.LIST):
        run_stage(stage, site)
    hung = ("primary", entry(lab, "secondary"))
    lab.set_fault("silent_command", "primary", command=f"{DELETE}{hung[1]}")
    template = paths.notebooks_dir() / f"{Stage.DELETE}.ipynb"
    words = [
        "--engine",
        "runbook",
        "--execution-timeout",
        "45",  # what comes before the deletion has to be done by then, on a busy machine too
        str(template),
        str(tmp_path / "out.ipynb"),
        "-p",
        "site",
    ]
    said = subprocess.run(
        [PAPERMILL, *words, str(site)], env=commands.environment, capture_output=True, text=True, timeout=900
    )
    lab.clear_fault()
    record = record_of(commands)
    assert said.returncode == 1, said.stderr
    assert "CellTimeout" in (tmp_path / "out.ipynb").read_text()
    assert record.stage_states()[Stage.DELETE] is StageState.UNKNOWN
    assert [change.text for change in record.pending_changes()] == [hung[1]]
    assert_record_is_true(record, lab)

    run_changing_stages(site)

    assert record.stage_states()[Stage.DELETE] is StageState.DONE
    assert set(changes(lab.truth()).deleted) == set(stale_entries(lab))
    assert_no_more_than_approved(record, lab)
    assert_record_is_true(record, lab)


@pytest.mark.parametrize(("how", "code"), [("SIGTERM", 143), *([("kernel", 6)] if LONG else [])])
def test_registration_that_is_cut_short_is_never_begun_twice(
    start_lab: StartLab, commands: Commands, how: str, code: int
) -> None:
    """It never presses *Register* while high availability works or a registration is under way, nor twice on one
    approval; it removes a registration only where that stays broken and your site's file says so
    (`policy: remove_broken_ha: true`); it does neither while the secondary is the active one.

    The servers go on registering without us; the next run watches, or finds it done, and begins no second one.
    """
    lab = start_lab("renewed", keys="ec", monitor_interval_s=0.6, registration_s=40.0)
    site = quick_site(lab)
    run = commands.start("run", site, "--until", "40")
    wait_until(lambda: under_way(lab), "the registration to be under way")
    wait_until(lambda: record_of(commands).pending_changes(), "a pending change in the record")
    cut_short(how, run, record_of(commands), Stage.REGISTER)
    said = commands.end(run)
    record = record_of(commands)
    assert said.code == code
    assert record.stage_states()[Stage.REGISTER] is StageState.UNKNOWN
    assert record.outcome() is Outcome.UNKNOWN
    if how.startswith("SIG"):
        assert f"{how} ended the run in stage 40_register_ha." in said.err
        assert re.search(
            r"sent: +register HA, primary: (sent at .*; its result was not seen|was about to be sent)", said.err
        )
        assert "the servers carry out what has reached them" in said.err
        assert f"record:  {record.folder}\n" in said.err
        assert f"next:    runbook run {site} --incident {record.incident}\n" in said.err

    resumed = commands.run("run", site, "--resume", "--until", "40")

    expected = (6 if unseen_changes(record) else 0, StageState.DONE)
    assert (resumed.code, record.stage_states()[Stage.REGISTER]) == expected, resumed.out + resumed.err
    posted = [line for line in lab.truth() if line["what"] == "POST /webacs/ha/register"]
    assert (len(posted), changes(lab.truth()).registered) == (1, ["registered"])
    assert record.pending_changes() == ()
    assert sent_deletions(lab) == Counter(stale_entries(lab))


def under_way(lab: Lab) -> bool:
    registration = lab.world["registration"]
    return bool(registration and registration["under_way"])


# -- journals that were cut or edited ------------------------------------------------------------------


def diagnose_once(site: Path) -> Record:
    """Begin an incident, and leave stage 10 in its record."""
    return Record.open(paths.records_dir(), run_stage(Stage.DIAGNOSE, site).incident)


def test_torn_last_line_is_cut_off_and_noted_and_the_run_goes_on(start_lab: StartLab, commands: Commands) -> None:
    """A power cut in the middle of a line: the same incident goes on, and the bytes of the torn line are kept."""
    lab = start_lab("healthy", keys="ec")
    record = diagnose_once(lab.site_file)
    whole = record.journal.path.read_bytes()
    record.journal.path.write_bytes(whole[:-20])
    resumed = commands.run("run", lab.site_file, "--resume", "--until", "00")
    (torn,) = [line for line in record.journal.read().lines if line.kind is Kind.TORN]
    assert (resumed.code, record.stage_states()[Stage.START]) == (0, StageState.DONE)
    assert torn.n == whole.count(b"\n")
    assert torn.artifact
    assert record.read_bytes(torn.artifact) == whole[:-20].rpartition(b"\n")[2]


def test_edited_line_is_refused_by_its_number_and_nothing_is_asked(start_lab: StartLab, commands: Commands) -> None:
    """A changed word in a line: exit 5, the line's number and the file are named, and no server hears of it."""
    lab = start_lab("healthy", keys="ec", monitor_style="slow")
    record = diagnose_once(lab.site_file)
    lines = record.journal.path.read_bytes().split(b"\n")
    place = next(number for number, line in enumerate(lines) if b'"diagnosis"' in line)
    lines[place] = lines[place].replace(b'"diagnosis"', b'"diagnoses"')
    record.journal.path.write_bytes(b"\n".join(lines))
    refused = commands.run("run", lab.site_file, "--incident", record.incident)
    assert refused.code == 5
    assert f"line {place + 1} of the journal is damaged" in refused.err
    assert f"{record.journal.path}:{place + 1}" in refused.err
    assert [line for line in lab.truth() if line["channel"] == "ssh"] == []
