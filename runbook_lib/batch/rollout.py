"""A rollout: a canary first, waves that grow, and what ends the evening early."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from runbook_lib.batch.round import STAGE, Rollup, Round, RoundOutcome, admit, exit_code, keep_outcome
from runbook_lib.batch.site_run import FAILURES, SiteEvent, SiteResult, SiteState, SiteTask, site_state
from runbook_lib.batch.sites import Fleet
from runbook_lib.errors import OutcomeUnknown, ParameterRefused, RecordError, RunbookError, opening_line
from runbook_lib.i18n.language import count
from runbook_lib.models import Stage
from runbook_lib.processes import signals_taken
from runbook_lib.record.attestation import Seal
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import SiteLock
from runbook_lib.record.stages import RecordedChange

# -- How a fleet is gone through: a canary first, then waves that grow; and how many failures end it. Pure

T = TypeVar("T")
_SHARE = re.compile(r"(?P<number>[1-9][0-9]{0,5})(?P<percent>%?)")


@dataclass(frozen=True)
class Share:
    """So many sites, or so many of a hundred, rounded up: at least one."""

    number: int
    percent: bool

    def of(self, total: int) -> int:
        """Return how many of so many sites that are."""
        return max(1, math.ceil(total * self.number / 100)) if self.percent else self.number


def parse_share(text: str, what: str) -> Share:
    """Read ``2`` or ``5%``; raises ParameterRefused that names ``what`` for anything else."""
    match = _SHARE.fullmatch(text.strip())
    number = int(match["number"]) if match else 0
    if match is None or (match["percent"] and number > 100):
        raise ParameterRefused(f"{what} is a number of sites or a share of them", found=text, next_step="as 2 or 5%")
    return Share(number, bool(match["percent"]))


def parse_waves(text: str) -> tuple[Share, ...]:
    """Read ``1,5,20%``: the sizes of the waves in their order, the last one as often as there are sites left."""
    return tuple(parse_share(part, "--waves: each wave") for part in text.split(","))


def waves(sites: Sequence[T], shares: Sequence[Share]) -> Iterator[Sequence[T]]:
    """Yield the sites in waves; a share is one of all sites."""
    left = list(sites)
    each = itertools.chain(shares, itertools.repeat(shares[-1]))
    while left:
        size = next(each).of(len(sites))
        yield left[:size]
        left = left[size:]


# -- Who runs sites: the workers of this machine, or those of a Dask cluster -----------------------


class Executor(Protocol):
    """Runs one site a task, several at a time. ``refused``: what the address of the records did not take, and why."""

    refused: list[str]

    async def run(self, task: SiteTask, on_event: Callable[[SiteEvent], None]) -> SiteResult:
        """Run one site and return how it ended; a worker that dies is a result, not an error."""

    def halt(self) -> None:
        """Let each site stop before its first change; one that has begun to change goes on to its end."""

    def abort(self) -> None:
        """End whatever runs now; the results say what is known then."""

    async def close(self) -> None:
        """Let the workers go."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """``scheduler``: the address of a cluster that exists; empty: a local one of ``workers`` processes, if any.

    ``tls_ca``, ``tls_cert`` and ``tls_key`` are files; ``plain``: a scheduler may be talked to without TLS.
    """

    scheduler: str = ""
    workers: int = 2
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    plain: bool = False


def require_protected(options: ClusterOptions) -> None:
    """Raise ParameterRefused for a scheduler without TLS: whoever can talk to it can run anything.

    On loopback that is every user of this machine.
    """
    scheme = urlsplit(options.scheduler).scheme
    if scheme not in ("tcp", "tls"):
        raise ParameterRefused(
            "This is not a scheduler's address", found=options.scheduler, next_step="tls://HOST:8786"
        )
    files = (options.tls_ca, options.tls_cert, options.tls_key)
    if scheme == "tls" and not all(files):
        raise ParameterRefused(
            "A scheduler with TLS needs the files of the CA, of a certificate and of its key",
            next_step="give --tls-ca, --tls-cert and --tls-key",
        )
    if scheme == "tcp" and not options.plain:
        raise ParameterRefused(
            "This scheduler talks without TLS: whoever reaches it, on loopback every user, runs what he likes there",
            found=options.scheduler,
            next_step="start it with TLS and give tls://HOST:8786; --allow-plain if nobody else can reach it",
        )


# -- The way of a fleet through its waves: what may start next, and what ends the evening early ----

CANARY_FAILED = "the first wave did not end well"
CONTRADICTED = "a certificate contradicts what is known of it: a suspected interception"
TOO_MANY = "the highest allowed number of failed sites is reached"
DRAINED = "the fleet was told to end"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a fleet is gone through. The first wave must end well before there is a second."""

    waves: tuple[Share, ...]
    failures: Share
    at_once: int


@dataclass
class Rollout:
    """One run of a fleet through its waves. ``stop`` may be called at any time, from the event loop."""

    executor: Executor
    rules: Rules
    diary: RolloutDiary
    results: dict[str, SiteResult] = field(default_factory=dict)
    why_stopped: str = ""
    _failures: int = 0

    async def go(self, tasks: Sequence[SiteTask]) -> None:
        """Run the tasks wave by wave, each wave after the one before; sites that do not start have no result.

        What the diary raises (its record takes no more) is raised when what is in flight has ended.
        """
        budget = self.rules.failures.of(len(tasks))
        gate = asyncio.Semaphore(self.rules.at_once)
        for number, wave in enumerate(waves(tasks, self.rules.waves), 1):
            if self.why_stopped:
                return
            self.diary.wave_begins(number, [task.site for task in wave])
            runs = (self._one(task, number, gate, budget) for task in wave)
            ends = await asyncio.gather(*runs, return_exceptions=True)
            if problem := next((end for end in ends if isinstance(end, BaseException)), None):
                raise problem
            results = [self.results.get(task.site) for task in wave]
            badly = any(result is None or result.state in FAILURES | {SiteState.STOPPED} for result in results)
            if number == 1 and not self.why_stopped and badly:
                self.stop(CANARY_FAILED)

    def stop(self, why: str) -> None:
        """Start no further site; those that have not begun to change anything stop before they do."""
        if not self.why_stopped:
            self.why_stopped = why
            self.diary.stopped(why)
            self.executor.halt()

    async def _one(self, task: SiteTask, wave: int, gate: asyncio.Semaphore, budget: int) -> None:
        async with gate:
            if self.why_stopped:
                return
            began = time.monotonic()
            try:
                self.diary.site_starts(task, wave)
                result = await self.executor.run(task, self.diary.event)
                if not result.seconds:  # whoever ran the site could not say: it died, or was told to end
                    result = replace(result, seconds=round(time.monotonic() - began, 3))
                self.results[task.site] = result
                self.diary.site_ended(result)
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


# -- One run of a round: the sites that may be run, through the waves, and the signed roll-up at its end


@dataclass(frozen=True, kw_only=True)
class FleetReport:
    """How a run ended. ``signum`` is the first signal that asked it to end, None where none did.

    ``refused`` are the records that their address did not take; they lie where they were made.
    """

    outcome: RoundOutcome
    seal: Seal
    signum: signal.Signals | None
    refused: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code: what became of the sites, unless a signal ended the run and nothing is unknown."""
        code = exit_code(self.outcome) or (RecordError.exit_code if self.refused else 0)
        return code if self.signum is None or code == OutcomeUnknown.exit_code else 128 + self.signum


def fleet_lock(round_: Round) -> SiteLock:
    """The lock of a fleet: one run of it at a time; entering raises SiteLocked, naming who has it."""
    name = f"fleet:{round_.site}"
    return SiteLock(name, (f"{name} in {round_.root.resolve()}",), purpose="run the fleet", incident=round_.incident)


def run_fleet(
    round_: Round,
    fleet: Fleet,
    start: Callable[[], Executor],
    rules: Rules,
    show: Callable[[str], None],
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
        rollup = round_.newest_rollup()
        tasks, settled = admit(round_, fleet, rollup, until, only)
        diary = RolloutDiary(round_, show)
        rollout, signum = asyncio.run(_go(start, rules, diary, tasks))
        for task in tasks:
            not_reached = task.result(SiteState.NOT_STARTED, rollout.why_stopped or "not reached")
            rollout.results.setdefault(task.site, not_reached)
        found = {result.site: result for result in settled} | rollout.results
        results = [found[each.name] for each in fleet.sites if each.name in found]
        others = tuple(_left_out(round_, rollup, only)) if rollup and only else ()
        outcome, seal = keep_outcome(round_, rollup.digest if rollup else "", results, rollout.why_stopped, others)
    return FleetReport(outcome=outcome, seal=seal, signum=signum, refused=tuple(rollout.executor.refused))


def _left_out(round_: Round, rollup: Rollup, only: Sequence[str]) -> Iterator[SiteState]:
    """Yield how each site of the round stands that this run was not asked for."""
    incidents = {each.site: each.incident for each in rollup.sites}
    incidents |= {each.site: "" for each in rollup.not_planned}
    for site, incident in incidents.items():
        if site in only:
            continue
        outcome = None
        with suppress(RunbookError):  # it lies elsewhere, or is damaged: nothing is claimed of it
            outcome = Record.open(round_.root, incident).outcome()
        yield site_state(outcome) if outcome else SiteState.NOT_STARTED


async def _go(
    start: Callable[[], Executor], rules: Rules, diary: RolloutDiary, tasks: Sequence[SiteTask]
) -> tuple[Rollout, signal.Signals | None]:
    executor = start()
    rollout = Rollout(executor, rules, diary)
    loop = asyncio.get_running_loop()
    taken_signals: list[signal.Signals] = []

    def note(signum: int) -> None:
        """The first signal drains, a second one ends what is in flight."""
        taken_signals.append(signal.Signals(signum))
        if len(taken_signals) == 1:
            rollout.stop(f"{DRAINED} ({taken_signals[0].name})")
        else:
            executor.abort()

    try:
        with signals_taken(lambda signum: loop.call_soon_threadsafe(note, signum)):
            await rollout.go(tasks)
    finally:
        await executor.close()
    return rollout, next(iter(taken_signals), None)


class RolloutDiary:
    """Writes into the round's journal what happens, before the next thing does, and shows it."""

    def __init__(self, round_: Round, show: Callable[[str], None]) -> None:
        self._round = round_
        self._show = show
        self._changes: dict[str, RecordedChange] = {}

    def wave_begins(self, number: int, sites: Sequence[str]) -> None:
        """Note the next wave."""
        text = f"wave {number}: {count(len(sites), 'site')}"
        self._round.journal.append(Kind.NOTED, stage=STAGE, seen=text, text="wave")
        self._show(text)

    def site_starts(self, task: SiteTask, wave: int) -> None:
        """Write that a site is about to be run."""
        line = self._round.journal.append(
            Kind.INTENT, stage=STAGE, server=task.site, expected=f"wave {wave}", text=f"run {task.incident}"
        )
        self._changes[task.site] = RecordedChange(self._round.journal, line)
        self._show(f"{task.site}: starts")

    def event(self, event: SiteEvent) -> None:
        """Show how far a site is."""
        if event.state:
            self._show(f"{event.site}: {event.stage} {event.state}, {event.seconds:.1f} s")

    def site_ended(self, result: SiteResult) -> None:
        """Write how a site ended."""
        why = f": {opening_line(result.why)}" if result.why else ""
        self._show(f"{result.site}: {result.state}, {result.seconds:.1f} s{why}")  # also where the round takes no more
        self._changes.pop(result.site).result(result.state.value, expected=SiteState.REPAIRED.value)

    def stopped(self, why: str) -> None:
        """Write why no further site starts."""
        self._show(f"stopping: {why}")
        with suppress(RecordError):  # the sites in flight matter more; the outcome says it again, or cannot either
            self._round.journal.append(Kind.NOTED, stage=STAGE, seen=why, text="stopped")
