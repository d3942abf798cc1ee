"""High availability on both servers' own word: what they say now, waiting for it to settle, and the proof."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from runbook_lib.errors import DeviceError
from runbook_lib.models import Check, HaStatus
from runbook_lib.params import Site
from runbook_lib.parse.ha import StateKind, kind_of_state
from runbook_lib.steps.confirmed import look_again
from runbook_lib.steps.context import Context
from runbook_lib.steps.settling import settled
from runbook_lib.steps.targets import PI_SERVERS, target_of

_UNSETTLED = {StateKind.IN_TRANSITION, StateKind.BROKEN}


async def observe_ha(context: Context) -> tuple[HaStatus, ...]:
    """Return both servers' own HA states, the primary's first."""
    return tuple(await asyncio.gather(*(context.devices.prime(key).ha_status() for key in PI_SERVERS)))


def kinds_of(site: Site, states: Iterable[HaStatus]) -> tuple[StateKind, ...]:
    """Return what the states mean, in their order; the site's own words win over the known ones."""
    own = {words: StateKind(kind) for words, kind in site.ha_states.items()}
    return tuple(kind_of_state(status.state, own) for status in states)


def served_by_secondary(states: Iterable[HaStatus]) -> bool:
    """Whether a failover is under way or has happened, in the words of one of the servers."""
    words = {status.server: status.state.casefold() for status in states}
    return "active" in words.get("secondary", "") or "failover" in words.get("primary", "")


def in_words(states: Iterable[HaStatus]) -> str:
    """Return the states as one line."""
    return "; ".join(f"{status.server}: {status.role} {status.state}" for status in states)


async def settled_states(context: Context) -> tuple[HaStatus, ...]:
    """Wait until no state is in transition or broken, or the site's ``settle_s`` is over; return the last states."""

    def waited_for(states: tuple[HaStatus, ...]) -> str:
        unsettled = _UNSETTLED & set(kinds_of(context.site, states))
        return f"Waiting for high availability to settle: {in_words(states)}" if unsettled else ""

    return await settled(context, lambda: observe_ha(context), waited_for)


async def prove_ha(context: Context) -> tuple[Check, ...]:
    """Wait for both servers to call HA healthy and for the entries to be back; return expected beside actual.

    Then each is looked at once more: whether its peer may have stored the confirmed certificate or another one.

    Waits at most the site's ``settle_s``; raises nothing for what it sees.
    """

    def waited_for(checks: tuple[Check, ...]) -> str:
        healthy = all(check.ok for check in checks)
        return "" if healthy else "Waiting for both servers to report high availability as healthy"

    checks = await settled(context, lambda: _ha_checks(context), waited_for)
    return (*checks, *[await look_again(context, server) for server in PI_SERVERS])


async def _ha_checks(context: Context) -> tuple[Check, ...]:
    expected = {"primary": "Primary Active", "secondary": "Secondary Syncing"}
    states = await observe_ha(context)
    checks = [
        Check(
            name=f"HA state of the {status.server}",
            expected=expected[status.server],
            actual=status.state,
            ok=kind is StateKind.HEALTHY,
        )
        for status, kind in zip(states, kinds_of(context.site, states), strict=True)
    ]
    peers = zip(PI_SERVERS, PI_SERVERS[::-1], strict=True)
    return (*checks, *[await entry_check(context, observer, peer) for observer, peer in peers])


async def entry_check(context: Context, observer: str, target: str) -> Check:
    """Whether the store of ``observer`` holds an entry of ``target`` again."""
    name = f"entry of {target} on the {observer}"
    try:
        store = await context.devices.prime(observer).list_tofu()
    except DeviceError as error:
        return Check(name=name, expected="listed", actual=error.what, ok=None)
    found = [e.key for e in store.entries if (t := target_of(context.site, observer, e)) and t.name == target]
    return Check(name=name, expected="listed", actual=", ".join(found) or "not listed", ok=bool(found))
