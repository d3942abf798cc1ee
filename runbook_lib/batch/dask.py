"""Sites run on a Dask cluster, one that exists or a local one; and what its workers do with a payload."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dask
import distributed

from runbook_lib import paths
from runbook_lib.batch import local
from runbook_lib.batch.payload import Payload, brought_back, merge_record, output_file, payload_of, task_of, under_lock
from runbook_lib.batch.rollout import ClusterOptions, require_protected
from runbook_lib.batch.runner import kernel_environment
from runbook_lib.batch.site_run import (
    READING,
    EventCallback,
    SiteEvent,
    SiteResult,
    SiteState,
    SiteTask,
    result_of_error,
)
from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import DeviceUnreachable, RunbookError, SiteLocked
from runbook_lib.params.load import load_site, secret_references
from runbook_lib.secrets import SecretRef

# -- What a Dask worker does with a payload: one site, run in a process of its own on the worker's machine.
#
# A task that changes something is begun once. Dask itself would begin it again when a worker dies, as often as its
# scheduler is configured to; so each payload has a permit, which the first one who begins takes from the scheduler.
# Whoever comes later finds none, does nothing, and says so.

LOOK_EVERY_S = 0.5
PERMIT_S = 10.0
"""How long a scheduler that is busy may take to hand over a permit; one that was taken already never comes."""
LEASE_S = 40.0
"""How long a site's place on the cluster is waited for: a lease of a worker that died ends by itself, in 30 s."""


def run_payload(payload: Payload, names: dict[str, str]) -> dict[str, Any]:
    """Run one site and return ``{"result", "record", "refused", "begun"}``; everything that goes wrong is in it.

    ``names`` are those of the round's ``halt`` and ``abort`` events, of the payload's ``permit``, and of the ``topic``
    under which the worker tells what happens.
    """
    if not _permitted(names["permit"]):
        return {"begun": False}
    worker = distributed.get_worker()

    def publish(value: dict[str, Any]) -> None:
        worker.log_event(names["topic"], json.dumps(value))

    task = payload.task
    try:
        task = task_of(payload, paths.records_dir())
        publish({"begun": task.site, "worker": worker.address, "shared": task.records == payload.task.records})
        with _cluster_lock(task), under_lock(task.token):
            result = asyncio.run(_run(task, names, lambda event: publish({"event": asdict(event)})))
    except RunbookError as error:
        result = result_of_error(task, error, 0.0)
    return {"begun": True, "result": asdict(result), **brought_back(task, payload.address)}


def _permitted(name: str) -> bool:
    try:
        return bool(distributed.Queue(name, client=distributed.get_client()).get(timeout=PERMIT_S))
    except TimeoutError:
        return False


@contextmanager
def _cluster_lock(task: SiteTask) -> Iterator[None]:
    """One run of a site on the whole cluster; the file lock beside it holds on this machine."""
    lock = distributed.Semaphore(max_leases=1, name=f"pi-tofu-site-{sha256_hex(task.site.encode())[:24]}")
    if not lock.acquire(timeout=LEASE_S):
        raise SiteLocked(
            f"another worker of this cluster runs site {task.site} now",
            next_step="wait until it has ended, then run the same command again",
        )
    try:
        yield
    finally:
        lock.release()


async def _run(task: SiteTask, names: dict[str, str], on_event: Callable[[SiteEvent], None]) -> SiteResult:
    output = output_file(Path(task.records), task.incident)
    executor = local.LocalExecutor(output, secrets=secret_references(load_site(Path(task.site_file))))
    watching = asyncio.create_task(_watch(executor, names))
    try:
        return await executor.run(task, on_event)
    finally:
        watching.cancel()
        await executor.close()


async def _watch(executor: local.LocalExecutor, names: dict[str, str]) -> None:
    """Hear of it when the fleet is stopped, or told to end now."""
    client = distributed.get_client()
    halt, abort = (distributed.Event(names[name], client=client) for name in ("halt", "abort"))
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


# -- A Dask cluster of this machine's processes that no other user of the machine can talk to. -----
#
# Whoever reaches a scheduler can run anything with the rights of whoever started it, and a port on loopback is
# reached by every local user. So each part asks for a certificate that is made for this one cluster. Its key lies in
# the memory of the processes that belong to it; where the TLS library reads a file, that is in a folder of mode 0700,
# for a moment. The pages that Dask serves beside it know no password, so there are none.

_HOST = "127.0.0.1"


class _NoPages:
    """A part of the cluster that opens no port for web pages."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Serve nothing: Dask has no other way to leave its web server out."""


class _Scheduler(_NoPages, distributed.Scheduler):
    """Tells the workers what to do."""


class _Worker(_NoPages, distributed.Worker):
    """Runs the sites, in a process that keeps only the ``variables`` of the environment that it came with."""

    def __init__(self, *args: Any, variables: Iterable[str], **options: Any) -> None:
        kept = {name: os.environ[name] for name in variables if name in os.environ}
        os.environ.clear()
        os.environ.update(kept)
        super().__init__(*args, **options)


def start_local_cluster(workers: int, variables: Iterable[str]) -> distributed.SpecCluster:
    """Return a running cluster of so many worker processes, which keep these variables; it has to be closed."""
    own: dict[str, Any] = {"host": _HOST, "protocol": "tls://", "security": distributed.Security.temporary()}
    quiet = logging.CRITICAL  # what matters is told by the results
    worker = {"nthreads": 1, "silence_logs": quiet, "worker_class": _Worker, "dashboard": False, **own}
    worker["variables"] = tuple(variables)
    return distributed.SpecCluster(
        scheduler={"cls": _Scheduler, "options": {"port": 0, "dashboard": False, **own}},
        workers={name: {"cls": distributed.Nanny, "options": dict(worker)} for name in range(workers)},
        security=own["security"],
        silence_logs=quiet,
    )


# -- Sites run on a Dask cluster: one that exists, or a local one; one site a task, and no task is begun twice

CONNECT_S = 15.0
_LOST = "the worker that ran it died, or the cluster lost it"


def connect(options: ClusterOptions, known: Iterable[SecretRef] = ()) -> distributed.Client:
    """Return a client of the cluster; of all ``env:`` secrets the processes of a local one keep those ``known``.

    Raises ParameterRefused for an address without TLS, DeviceUnreachable.
    """
    # On a cluster of our own; on another one the permit of each payload is what keeps a task from being begun again.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    if not options.scheduler:
        return distributed.Client(start_local_cluster(options.workers, kernel_environment(known)))
    require_protected(options)
    try:
        return distributed.Client(
            options.scheduler, security=_security(options), timeout=CONNECT_S, name="runbook-fleet"
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise DeviceUnreachable(
            "The scheduler does not answer",
            where=options.scheduler,
            found=str(error),
            next_step="look whether it runs; leave --scheduler out to run the sites on this machine",
        ) from None


def _security(options: ClusterOptions) -> distributed.Security | None:
    if not options.scheduler.startswith("tls:"):
        return None
    return distributed.Security(
        tls_ca_file=options.tls_ca,
        tls_client_cert=options.tls_cert,
        tls_client_key=options.tls_key,
        require_encryption=True,
    )


class DaskExecutor:
    """Runs tasks on a cluster; ``refused`` names what the records' address did not take."""

    def __init__(self, client: distributed.Client, round_id: str, address: str = "") -> None:
        self.refused: list[str] = []
        self._client = client
        self._address = address
        self._names = {name: f"{name}-{round_id}-{secrets.token_hex(4)}" for name in ("halt", "abort", "topic")}
        self._listeners: dict[str, EventCallback] = {}
        self._begun: dict[str, bool] = {}
        self._loop = asyncio.get_running_loop()
        client.subscribe_topic(self._names["topic"], self._receive)

    async def run(self, task: SiteTask, on_event: EventCallback) -> SiteResult:
        """Run one site on whichever worker is free; a worker that dies, or a cluster that is lost, is a result."""
        try:
            lock = await asyncio.to_thread(local.take_lock, task, f"{local.PURPOSE}, on a cluster")
        except RunbookError as error:
            return local.result_of_locked(task, error)
        self._listeners[task.site] = on_event
        result = await self._run(task, lock.token)
        if result is None:
            if self._begun.get(task.site) and not await local.wait_until_alone(lock):
                return local.result_of_leftover(task)
            result = await asyncio.to_thread(self._after_death, task)
        lock.__exit__(None, None, None)
        return result

    async def _run(self, task: SiteTask, token: str) -> SiteResult | None:
        """Return the result; None where nobody can tell it."""
        names = self._names | {"permit": f"permit-{task.incident}-{secrets.token_hex(4)}"}
        try:
            payload = payload_of(replace(task, token=token), self._address)
            await asyncio.to_thread(lambda: distributed.Queue(names["permit"], client=self._client).put(True))
            future = self._client.submit(
                run_payload, payload, names, key=f"{task.site}-{names['permit']}", pure=False, retries=0
            )
            message = await _outcome(future)
        except RunbookError as error:
            return result_of_error(task, error, 0.0)
        except Exception:  # noqa: BLE001 - whatever Dask raises: the cluster is gone, or it lost the worker
            return None
        return self._take(task, message) if message and message["begun"] else None

    def _take(self, task: SiteTask, message: dict[str, Any]) -> SiteResult:
        """Take the record in, and the result."""
        if message["refused"]:
            self.refused.append(f"{task.site}: {message['refused']}")
        try:
            if message["record"]:
                merge_record(Path(task.records) / task.incident, message["record"])
        except RunbookError as error:
            self.refused.append(f"{task.site}: {error.what}: {error.where}; the run's own lies on its worker")
        return local.result_from(message["result"])

    def _after_death(self, task: SiteTask) -> SiteResult:
        if self._begun.get(task.site):  # on this disk: the record says what is known
            return local.result_after_death(task)
        unknown = task.until not in READING
        why = f"{_LOST}" + ("; whether something was changed is not known here" if unknown else "")
        return task.result(SiteState.UNKNOWN if unknown else SiteState.FAILED, why)

    def _receive(self, event: tuple[float, str]) -> None:
        """What workers publish comes on a thread of the client's."""
        self._loop.call_soon_threadsafe(self._take_event, json.loads(event[1]))

    def _take_event(self, message: dict[str, Any]) -> None:
        if "begun" in message:
            self._begun[message["begun"]] = bool(message["shared"])
        elif message["event"]["site"] in self._listeners:
            self._listeners[message["event"]["site"]](local.event_from(message["event"]))

    def halt(self) -> None:
        self._set("halt")

    def abort(self) -> None:
        self._set("abort")

    def _set(self, name: str) -> None:
        def set_event() -> None:
            with suppress(Exception):  # a scheduler that is gone has ended everything already
                distributed.Event(self._names[name], client=self._client).set()

        self._loop.run_in_executor(None, set_event)

    async def close(self) -> None:
        """Leave the cluster; a local one ends."""

        def leave() -> None:
            with suppress(Exception):  # there is nothing left that could be done about it
                self._client.unsubscribe_topic(self._names["topic"])
            cluster = self._client.cluster
            self._client.close(timeout=5)
            if cluster is not None:
                cluster.close(timeout=20)

        await asyncio.to_thread(leave)


async def _outcome(future: Any) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    future.add_done_callback(lambda _future: loop.call_soon_threadsafe(done.set))
    await done.wait()
    return dict(await asyncio.to_thread(future.result))
