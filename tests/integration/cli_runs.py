"""The command ``runbook`` as people start it: a process of its own, its environment, what it said."""

from __future__ import annotations

import os
import subprocess
import sys
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

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a command and return at once; give it to ``end`` later."""
        process = subprocess.Popen(
            [*RUNBOOK, *map(str, words)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
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
        said = Said(process.returncode, out, err)
        self.said.append(said)
        return said

    def run(self, *words: str | Path) -> Said:
        """Run a command to its end."""
        return self.end(self.start(*words))
