"""Kernels that start in a moment: the one warm process of this process, as its owner sees it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from runbook_lib import event_loop, paths
from runbook_lib.notebook import warm_process
from runbook_lib.notebook.forked_kernel import (
    ForkedKernel,
    NotWarm,
    kernel_arguments,
    require_system,
    start_up_variables,
)
from runbook_lib.processes import wait_or_kill

# -- The warm process, as the process that owns it sees it -----------------------------------------

START_DEADLINE_S = 120.0
"""How long a kernel may take until it can be talked to, the imports of the warm process included."""

_QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # else the debugger that ipykernel imports warns of frozen modules


class WarmProcessEnded(Exception):
    """The warm process is gone; a new one can be started."""


class WarmProcess:
    """A process of this Python that has imported everything and forks kernels; ends with its owner or by ``close``.

    ``start_up`` are the variables of ``start_up_variables`` that it was started with.
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
        control, theirs = event_loop.packets()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 (this Python, our module)
                [sys.executable, "-m", "runbook_lib.notebook.warm_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=paths.project_root(),
                env=_QUIET | start_up | {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return cls(control, start_up, process)

    @classmethod
    def inherited(cls, descriptor: int) -> WarmProcess:
        """Return a parent process's warm process; the parent passed on its descriptor and our start-up variables."""
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
        status, packet = event_loop.packets()
        line.setblocking(False)
        status.setblocking(False)
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                with theirs, packet:
                    await self._request([theirs, packet], options)
                pid = await self._pid(status)
                kernel = ForkedKernel(pid, line, status)
                try:
                    await event_loop.send_long(line, _request(arguments, options))
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
                socket.send_fds(self._control, [warm_process.FORK], [*(end.fileno() for end in ends), *outputs])
        except OSError as error:
            raise WarmProcessEnded from error

    async def _pid(self, status: socket.socket) -> int:
        await event_loop.readable(status)
        packet = event_loop.receive_packet(status)
        if not packet:
            raise WarmProcessEnded
        if "refused" in packet:
            raise NotWarm(str(packet["refused"]))
        return int(packet["pid"])

    def close(self) -> None:
        """End the process, or let go of a parent's; kernels of this process that still run are killed."""
        self._control.close()
        if self._process is not None:
            wait_or_kill(self._process, 5.0)

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
        "limits": warm_process.resource_limits(),
        "umask": mask,
    }


# -- The one warm process of this process: started when it is first needed or asked for, replaced when it has ended

_log = logging.getLogger("runbook_lib.notebook.warm_kernels")
_guard = threading.Lock()
_warm: WarmProcess | None = None
_asked_for = 0
_given_up = False
_ENDS = "the warm process ends when it starts a kernel"
_said: set[str] = set()


class WarmKernels:
    """A context in which notebooks under the engine ``runbook`` get forked kernels; may be entered more than once.

    The warm process begins to import when the first context is entered, and ends with the last. Where forking is
    not possible here, kernels are ordinary ones, and the log says so in one line.

    Several processes can share one: a parent passes ``descriptor()`` on (``pass_fds``) and the child enters
    ``WarmKernels(inherited=descriptor)``. Where the environment of the children differs in start-up variables
    (``PYTHONPATH`` and the like) the parent says so by ``environment``.
    """

    def __init__(self, *, environment: Mapping[str, str] | None = None, inherited: int | None = None) -> None:
        self._environment = environment
        self._inherited = inherited

    def __enter__(self) -> WarmKernels:
        global _asked_for, _warm
        with _guard:
            _asked_for += 1
            if _warm is None and self._inherited is not None:
                _warm = WarmProcess.inherited(self._inherited)
        try:
            _running(self._environment)
        except NotWarm as why:
            say_ordinary(why)
        return self

    def __exit__(self, *exc: object) -> None:
        global _asked_for, _given_up
        with _guard:
            _asked_for -= 1
            if _asked_for == 0:
                _close()
                _given_up = False

    def descriptor(self) -> int | None:
        """Return the descriptor that a child process inherits to share the warm process; None where there is none."""
        return None if _warm is None else _warm.fileno()


def is_wanted() -> bool:
    """Whether this process is in a context ``WarmKernels``."""
    return _asked_for > 0


async def fork_kernel(command: Sequence[str], options: Mapping[str, Any]) -> ForkedKernel:
    """Start the kernel that ``command`` would start, forked; options as for ``jupyter_client.launcher.launch_kernel``.

    Raises NotWarm where it has to be an ordinary one. A warm process that has ended is replaced; if the new one ends
    at once too, no other is tried in this context.
    """
    global _given_up
    for attempt in (1, 2):
        warm = _running()
        arguments = kernel_arguments(command, options, warm.start_up)
        try:
            kernel = await warm.fork(arguments, options)
        except WarmProcessEnded:
            _discard(warm)
        except TimeoutError:
            raise NotWarm("the kernel did not come up in time") from None
        else:
            if attempt == 2:
                _log.warning("The warm process had ended; a new one was started.")
            return kernel
    _given_up = True
    raise NotWarm(_ENDS)


def say_ordinary(why: NotWarm) -> None:
    """Say once in this process, in one line, why kernels are ordinary ones."""
    line = f"Kernels are started anew, not forked from a warm process: {why}."
    if line not in _said:
        _said.add(line)
        _log.warning(line)


def _running(environment: Mapping[str, str] | None = None) -> WarmProcess:
    global _warm
    require_system()
    if _given_up:
        raise NotWarm(_ENDS)
    with _guard:
        if _warm is not None and not _warm.alive():
            _close()
            _log.warning("The warm process had ended; a new one was started.")
        if _warm is None:
            _warm = WarmProcess.start(os.environ if environment is None else environment)
        return _warm


def _discard(warm: WarmProcess) -> None:
    with _guard:
        if _warm is warm:
            _close()


def _close() -> None:
    global _warm
    if _warm is not None:
        _warm.close()
        _warm = None


def _forget() -> None:
    global _guard, _warm, _asked_for
    _guard = threading.Lock()
    if _warm is not None:
        _warm.forget()
    _warm = None
    _asked_for = 0


atexit.register(_close)
os.register_at_fork(after_in_child=_forget)  # a fork of the owner is not the owner
