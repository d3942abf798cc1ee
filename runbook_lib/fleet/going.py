"""The way of a fleet through its waves: what may start next, and what ends the evening early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runbook_lib.fleet.executor import Executor
from runbook_lib.fleet.task import FAILURES, SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.fleet.waves import Share, waves

CANARY_FAILED = "the first wave did not end well"
CONTRADICTED = "a certificate contradicts what is known of it: a suspected interception"
TOO_MANY = "as many sites have failed as may"
DRAINED = "the fleet was told to end"


class Watcher:
    """Is told what happens; what it keeps is on disk before the next thing happens."""

    def wave_begins(self, number: int, sites: Sequence[str]) -> None: ...
    def site_starts(self, task: SiteTask, wave: int) -> None: ...
    def event(self, event: SiteEvent) -> None: ...
    def site_ended(self, result: SiteResult) -> None: ...
    def stopped(self, why: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a fleet is gone through. ``first``: the first wave must end well before there is a second."""

    waves: tuple[Share, ...]
    failures: Share
    at_once: int


@dataclass
class Way:
    """One run of a fleet through its waves. ``stop`` may be called at any time, from the event loop."""

    executor: Executor
    rules: Rules
    watcher: Watcher
    results: dict[str, SiteResult] = field(default_factory=dict)
    why_stopped: str = ""
    _failures: int = 0

    async def go(self, tasks: Sequence[SiteTask], *, more: Callable[[], bool] = lambda: True) -> None:
        """Run the tasks wave by wave, each wave after the one before; sites that do not start have no result.

        What the watcher raises (its record takes no more) is raised when what is in flight has ended.
        """
        budget = self.rules.failures.of(len(tasks))
        gate = asyncio.Semaphore(self.rules.at_once)
        for number, wave in enumerate(waves(tasks, self.rules.waves), 1):
            if self.why_stopped or not more():
                return
            self.watcher.wave_begins(number, [task.site for task in wave])
            ends = await asyncio.gather(
                *(self._one(task, number, gate, budget) for task in wave), return_exceptions=True
            )
            if problem := next((end for end in ends if isinstance(end, BaseException)), None):
                raise problem
            if number == 1 and not self.why_stopped and any(self._ended_badly(task) for task in wave):
                self.stop(CANARY_FAILED)

    def stop(self, why: str) -> None:
        """Start no further site; those that have not begun to change anything stop before they do."""
        if not self.why_stopped:
            self.why_stopped = why
            self.watcher.stopped(why)
            self.executor.halt()

    async def _one(self, task: SiteTask, wave: int, gate: asyncio.Semaphore, budget: int) -> None:
        async with gate:
            if self.why_stopped:
                return
            try:
                self.watcher.site_starts(task, wave)
                result = await self.executor.run(task, self.watcher.event)
                self.results[task.site] = result
                self.watcher.site_ended(result)
            except BaseException as problem:
                self.stop(f"{task.site}: {type(problem).__name__}")  # what is in flight is still finished
                raise
        self._judge(result, budget)

    def _judge(self, result: SiteResult, budget: int) -> None:
        self._failures += result.state in FAILURES
        if result.contradicted:
            self.stop(f"{result.site}: {CONTRADICTED}")
        elif self._failures >= budget:
            self.stop(f"{TOO_MANY}: {budget}")

    def _ended_badly(self, task: SiteTask) -> bool:
        result = self.results.get(task.site)
        return result is None or result.state in FAILURES | {SiteState.STOPPED}
