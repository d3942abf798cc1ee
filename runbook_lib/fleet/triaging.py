"""Many sites asked at a time: bounded, in several processes, and told of as each is found."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from runbook_lib.errors import RunbookError
from runbook_lib.fleet.finding import Finding
from runbook_lib.fleet.sites import FleetSite
from runbook_lib.fleet.triage import triage_site
from runbook_lib.secrets import REDACTOR

Tell = Callable[[Finding], None]

CHUNK = 50
"""Sites a process: one core's worth of handshakes, and few enough secrets to look for in what devices say."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``at_once``: sites in each process at a time; ``phase_s`` bounds each phase of a site."""

    processes: int = 2
    at_once: int = 25
    phase_s: float = 20.0


def triage_fleet(sites: Sequence[FleetSite], records_root: Path, limits: Limits, tell: Tell) -> tuple[Finding, ...]:
    """Ask every site and return the findings in the sites' order; ``tell`` hears of each as soon as it is there."""
    chunks = list(_chunks(sites, limits.processes))
    if limits.processes == 1 and len(chunks) <= 1:
        found = asyncio.run(_ask(sites, records_root, limits, tell))
    else:
        found = _in_processes(chunks, records_root, limits, tell)
    by_name = {finding.site: finding for finding in found}
    return tuple(by_name[each.name] for each in sites)


def _chunks(sites: Sequence[FleetSite], processes: int) -> Iterator[Sequence[FleetSite]]:
    size = max(1, min(CHUNK, -(-len(sites) // processes)))
    return (sites[start : start + size] for start in range(0, len(sites), size))


async def _ask(sites: Sequence[FleetSite], root: Path, limits: Limits, tell: Tell) -> list[Finding]:
    gate = asyncio.Semaphore(limits.at_once)

    async def one(each: FleetSite) -> Finding:
        async with gate:
            finding = _redacted(await triage_site(each, root, phase_s=limits.phase_s))
        tell(finding)
        return finding

    return list(await asyncio.gather(*map(one, sites)))


def _redacted(finding: Finding) -> Finding:
    """What devices said, without any password: this process has typed some."""
    why = tuple(REDACTOR.redact_text(text) for text in finding.why)
    phases = tuple(replace(phase, problem=REDACTOR.redact_text(phase.problem)) for phase in finding.phases)
    return replace(finding, why=why, phases=phases)


def _in_processes(chunks: Sequence[Sequence[FleetSite]], root: Path, limits: Limits, tell: Tell) -> list[Finding]:
    # A fork costs nothing and has everything loaded; beside other threads it is not safe.
    method = "fork" if threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    waiting = list(reversed(chunks))
    running: dict[Connection, Any] = {}
    found: list[Finding] = []
    try:
        while waiting or running:
            while waiting and len(running) < limits.processes:
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(waiting.pop(), root, limits, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                _hear(ready, running, found, tell)
    finally:
        for process in running.values():
            process.terminate()
    return found


def _hear(ready: Connection, running: dict[Connection, Any], found: list[Finding], tell: Tell) -> None:
    try:
        said = ready.recv()
    except EOFError:
        said = None
    if isinstance(said, Finding):
        found.append(said)
        tell(said)
        return
    process = running.pop(ready)
    process.join()
    if process.exitcode != 0:
        raise RunbookError(
            "A process that asks sites has died",
            found=str(said) if said else f"exit code {process.exitcode}",
            next_step="run the same command again; --processes 1 asks all of them in one process",
        )


def _child(sites: Sequence[FleetSite], root: Path, limits: Limits, line: Connection) -> None:
    asyncio.run(_ask(sites, root, limits, line.send))
    line.send(None)
