"""The warm process and its kernels, as the process that owns them sees them."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from runbook_lib import places
from runbook_lib.kernels import wire
from runbook_lib.kernels.conditions import NotWarm, resource_limits, start_up_variables

LOST = 255
"""The exit status of a kernel that ended after its warm process had: nobody saw how."""

START_DEADLINE_S = 120.0
"""How long a kernel may take until it can be talked to, the imports of the warm process included."""

_QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # else the debugger that ipykernel imports warns of frozen modules


class WarmProcessEnded(Exception):
    """The warm process is gone; a new one can be started."""


class ForkedKernel:
    """A kernel's process, with the methods of ``subprocess.Popen`` that a provisioner uses.

    ``pid`` is also its process group; it stays taken, and safe to signal, until ``release``.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, line: socket.socket, status: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)
        self._line = line
        self._status = status

    def poll(self) -> int | None:
        """Return the exit status, a signal's as its negative number, or None while the kernel runs."""
        if self.returncode is None:
            try:
                self.returncode = wire.receive_packet(self._status).get("exit")
            except BlockingIOError:
                return None
            if self.returncode is None and self._over():
                self.returncode = LOST
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the kernel's end; raises subprocess.TimeoutExpired."""
        if self.poll() is None and not self._over(timeout):
            raise subprocess.TimeoutExpired("a forked kernel", timeout or 0.0)
        while self.poll() is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                selector.select()
        assert self.returncode is not None
        return self.returncode

    async def ended(self) -> int:
        """Wait for the kernel's end and return the exit status."""
        while self.poll() is None:
            await wire.readable(self._pidfd)
            await wire.readable(self._status)
        assert self.returncode is not None
        return self.returncode

    async def ready(self) -> None:
        """Wait until the kernel can be talked to, or has ended."""
        await wire.readable(self._line)

    def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel alone, if it still runs."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def release(self) -> None:
        """Let go of the kernel; what is left of it and of its process group is killed."""
        self._line.close()
        self._status.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _over(self, timeout_s: float | None = 0.0) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            return bool(selector.select(timeout_s))


class WarmProcess:
    """A process of this Python that has imported everything and forks kernels; ends with its owner or by ``close``.

    ``start_up`` are the variables of ``conditions.start_up_variables`` that it was started with.
    """

    def __init__(self, control: socket.socket, start_up: Mapping[str, str], process: subprocess.Popen[bytes] | None):
        self.start_up = dict(start_up)
        self._control = control
        self._process = process
        self._sending = threading.Lock()

    @classmethod
    def start(cls, environment: Mapping[str, str]) -> WarmProcess:
        """Start one for kernels with the start-up variables of ``environment``; it begins to import."""
        start_up = start_up_variables(environment)
        control, theirs = wire.packets()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 (this Python, our module)
                [sys.executable, "-m", "runbook_lib.kernels.warm", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=places.project_root(),
                env=_QUIET | start_up | {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return cls(control, start_up, process)

    @classmethod
    def inherited(cls, descriptor: int) -> WarmProcess:
        """Return the one of a parent process, which passed the descriptor and this process's start-up variables on."""
        return cls(socket.socket(fileno=descriptor), start_up_variables(os.environ), None)

    def fileno(self) -> int:
        """The descriptor by which a child process, if it inherits it, gets kernels from here."""
        return self._control.fileno()

    @property
    def pid(self) -> int | None:
        """The process id; None where a parent process has started it."""
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        """Whether it still runs, as far as this process can tell."""
        return self._process is None or self._process.poll() is None

    async def fork(self, arguments: Sequence[str], options: Mapping[str, Any]) -> ForkedKernel:
        """Start a kernel with its ``arguments``, in the environment and folder of ``options``; wait until it answers.

        Raises NotWarm, and WarmProcessEnded where that happened before the kernel was there.
        """
        line, theirs = socket.socketpair()
        status, told = wire.packets()
        line.setblocking(False)
        status.setblocking(False)
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                with theirs, told:
                    await self._request([theirs, told], options)
                pid = await self._pid(status)
                kernel = ForkedKernel(pid, line, status)
                try:
                    await wire.send_long(line, _request(arguments, options))
                    await kernel.ready()
                except ConnectionError:
                    pass  # it has ended already, which its exit status tells
                except BaseException:
                    kernel.release()
                    raise
        except BaseException:
            line.close()
            status.close()
            raise
        return kernel

    async def _request(self, ends: Sequence[socket.socket], options: Mapping[str, Any]) -> None:
        outputs = [_descriptor(options.get("stdout"), 1), _descriptor(options.get("stderr"), 2)]
        try:
            with self._sending:
                socket.send_fds(self._control, [wire.FORK], [*(end.fileno() for end in ends), *outputs])
        except OSError as error:
            raise WarmProcessEnded from error

    async def _pid(self, status: socket.socket) -> int:
        await wire.readable(status)
        told = wire.receive_packet(status)
        if not told:
            raise WarmProcessEnded
        if "refused" in told:
            raise NotWarm(str(told["refused"]))
        return int(told["pid"])

    def close(self) -> None:
        """End the process, or let go of a parent's; kernels of this process that still run are killed."""
        self._control.close()
        if self._process is None:
            return
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Let go of it in a fork of its owner, which owns nothing."""
        self._control.close()
        if self._process is not None:
            self._process.returncode = 0


def _descriptor(given: Any, default: int) -> int:
    if given is None:
        return default
    return int(given) if isinstance(given, int) else int(given.fileno())


def _request(arguments: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    environment = dict(os.environ if options.get("env") is None else options["env"])
    return {
        "arguments": list(arguments),
        "env": {**environment, "JPY_PARENT_PID": str(os.getpid())},
        "cwd": str(options.get("cwd") or os.getcwd()),  # noqa: PTH109
        "limits": resource_limits(),
        "umask": mask,
    }
