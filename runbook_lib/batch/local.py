"""Sites run on this machine: a few processes, each one site after the other; and what is known when one dies."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib import paths
from runbook_lib.batch.payload import store_record
from runbook_lib.batch.runner import ON_PAGES, kernel_environment
from runbook_lib.batch.site_run import (
    FINISHED,
    HALT,
    EventCallback,
    SiteEvent,
    SiteResult,
    SiteState,
    SiteTask,
    refused_state,
    settled_state,
)
from runbook_lib.device.prime import identities
from runbook_lib.errors import BrowserMissing, RecordNotWritable, RunbookError
from runbook_lib.event_loop import poll_until
from runbook_lib.models import Outcome, Stage
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.params.load import load_site
from runbook_lib.paths import find_browser
from runbook_lib.record.incident import Record
from runbook_lib.record.lock import SiteLock
from runbook_lib.secrets import SecretRef

if TYPE_CHECKING:
    from runbook_lib.web.launching import SharedBrowser

# -- What is known of a site whose worker died: asked of the site's record, once nothing works there any more

STRAGGLERS_S = 90.0
"""A kernel outlives its dead parent by a moment; a Dask worker without a scheduler gives what it runs 30 s to end."""
_DIED = "the process that ran it died"


def take_lock(task: SiteTask, purpose: str) -> SiteLock:
    """Return the lock of a site's servers, entered; raises SiteLocked where another run has one of them."""
    servers = identities(load_site(Path(task.site_file)))
    return SiteLock(task.site, servers, incident=task.incident, purpose=purpose).__enter__()


async def wait_until_alone(lock: SiteLock) -> bool:
    """Wait until no process works at the site any more.

    A process that works under another's lock cannot tell, and leaves it to the lock's holder.
    """

    async def look() -> bool:
        return not lock.token or lock.alone()

    return await poll_until(look, bool, limit_s=STRAGGLERS_S, pause_s=0.1)


def result_of_locked(task: SiteTask, error: RunbookError) -> SiteResult:
    """Return the result of a site whose lock cannot be had: mostly because another run has it."""
    why = f"{type(error).__name__}: {error.what}: {error.found}; {error.next_step}"
    return task.result(refused_state(task, stopped=True), why)


def result_of_leftover(task: SiteTask) -> SiteResult:
    """Return the result of a site at which something still works that nobody steers."""
    return task.result(SiteState.UNKNOWN, f"{_DIED}, and something that it had started still works at the site")


def result_after_death(task: SiteTask) -> SiteResult:
    """Say what is known after a worker died, in the site's record too: it could not do so itself."""
    state = settled_state(task)
    if state in FINISHED:
        return task.result(state, f"{_DIED} after stage 60 had found it {state}")
    why = _DIED
    if state is SiteState.UNKNOWN:
        why += " while a change may have been under way; the next run looks at the site anew before it repeats anything"
    with suppress(RunbookError):
        record = Record.open(Path(task.records), task.incident)
        record.set_outcome(Outcome.UNKNOWN if state is SiteState.UNKNOWN else Outcome.FAILED, why)
    return task.result(state, why)


# -- Sites run on this machine: a few processes, each of which runs one site after the other. ------
#
# What runs a site has a process of its own, because a repair holds the signals, the working folder and the environment
# of its process for itself, and because one that dies takes no other with it. The lock of each site is held by this
# process meanwhile, so a worker that dies leaves none behind.

PURPOSE = "run the stages, as one of a fleet"
GRACE_S = 60.0
"""How long a worker that was told to end has for it; a kernel takes five of them to stop a cell."""
_LONGEST_LINE = 1 << 20
_MOST_SITES = 100
"""Sites that one worker runs before another takes its place, so that nothing which a site left in it stays for long."""


class LocalExecutor:
    """Runs tasks on worker processes of this machine; they share a warm process and a browser. ``close`` ends them all.

    Each site's record is copied to ``address`` when the site has ended, where there is one. Of all ``env:`` secrets a
    worker gets those among ``secrets``, which are what its sites refer to.
    """

    def __init__(self, output: Path, address: str = "", secrets: Iterable[SecretRef] = ()) -> None:
        self.refused: list[str] = []
        self._output = output
        self._address = address
        self._secrets = tuple(secrets)
        self._open = ExitStack()
        self._kernels: WarmKernels | None = None
        self._browser: SharedBrowser | None = None
        self._starting = asyncio.Lock()
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        self._halted = False

    async def run(self, task: SiteTask, on_event: EventCallback) -> SiteResult:
        """Run one site and return how it ended, also where its process died."""
        try:
            lock = await asyncio.to_thread(take_lock, task, PURPOSE)
        except RunbookError as error:
            return result_of_locked(task, error)
        result = await self._run(replace(task, token=lock.token or task.token), on_event)
        if result is None:
            if not await wait_until_alone(lock):
                return result_of_leftover(task)  # and so is the lock: whoever frees it has to look first
            result = await asyncio.to_thread(result_after_death, task)
        if self._address:
            await asyncio.to_thread(self._store, task)
        lock.__exit__(None, None, None)
        return result

    def _store(self, task: SiteTask) -> None:
        folder = Path(task.records) / task.incident
        try:
            store_record(folder, self._address)
        except RecordNotWritable as error:
            self.refused.append(f"{task.site}: {error.what}: {error.where}: {error.found}; it lies in {folder}")

    async def _run(self, task: SiteTask, on_event: EventCallback) -> SiteResult | None:
        process = self._idle.pop() if self._idle else await self._start(task)
        result = await process.run(task, on_event)
        if process.sites >= _MOST_SITES:
            process.leave()
        elif result is not None:
            self._idle.append(process)
        return result

    async def _start(self, task: SiteTask) -> _Process:
        places = {"RUNBOOK_RECORDS": task.records, "PYTHONPATH": paths.python_path()}
        environment = kernel_environment(self._secrets) | places | await self._shared_browser(task.until)
        if self._kernels is None:
            self._kernels = self._open.enter_context(WarmKernels(environment=environment))
        process = await _Process.start(environment, self._output, self._kernels.descriptor())
        self._all.append(process)
        if self._halted:
            process.halt()
        return process

    async def _shared_browser(self, until: Stage) -> dict[str, str]:
        """Return what lets a worker use one browser with the others, which is started where a stage may need one."""
        async with self._starting:
            if self._browser is None and until in ON_PAGES:
                from runbook_lib.web.launching import SharedBrowser  # and Playwright, for those who need it

                try:
                    self._browser = SharedBrowser(find_browser())
                except BrowserMissing:
                    return {}  # each site says so for itself
                await asyncio.to_thread(self._browser.__enter__)
                self._open.push(self._browser)
        return self._browser.environment if self._browser else {}

    def halt(self) -> None:
        """Let every site stop before its first change; those that have begun to change go on to their end."""
        self._halted = True
        for process in self._all:
            process.halt()

    def abort(self) -> None:
        """End whatever runs, now: each is interrupted, and its record says so."""
        for process in self._all:
            process.signal(signal.SIGTERM)

    async def close(self) -> None:
        """End the workers; one that does not go by itself within the grace is killed."""
        for process in self._all:
            process.leave()
        with self._open:
            await asyncio.gather(*(process.gone() for process in self._all))


class _Process:
    """One worker process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.sites = 0

    @classmethod
    async def start(cls, environment: Mapping[str, str], output: Path, warm: int | None) -> _Process:
        inherited = [] if warm is None else [warm]
        command = (sys.executable, "-m", "runbook_lib.batch.site_run", *map(str, inherited))
        with output.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=inherited,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LONGEST_LINE,
                start_new_session=True,
                env=environment,
            )
        return cls(process)

    async def run(self, task: SiteTask, on_event: EventCallback) -> SiteResult | None:
        """Return the task's result; None where the process ended without one."""
        assert self._process.stdout is not None
        self.sites += 1
        self._send(asdict(task))
        async for line in self._process.stdout:
            message = json.loads(line)
            if "result" in message:
                return result_from(message["result"])
            on_event(event_from(message["event"]))
        await self._process.wait()
        return None

    def halt(self) -> None:
        self._send(HALT)

    def leave(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def signal(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signum)

    async def gone(self) -> None:
        try:
            async with asyncio.timeout(GRACE_S):
                await self._process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._process.wait()

    def _send(self, value: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(value).encode() + b"\n")


def result_from(value: dict[str, Any]) -> SiteResult:
    """Read a result from plain values."""
    return SiteResult(**{**value, "state": SiteState(value["state"])})


def event_from(value: dict[str, Any]) -> SiteEvent:
    """Read an event from plain values."""
    return SiteEvent(**{**value, "stage": Stage(value["stage"])})
