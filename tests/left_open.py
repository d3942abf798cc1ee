"""What tests leave open behind them: child processes, threads, sockets and pipes of this process.

Whatever is left is found by somebody else: a warning that ends a later test, a port that is taken, a machine that
becomes slower. The look is cheap, so that a file of tests can end with it.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from waiting import wait_until

from runbook_lib import event_loop

GRACE_S = 60.0
"""How long what was told to end may take for it."""

FOR_GOOD = ("runbook-background", "asyncio_", "execnet")
"""Threads that are started once for a whole process, by the beginning of their names."""
SELF = Path("/proc/self")


def open_now() -> dict[str, str]:
    """What this process holds open, each by a name that no other has, with words for people.

    Child processes, sockets and pipes are seen where there is a ``/proc``.
    """
    threads = [each for each in threading.enumerate() if not each.name.startswith(FOR_GOOD)]
    found = {f"thread {each.ident}": f"thread {each.name}" for each in threads}
    with suppress(OSError):
        for children in SELF.glob("task/*/children"):
            for pid in children.read_text().split():
                words = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if words:  # nothing is left of one that has ended
                    found[f"process {pid}"] = f"process {pid}: {words[:200]}"
    for number in SELF.glob("fd/*"):
        with suppress(OSError):
            target = str(number.readlink())
            if target.startswith(("socket:", "pipe:")):
                found[target] = f"file descriptor {number.name}, {target}"
    return found


@contextmanager
def nothing_left() -> Iterator[None]:
    """AssertionError where something is open after the ``with`` that was not open before it."""
    event_loop.loop()  # one for a whole process
    before = set(open_now())
    yield
    if _new(before):
        gc.collect()  # what nobody holds any more warns of it by itself
    try:
        wait_until(lambda: not _new(before), "what was opened to be closed", GRACE_S)
    except AssertionError:
        raise AssertionError(f"left open: {'; '.join(sorted(_new(before).values()))}") from None


def _new(before: set[str]) -> dict[str, str]:
    return {name: words for name, words in open_now().items() if name not in before}


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a file's tests open is closed when its last one has ended."""
    with nothing_left():
        yield
