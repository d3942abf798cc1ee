"""Sites run on a Dask cluster of real processes: what comes back, and what a death of any part of it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from descendants import each_descendant
from distributed import Client
from fleet_site import Evening
from repair_site import changes
from waiting import PATIENCE_S, wait_until

from runbook_lib.batch import dask
from runbook_lib.batch.dask import DaskExecutor, _cluster_lock, connect
from runbook_lib.batch.rollout import ClusterOptions
from runbook_lib.batch.round import Round
from runbook_lib.batch.site_run import SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.errors import SiteLocked
from runbook_lib.lab.many import ManyLabs
from runbook_lib.models import Stage
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import holder_of
from runbook_lib.repair.approval import approve

FIRST, SECOND, DELETES = "site-001", "site-002", "site-003"
DELETE = "ncs certvalidation tofu-certs deletecert"
# What a cluster measures of itself, up to a hundred times a second, is no part of what these tests are about.
UNOBSERVED = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "1m",
}
SMALL_DISK = 12_000
"""Bytes that a file may have on a worker whose disk is full: enough for the record that arrives, not for more."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyLabs]:
    with ManyLabs(tmp_path_factory.mktemp("many"), 3, kind="production", monitor_style="on_registration") as lab:
        yield lab


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        address_file = folder / "scheduler.json"
        self.scheduler = self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address_file
        )
        wait_until(
            lambda: (
                self.scheduler.poll() is not None or (address_file.exists() and address_file.read_text()[-1:] == "}")
            ),
            "the scheduler's file",
        )
        assert self.scheduler.poll() is None
        self.address = json.loads(address_file.read_text())["address"]
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self, *, small_disk: bool = False) -> subprocess.Popen[bytes]:
        """Start one more worker of one thread."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))

        records = self._folder / f"worker{len(self.workers)}"
        worker = self._start(
            "dask_worker",
            self.address,
            *(
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
                "--death-timeout",
                str(PATIENCE_S),
            ),
            records=records,
            before=limit if small_disk else None,
        )
        self.workers.append(worker)
        return worker

    def _start(
        self, what: str, *words: object, records: Path | None = None, before: Callable[[], None] | None = None
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{what}", *map(str, words)]
        brief = {
            f"DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_{name}": "2s" for name in ("TIMEOUT", "VALIDATION_INTERVAL")
        }
        environment = os.environ | brief | UNOBSERVED | {"RUNBOOK_RECORDS": str(records or self._folder)}
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=before,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.close()


@pytest.fixture
def evening(lab: ManyLabs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    found = Evening(lab.fleet_file, tmp_path / "records")
    found.round = Round.create(found.records, found.fleet.name)
    found.rollup = None  # type: ignore[assignment]
    return found


def run_on(
    cluster: Cluster, tasks: list[SiteTask], on: Callable[[SiteEvent], None] = lambda event: None
) -> tuple[SiteResult, ...]:
    """Run tasks on a cluster, all at a time."""
    client = connect(ClusterOptions(scheduler=cluster.address, plain=True))
    client.wait_for_workers(len(cluster.workers), timeout=PATIENCE_S)

    async def main() -> list[SiteResult]:
        executor = DaskExecutor(client, "test")
        try:
            return await asyncio.gather(*(executor.run(task, on) for task in tasks))
        finally:
            await executor.close()

    return tuple(asyncio.run(main()))


def test_sites_run_on_a_cluster_and_a_full_disk_stops_one_worker_only(evening: Evening, cluster: Cluster) -> None:
    """One site runs and its record is whole here; the one on the worker without room fails by name, and only that."""
    cluster.add_worker()
    cluster.add_worker(small_disk=True)
    tasks = [evening.task(FIRST, Stage.DIAGNOSE), evening.task(SECOND, Stage.DIAGNOSE)]
    seen: list[SiteEvent] = []
    results = run_on(cluster, tasks, seen.append)
    done = [result for result in results if result.state is SiteState.DONE]
    failed = [result for result in results if result.state is SiteState.FAILED]
    assert len(done) == len(failed) == 1, results
    assert "RecordNotWritable" in failed[0].why
    record = Record.open(evening.records, done[0].incident)
    assert record.stage_states()[Stage.DIAGNOSE] == "done"
    assert (record.folder / "notebooks" / f"{Stage.DIAGNOSE}.ipynb").is_file()
    assert {event.stage for event in seen if event.site == done[0].site} == {Stage.START, Stage.DIAGNOSE}
    assert holder_of(FIRST) is None


def test_a_worker_that_dies_while_it_deletes_leaves_unknown_and_nothing_twice(
    evening: Evening, cluster: Cluster, lab: ManyLabs
) -> None:
    """Another worker is free, and does not begin again what was begun; the site goes on once it is approved anew."""
    first, second = cluster.add_worker(), cluster.add_worker()
    evening.plan()
    evening.approve(DELETES)
    lab.set_fault(DELETES, "silent_command", command=DELETE, times=1)
    task = evening.task(DELETES, Stage.DELETE)
    record = Record.open(evening.records, task.incident)
    threads: list[threading.Thread] = []

    def on(event: SiteEvent) -> None:
        if event.stage is Stage.DELETE and not event.state:
            threads.append(threading.Thread(target=kill_when_sent, args=(lab, [first, second])))
            threads[-1].start()

    (died,) = run_on(cluster, [task], on)
    for thread in threads:
        thread.join()
    assert died.state is SiteState.UNKNOWN, died.why
    assert len(intents(record)) == 1
    assert len(changes(lab.truth(DELETES)).deleted) <= 1
    cluster.workers = [worker for worker in (first, second) if worker.poll() is None]
    assert cluster.workers

    (stopped,) = run_on(cluster, [evening.task(DELETES, Stage.DELETE)])
    assert stopped.state is SiteState.STOPPED, stopped.why
    assert len(intents(record)) == 1
    approve(record, record.read_plan().digest, by="Ada", how="test")
    (again,) = run_on(cluster, [evening.task(DELETES, Stage.DELETE)])
    assert again.state is SiteState.DONE, again.why
    assert len(set(intents(record))) == 3
    assert len(intents(record)) == 4  # nobody saw the end of the first one, so it was approved and sent once more


def test_a_site_has_one_place_on_the_whole_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a site whose place is taken, from whatever disk, is stopped by name; other sites are not."""
    monkeypatch.setattr(dask, "LEASE_S", 0.2)
    first, second = (
        SiteTask(site=name, site_file="", incident="i", approve="", until=Stage.START, records="r")
        for name in (FIRST, SECOND)
    )
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None):
        refused = pytest.raises(SiteLocked, match="another worker")
        with _cluster_lock(first), _cluster_lock(second), refused, _cluster_lock(first):
            raise AssertionError("two at one site")
        with _cluster_lock(first):
            pass


def test_a_scheduler_that_is_gone_is_a_result(evening: Evening, cluster: Cluster, lab: ManyLabs) -> None:
    """A site in a reading stage has failed when the cluster is lost; its lock is free, nothing is left running."""
    cluster.add_worker()
    lab.set_fault(FIRST, "silent", service="ssh")

    def on(event: SiteEvent) -> None:
        cluster.scheduler.send_signal(signal.SIGKILL)

    try:
        (lost,) = run_on(cluster, [evening.task(FIRST, Stage.START)], on)
    finally:
        lab.clear_faults()
    assert lost.state is SiteState.FAILED, lost.why
    assert "died" in lost.why
    assert holder_of(FIRST) is None


def intents(record: Record) -> list[tuple[str, str]]:
    lines = record.journal.read().lines
    return [(line.server, line.text) for line in lines if line.kind is Kind.INTENT and line.stage == Stage.DELETE]


def kill_when_sent(lab: ManyLabs, workers: list[Any]) -> None:
    """Kill the worker that deletes, once the deletion is at the server, which does not answer it."""
    wait_until(lambda: changes(lab.truth(DELETES)).sent, "the deletion at the server")
    # Which of the two it is does not matter to the claim: the one that has a child process runs the site.
    for worker in workers:
        if "runbook_lib.batch.site_run" in str(each_descendant(lambda process: process.cmdline(), of=worker.pid)):
            worker.kill()
            return
    raise AssertionError("no worker runs the site")
