"""Many sites asked at a time: bounded, in several processes, and told of as each is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from runbook_lib.fleet.finding import Condition, Finding
from runbook_lib.fleet.processes import in_processes
from runbook_lib.fleet.sites import FleetSite
from runbook_lib.fleet.triage import triage_site
from runbook_lib.secrets import REDACTOR

Tell = Callable[[Finding], None]

SHARE = 50


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``at_once``: sites in each process at a time; ``phase_s`` bounds each phase of a site."""

    processes: int = 2
    at_once: int = 25
    phase_s: float = 20.0


def triage_fleet(sites: Sequence[FleetSite], records_root: Path, limits: Limits, tell: Tell) -> tuple[Finding, ...]:
    """Ask every site and return the findings in the sites' order; ``tell`` hears of each as soon as it is there."""
    work = partial(_ask, records_root, limits)
    found = in_processes(sites, work, processes=limits.processes, share=SHARE, hear=tell)
    by_name = {finding.site: finding for finding in found}
    return tuple(by_name[each.name] for each in sites)


def _ask(root: Path, limits: Limits, sites: Sequence[FleetSite], tell: Tell) -> None:
    async def one(each: FleetSite, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                finding = await triage_site(each, root, phase_s=limits.phase_s)
            except Exception as error:  # noqa: BLE001 (a fault of ours at one site must not lose what the others are)
                finding = _not_understood(each, error)
        tell(_redacted(finding))

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(limits.at_once)
        await asyncio.gather(*(one(each, gate) for each in sites))

    asyncio.run(all_of_them())


def _not_understood(each: FleetSite, error: Exception) -> Finding:
    why = f"asking this site ended in a fault of this software: {type(error).__name__}: {error}"
    return Finding(
        site=each.name,
        where=each.where,
        condition=Condition.NEEDS_A_PERSON,
        why=(why,),
        verdicts={},
        ha={},
        certificates=(),
        phases=(),
    )


def _redacted(finding: Finding) -> Finding:
    """What devices said, without any password: this process has typed some."""
    why = tuple(REDACTOR.redact_text(text) for text in finding.why)
    deletions = tuple(REDACTOR.redact_text(text) for text in finding.deletions)
    seen = tuple(replace(each, subject=REDACTOR.redact_text(each.subject)) for each in finding.certificates)
    phases = tuple(replace(phase, problem=REDACTOR.redact_text(phase.problem)) for phase in finding.phases)
    ha = {server: REDACTOR.redact_text(state) for server, state in finding.ha.items()}
    return replace(finding, why=why, deletions=deletions, certificates=seen, phases=phases, ha=ha)
