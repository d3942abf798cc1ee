"""What a Dask worker does with a parcel: one site, run in a process of its own on the worker's machine.

A task that changes something is begun once. Dask itself would begin it again when a worker dies, as often as its
scheduler is configured to; so each parcel has a permit, which the first one who begins takes from the scheduler.
Whoever comes later finds none, does nothing, and says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distributed import Event, Queue, Semaphore, get_client, get_worker

from runbook_lib import places
from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import RecordNotWritable, RunbookError, SiteLocked
from runbook_lib.fleet.local import LocalExecutor
from runbook_lib.fleet.parcel import Parcel, unpack
from runbook_lib.fleet.site_run import result_of_error
from runbook_lib.fleet.storage import store_record
from runbook_lib.fleet.task import SiteEvent, SiteResult, SiteTask
from runbook_lib.params import load_site, secret_references
from runbook_lib.record.archive import packed
from runbook_lib.record.files import make_folder
from runbook_lib.record.lock import TOKEN_VARIABLE

LOOK_EVERY_S = 0.5
PERMIT_S = 10.0
"""How long a scheduler that is busy may take to hand over a permit; one that was taken already never comes."""
LEASE_S = 40.0
"""How long a site's place on the cluster is waited for: a lease of a worker that died ends by itself, in 30 s."""

_environment = threading.Lock()


def run_parcel(parcel: Parcel, names: dict[str, str]) -> dict[str, Any]:
    """Run one site and return ``{"result", "record", "refused", "begun"}``; everything that goes wrong is in it.

    ``names`` are those of the round's ``halt`` and ``abort`` events, of the parcel's ``permit``, and of the ``topic``
    under which is told what happens.
    """
    if not _permitted(names["permit"]):
        return {"begun": False}
    worker = get_worker()

    def tell(value: dict[str, Any]) -> None:
        worker.log_event(names["topic"], json.dumps(value))

    task = parcel.task
    try:
        task = unpack(parcel, places.records_dir())
        tell({"begun": task.site, "worker": worker.address, "shared": task.records == parcel.task.records})
        with _cluster_lock(task), _under(task.token):
            result = asyncio.run(_run(task, names, lambda event: tell({"event": asdict(event)})))
    except RunbookError as error:
        result = result_of_error(task, error, 0.0)
    return {"begun": True, "result": asdict(result), **_bring_back(task, parcel.address)}


def _permitted(name: str) -> bool:
    try:
        return bool(Queue(name, client=get_client()).get(timeout=PERMIT_S))
    except TimeoutError:
        return False


@contextmanager
def _cluster_lock(task: SiteTask) -> Iterator[None]:
    """One run of a site on the whole cluster; the file lock beside it holds on this machine."""
    lock = Semaphore(max_leases=1, name=f"pi-tofu-site-{sha256_hex(task.site.encode())[:24]}")
    if not lock.acquire(timeout=LEASE_S):
        raise SiteLocked(
            f"another worker of this cluster runs site {task.site} now",
            next_step="wait until it has ended, then run the same command again",
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _under(token: str) -> Iterator[None]:
    """Let this process in under the lock that the sender holds, where both see one disk; elsewhere it means nothing."""
    with _environment:
        os.environ[TOKEN_VARIABLE] = " ".join(filter(None, (os.environ.get(TOKEN_VARIABLE, ""), token)))
    try:
        yield
    finally:
        with _environment:
            left = [each for each in os.environ.get(TOKEN_VARIABLE, "").split() if each != token]
            os.environ[TOKEN_VARIABLE] = " ".join(left)


async def _run(task: SiteTask, names: dict[str, str], tell: Callable[[SiteEvent], None]) -> SiteResult:
    executor = LocalExecutor(_output(task), secrets=secret_references(load_site(Path(task.site_file))))
    watching = asyncio.create_task(_watch(executor, names))
    try:
        return await executor.run(task, tell)
    finally:
        watching.cancel()
        await executor.close()


async def _watch(executor: LocalExecutor, names: dict[str, str]) -> None:
    """Hear of it when the fleet is stopped, or told to end now."""
    client = get_client()
    halt, abort = (Event(names[name], client=client) for name in ("halt", "abort"))
    halted = False
    while True:
        with suppress(OSError):  # a scheduler that is gone ends this worker by itself
            if not halted and await asyncio.to_thread(halt.is_set):
                halted = True
                executor.halt()
            if await asyncio.to_thread(abort.is_set):
                executor.abort()
                return
        await asyncio.sleep(LOOK_EVERY_S)


def _output(task: SiteTask) -> Path:
    folder = Path(task.records) / ".fleet"
    make_folder(folder)
    return folder / f"{task.incident}.log"


def _bring_back(task: SiteTask, address: str) -> dict[str, Any]:
    """Return the record whole, and copy it to the records' address; where that refuses, the copy here stays."""
    folder = Path(task.records) / task.incident
    refused = ""
    try:
        if address:
            store_record(folder, address)
    except RecordNotWritable as error:
        refused = f"{error.what}: {error.where}: {error.found}; it lies in {folder} on {os.uname().nodename}"
    try:
        return {"record": packed(folder), "refused": refused}
    except OSError as error:
        return {"record": b"", "refused": f"the record could not be read on the worker: {error}"}
