"""Sites run by worker processes of this machine: what a death, a full disk and an impatient person leave behind."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from fleet_site import Evening, run_one, run_one_to, say_nothing
from repair_site import changes

from runbook_lib import paths
from runbook_lib.batch.local import LocalExecutor
from runbook_lib.batch.round import Round
from runbook_lib.batch.runner import kernel_environment
from runbook_lib.batch.site_run import CHANGING, SiteEvent, SiteResult, SiteState
from runbook_lib.lab.many import ManyLabs
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import Holder, holder_of
from runbook_lib.record.verification import verify_record
from runbook_lib.repair.approval import approve

READ, REPAIRED = "site-001", "site-002"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyLabs]:
    # A monitor that is quick enough would put an entry back before it was seen to be gone.
    monitors = {"monitor_style": "on_registration", "monitor_interval_s": 1.0}
    with ManyLabs(tmp_path_factory.mktemp("many"), 2, kind="production", command_delay_s=0.3, **monitors) as lab:
        yield lab


@pytest.fixture(scope="module", autouse=True)
def warm() -> Iterator[None]:
    """One warm process for all executors of these tests; each would start its own."""
    places = {"RUNBOOK_RECORDS": "", "PYTHONPATH": paths.python_path()}
    with WarmKernels(environment=kernel_environment(()) | places):
        yield


@pytest.fixture
def evening(lab: ManyLabs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    return Evening(lab.fleet_file, tmp_path / "records")


SAID_OF_A_DEATH = dict.fromkeys(Stage, (SiteState.FAILED, Outcome.FAILED)) | dict.fromkeys(
    CHANGING, (SiteState.UNKNOWN, Outcome.UNKNOWN)
)


@pytest.fixture(scope="module")
def deaths(lab: ManyLabs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deaths]:
    """One site whose worker is killed in each stage, one run after the other, in one incident.

    What may have been sent is not sent again on the same approval, so after such a death the new plan is approved.
    """
    folder = tmp_path_factory.mktemp("deaths")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_RECORDS", str(folder / "records"))
        evening = Evening(lab.fleet_file, folder / "records")
        evening.plan()
        evening.approve(REPAIRED)
        yield asyncio.run(_die_in_each_stage(evening, lab, folder / "log"))


@dataclass(frozen=True)
class Deaths:
    """What was told of each death; what was pending and who held the lock right after it; the record at the end."""

    record: Record
    results: dict[Stage, SiteResult]
    outcomes: dict[Stage, Outcome | None]
    pending: dict[Stage, list[str]]
    holders: dict[Stage, Holder | None]


async def _die_in_each_stage(evening: Evening, lab: ManyLabs, output: Path) -> Deaths:
    executor = LocalExecutor(output)
    record = evening.record(REPAIRED)
    found = Deaths(record, {}, {}, {}, {})
    try:
        for stage in Stage:
            seen = [record.folder / "journal.jsonl", lab.folder / REPAIRED / "truth.jsonl"]
            holds = partial(changes_in if stage in CHANGING else begins, stage, record, lab)
            with killing(executor, once=holds, seen=seen):
                found.results[stage] = await executor.run(evening.task(REPAIRED, Stage.POST_MORTEM), say_nothing)
            found.outcomes[stage] = record.outcome()
            found.pending[stage] = [change.stage for change in record.pending_changes()]
            found.holders[stage] = holder_of(REPAIRED)
            if stage in CHANGING:
                await executor.run(evening.task(REPAIRED, Stage.LIST), say_nothing)
                approve(record, record.read_plan().digest, by="Ada", how="test")
    finally:
        await executor.close()
    return found


def begins(stage: Stage, record: Record, lab: ManyLabs) -> bool:
    """Whether the newest stage to begin is this one: its kernel is at work."""
    started = [line.stage for line in record.journal.read().lines if line.kind is Kind.STAGE_STARTED]
    return started[-1:] == [stage]


def changes_in(stage: Stage, record: Record, lab: ManyLabs) -> bool:
    """Whether the stage's first change is on its way: a deletion has arrived, the others may have been sent."""
    pending = [change.stage for change in record.pending_changes()]
    return pending == [stage] and (stage is not Stage.DELETE or changes(lab.truth(REPAIRED)).sent > 0)


@contextmanager
def killing(executor: LocalExecutor, *, once: Callable[[], bool], seen: Iterable[Path]) -> Iterator[None]:
    """Kill the worker as a power cut would, as soon as something holds that is ``seen`` in files which grow."""
    ended = threading.Event()

    def watch() -> None:
        known = 0
        while not ended.wait(0.01):
            before, known = known, sum(path.stat().st_size for path in seen)
            if known != before and once():
                os.kill(executor._all[-1]._process.pid, signal.SIGKILL)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.POST_MORTEM])
def test_a_worker_killed_in_a_stage_leaves_what_is_known(deaths: Deaths, stage: Stage) -> None:
    """Unknown where a change may be on its way, failed where only was read; the record says so, the lock is free."""
    state, outcome = SAID_OF_A_DEATH[stage]
    assert (deaths.results[stage].state, deaths.outcomes[stage]) == (state, outcome), deaths.results[stage].why
    assert "died" in deaths.results[stage].why
    assert deaths.pending[stage] == ([stage] if outcome is Outcome.UNKNOWN else [])
    assert deaths.holders[stage] is None


def test_a_worker_killed_after_the_repair_leaves_it_a_repair(deaths: Deaths) -> None:
    """Whoever dies while the report is written has repaired the site, and stage 60 has said so."""
    died = deaths.results[Stage.POST_MORTEM]
    assert (died.state, deaths.outcomes[Stage.POST_MORTEM]) == (SiteState.REPAIRED, Outcome.REPAIRED), died.why
    assert "died" in died.why


def test_after_each_death_the_site_is_looked_at_anew_and_nothing_is_done_twice(deaths: Deaths, lab: ManyLabs) -> None:
    """Each run begins with the reading stages; over all of them three deletions, one registration, one ISE server."""
    lines = deaths.record.journal.read().lines
    started = [line.stage for line in lines if line.kind is Kind.STAGE_STARTED]
    for stage in (Stage.DELETE, Stage.REGISTER, Stage.READD_ISE):
        assert started[started.index(stage) + 1 :][:3] == [Stage.START, Stage.DIAGNOSE, Stage.LIST]
    intents = [(line.server, line.text) for line in lines if line.kind is Kind.INTENT and line.stage == Stage.DELETE]
    assert len(set(intents)) == len(intents) == 3
    done = changes(lab.truth(REPAIRED))
    assert len(set(done.deleted)) == len(done.deleted) <= 3
    assert done.sent <= 3
    assert done.registered == ["registered"]
    assert [what.split()[0] for what in done.ise] == ["add"]


def abandon(executor: LocalExecutor) -> None:
    """What a worker sees of it when the process that steers the fleet is killed."""
    for process in executor._all:
        process.leave()


@pytest.mark.parametrize("ends", [LocalExecutor.abort, abandon])
def test_told_to_end_at_once_a_site_says_how_far_it_came(
    evening: Evening, lab: ManyLabs, tmp_path: Path, ends: Callable[[LocalExecutor], None]
) -> None:
    """A run that is ended in a reading stage, or whose starter is gone, has stopped, says so, and leaves no lock."""
    evening.round = Round.create(evening.records, evening.fleet.name)
    evening.rollup = None  # type: ignore[assignment]
    lab.set_fault(READ, "silent", service="ssh")
    task = evening.task(READ, Stage.START)

    def on(event: SiteEvent, executor: LocalExecutor) -> None:
        asyncio.get_running_loop().call_later(3.0, ends, executor)

    try:
        ended = run_one(task, tmp_path / "log", on)
    finally:
        lab.clear_faults()
    assert (ended.state, ended.why) == (SiteState.STOPPED, "the run was told to end at once")
    assert Record.open(evening.records, task.incident).outcome() is Outcome.STOPPED
    assert holder_of(READ) is None


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
    assert record.outcome() is Outcome.STOPPED
    assert len(changes(lab.truth(READ)).deleted) == before
