"""The load beside a command: there while it runs, gone with it or with the tool, and no part of its result."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from waiting import PATIENCE_S, wait_until

from runbook_lib.paths import project_root

TOOL = project_root() / "tools" / "under_load.py"
# Says that it is there, and ends with a code of its own once it is asked to or its input ends.
COMMAND = """
import signal, sys
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(5))
print("begun", flush=True)
sys.stdin.read()
sys.exit(3)
"""


@contextmanager
def under_load(*command: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, TOOL, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as tool:
        try:
            yield tool
        finally:
            tool.kill()


@pytest.fixture
def working() -> Iterator[subprocess.Popen[str]]:
    """The tool, with a command that has begun."""
    with under_load(sys.executable, "-c", COMMAND) as tool:
        assert tool.stdout
        assert tool.stdout.readline() == "begun\n"
        yield tool


def busy(tool: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes beside the command, once each has used the processor."""
    beside = [each for each in psutil.Process(tool.pid).children() if COMMAND not in each.cmdline()]
    for each in beside:
        before = each.cpu_times().user
        wait_until(lambda: each.cpu_times().user > before, "a process that keeps the processor busy")  # noqa: B023
    return beside


def assert_all_end(processes: list[psutil.Process]) -> None:
    assert psutil.wait_procs(processes, timeout=PATIENCE_S)[1] == []


def test_four_processes_are_busy_until_the_command_ends(working: subprocess.Popen[str]) -> None:
    """Beside the command four processes work; they end with it, and its code is told and returned."""
    beside = busy(working)
    assert len(beside) == 4
    said, _ = working.communicate("", timeout=PATIENCE_S)
    assert working.returncode == 3
    assert ": exit code 3 after " in said
    assert_all_end(beside)


def test_a_killed_tool_leaves_no_load_behind(working: subprocess.Popen[str]) -> None:
    """Nobody has to look for busy processes after the tool was killed."""
    beside = busy(working)
    working.kill()
    assert_all_end(beside)


def test_the_request_to_end_reaches_the_command(working: subprocess.Popen[str]) -> None:
    """SIGTERM ends the command in its own way, and then the load."""
    beside = busy(working)
    working.send_signal(signal.SIGTERM)
    assert working.wait(PATIENCE_S) == 5
    assert_all_end(beside)


def test_the_load_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The load ends by itself, after an hour if nothing else is said, also while the command goes on."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import under_load as tool

    assert tool.AT_MOST_S == 3600
    others = psutil.Process().children()  # a browser's driver, say, that an earlier test of this process has started
    with tool.load(processes=2, at_most_s=0):
        assert_all_end([each for each in psutil.Process().children() if each not in others])


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"], 137, "exit code 137"),
        ([str(Path("no") / "such" / "command")], 127, "no/such/command: No such file or directory"),
        ([], 2, "usage: python tools/under_load.py COMMAND"),
    ],
)
def test_the_exit_code_is_the_commands(command: list[str], code: int, said: str) -> None:
    """A signal, a command that is not there and no command at all have the codes that a shell gives."""
    with under_load(*command) as tool:
        told = "".join(tool.communicate(timeout=PATIENCE_S))
    assert tool.returncode == code
    assert said in told
