"""Work on many sites in several processes of this machine, a share of them in each, one after the other.

A process knows the secrets of the sites that it has asked and looks for them in whatever it keeps or tells. So it is
given few sites and ends with them: what was looked for would else grow with the fleet.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from runbook_lib.errors import RunbookError
from runbook_lib.gated import gate_streams

T = TypeVar("T")
R = TypeVar("R")

Work = Callable[[Sequence[T], Callable[[R], None]], None]
"""Does its work on some sites and tells of each result; for a process of its own it has to be picklable."""


def in_processes(
    sites: Sequence[T], work: Work[T, R], *, processes: int, share: int, hear: Callable[[R], None]
) -> list[R]:
    """Return what ``work`` told, in the order in which it was told; ``hear`` is told at once.

    Each process is given ``share`` sites at most. Raises RunbookError where one of them dies.
    """
    found: list[R] = []

    def heard(result: R) -> None:
        found.append(result)
        hear(result)

    shares = list(_shares(sites, processes, share))
    if processes == 1 and len(shares) <= 1:
        work(sites, heard)
    else:
        _run(shares, work, processes, heard)
    return found


def _shares(sites: Sequence[T], processes: int, share: int) -> Iterator[Sequence[T]]:
    size = max(1, min(share, -(-len(sites) // processes)))
    return (sites[start : start + size] for start in range(0, len(sites), size))


def _run(shares: Sequence[Sequence[T]], work: Work[T, R], processes: int, heard: Callable[[R], None]) -> None:
    # A fork costs nothing and has everything loaded; beside other threads it is not safe.
    method = "fork" if threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    waiting = list(reversed(shares))
    running: dict[Connection, Any] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(waiting.pop(), work, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                _hear(ready, running, heard)
    finally:
        for process in running.values():
            process.terminate()


def _hear(ready: Connection, running: dict[Connection, Any], heard: Callable[[Any], None]) -> None:
    try:
        (result,) = ready.recv()
        heard(result)
    except (EOFError, ValueError):  # it has ended, one way or the other
        process = running.pop(ready)
        process.join()
        if process.exitcode != 0:
            raise RunbookError(
                "A process that asks sites has died",
                found=f"exit code {process.exitcode}",
                next_step="run the same command again; --processes 1 asks few sites in one process",
            ) from None


def _child(sites: Sequence[T], work: Work[T, R], line: Connection) -> None:
    gate_streams()  # a process that was spawned has streams of its own
    work(sites, lambda result: line.send((result,)))
    line.send(())
