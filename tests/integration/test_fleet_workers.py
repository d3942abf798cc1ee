"""Sites run by worker processes of this machine: what a death, a full disk and an impatient person leave behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_site import Evening, run_one, run_one_to
from repair_site import changes

from runbook_lib.fleet.local import LocalExecutor
from runbook_lib.fleet.round import Round
from runbook_lib.fleet.task import SiteEvent, SiteState
from runbook_lib.lab.many import ManyLabs
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.record import Kind, Record, holder_of
from runbook_lib.record.verify import verify_record

pytestmark = pytest.mark.timeout(300)  # processes are started, and a busy machine starts them slowly

READ, DELETES = "site-001", "site-002"
DELETE = "ncs certvalidation tofu-certs deletecert"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyLabs]:
    with ManyLabs(tmp_path_factory.mktemp("many"), 2, kind="production", monitor_interval_s=5.0) as lab:
        yield lab


@pytest.fixture
def evening(lab: ManyLabs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    return Evening(lab.fleet_file, tmp_path / "records")


def kill(executor: LocalExecutor) -> None:
    """End the worker as a power cut would."""
    for pid in executor.pids:
        os.kill(pid, signal.SIGKILL)


def test_a_worker_that_dies_in_a_reading_stage_leaves_nothing_open(evening: Evening, tmp_path: Path) -> None:
    """The site has failed, nothing is pending, its lock is free, and the next run goes on in the same incident."""
    evening.round = Round.create(evening.records, evening.fleet.name)
    evening.rollup = None  # type: ignore[assignment]
    task = evening.task(READ, Stage.DIAGNOSE)

    def on(event: SiteEvent, executor: LocalExecutor) -> None:
        if event.stage is Stage.START and event.state == StageState.DONE:
            kill(executor)

    died = run_one(task, tmp_path / "log", on)
    assert (died.state, "died" in died.why) == (SiteState.FAILED, True)
    assert holder_of(evening.records, READ) is None
    again = run_one(evening.task(READ, Stage.DIAGNOSE), tmp_path / "log", lambda event, executor: None)
    assert (again.state, again.incident) == (SiteState.DONE, task.incident)


def test_a_worker_that_dies_while_it_deletes_leaves_unknown(evening: Evening, lab: ManyLabs, tmp_path: Path) -> None:
    """The change is unknown; the next run looks anew before anything is repeated, and sends no deletion twice."""
    evening.plan()
    evening.approve(DELETES)
    lab.set_fault(DELETES, "silent_command", command=DELETE, times=1)
    task = evening.task(DELETES)
    record = Record.open(evening.records, task.incident)
    known = len(record.journal.read().lines)

    def on(event: SiteEvent, executor: LocalExecutor) -> None:
        if event.stage is Stage.DELETE and not event.state:
            _kill_when_sent(record, known, executor)

    died = run_one(task, tmp_path / "log", on)
    assert died.state is SiteState.UNKNOWN
    assert record.outcome() is Outcome.UNKNOWN
    assert holder_of(evening.records, DELETES) is None
    sent = _intents(record, known)
    assert len(sent) == 1

    until_deleted = evening.task(DELETES, Stage.DELETE)
    again = run_one(until_deleted, tmp_path / "log", lambda event, executor: None)
    assert again.state is SiteState.DONE, again.why
    stages = [line.stage for line in record.journal.read().lines if line.kind is Kind.STAGE_STARTED]
    assert Stage.LIST in stages[stages.index(Stage.DELETE) + 1 :]
    assert len(set(_intents(record, known))) == len(_intents(record, known)) == 3
    assert len(changes(lab.truth(DELETES)).deleted) <= 3


def test_told_to_end_at_once_a_site_says_how_far_it_came(evening: Evening, lab: ManyLabs, tmp_path: Path) -> None:
    """A run that is ended in a reading stage has stopped, says so in its record, and leaves no lock."""
    evening.round = Round.create(evening.records, evening.fleet.name)
    evening.rollup = None  # type: ignore[assignment]
    lab.set_fault(READ, "silent", service="ssh")
    task = evening.task(READ, Stage.START)

    def on(event: SiteEvent, executor: LocalExecutor) -> None:
        threading.Timer(3.0, executor.abort).start()

    try:
        ended = run_one(task, tmp_path / "log", on)
    finally:
        lab.clear_faults()
    assert (ended.state, ended.why) == (SiteState.STOPPED, "the run was told to end at once")
    assert Record.open(evening.records, task.incident).outcome() is Outcome.STOPPED
    assert holder_of(evening.records, READ) is None


def test_a_contradiction_in_a_run_is_told(evening: Evening, lab: ManyLabs, tmp_path: Path) -> None:
    """A site that shows an impostor's certificate in stage 20 is told as contradicted, which ends the evening."""
    evening.round = Round.create(evening.records, evening.fleet.name)
    evening.rollup = None  # type: ignore[assignment]
    lab.set_fault(READ, "impostor", "secondary")
    try:
        result = run_one(evening.task(READ, Stage.LIST), tmp_path / "log", lambda event, executor: None)
    finally:
        lab.clear_faults()
    assert (result.state, result.contradicted) == (SiteState.DONE, True), result.why


def test_an_address_that_refuses_the_record_is_named_and_the_record_stays(evening: Evening, tmp_path: Path) -> None:
    """The site's result is what it is; the refusal is told beside it, and the record lies whole where it was made."""
    evening.round = Round.create(evening.records, evening.fleet.name)
    evening.rollup = None  # type: ignore[assignment]
    (tmp_path / "no-folder").write_text("a file where a folder would have to be", encoding="utf-8")
    task = evening.task(READ, Stage.START)
    result, refused = run_one_to(task, tmp_path / "log", f"file://{tmp_path}/no-folder")
    assert result.state is SiteState.DONE
    assert [READ in line and "refuses to be written" in line for line in refused] == [True]
    assert verify_record(evening.records / task.incident).problems == []


def _intents(record: Record, since: int) -> list[tuple[str, str]]:
    lines = record.journal.read().lines[since:]
    return [(line.server, line.text) for line in lines if line.kind is Kind.INTENT and line.stage == Stage.DELETE]


def _kill_when_sent(record: Record, since: int, executor: LocalExecutor) -> None:
    """Kill the worker once the first deletion is on its way; the journal says so."""

    def watch() -> None:
        while not any(line.kind is Kind.SENT for line in record.journal.read().lines[since:]):
            if not _intents(record, since):
                time.sleep(0.05)
                continue
            time.sleep(0.3)  # the command is being sent; whether it has left is what nobody knows then
            break
        kill(executor)

    threading.Thread(target=watch, daemon=True).start()


def test_a_halted_site_stops_before_its_first_change(evening: Evening, lab: ManyLabs, tmp_path: Path) -> None:
    """A site that hears of the end while it still reads goes no further than to stage 20, and says so."""
    evening.plan()
    evening.approve(READ)
    task = evening.task(READ, Stage.DELETE)
    before = len(changes(lab.truth(READ)).deleted)

    def on(event: SiteEvent, executor: LocalExecutor) -> None:
        executor.halt()

    ended = run_one(task, tmp_path / "log", on)
    assert (ended.state, "stopped before anything was changed" in ended.why) == (SiteState.STOPPED, True), ended.why
    record = Record.open(evening.records, task.incident)
    assert record.stage_states()[Stage.LIST] is StageState.DONE
    assert record.stage_states()[Stage.DELETE] is StageState.PENDING
    assert len(changes(lab.truth(READ)).deleted) == before
