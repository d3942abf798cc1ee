"""A look at the processes below this one holds while they end."""

from __future__ import annotations

import subprocess
import sys

import psutil
from descendants import each_descendant


def test_a_process_that_ends_while_it_is_looked_at_is_left_out() -> None:
    """The others are still found."""
    command = [sys.executable, "-c", "input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe) as stays, subprocess.Popen(command, stdin=pipe) as goes:

        def look(process: psutil.Process) -> tuple[int, str]:
            if process.pid == goes.pid:
                goes.communicate(b"\n")
            return process.pid, str(process.net_connections()) + str(process.environ())

        found = [pid for pid, _ in each_descendant(look)]
        stays.communicate(b"\n")
    assert stays.pid in found
    assert goes.pid not in found
