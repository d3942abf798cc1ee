"""The warm process: imports, then forks a kernel for each request until its owner is gone.

``warm_kernels.WarmProcess`` starts it as ``python -m runbook_lib.notebook.warm_process DESCRIPTOR``. It runs no code of
a notebook, reads no file of a run, starts no thread and no event loop, and is told nothing of a run.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runbook_lib.notebook import kernel_child

PRELOADED = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "pdb",
    "runbook_lib.notebook.opening",
    "sqlite3",
    "tornado.platform.asyncio",
)
"""What every kernel has imported when it begins."""


@dataclass(frozen=True)
class Fresh:
    """What a new kernel has of its own: the line to its owner, its standard output and error."""

    line: socket.socket
    stdout: int
    stderr: int


@dataclass(frozen=True)
class _Kernel:
    pid: int
    pidfd: int
    status: socket.socket


def main() -> None:
    """Import, serve, and be a kernel where this process is a fork that ``serve`` made."""
    control = socket.socket(fileno=int(sys.argv[1]))
    if sys.path[0] == os.getcwd():  # noqa: PTH109 (as Python has put it there)
        del sys.path[0]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two a kernel; each kernel gets its owner's limits
    set_by_imports = preload()
    fresh = _Server(control).serve()
    if fresh is not None:
        kernel_child.run_kernel(fresh.line, fresh.stdout, fresh.stderr, set_by_imports)


def preload() -> dict[str, str]:
    """Import what kernels need, and keep it on pages that a fork does not write to.

    Returns the environment variables that the imports have set, since they do so in a new kernel, too.
    """
    before = dict(os.environ)
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def why_unclean() -> str:
    """Return why a fork of this process would not be a clean kernel, or nothing."""
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 (numbers, not paths)
    return f"the warm process has {threads} threads" if threads > 1 else ""


class _Server:
    """Forks on request, tells how each kernel ended, and keeps its process id taken until the owner has let go."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._serve_request)
        self._running: dict[int, _Kernel] = {}
        self._owned = True

    def serve(self) -> Fresh | None:
        """Serve until the owner is gone, then return nothing; in a fork, return at once what it has of its own."""
        while self._owned or self._running:
            for key, _ in self._selector.select():
                current = (
                    self._selector.get_map().get(key.fd) is key
                )  # what came before in this round may have closed it
                fresh: Fresh | None = key.data() if current else None
                if fresh is not None:
                    return fresh
        return None

    def _serve_request(self) -> Fresh | None:
        request, descriptors, _, _ = socket.recv_fds(self._control, len(kernel_child.FORK), 4)
        if not request:
            self._disown()
            return None
        line, status = (socket.socket(fileno=number) for number in descriptors[:2])
        fresh = Fresh(line, *descriptors[2:])
        why = why_unclean()
        try:
            pid = -1 if why else os.fork()
        except OSError as error:
            pid, why = -1, f"the warm process cannot fork: {error.strerror}"
        if pid == 0:
            self._leave(status)
            return fresh
        _tell(status, {"refused": why} if why else {"pid": pid})
        if why:
            status.close()
        else:
            self._keep(_Kernel(pid, os.pidfd_open(pid), status))
        line.close()
        os.close(fresh.stdout)
        os.close(fresh.stderr)
        return None

    def _disown(self) -> None:
        self._owned = False
        self._selector.unregister(self._control)
        for kernel in tuple(self._running.values()):
            self._let_go(kernel)

    def _leave(self, status: socket.socket) -> None:
        """Let go, in a fork, of all that is the server's."""
        for kernel in self._running.values():
            kernel.status.close()
            os.close(kernel.pidfd)
        status.close()
        self._control.close()
        self._selector.close()

    def _keep(self, kernel: _Kernel) -> None:
        self._running[kernel.pid] = kernel
        self._selector.register(kernel.pidfd, selectors.EVENT_READ, lambda: self._tell_end(kernel))
        self._selector.register(kernel.status, selectors.EVENT_READ, lambda: self._let_go(kernel))

    def _tell_end(self, kernel: _Kernel) -> None:
        """Tell how a kernel ended. It is not reaped yet, so that no other process gets its number."""
        self._selector.unregister(kernel.pidfd)
        ended = os.waitid(os.P_PID, kernel.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        _tell(kernel.status, {"exit": code})

    def _let_go(self, kernel: _Kernel) -> None:
        """End what is left of a kernel and its process group, since nobody waits for it any more."""
        if kernel.pidfd in self._selector.get_map():
            self._selector.unregister(kernel.pidfd)
        self._selector.unregister(kernel.status)
        with suppress(ProcessLookupError):
            os.kill(kernel.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(kernel.pid, signal.SIGKILL)
        os.waitpid(kernel.pid, 0)
        kernel.status.close()
        os.close(kernel.pidfd)
        del self._running[kernel.pid]


def _tell(status: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # the owner has let go of this kernel already
        status.sendall(kernel_child.packet(message))


if __name__ == "__main__":
    main()
