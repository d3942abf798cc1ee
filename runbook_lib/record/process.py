"""Who runs this, and in which process: names that stay true after the process is gone."""

from __future__ import annotations

import getpass
import os
import pwd
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


def operator() -> str:
    """The person on whose behalf this runs: ``RUNBOOK_OPERATOR``, or the user's name at this host."""
    named = os.environ.get("RUNBOOK_OPERATOR", "").strip()
    if named:
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def account() -> str:
    """The account in which this runs, as the system knows it whatever the environment says: ``ada (uid 1000)``."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
    return f"{name} (uid {uid})"


def host() -> str:
    """This machine's name."""
    return socket.gethostname().replace(" ", "_")


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
        parts = text.split(" ")
        if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) < 20):
            return None
        return cls(host=parts[0], pid=int(parts[1]), started=parts[2])

    @classmethod
    def current(cls) -> ProcessName:
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
        return _started_by_ps(pid)
    return "gone" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _started_by_ps(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        return "gone"
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no outside text in it
    return said.stdout.strip().replace(" ", "_") or "gone"
