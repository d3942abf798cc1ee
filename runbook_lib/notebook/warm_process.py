"""The warm process: imports, then forks a kernel for each request until its owner is gone; and what a fork does.

``warm_kernels.WarmProcess`` starts it as ``python -m runbook_lib.notebook.warm_process DESCRIPTOR``. It runs no code of
a notebook, reads no file of a run, starts no thread and no event loop, and is told nothing of a run.
"""

from __future__ import annotations

import gc
import importlib
import locale
import os
import resource
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.event_loop import packet, receive_long

# A request to the warm process is one packet that carries four descriptors and no text; so nothing of a run,
# its environment least of all, ever is in the warm process. What a kernel has to know it reads by itself.

FORK = b"fork"
READY = b"R"

# -- The warm process: what it imports, and how it serves until its owner is gone -------------------

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
                current = self._selector.get_map().get(key.fd) is key  # one before it in this round may have closed it
                fresh: Fresh | None = key.data() if current else None
                if fresh is not None:
                    return fresh
        return None

    def _serve_request(self) -> Fresh | None:
        request, descriptors, _, _ = socket.recv_fds(self._control, len(FORK), 4)
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
        status.sendall(packet(message))


# -- Kernels that listen on no port: ipykernel opens one on loopback, for what processes below a kernel print.
#
# Nobody prints there, since a stage forks nothing, and a port on loopback is open to every local user.


def open_no_port() -> None:
    """Let a kernel that is about to start in this process open no port. Works on IPC alone."""
    from ipykernel.iostream import IOPubThread

    setattr(IOPubThread, "_setup_pipe_in", lambda self: setattr(self, "_pipe_flag", False))  # noqa: B010


# -- What a fork of the warm process does before it is a kernel: nothing is left by which it differs from a new one.
#
# Modules are those that the warm process imported, each as its import left it. Everything else that belongs to a
# process is made anew here: session and process group, signals, descriptors, limits, folder, environment, time zone,
# locale, random state, names of temporary files. What cannot be made anew in a running interpreter (the seed of its
# hashes, the variables that it reads at its start) is shared by all forks, see ``start_up_variables``.


def run_kernel(line: socket.socket, stdout: int, stderr: int, set_by_imports: Mapping[str, str]) -> None:
    """Be a kernel until it ends. The request comes over ``line`` from the owner, and its end ends the kernel."""
    os.setsid()
    reset_signals()
    redirect(stdout, stderr)
    close_all_but({0, 1, 2, line.fileno()})
    try:
        request = receive_long(line)
    except EOFError:
        return
    set_limits(request["limits"])
    set_environment({**set_by_imports, **request["env"]}, request["cwd"], request["umask"])
    reseed()
    gc.enable()
    start_application(line, request["arguments"])


def reset_signals() -> None:
    """Handle each signal as a new Python does, and block none."""
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def redirect(stdout: int, stderr: int) -> None:
    """Read from nowhere, and write to the owner's standard output and error."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nowhere, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    sys.stdin = sys.__stdin__ = _text(0, "r", sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _text(1, "w", sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text(2, "w", sys.stderr)  # type: ignore[misc]


def _text(descriptor: int, mode: str, like: Any) -> Any:
    buffering = 1 if descriptor == 2 or os.isatty(descriptor) else -1
    return open(descriptor, mode, buffering, encoding=like.encoding, errors=like.errors, closefd=False)


def close_all_but(wanted: Iterable[int]) -> None:
    """Close every other descriptor of this process."""
    kept = frozenset(wanted)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (numbers, not paths)
        if int(name) not in kept:
            with suppress(OSError):  # that of the listing itself
                os.close(int(name))


def resource_limits() -> dict[str, tuple[int, int]]:
    """Return this process's limits by name, soft and hard, each in the unit of ``setrlimit``."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def set_limits(limits: dict[str, tuple[int, int]]) -> None:
    """Set the owner's limits; one that this process may not raise stays."""
    for name, (soft, hard) in limits.items():
        number = getattr(resource, name)
        if resource.getrlimit(number) != (soft, hard):
            with suppress(ValueError, OSError):
                resource.setrlimit(number, (soft, hard))


def set_environment(environment: dict[str, str], folder: str, mask: int) -> None:
    """Replace environment, working folder and mask of new files, and what was computed from them."""
    os.umask(mask)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    with suppress(locale.Error):  # an unknown locale: as at the start of a new Python
        locale.setlocale(locale.LC_CTYPE, "")
    tempfile.tempdir = None


def reseed() -> None:
    """Replace what an import may have drawn at random; Python's, OpenSSL's and tempfile's generators handle forks."""
    if "multiprocessing" in sys.modules:
        sys.modules["multiprocessing"].current_process().authkey = os.urandom(32)


def start_application(line: socket.socket, arguments: list[str]) -> None:
    """Start the kernel as ``python -m ipykernel_launcher`` does; say when it can be talked to."""
    from ipykernel import kernelapp

    open_no_port()
    sys.argv = [str(Path(kernelapp.__file__).parent.with_name("ipykernel_launcher.py")), *arguments]
    # 1: somebody started the kernel, and nothing polls for its end once a second; this thread waits for it.
    threading.Thread(target=_end_with_owner, args=(line,), name="owner", daemon=True).start()
    application: Any = kernelapp.IPKernelApp.instance(parent_handle=1)
    application.initialize(arguments)
    line.sendall(READY)
    application.start()


def _end_with_owner(line: socket.socket) -> None:
    try:
        line.recv(1)
    finally:
        os._exit(1)


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
        run_kernel(fresh.line, fresh.stdout, fresh.stderr, set_by_imports)


if __name__ == "__main__":
    main()
