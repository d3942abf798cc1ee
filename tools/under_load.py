"""Run one command while four processes keep the cores busy: what passes here does not lean on a machine that is idle.

``python tools/under_load.py make test``. The load ends with the command, also if this tool is killed, and after an
hour at most. The exit code is the command's (128 and the signal's number, as in a shell, where a signal ended it).
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

PROCESSES = 4
AT_MOST_S = 3600
NOT_FOUND = 127
# Busy until the other end of its input is closed, which the system does for a tool that was killed. Ctrl-C is the
# command's business.
BUSY = """
import select, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(100_000):
        pass
"""


@contextmanager
def load(processes: int = PROCESSES, at_most_s: float = AT_MOST_S) -> Iterator[None]:
    """Keep the cores busy inside the ``with``."""
    with ExitStack() as ends:
        for _ in range(processes):
            command = [sys.executable, "-c", BUSY, str(at_most_s)]
            process = ends.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            ends.callback(process.kill)
        yield


def run(command: Sequence[str]) -> int:
    """Run a command, pass on what asks it to end, and return its exit code as a shell would."""
    try:
        process = subprocess.Popen([*command])
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND
    # Ctrl-C reaches the command by itself: it stands in the same terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: process.send_signal(number))
    code = process.wait()
    return code if code >= 0 else 128 - code


def main(command: Sequence[str]) -> int:
    """Run the command under load, say how it ended, and return its exit code."""
    if not command:
        print("usage: python tools/under_load.py COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    began = time.monotonic()
    with load():
        code = run(command)
    took = time.monotonic() - began
    beside = f"with {PROCESSES} busy processes beside it" + (" for its first hour" if took > AT_MOST_S else "")
    print(f"{shlex.join(command)}: exit code {code} after {took:.0f} s, {beside}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
