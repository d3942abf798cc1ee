"""The command ``runbook`` as people start it: a process of its own, its environment, what it said.

Half of what a command costs is that Python imports everything for it. Those that a test only waits for are forked from
a process that has imported it already, and is then what a fresh one is: its own arguments, environment, folder and
streams, no thread, and the interpreter's own end. Those that a test stops, kills or watches are fresh ones.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# As from a terminal, whatever started the tests: under nohup, or behind an &, signals come ignored.
AS_FROM_A_TERMINAL = """\
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from runbook_lib.cli import main
main()
"""
RUNBOOK = (sys.executable, "-c", AS_FROM_A_TERMINAL)
PATIENCE_S = 900

# Takes one order after the other: a line of JSON with the three standard streams; the answer is the exit code. A fork
# leaves the loop and goes on below it, as if it had just been started.
FORKED = f"""\
import gc, json, os, signal, socket, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
gc.disable()
import runbook_lib.batch.runner, runbook_lib.cli.app, runbook_lib.cli.plans, runbook_lib.cli.records
import runbook_lib.cli.running, runbook_lib.notebook.provisioner, runbook_lib.show.report
gc.freeze()
gc.enable()
assert len(os.listdir("/proc/self/task")) == 1, "a fork would not be what a fresh process is"
control = socket.socket(fileno=int(sys.argv[1]))
while True:
    order, streams, _, _ = socket.recv_fds(control, 1 << 20, 3)
    if not order:
        os._exit(0)
    child = os.fork()
    if not child:
        break
    for each in streams:
        os.close(each)
    control.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
control.close()
for number, each in enumerate(streams):
    os.dup2(each, number)
    os.close(each)
if os.isatty(1):  # a stream knows from its beginning whether it is a terminal
    sys.stdin = sys.__stdin__ = open(0, closefd=False)
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)
sys.argv[1:], environment, folder = json.loads(order)
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
time.tzset()
del child, control, each, environment, folder, number, order, streams
{AS_FROM_A_TERMINAL}"""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


class Commands:
    """Runs commands with a records folder and a lab folder of their own; none outlives the context."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "records"
        self.lab = folder / "lab"
        self.said: list[Said] = []
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    @property
    def environment(self) -> dict[str, str]:
        ours = {"RUNBOOK_RECORDS": str(self.records), "RUNBOOK_LAB_DIR": str(self.lab), "COLUMNS": "200"}
        return os.environ | ours

    def start(
        self, *words: str | Path, terminal: int | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command and return at once; give it to ``end`` later. What ``terminal`` is for: see ``run``."""
        process = subprocess.Popen(
            [*RUNBOOK, *map(str, words)],
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Said:
        """Wait until a command has ended."""
        with process:  # which closes its pipes, however this ends
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        said = Said(process.returncode, out or "", err)
        self.said.append(said)
        return said

    def run(
        self, *words: str | Path, terminal: int | None = None, environment: Mapping[str, str] | None = None
    ) -> Said:
        """Run a command to its end; on a terminal, what it prints arrives at whoever holds the other side of that."""
        if not Path("/proc/self/task").is_dir():  # whether a fork has no thread is told there
            return self.end(self.start(*words, terminal=terminal, environment=environment))
        said = _FORKS.run([*map(str, words)], self.environment | dict(environment or {}), terminal)
        self.said.append(said)
        return said


class _Forks:
    """The process that commands are forked from; it is started for the first of them, and ends with this one."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def run(self, words: list[str], environment: dict[str, str], terminal: int | None) -> Said:
        with (
            self._one_at_a_time,
            Path(os.devnull).open("rb") as nothing,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            control = self._started(environment)
            order = json.dumps([words, environment, str(Path.cwd())]).encode()
            try:
                ends = (nothing.fileno(), out.fileno()) if terminal is None else (terminal, terminal)
                socket.send_fds(control, [order], [*ends, err.fileno()])
                code = int(control.recv(100))
            except BaseException:
                self.end()  # what it is in the middle of would be taken for the next answer
                raise
            return Said(code, *(self._text(file.fileno()) for file in (out, err)))

    def end(self) -> None:
        """End the process, if there is one; it holds nothing that could be lost."""
        if self._process and self._control:
            self._control.close()
            self._process.kill()
            self._process.wait()
            self._process = self._control = None

    def _started(self, environment: dict[str, str]) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._control.settimeout(PATIENCE_S)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", FORKED, str(theirs.fileno())],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
        return self._control

    @staticmethod
    def _text(descriptor: int) -> str:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()


_FORKS = _Forks()
end_forks = _FORKS.end
