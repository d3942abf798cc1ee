"""A kernel that is forked from a warm process: whether it can be, and its process as its owner sees it."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from runbook_lib import event_loop

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


# -- The process of such a kernel -------------------------------------------------------------------

LOST = 255
"""The exit status of a kernel that ended after its warm process had: nobody saw how."""


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
