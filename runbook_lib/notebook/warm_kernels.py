"""Kernels that start in a moment: the one warm process of this process, as its owner sees it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from runbook_lib import event_loop, paths
from runbook_lib.notebook import warm_process
from runbook_lib.processes import wait_or_kill

# -- Whether a kernel can be forked from a warm process and be the same as an ordinary one; if not, why

# Read when the interpreter or a library starts, so a fork has the values that the warm process was started with.
_START_UP = re.compile(
    r"PYTHON|LD_|MALLOC_|GLIBC_|OPENSSL_|LANG|LC_"
    r"|PYDANTIC_|PYZMQ_|TORNADO_|MSGPACK_|JUPYTER_PLATFORM_DIRS|JUPYTER_WIDGETS_|PWDEBUG|IPYTHON_|PYDEVD_|DEBUGPY_"
)
_PYTHON_OPTIONS = {("-m",), ("-Xfrozen_modules=off", "-m")}
_UNDERSTOOD = {"cwd", "env", "stdout", "stderr", "kernel_id", "extra_arguments"}


class NotWarm(Exception):
    """This kernel cannot be forked; the text says why."""


def start_up_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that only a new interpreter can take over."""
    return {name: value for name, value in environment.items() if _START_UP.match(name)}


def require_system() -> None:
    """Raise NotWarm unless this is CPython with its lock, on Linux."""
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        raise NotWarm("forking is safe on Linux only")
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise NotWarm("forking needs CPython with its global lock")


def kernel_arguments(command: Sequence[str], options: Mapping[str, Any], start_up: Mapping[str, str]) -> list[str]:
    """Return the kernel's own arguments of ``command``, which starts it; raises NotWarm where a fork would differ.

    ``options`` are those of ``jupyter_client.launcher.launch_kernel``; ``start_up`` are the variables that the
    warm process was started with.
    """
    if "ipykernel_launcher" not in command:
        raise NotWarm("the kernel's specification does not start ipykernel")
    module = list(command).index("ipykernel_launcher")
    if os.path.abspath(command[0]) != os.path.abspath(sys.executable):  # noqa: PTH100 (a venv's python is a link)
        raise NotWarm("the kernel's specification names another Python")
    if tuple(command[1:module]) not in _PYTHON_OPTIONS:
        raise NotWarm(f"the kernel's Python has options of its own: {' '.join(command[1:module])}")
    if unknown := {name for name in options if options[name] is not None} - _UNDERSTOOD:
        raise NotWarm(f"the kernel is to be started with {', '.join(sorted(unknown))}")
    wanted = start_up_variables(options.get("env") or os.environ)
    if wanted != dict(start_up):
        names = sorted(name for name in {*wanted, *start_up} if wanted.get(name) != start_up.get(name))
        raise NotWarm(f"the kernel has other start-up variables than the warm process: {', '.join(names)}")
    return list(command[module + 1 :])


# -- The warm process and its kernels, as the process that owns them sees them ---------------------

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
                # Left where it is: it wakes whoever else waits for it.
                self.returncode = event_loop.receive_packet(self._status, socket.MSG_PEEK).get("exit")
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
            await event_loop.readable(self._pidfd)
            await event_loop.readable(self._status)
        assert self.returncode is not None
        return self.returncode

    async def ready(self) -> None:
        """Wait until the kernel can be talked to, or has ended."""
        await event_loop.readable(self._line)

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
