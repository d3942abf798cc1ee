"""Sites run on this machine: a few processes, each of which runs one site after the other.

What runs a site has a process of its own, because a repair holds the signals, the working folder and the environment of
its process for itself, and because one that dies takes no other with it. The lock of each site is held by this
process meanwhile, so a worker that dies leaves none behind.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib import places
from runbook_lib.browsers import find_browser
from runbook_lib.errors import BrowserMissing, RecordNotWritable, RunbookError
from runbook_lib.fleet.deaths import after_death, alone, left_behind, locked, take_lock
from runbook_lib.fleet.storage import store_record
from runbook_lib.fleet.task import SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.fleet.worker import HALT
from runbook_lib.kernels import WarmKernels
from runbook_lib.models import Stage
from runbook_lib.runner import ON_PAGES, kernel_environment
from runbook_lib.secrets import SecretRef

if TYPE_CHECKING:
    from runbook_lib.web.shared import SharedBrowser

Tell = Callable[[SiteEvent], None]

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

    async def run(self, task: SiteTask, tell: Tell) -> SiteResult:
        """Run one site and return how it ended, also where its process died."""
        try:
            lock = await asyncio.to_thread(take_lock, task, PURPOSE)
        except RunbookError as error:
            return locked(task, error)
        result = await self._run(replace(task, token=lock.token or task.token), tell)
        if result is None:
            if not await alone(lock):
                return left_behind(task)  # and so is the lock: whoever frees it has to look first
            result = await asyncio.to_thread(after_death, task)
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

    async def _run(self, task: SiteTask, tell: Tell) -> SiteResult | None:
        process = self._idle.pop() if self._idle else await self._start(task)
        result = await process.run(task, tell)
        if process.sites >= _MOST_SITES:
            process.leave()
        elif result is not None:
            self._idle.append(process)
        return result

    async def _start(self, task: SiteTask) -> _Process:
        environment = _environment(task.records, self._secrets) | await self._shared_browser(task.until)
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
                from runbook_lib.web.shared import SharedBrowser  # and Playwright, for those who need it

                try:
                    self._browser = SharedBrowser(find_browser())
                except BrowserMissing:
                    return {}  # each site says so for itself
                await asyncio.to_thread(self._browser.__enter__)
                self._open.push(self._browser)
        return self._browser.environment if self._browser else {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the worker processes that were started."""
        return tuple(process.pid for process in self._all)

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
        with output.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "runbook_lib.fleet.worker",
                *([] if warm is None else [str(warm)]),
                pass_fds=[] if warm is None else [warm],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LONGEST_LINE,
                start_new_session=True,
                env=environment,
            )
        return cls(process)

    async def run(self, task: SiteTask, tell: Tell) -> SiteResult | None:
        """Return the task's result; None where the process ended without one."""
        assert self._process.stdout is not None
        self.sites += 1
        self._send({**asdict(task)})
        async for line in self._process.stdout:
            said = json.loads(line)
            if "result" in said:
                return result_from(said["result"])
            tell(event_from(said["event"]))
        await self._process.wait()
        return None

    @property
    def pid(self) -> int:
        return self._process.pid

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


def _environment(records: str, secrets: Iterable[SecretRef] = ()) -> dict[str, str]:
    return kernel_environment(secrets) | {"RUNBOOK_RECORDS": records, "PYTHONPATH": places.python_path()}


def result_from(value: dict[str, Any]) -> SiteResult:
    """Read a result from plain values."""
    return SiteResult(**{**value, "state": SiteState(value["state"])})


def event_from(value: dict[str, Any]) -> SiteEvent:
    """Read an event from plain values."""
    return SiteEvent(**{**value, "stage": Stage(value["stage"])})
