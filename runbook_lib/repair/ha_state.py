"""High availability on both servers' own word, and what is typed into its form."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from runbook_lib.decisions import Check, CheckKind
from runbook_lib.device.answers import StateKind, kind_of_state
from runbook_lib.errors import DeviceError
from runbook_lib.models import HaStatus, TofuStore
from runbook_lib.params.labels import HaForm
from runbook_lib.params.model import Site
from runbook_lib.repair.confirmation import look_again
from runbook_lib.repair.context import PI_SERVERS, Context, ask_both, read_when_back, target_of, wait_until

# -- What is typed into *HA Configuration*: for the browser as values, for people with the key as a reference


def typed_form(site: Site) -> HaForm:
    """Return the values that are typed, the key resolved from its reference just now."""
    return HaForm(
        secondary_server=secondary_address(site),
        auth_key=site.ha.auth_key.resolve(),
        email=site.ha.email,
        failover=site.ha.failover,
        virtual_ipv4=site.ha.virtual_ipv4,
        virtual_ipv6=site.ha.virtual_ipv6,
    )


def secondary_address(site: Site) -> str:
    """Return what is typed as *Secondary Server*."""
    return site.ha.secondary_address or site.secondary.address


def form_rows(site: Site) -> tuple[tuple[str, str], ...]:
    """Return the fields and their values as they may be shown; the key is named by its reference."""
    return (
        ("Secondary Server", secondary_address(site)),
        ("Authentication Key", site.ha.auth_key.source),
        ("Email Address", ", ".join(site.ha.email) or "-"),
        ("Failover Type", site.ha.failover),
        ("IPV4 Virtual IP", site.ha.virtual_ipv4 or "-"),
        ("IPV6 Virtual IP", site.ha.virtual_ipv6 or "-"),
    )


# -- High availability on both servers' own word: what they say now, waiting for it to settle, and the proof

_UNSETTLED = {StateKind.IN_TRANSITION, StateKind.BROKEN}


async def observe_ha(context: Context, *, patient: bool = False) -> tuple[HaStatus, ...]:
    """Return both servers' own HA states, the primary's first; ``patient``: a server that is away is waited for."""
    if patient:
        return await read_when_back(context, lambda: observe_ha(context))
    return await ask_both(context.devices, lambda prime: prime.ha_status())


def kinds_of(site: Site, states: Iterable[HaStatus]) -> tuple[StateKind, ...]:
    """Return what the states mean, in their order; the site's own words win over the known ones."""
    own = {words: StateKind(kind) for words, kind in site.ha_states.items()}
    return tuple(kind_of_state(status.state, own) for status in states)


def after_failure(message: str, states: tuple[HaStatus, ...]) -> str:
    """Return what to do after a registration that failed, by the page's words and what both servers say."""
    if "authentication key" in message.lower():
        return "set one key on both servers (ncs ha authkey NEWKEY), put it where the site's file refers to, run again"
    if served_by_secondary(states):
        return "the secondary serves now: fail back in its Health Monitor page, then run this stage again"
    return "run 10_diagnose_logs again: a mismatch means that a stale entry is left; then run this stage again"


def served_by_secondary(states: Iterable[HaStatus]) -> bool:
    """Whether a failover is under way or has happened, in the words of one of the servers.

    Where a server says both states, that the primary is active is no word on the secondary; as its own it is.
    """
    words = {status.server: status.state.casefold() for status in states}
    active = re.search(r"^primary active$|(?<!primary )active", words.get("secondary", ""))
    return bool(active) or "failover" in words.get("primary", "")


def ha_states_in_words(states: Iterable[HaStatus]) -> str:
    """Return the states as one line; a role is named where it is not the server's own."""
    words = []
    for status in states:
        own = status.role.casefold() in ("", status.server)
        words.append(f"{status.server}: {status.state}" if own else f"{status.server}: {status.role}, {status.state}")
    return "; ".join(words)


def removable(site: Site, states: Sequence[HaStatus]) -> bool:
    """Whether the primary's registration is broken, no state is unknown, and the secondary is not the active one."""
    kinds = kinds_of(site, states)
    broken = kinds[0] is StateKind.BROKEN and StateKind.UNKNOWN not in kinds
    return broken and not served_by_secondary(states) and not are_crossed(states)


def are_crossed(states: Sequence[HaStatus]) -> bool:
    """Whether each server calls itself what the site's file calls the other."""
    roles = {status.server: status.role.casefold() for status in states}
    return "secondary" in roles.get("primary", "") and "primary" in roles.get("secondary", "")


async def settled_states(context: Context) -> tuple[HaStatus, ...]:
    """Wait until no state is in transition or broken, or the site's ``settle_s`` is over; return the last states."""

    def waited_for(states: tuple[HaStatus, ...]) -> str:
        unsettled = _UNSETTLED & set(kinds_of(context.site, states))
        return f"Waiting for high availability to settle: {ha_states_in_words(states)}" if unsettled else ""

    return await wait_until(context, lambda: observe_ha(context, patient=True), waited_for)


async def still_going_on(context: Context) -> str:
    """Return both servers' states where they may be under way after the site's ``settle_s``, or done; "" otherwise."""
    with suppress(DeviceError):
        if not served_by_secondary(states := await observe_ha(context)):
            states = await settled_states(context)
        kinds = set(kinds_of(context.site, states))
        may = kinds & {StateKind.IN_TRANSITION, StateKind.UNKNOWN} or kinds == {StateKind.HEALTHY}
        if may and not served_by_secondary(states):
            return ha_states_in_words(states)
    return ""


async def prove_ha(context: Context) -> tuple[Check, ...]:
    """Wait for both servers to call HA healthy and for the entries to be back; return expected beside actual.

    Then each is looked at once more: whether its peer may have stored the confirmed certificate or another one.

    Waits at most the site's ``settle_s``; raises nothing for what it sees.
    """

    def waited_for(checks: tuple[Check, ...]) -> str:
        healthy = all(check.ok for check in checks)
        return "" if healthy else "Waiting for both servers to report high availability as healthy"

    checks = await wait_until(context, lambda: _ha_checks(context), waited_for)
    return (*checks, *await asyncio.gather(*(look_again(context, server) for server in PI_SERVERS)))


async def _ha_checks(context: Context) -> tuple[Check, ...]:
    expected = {"primary": "Primary Active", "secondary": "Secondary Syncing"}
    states = await observe_ha(context, patient=True)
    checks = [replace(check, expected=expected[check.server]) for check in state_checks(context.site, states)]
    return (*checks, *await entry_checks(context, tuple(zip(PI_SERVERS, PI_SERVERS[::-1], strict=True))))


def state_checks(site: Site, states: Sequence[HaStatus]) -> list[Check]:
    """Return for each server whether its own word on HA is a healthy one."""
    return [
        Check(
            expected="healthy (Primary Active, Secondary Syncing)",
            actual=status.state,
            ok=kind is StateKind.HEALTHY,
            kind=CheckKind.HA_STATE,
            server=status.server,
        )
        for status, kind in zip(states, kinds_of(site, states), strict=True)
    ]


async def entry_checks(context: Context, wanted: Sequence[tuple[str, str]]) -> tuple[Check, ...]:
    """Return for each observer and target whether the observer's store holds an entry of the target again.

    Each store is read once; a server that is away is waited for, since what is not read proves nothing.
    """

    async def read(observer: str) -> TofuStore | DeviceError:
        try:
            return await read_when_back(context, context.devices.prime(observer).list_tofu)
        except DeviceError as error:
            return error

    observers = tuple(dict.fromkeys(observer for observer, _ in wanted))
    stores = dict(zip(observers, await asyncio.gather(*map(read, observers)), strict=True))
    return tuple(_entry_check(context.site, observer, target, stores[observer]) for observer, target in wanted)


def _entry_check(site: Site, observer: str, target: str, store: TofuStore | DeviceError) -> Check:
    found, ok = tuple[str, ...](), None
    if isinstance(store, DeviceError):
        actual = store.what
    else:
        found = tuple(e.key for e in store.entries if (t := target_of(site, observer, e)) and t.name == target)
        actual, ok = ", ".join(found) or "not listed", bool(found)
    return Check(
        expected="listed", actual=actual, ok=ok, kind=CheckKind.ENTRY, server=observer, target=target, values=found
    )
