"""One site, asked read-only and without a kernel or a record: logs, stores, HA states, presented certificates.

Every phase has a deadline of its own, and what one phase does not answer is no reason not to ask the others. Each
host is looked at once from each vantage: triage decides nothing, the plan looks twice. The judgement is that of
the plan itself, made of the same facts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from runbook_lib.certificates import judge, read_expectation
from runbook_lib.errors import DeviceError, RunbookError
from runbook_lib.fleet.condition import condition_of
from runbook_lib.fleet.finding import Expiry, Finding, Phase
from runbook_lib.fleet.sites import FleetSite
from runbook_lib.models import Answer, Diagnosis, HaStatus, Inventory, Judgement, Presented, TofuStore, Vantage
from runbook_lib.params import Deadlines, Site
from runbook_lib.probe import not_available, present
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.diagnose import read_site_logs
from runbook_lib.steps.history import Past, deletion_ends, last_confirmed, records_of_site
from runbook_lib.steps.plan import make_plan
from runbook_lib.steps.targets import PI_SERVERS, Target, targets

T = TypeVar("T")

LOOKS = 1
_NOT_ASKED = "not asked: no login at this server"


async def triage_site(each: FleetSite, records_root: Path, *, phase_s: float) -> Finding:
    """Ask one site and return what was found. Never raises for what a device or a log does.

    ``phase_s`` bounds each phase; the site's own deadlines hold where they are shorter.
    """
    site = each.site.model_copy(update={"deadlines": _shortened(each.site.deadlines, phase_s)})
    asking = _Asking(site, records_root, phase_s)
    try:
        return await asking.finding(each)
    finally:
        await asking.close()


class _Asking:
    """One site's phases, in what order they can be had."""

    def __init__(self, site: Site, records_root: Path, phase_s: float) -> None:
        self._site = site
        self._root = records_root
        self._phase_s = phase_s
        self._devices = Devices(site, _keep_nothing, looks=LOOKS)
        self._phases: list[Phase] = []
        self._errors: dict[str, RunbookError] = {}

    async def finding(self, each: FleetSite) -> Finding:
        diagnosis, _ = await asyncio.gather(self._logs(), self._login())
        stores, ha, looks = await asyncio.gather(self._stores(), self._ha(), self._looks())
        now = datetime.now(UTC)
        judgements = tuple(self._judged(target, looks[target.name], now) for target in targets(self._site))
        plan = None
        if len(stores) == len(PI_SERVERS) and diagnosis is not None:
            presented = tuple(one for look in looks.values() for one in look)
            inventory = Inventory(stores=stores, presented=presented, judgements=judgements, ha=ha)
            gone_utc, undecided = deletion_ends(self._root, self._site.name)
            past = Past(gone_utc=gone_utc, undecided=undecided)
            plan = make_plan(self._site, "triage", diagnosis, inventory, past, now_utc=now)
        condition, why = condition_of(self._site, plan, judgements, ha, self._errors)
        return Finding(
            site=each.name,
            where=each.where,
            condition=condition,
            why=why,
            deletions=tuple(f"{row.server}: {row.key}" for row in plan.deletions) if plan else (),
            verdicts={judgement.target: judgement.verdict for judgement in judgements},
            ha={status.server: status.state for status in ha},
            certificates=_expiries(judgements, now),
            phases=tuple(self._phases),
        )

    async def close(self) -> None:
        """Leave every session; a server that does not let go is left."""
        try:
            async with asyncio.timeout(self._phase_s):
                await self._devices.close()
        except (TimeoutError, RunbookError, OSError):
            pass

    async def _login(self) -> None:
        await asyncio.gather(
            *(self._phase(f"login at the {key}", self._devices.prime(key).console) for key in PI_SERVERS)
        )

    async def _logs(self) -> Diagnosis | None:
        def read() -> Diagnosis:
            return read_site_logs(self._site)

        return await self._phase("logs", lambda: asyncio.to_thread(read))

    async def _stores(self) -> tuple[TofuStore, ...]:
        found = [
            await self._phase(f"store of the {key}", self._devices.prime(key).list_tofu)
            for key in PI_SERVERS
            if self._reached(key)
        ]
        return tuple(store for store in found if store)

    async def _ha(self) -> tuple[HaStatus, ...]:
        found = [
            await self._phase(f"HA state of the {key}", self._devices.prime(key).ha_status)
            for key in PI_SERVERS
            if self._reached(key)
        ]
        return tuple(state for state in found if state)

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
        return (
            here,
            *(
                not_available(
                    target.address,
                    target.port,
                    vantage=Vantage.SELF if name == target.name else Vantage.PEER,
                    via=name,
                    problem=_NOT_ASKED,
                )
                for name in carriers
            ),
        )

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
            self._phases.append(
                Phase(name=name, seconds=round(time.monotonic() - started, 3), problem=problem.what if problem else "")
            )
        self._errors[name] = problem
        return None


def _look_at(target: Target) -> str:
    return f"certificate of {target.name}"


def _shortened(deadlines: Deadlines, phase_s: float) -> Deadlines:
    names = ("connect_s", "command_s", "probe_s")
    return deadlines.model_copy(update={name: min(getattr(deadlines, name), phase_s) for name in names})


def _keep_nothing(_answer: Answer, _parsed: object) -> None:
    """Triage leaves no record."""


def _expiries(judgements: tuple[Judgement, ...], now: datetime) -> tuple[Expiry, ...]:
    return tuple(
        Expiry(
            target=judgement.target,
            host=judgement.host,
            port=judgement.port,
            sha256=judgement.facts.sha256,
            subject=judgement.facts.subject,
            not_after_utc=judgement.facts.not_after_utc,
            days=(judgement.facts.not_after_utc - now).days,
            verdict=judgement.verdict,
        )
        for judgement in judgements
        if judgement.facts
    )
