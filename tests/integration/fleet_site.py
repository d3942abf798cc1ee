"""A round over a lab of many sites, for tests: planned, approved, and run by workers of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.local import LocalExecutor
from runbook_lib.batch.planning import Approved, approve_rollup, plan_fleet
from runbook_lib.batch.rollout import FleetReport, Rules, parse_share, parse_waves, run_fleet
from runbook_lib.batch.round import Rollup, Round, admit
from runbook_lib.batch.site_run import SiteEvent, SiteResult, SiteTask
from runbook_lib.batch.sites import Fleet
from runbook_lib.models import Stage
from runbook_lib.record.incident import Record

QUICK_RULES = Rules(waves=parse_waves("100%"), failures=parse_share("100%", "failures"), at_once=4)


def say_nothing(_said: object) -> None:
    """The listener that nobody asked for."""


@dataclass
class Evening:
    """One fleet, and one round of it."""

    fleet_file: Path
    records: Path
    fleet: Fleet = field(init=False)
    round: Round = field(init=False)
    rollup: Rollup = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = load_fleet(self.fleet_file)

    def plan(self) -> Rollup:
        """Begin a round and plan every site."""
        self.round = Round.create(self.records, self.fleet.name, given=str(self.fleet_file))
        self.rollup = plan_fleet(self.round, self.fleet.sites, at_once=4, show=say_nothing)
        return self.rollup

    def approve(self, *only: str) -> Approved:
        """Approve the roll-up, all of it or single sites."""
        return approve_rollup(self.round, self.rollup.digest, by="Ada", reason="a test", only=only)

    def run(
        self, executor: Callable[[], object], *, until: Stage = Stage.VERIFY, rules: Rules = QUICK_RULES
    ) -> FleetReport:
        """Run what may be run."""
        return run_fleet(self.round, self.fleet, executor, rules, say_nothing, until=until)  # type: ignore[arg-type]

    def task(self, name: str, until: Stage = Stage.VERIFY) -> SiteTask:
        """The task of one site; fails where it is not admitted."""
        (task,), _ = admit(self.round, self.fleet, self.rollup, until, [name])
        return task

    def record(self, name: str) -> Record:
        """The record of a site's incident in this round."""
        planned = self.rollup.site(name)
        refused = {each.site: each.incident for each in self.rollup.not_planned}
        return Record.open(self.records, planned.incident if planned else refused[name])


def run_one(task: SiteTask, output: Path, on: Callable[[SiteEvent, LocalExecutor], None]) -> SiteResult:
    """Run one task on a worker process; ``on`` hears of each event."""
    return _run(task, output, "", on)[0]


def run_one_to(task: SiteTask, output: Path, address: str) -> tuple[SiteResult, list[str]]:
    """Run one task and copy its record to an address; return what that refused, too."""
    return _run(task, output, address, lambda event, executor: None)


def _run(
    task: SiteTask, output: Path, address: str, on: Callable[[SiteEvent, LocalExecutor], None]
) -> tuple[SiteResult, list[str]]:
    async def main() -> tuple[SiteResult, list[str]]:
        executor = LocalExecutor(output, address)
        try:
            return await executor.run(task, lambda event: on(event, executor)), executor.refused
        finally:
            await executor.close()

    return asyncio.run(main())
