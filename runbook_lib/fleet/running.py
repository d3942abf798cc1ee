"""One run of a round: the sites that may be run, through the waves, and the signed roll-up at its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from runbook_lib.errors import RecordError, opening_line
from runbook_lib.fleet.admission import Admission, admit
from runbook_lib.fleet.executor import Executor
from runbook_lib.fleet.going import DRAINED, Rules, Watcher, Way
from runbook_lib.fleet.outcome import RoundOutcome, keep_outcome
from runbook_lib.fleet.planning import newest_rollup
from runbook_lib.fleet.round import STAGE, Round
from runbook_lib.fleet.sites import Fleet
from runbook_lib.fleet.task import SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.models import Stage
from runbook_lib.record import Change, Kind, Seal, SiteLock
from runbook_lib.signals import taken

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FleetReport:
    """How a run ended. ``signum`` is the first signal that asked it to end, None where none did.

    ``refused`` are the records that their address did not take; they lie where they were made.
    """

    outcome: RoundOutcome
    seal: Seal
    signum: signal.Signals | None
    refused: tuple[str, ...] = ()


def fleet_lock(round_: Round) -> SiteLock:
    """The lock of a fleet: one run of it at a time; entering raises SiteLocked, naming who has it."""
    name = f"fleet:{round_.site}"
    return SiteLock(name, (f"{name} in {round_.root.resolve()}",), purpose="run the fleet", incident=round_.incident)


def run_fleet(
    round_: Round,
    fleet: Fleet,
    start: Callable[[], Executor],
    rules: Rules,
    tell: Tell,
    *,
    until: Stage = Stage.POST_MORTEM,
    only: Sequence[str] = (),
) -> FleetReport:
    """Run the sites of a fleet that may be run, and return what became of each.

    Ctrl-C, SIGTERM or SIGHUP: no further site starts, and what is in flight is finished, or stops before its first
    change; a second one ends what is in flight, and what is not known then is called unknown. Raises SiteLocked
    where another process runs this fleet.
    """
    with fleet_lock(round_):
        rollup = newest_rollup(round_)
        admission = admit(round_, fleet, rollup, until, only)
        diary = _Diary(round_, tell)
        way, signum = asyncio.run(_go(start, rules, diary, admission))
        results = _results(fleet, admission, way)
        outcome, seal = keep_outcome(round_, rollup.digest if rollup else "", results, way.why_stopped)
    return FleetReport(outcome=outcome, seal=seal, signum=signum, refused=tuple(way.executor.refused))


async def _go(
    start: Callable[[], Executor], rules: Rules, diary: _Diary, admission: Admission
) -> tuple[Way, signal.Signals | None]:
    executor = start()
    way = Way(executor, rules, diary)
    listening = _Signals(way)
    loop = asyncio.get_running_loop()
    try:
        with taken(lambda signum: loop.call_soon_threadsafe(listening.note, signum)):
            await way.go(admission.tasks)
    finally:
        await executor.close()
    return way, listening.first


class _Signals:
    """The first signal drains, a second one ends what is in flight."""

    def __init__(self, way: Way) -> None:
        self.first: signal.Signals | None = None
        self._way = way

    def note(self, signum: int) -> None:
        if self.first is None:
            self.first = signal.Signals(signum)
            self._way.stop(f"{DRAINED} ({self.first.name})")
        else:
            self._way.executor.abort()


class _Diary(Watcher):
    """Writes into the round's journal what happens, before and after, and tells it."""

    def __init__(self, round_: Round, tell: Tell) -> None:
        self._round = round_
        self._tell = tell
        self._changes: dict[str, Change] = {}

    def wave_begins(self, number: int, sites: Sequence[str]) -> None:
        text = f"wave {number}: {len(sites)} sites"
        self._round.journal.append(Kind.NOTED, stage=STAGE, seen=text, text="wave")
        self._tell(text)

    def site_starts(self, task: SiteTask, wave: int) -> None:
        line = f"run {task.incident}"
        self._changes[task.site] = _intend(self._round, task.site, line, f"wave {wave}")
        self._tell(f"{task.site}: starts")

    def event(self, event: SiteEvent) -> None:
        if event.state:
            self._tell(f"{event.site}: {event.stage} {event.state}, {event.seconds:.1f} s")

    def site_ended(self, result: SiteResult) -> None:
        self._changes.pop(result.site).result(result.state.value, expected=SiteState.REPAIRED.value)
        why = f": {opening_line(result.why)}" if result.why else ""
        self._tell(f"{result.site}: {result.state}, {result.seconds:.1f} s{why}")

    def stopped(self, why: str) -> None:
        self._tell(f"stopping: {why}")
        with suppress(RecordError):  # the sites in flight matter more; the outcome says it again, or cannot either
            self._round.journal.append(Kind.NOTED, stage=STAGE, seen=why, text="stopped")


def _intend(round_: Round, site: str, text: str, expected: str) -> Change:
    round_.journal.append(Kind.INTENT, stage=STAGE, server=site, expected=expected, text=text)
    return Change(round_, STAGE, site, text)


def _results(fleet: Fleet, admission: Admission, way: Way) -> list[SiteResult]:
    """Return one result for every site of the fleet that was asked for, in the fleet's order."""
    found = {result.site: result for result in admission.settled} | way.results
    for task in admission.tasks:
        why = way.why_stopped or "not reached"
        state = SiteState.NOT_STARTED
        found.setdefault(task.site, SiteResult(site=task.site, incident=task.incident, state=state, why=why))
    return [found[each.name] for each in fleet.sites if each.name in found]
