"""What a fork of the warm process does before it is a kernel: nothing is left by which it differs from a new one.

Modules are those that the warm process imported, each as its import left it. Everything else that belongs to a
process is made anew here: session and process group, signals, descriptors, limits, folder, environment, time zone,
locale, random state, names of temporary files. What cannot be made anew in a running interpreter (the seed of its
hashes, the variables that it reads at its start) is shared by all forks, see ``conditions``.
"""

from __future__ import annotations

import gc
import locale
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runbook_lib.kernels import wire
from runbook_lib.kernels.no_port import open_no_port


def run_kernel(line: socket.socket, stdout: int, stderr: int, set_by_imports: Mapping[str, str]) -> None:
    """Be a kernel until it ends. The request comes over ``line`` from the owner, and its end ends the kernel."""
    os.setsid()
    reset_signals()
    redirect(stdout, stderr)
    close_all_but({0, 1, 2, line.fileno()})
    try:
        request = wire.receive_long(line)
    except EOFError:
        return
    set_limits(request["limits"])
    set_surroundings({**set_by_imports, **request["env"]}, request["cwd"], request["umask"])
    draw_anew()
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


def set_limits(limits: dict[str, tuple[int, int]]) -> None:
    """Set the owner's limits; one that this process may not raise stays."""
    for name, (soft, hard) in limits.items():
        number = getattr(resource, name)
        if resource.getrlimit(number) != (soft, hard):
            with suppress(ValueError, OSError):
                resource.setrlimit(number, (soft, hard))


def set_surroundings(environment: dict[str, str], folder: str, mask: int) -> None:
    """Replace environment, working folder and mask of new files, and what was computed from them."""
    os.umask(mask)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    with suppress(locale.Error):  # an unknown locale: as at the start of a new Python
        locale.setlocale(locale.LC_CTYPE, "")
    tempfile.tempdir = None


def draw_anew() -> None:
    """Draw anew what an import may have drawn. Python's generators, OpenSSL's and tempfile's mind forks themselves."""
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
    line.sendall(wire.READY)
    application.start()


def _end_with_owner(line: socket.socket) -> None:
    try:
        line.recv(1)
    finally:
        os._exit(1)
