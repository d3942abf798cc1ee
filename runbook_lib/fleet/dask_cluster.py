"""Sites run on a Dask cluster: one that exists, or a local one; one site a task, and no task is begun twice."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Event, Queue, Security

from runbook_lib.errors import DeviceUnreachable, ParameterRefused, RunbookError
from runbook_lib.fleet.dask_worker import run_parcel
from runbook_lib.fleet.deaths import after_death, alone, left_behind, locked, take_lock
from runbook_lib.fleet.local import PURPOSE, Tell, event_from, result_from
from runbook_lib.fleet.local_cluster import start_local_cluster
from runbook_lib.fleet.parcel import parcel_of, take_in
from runbook_lib.fleet.site_run import CHANGING, result_of_error
from runbook_lib.fleet.task import SiteResult, SiteState, SiteTask
from runbook_lib.models import Stage
from runbook_lib.runner import kernel_environment
from runbook_lib.secrets import SecretRef

CONNECT_S = 15.0
_LOST = "the worker that ran it died, or the cluster lost it"
_READING = tuple(Stage)[: min(tuple(Stage).index(stage) for stage in CHANGING)]


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """``scheduler``: the address of a cluster that exists; empty: a local one of ``workers`` processes.

    ``tls_ca``, ``tls_cert`` and ``tls_key`` are files; ``plain``: a scheduler may be talked to without TLS.
    """

    scheduler: str = ""
    workers: int = 2
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    plain: bool = False


def connect(options: ClusterOptions, known: Iterable[SecretRef] = ()) -> Client:
    """Return a client of the cluster; of all ``env:`` secrets the processes of a local one keep those ``known``.

    Raises ParameterRefused for an address without TLS, DeviceUnreachable.
    """
    # On a cluster of our own; on another one the permit of each parcel is what keeps a task from being begun again.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    if not options.scheduler:
        return Client(start_local_cluster(options.workers, kernel_environment(known)))
    require_protected(options)
    try:
        return Client(options.scheduler, security=_security(options), timeout=CONNECT_S, name="runbook-fleet")
    except (OSError, TimeoutError, ValueError) as error:
        raise DeviceUnreachable(
            "The scheduler does not answer",
            where=options.scheduler,
            found=str(error),
            next_step="look whether it runs; leave --scheduler out to run the sites on this machine",
        ) from None


def require_protected(options: ClusterOptions) -> None:
    """Raise ParameterRefused for a scheduler without TLS: whoever can talk to it can run what he likes.

    On loopback that is every user of this machine.
    """
    scheme = urlsplit(options.scheduler).scheme
    if scheme not in ("tcp", "tls"):
        raise ParameterRefused(
            "This is not a scheduler's address", found=options.scheduler, next_step="tls://HOST:8786"
        )
    files = (options.tls_ca, options.tls_cert, options.tls_key)
    if scheme == "tls" and not all(files):
        raise ParameterRefused(
            "A scheduler with TLS needs the files of the CA, of a certificate and of its key",
            next_step="give --tls-ca, --tls-cert and --tls-key",
        )
    if scheme == "tcp" and not options.plain:
        raise ParameterRefused(
            "This scheduler talks without TLS: whoever reaches it, on loopback every user, runs what he likes there",
            found=options.scheduler,
            next_step="start it with TLS and give tls://HOST:8786; --allow-plain if nobody else can reach it",
        )


def _security(options: ClusterOptions) -> Security | None:
    if not options.scheduler.startswith("tls:"):
        return None
    return Security(
        tls_ca_file=options.tls_ca,
        tls_client_cert=options.tls_cert,
        tls_client_key=options.tls_key,
        require_encryption=True,
    )


class DaskExecutor:
    """Runs tasks on a cluster; ``refused`` names what the records' address did not take."""

    def __init__(self, client: Client, round_id: str, address: str = "") -> None:
        self.refused: list[str] = []
        self._client = client
        self._address = address
        self._names = {name: f"{name}-{round_id}-{secrets.token_hex(4)}" for name in ("halt", "abort", "topic")}
        self._tells: dict[str, Tell] = {}
        self._begun: dict[str, bool] = {}
        self._loop = asyncio.get_running_loop()
        client.subscribe_topic(self._names["topic"], self._hear)

    async def run(self, task: SiteTask, tell: Tell) -> SiteResult:
        """Run one site on whichever worker is free; a worker that dies, or a cluster that is lost, is a result."""
        try:
            lock = await asyncio.to_thread(take_lock, task, f"{PURPOSE}, on a cluster")
        except RunbookError as error:
            return locked(task, error)
        self._tells[task.site] = tell
        result = await self._run(task, lock.token)
        if result is None:
            if self._begun.get(task.site) and not await alone(lock):
                return left_behind(task)
            result = await asyncio.to_thread(self._after_death, task)
        lock.__exit__(None, None, None)
        return result

    async def _run(self, task: SiteTask, token: str) -> SiteResult | None:
        """Return the result; None where nobody can tell it."""
        names = self._names | {"permit": f"permit-{task.incident}-{secrets.token_hex(4)}"}
        try:
            parcel = parcel_of(replace(task, token=token), self._address)
            await asyncio.to_thread(lambda: Queue(names["permit"], client=self._client).put(True))
            future = self._client.submit(
                run_parcel, parcel, names, key=f"{task.site}-{names['permit']}", pure=False, retries=0
            )
            said = await _outcome(future)
        except RunbookError as error:
            return result_of_error(task, error, 0.0)
        except Exception:  # noqa: BLE001 - whatever Dask raises: the cluster is gone, or it lost the worker
            return None
        return self._take(task, said) if said and said["begun"] else None

    def _take(self, task: SiteTask, said: dict[str, Any]) -> SiteResult:
        """Take the record in, and the result."""
        if said["refused"]:
            self.refused.append(f"{task.site}: {said['refused']}")
        result = result_from(said["result"])
        try:
            if said["record"]:
                take_in(Path(task.records) / task.incident, said["record"])
        except RunbookError as error:
            return replace(result, why="; ".join(filter(None, (result.why, f"{error.what} ({error.where})"))))
        return result

    def _after_death(self, task: SiteTask) -> SiteResult:
        if self._begun.get(task.site):  # on this disk: the record says what is known
            return after_death(task)
        unknown = task.until not in _READING
        why = f"{_LOST}" + ("; whether something was changed is not known here" if unknown else "")
        state = SiteState.UNKNOWN if unknown else SiteState.FAILED
        return SiteResult(site=task.site, incident=task.incident, state=state, why=why)

    def _hear(self, event: tuple[float, str]) -> None:
        """What workers tell comes on a thread of the client's."""
        self._loop.call_soon_threadsafe(self._told, json.loads(event[1]))

    def _told(self, said: dict[str, Any]) -> None:
        if "begun" in said:
            self._begun[said["begun"]] = bool(said["shared"])
        elif said["event"]["site"] in self._tells:
            self._tells[said["event"]["site"]](event_from(said["event"]))

    def halt(self) -> None:
        self._set("halt")

    def abort(self) -> None:
        self._set("abort")

    def _set(self, name: str) -> None:
        def set_event() -> None:
            with suppress(Exception):  # a scheduler that is gone has ended everything already
                Event(self._names[name], client=self._client).set()

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
    found: dict[str, Any] = await asyncio.to_thread(future.result)
    return found
