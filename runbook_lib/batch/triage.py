"""Triage: many sites asked read-only, each to one of four words, and why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from runbook_lib.batch.sites import FleetSite, in_processes
from runbook_lib.certificates.expectation import read_expectation
from runbook_lib.certificates.verdict import judge
from runbook_lib.decisions import Plan
from runbook_lib.device.answers import StateKind
from runbook_lib.device.prime import PrimeServer
from runbook_lib.device.probe import not_available, present
from runbook_lib.errors import DeviceError, DeviceSilent, DeviceUnreachable, RunbookError
from runbook_lib.models import PI_SERVERS, HaStatus, Inventory, Judgement, Presented, Vantage, Verdict
from runbook_lib.observations import Mismatch
from runbook_lib.params.model import Site
from runbook_lib.repair.context import Devices, Target, targets
from runbook_lib.repair.ha_state import kinds_of
from runbook_lib.repair.inventory import read_site_logs
from runbook_lib.repair.plan import make_plan
from runbook_lib.repair.sent_changes import ChangeHistory, deletion_ends, last_confirmed, records_of_site
from runbook_lib.repair.staleness import Staleness, fits_none
from runbook_lib.secrets import REDACTOR

# -- What triage says of a site: frozen values, in the words of the issue that they answer ---------


class Condition(StrEnum):
    """In which of four states a site was found; the last ones first need somebody."""

    HEALTHY = "healthy"
    REPAIRABLE = "repairable"
    NEEDS_A_PERSON = "needs a person"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One thing that was asked of a site; ``problem`` is empty where it was answered."""

    name: str
    seconds: float
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """A certificate that a host of a site presents now, and how many days it is good for, below 0 where it is not."""

    target: str
    host: str
    port: int
    sha256: str
    subject: str
    not_after_utc: datetime
    days: int
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class TriagedSite:
    """One site as triage saw it. ``why`` are sentences; ``deletions`` the entries that a plan would delete."""

    site: str
    where: str
    condition: Condition
    why: tuple[str, ...]
    deletions: tuple[str, ...] = ()
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    ha: dict[str, str] = field(default_factory=dict)
    certificates: tuple[Expiry, ...] = ()
    phases: tuple[Phase, ...] = ()

    @property
    def days(self) -> int | None:
        """The days until the first of the site's certificates expires; None where none was seen."""
        return min((certificate.days for certificate in self.certificates), default=None)

    @property
    def contradicted(self) -> bool:
        """Whether a host presents what contradicts the operator's knowledge: a suspected interception."""
        return Verdict.CONTRADICTED in self.verdicts.values()


# -- From what was seen of a site to one of four words, and why. Pure ------------------------------

_NO_CONNECTION = (DeviceUnreachable, DeviceSilent)


def condition_of(
    site: Site,
    plan: Plan | None,
    judgements: Iterable[Judgement],
    ha: Iterable[HaStatus],
    errors: Mapping[str, RunbookError],
    reported: Iterable[Mismatch] = (),
) -> tuple[Condition, tuple[str, ...]]:
    """Return the condition and its reasons.

    A contradicted certificate outweighs everything. What an HA state means is judged as in the stages, by the site's
    own ``ha_states`` first. ``plan`` is None where a store or the logs could not be read; ``errors`` are by phase.
    ``reported``: the mismatches that are not over, of which one that no row of the plan rests on is no health.
    """
    judgements, ha = tuple(judgements), tuple(ha)
    contradicted = [each.in_words for each in judgements if each.verdict is Verdict.CONTRADICTED]
    failed = tuple(f"{phase}: {error.what}" for phase, error in errors.items())
    if contradicted:
        return Condition.NEEDS_A_PERSON, (*contradicted, *failed)
    # Nobody answered, as against somebody who refused, or who is not whom the site's file pins.
    silent = all(isinstance(error, _NO_CONNECTION) or type(error) is DeviceError for error in errors.values())
    if errors and plan is None and silent:
        return Condition.UNREACHABLE, failed
    if plan is None or errors:
        return Condition.NEEDS_A_PERSON, failed
    if plan.blocked:
        return Condition.NEEDS_A_PERSON, plan.blocked
    if plan.deletions:
        hosts = ", ".join(dict.fromkeys(f"{row.target} {row.verdict}" for row in plan.deletions))
        return Condition.REPAIRABLE, (f"{len(plan.deletions)} stale entries: {hosts}",)
    explained = {place for row in plan.rows for place in row.evidence}
    open_points = [fits_none(each) for each in reported if explained.isdisjoint(line.place for line in each.evidence)]
    open_points += [each.in_words for each in judgements if each.verdict in (Verdict.UNREACHABLE, Verdict.UNSTABLE)]
    open_points += _unhealthy(site, ha)
    return (Condition.NEEDS_A_PERSON, tuple(open_points)) if open_points else (Condition.HEALTHY, ())


def _unhealthy(site: Site, ha: tuple[HaStatus, ...]) -> list[str]:
    """Say of each server in which state its HA is where that is not a healthy one; nothing stale explains it."""
    seen = {status.server: (status.state, kind) for status, kind in zip(ha, kinds_of(site, ha), strict=True)}
    states = [(key, *seen.get(key, ("", StateKind.UNKNOWN))) for key in PI_SERVERS]
    return [
        f"high availability at the {key}: {state or 'no state'}, and no entry is stale"
        for key, state, kind in states
        if kind is not StateKind.HEALTHY
    ]


# -- One site, asked read-only and without a kernel or a record: logs, stores, HA states, presented certificates.
#
# Every phase has a deadline of its own, and what one phase does not answer is no reason not to ask the others. Each
# host is looked at once from each vantage: triage decides nothing, the plan looks twice. The judgement is that of
# the plan itself, made of the same facts.

T = TypeVar("T")

LOOKS = 1
_NOT_ASKED = "not asked: no login at this server"


async def triage_site(each: FleetSite, records_root: Path, *, phase_s: float) -> TriagedSite:
    """Ask one site and return what was found. Never raises for what a device or a log does.

    ``phase_s`` bounds each phase; the site's own deadlines hold where they are shorter.
    """
    own = each.site.deadlines
    shorter = {name: min(getattr(own, name), phase_s) for name in ("connect_s", "command_s", "probe_s")}
    site = each.site.model_copy(update={"deadlines": own.model_copy(update=shorter)})
    asking = _Asking(site, records_root, phase_s)
    try:
        return await asking.ask(each)
    finally:
        await asking.close()


class _Asking:
    """One site's phases, in what order they can be had."""

    def __init__(self, site: Site, records_root: Path, phase_s: float) -> None:
        self._site = site
        self._root = records_root
        self._phase_s = phase_s
        self._devices = Devices(site, lambda _answer, _parsed: None, looks=LOOKS)  # triage leaves no record
        self._phases: list[Phase] = []
        self._errors: dict[str, RunbookError] = {}

    async def ask(self, each: FleetSite) -> TriagedSite:
        logs = self._phase("logs", lambda: asyncio.to_thread(read_site_logs, self._site))
        logins = (self._phase(f"login at the {key}", self._devices.prime(key).console) for key in PI_SERVERS)
        diagnosis, _ = await asyncio.gather(logs, asyncio.gather(*logins))
        stores, ha, looks = await asyncio.gather(
            self._each("store", lambda prime: prime.list_tofu()),
            self._each("HA state", lambda prime: prime.ha_status()),
            self._looks(),
        )
        now = datetime.now(UTC)
        judgements = tuple(self._judged(target, looks[target.name], now) for target in targets(self._site))
        plan = None
        reported: list[Mismatch] = []
        if len(stores) == len(PI_SERVERS) and diagnosis is not None:
            presented = tuple(one for look in looks.values() for one in look)
            inventory = Inventory(stores=stores, presented=presented, judgements=judgements, ha=ha)
            gone_utc, undecided = deletion_ends(self._root, self._site.name)
            past = ChangeHistory(gone_utc=gone_utc, undecided=undecided, now_utc=now)
            plan = make_plan(self._site, "triage", diagnosis, inventory, past, now_utc=now)
            stale = Staleness(self._site, diagnosis, inventory, past)
            reported = [each for key in PI_SERVERS for each in stale.reported(key)]
        condition, why = condition_of(self._site, plan, judgements, ha, self._errors, reported)
        return TriagedSite(
            site=each.name,
            where=each.where,
            condition=condition,
            why=why,
            deletions=tuple(f"{row.server}: {row.key}" for row in plan.deletions) if plan else (),
            verdicts={judgement.target: judgement.verdict for judgement in judgements},
            ha={status.server: status.state for status in ha},
            certificates=tuple(filter(None, (_expiry(each, now) for each in judgements))),
            phases=tuple(self._phases),
        )

    async def close(self) -> None:
        """Leave every session; a server that does not let go is left."""
        with suppress(TimeoutError, RunbookError, OSError):
            async with asyncio.timeout(self._phase_s):
                await self._devices.close()

    async def _each(self, what: str, ask: Callable[[PrimeServer], Awaitable[T]]) -> tuple[T, ...]:
        """Return what each server says at which a login came about, the primary first."""
        answers = [
            await self._phase(f"{what} of the {key}", partial(ask, self._devices.prime(key)))
            for key in PI_SERVERS
            if self._reached(key)
        ]
        return tuple(each for each in answers if each)

    async def _looks(self) -> dict[str, tuple[Presented, ...]]:
        """Return what each host presents; through a server at which no login came about nothing is tried again."""
        hosts = targets(self._site)
        looks = await asyncio.gather(*(self._phase(_look_at(target), partial(self._look, target)) for target in hosts))
        return {target.name: look or self._not_seen(target) for target, look in zip(hosts, looks, strict=True)}

    def _not_seen(self, target: Target) -> tuple[Presented, ...]:
        """Return what is to be said of a host where the look itself came to nothing."""
        problem = self._errors[_look_at(target)].what
        return (not_available(target.address, target.port, vantage=Vantage.HERE, via="", problem=problem),)

    async def _look(self, target: Target) -> tuple[Presented, ...]:
        carriers = [name for name in (target.name, *target.observers) if name in PI_SERVERS]
        if all(self._reached(name) for name in carriers):
            return await self._devices.look(target)
        deadlines = self._site.deadlines
        here = await present(target.address, target.port, vantage=Vantage.HERE, deadlines=deadlines, times=LOOKS)
        unseen = partial(not_available, target.address, target.port, problem=_NOT_ASKED)
        return (here, *(unseen(Vantage.SELF if name == target.name else Vantage.PEER, via=name) for name in carriers))

    def _reached(self, key: str) -> bool:
        return f"login at the {key}" not in self._errors

    def _judged(self, target: Target, look: tuple[Presented, ...], now: datetime) -> Judgement:
        previous = last_confirmed(records_of_site(self._root, self._site.name), target.name)
        known = read_expectation(target.expect)
        return judge(target.name, look, known, now_utc=now, previous_sha256=previous)

    async def _phase(self, name: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        started = time.monotonic()
        problem: RunbookError | None = None
        try:
            async with asyncio.timeout(self._phase_s):
                return await ask()
        except TimeoutError:
            problem = DeviceError(f"no answer within {self._phase_s:g} s", where=name)
        except RunbookError as error:
            problem = error
        finally:
            seconds = round(time.monotonic() - started, 3)
            self._phases.append(Phase(name=name, seconds=seconds, problem=problem.what if problem else ""))
        self._errors[name] = problem
        return None


def _look_at(target: Target) -> str:
    return f"certificate of {target.name}"


def _expiry(judgement: Judgement, now: datetime) -> Expiry | None:
    facts = judgement.facts
    if facts is None:
        return None
    return Expiry(
        target=judgement.target,
        host=judgement.host,
        port=judgement.port,
        sha256=facts.sha256,
        subject=facts.subject,
        not_after_utc=facts.not_after_utc,
        days=(facts.not_after_utc - now).days,
        verdict=judgement.verdict,
    )


# -- Many sites asked at a time: bounded, in several processes, and told of as each is found -------

SHARE = 50


@dataclass(frozen=True, kw_only=True)
class TriageLimits:
    """``at_once``: sites in each process at a time; ``phase_s`` bounds each phase of a site."""

    processes: int = 2
    at_once: int = 25
    phase_s: float = 20.0


def triage_fleet(
    sites: Sequence[FleetSite], records_root: Path, limits: TriageLimits, on_site: Callable[[TriagedSite], None]
) -> tuple[TriagedSite, ...]:
    """Ask every site and return what was found in their order; ``on_site`` is given each as soon as it is there."""
    work = partial(_ask, records_root, limits)
    triaged = in_processes(sites, work, processes=limits.processes, share=SHARE, on_result=on_site)
    by_name = {site.site: site for site in triaged}
    return tuple(by_name[each.name] for each in sites)


def _ask(root: Path, limits: TriageLimits, sites: Sequence[FleetSite], on_site: Callable[[TriagedSite], None]) -> None:
    async def ask(each: FleetSite, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                triaged = await triage_site(each, root, phase_s=limits.phase_s)
            except Exception as error:  # noqa: BLE001 (a fault of ours at one site must not lose what the others are)
                why = f"asking this site ended in a fault of this software: {type(error).__name__}: {error}"
                triaged = TriagedSite(site=each.name, where=each.where, condition=Condition.NEEDS_A_PERSON, why=(why,))
        on_site(_redacted(triaged))

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(limits.at_once)
        await asyncio.gather(*(ask(each, gate) for each in sites))

    asyncio.run(all_of_them())


def _redacted(site: TriagedSite) -> TriagedSite:
    """What devices said, without any password: this process has typed some."""
    why = tuple(REDACTOR.redact_text(text) for text in site.why)
    deletions = tuple(REDACTOR.redact_text(text) for text in site.deletions)
    seen = tuple(replace(each, subject=REDACTOR.redact_text(each.subject)) for each in site.certificates)
    phases = tuple(replace(phase, problem=REDACTOR.redact_text(phase.problem)) for phase in site.phases)
    ha = {server: REDACTOR.redact_text(state) for server, state in site.ha.items()}
    return replace(site, why=why, deletions=deletions, certificates=seen, phases=phases, ha=ha)
