"""A process of this software: its environment, core dumps, outputs and signals, and who runs it."""

from __future__ import annotations

import ctypes
import getpass
import io
import os
import pwd
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from runbook_lib.errors import MORE_FILES, UsageError, redacted

if TYPE_CHECKING:
    import subprocess

# -- The environment of child processes: named, never inherited, since an ``env:`` secret stands in this process's own

_EVERYWHERE = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "DISPLAY", "WAYLAND_DISPLAY"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "XAUTHORITY"),
        *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    )
)
_LOCALE = "LC_"
SETTINGS = frozenset(
    (
        *("RUNBOOK_BROWSER", "RUNBOOK_DOJO", "RUNBOOK_KEY_DIR", "RUNBOOK_LAB_DIR", "RUNBOOK_LANG", "RUNBOOK_LOCKS"),
        *("RUNBOOK_LAST_STAGE", "RUNBOOK_LOCK_TOKEN", "RUNBOOK_OPENED_FOR", "RUNBOOK_OPERATOR", "RUNBOOK_RECORDS"),
        *("RUNBOOK_SHARED_BROWSER", "PLAYWRIGHT_BROWSERS_PATH", "TERM", "COLUMNS", "LINES", "NO_COLOR"),
        *("DBUS_SESSION_BUS_ADDRESS", "SSL_CERT_DIR", "SSL_CERT_FILE"),  # for ``keyring:``; for time stamps
        *("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_CONFIG_PATH", "JUPYTER_DATA_DIR", "JUPYTER_PATH"),
    )
)
"""What a process of this software reads besides, and no secret."""


def environment_with(names: Iterable[str]) -> dict[str, str]:
    """Return what a process of this software needs, and the variables with these ``names``, where they are set."""
    wanted = {*SETTINGS, *names}
    return plain_environment() | {name: value for name, value in os.environ.items() if name in wanted}


def plain_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what any program needs of an environment, this process's own by default, and nothing else of it."""
    source = os.environ if environment is None else environment
    return {name: value for name, value in source.items() if name in _EVERYWHERE or name.startswith(_LOCALE)}


# -- No process that holds a secret leaves its memory on a disk, or lets another process of its user read it

_PR_SET_DUMPABLE = 4  # of linux/prctl.h


def no_core() -> None:
    """Turn core dumps off for this process and all that it starts from now on."""
    with suppress(ValueError, OSError):  # not everybody may
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@cache
def forbid_dumps() -> None:
    """Turn core dumps off, and on Linux keep other processes of this user from attaching; done once in a process.

    If the system forbids it, nothing is said: the secret is needed anyway.
    """
    no_core()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


# -- How many files may be open. A kernel whose messages find no more of them aborts, and leaves its lock behind

LEAST_FILES, ENOUGH_FILES = 256, 4096


def require_open_files() -> None:
    """Let this process and its children open as many files as it may; UsageError where no run could work with those."""
    with suppress(ValueError, OSError):  # not everybody may
        usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = ENOUGH_FILES if most == resource.RLIM_INFINITY else min(most, ENOUGH_FILES)
        if allowed < LEAST_FILES:
            raise UsageError(f"This process may open only {allowed} files at once", next_step=MORE_FILES)
        if usual != resource.RLIM_INFINITY and usual < allowed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


# -- Standard output and standard error behind the gate: a process that has typed a password prints none


class Gated(io.TextIOBase):
    """A text stream behind the gate: known secrets are replaced in what is written to it, tracebacks included.

    Whole lines are passed on, and what was written since at a ``flush``: a secret in two writes is found. There is no
    ``buffer`` on purpose, since bytes that are written there would go past the gate. What the stream's encoding has no
    character for is a question mark: a terminal of another encoding ends no run. Nor does one that has gone, or a full
    disk: what went wrong is ``lost``, and the rest is thrown away.
    """

    lost: OSError | None = None

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self._stream = stream
        self._held = ""
        self._guard = threading.RLock()

    def write(self, text: str) -> int:
        with self._guard:
            pending = self._held + text
            end = pending.rfind("\n") + 1
            if end and redacted(pending[:end]) + redacted(pending[end:]) != redacted(pending):
                end = len(pending)  # a secret is broken over the two
            self._held = pending[end:]
            if end:
                self._pass_on(pending[:end])
        return len(text)

    def flush(self) -> None:
        with self._guard:
            held, self._held = self._held, ""
            self._pass_on(held)

    def _pass_on(self, text: str) -> None:
        try:
            self._stream.write(redacted(text))
            self._stream.flush()
        except OSError as error:
            self.lost = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def reconfigure(self, *, encoding: str, errors: str) -> None:
        """Change how the stream underneath writes characters down, where it is one that can."""
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(encoding=encoding, errors=errors)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors


def gate_streams() -> None:
    """Put standard output and standard error behind the gate, until the process ends: its last words included."""
    if sys.stdout is not None and not isinstance(sys.stdout, Gated):
        sys.stdout = Gated(sys.stdout)
    if sys.stderr is not None and not isinstance(sys.stderr, Gated):
        sys.stderr = Gated(sys.stderr)


# -- Ctrl-C, SIGTERM and SIGHUP: the one way in which this software takes them, for every process of its own
#
# A signal that the process ignores stays ignored (``nohup``), and the handlers that were there before come back.

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(SystemExit):
    """The process was asked to end by ``signum``; ends it with 128 plus that number unless caught."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def raise_for_signal(signum: int) -> NoReturn:
    """Raise what ends a program by convention: KeyboardInterrupt after Ctrl-C, else Terminated."""
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(signum)


def leave_ctrl_c_to_the_parent() -> None:
    """Ignore Ctrl-C in this process, which a terminal sends to all: whoever started it ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def signals_taken(act: Callable[[int], Any] = raise_for_signal) -> Iterator[None]:
    """Let ``act`` take each of these signals while this is entered; by default they end the program in good order.

    In another thread than the main one it does nothing, since Python delivers signals to the main thread only.
    """
    before: dict[signal.Signals, Any] = {}

    def handle(signum: int, _frame: FrameType | None) -> None:
        act(signum)

    try:
        if threading.current_thread() is threading.main_thread():
            for signum in ENDING:
                if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                    before[signum] = signal.signal(signum, handle)
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


# -- Who runs this, and in which process: names that stay true after the process is gone -----------


def user_name() -> str:
    """Return this user's name; its number where it has none, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # which of the two is a matter of Python's release
        return str(os.getuid())


def name_of_user(uid: int) -> str:
    """Return the name of any user of this machine, or ``user id`` and its number."""
    return _name_by_number(uid) or f"user id {uid}"


def account() -> str:
    """Return the account in which this runs, as the system knows it: ``ada (uid 1000)``, or its number alone."""
    uid = os.getuid()
    name = _name_by_number(uid)
    return f"{name} (uid {uid})" if name else f"uid {uid}"


def _name_by_number(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def operator() -> str:
    """Return the person on whose behalf this runs: ``RUNBOOK_OPERATOR``, or the user's name at this host."""
    return os.environ.get("RUNBOOK_OPERATOR", "").strip() or f"{user_name()}@{os.uname().nodename}"


def host() -> str:
    """Return this machine's name."""
    return os.uname().nodename.replace(" ", "_")


@dataclass(frozen=True, kw_only=True)
class ProcessName:
    """A process, told apart from a later one with the same number by the time at which it started."""

    host: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    @classmethod
    def parse(cls, text: str) -> ProcessName | None:
        """Read what ``str`` of it wrote; None for anything else."""
        parts = text.split(" ")
        if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) < 20):
            return None
        return cls(host=parts[0], pid=int(parts[1]), started=parts[2])

    @classmethod
    def current(cls) -> ProcessName:
        """Return the name of the process that asks."""
        return cls(host=host(), pid=os.getpid(), started=_started(os.getpid()))

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this host, so that ``alive`` can be known."""
        return self.host == host()

    @property
    def alive(self) -> bool:
        """Whether it still runs; only meaningful where ``is_here``."""
        return self.started == _started(self.pid)


def _started(pid: int) -> str:
    """When the process started: boot and clock ticks on Linux, else what ``ps`` says; ``gone`` if there is none."""
    try:
        # The command's name stands in parentheses and may hold anything; state and times follow it.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        if Path("/proc/self/stat").exists():
            return "gone"
        import subprocess  # not on Linux

        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no outside text in it
        return answer.stdout.strip().replace(" ", "_") or "gone"
    return "gone" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def wait_or_kill(process: subprocess.Popen[Any], grace_s: float) -> None:
    """Wait for a process that was told to end; kill it after ``grace_s``, or where the wait is interrupted."""
    import subprocess

    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    finally:
        process.kill()
        process.wait()


# -- Loading papermill and Jupyter without what they do not need -----------------------------------

_GRAMMAR = "rfc3987_syntax"
JUPYTERLAB = "import runbook_lib.notebook.provisioner, jupyterlab.labapp as lab; lab.main()"  # the first is quick


@contextmanager
def quick_import() -> Iterator[None]:
    """A context for the first import of papermill, nbformat or Jupyter's server: a quarter of the time in it.

    Most of that time goes into a grammar of internationalized addresses, which jsonschema loads where it is
    installed (JupyterLab brings it) and no notebook's schema uses. Here jsonschema finds it missing; others can
    import it afterwards as ever.
    """
    if _GRAMMAR in sys.modules:
        yield
        return
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_GRAMMAR]
