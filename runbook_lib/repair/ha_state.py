"""High availability on both servers' own word, what is typed into its form, and watching a registration.

Which states there are, and what each means, is in ``device/answers.py`` (``HA_STATES``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runbook_lib.device.answers import StateKind, kind_of_state
from runbook_lib.errors import ConnectionLost, DeviceError, DeviceSilent, OutcomeUnknown, PageRefused, RepairFailed
from runbook_lib.event_loop import first_of, pause_after
from runbook_lib.models import PI_SERVERS, HaStatus, TofuStore
from runbook_lib.observations import Check, CheckKind, Diagnosis, HaPage
from runbook_lib.params.labels import HaForm
from runbook_lib.params.model import Site
from runbook_lib.record.journal import About, Kind, LineTopic
from runbook_lib.repair.confirmation import look_again
from runbook_lib.repair.context import Context, ask_both, read_when_back, target_of, wait_until, write_late_result
from runbook_lib.repair.inventory import log_growth, logs_now

if TYPE_CHECKING:
    from runbook_lib.web.pages import PrimePages

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


def both_are(kind: StateKind, site: Site, states: Iterable[HaStatus]) -> bool:
    """Whether every server that was asked is in a state that means this."""
    return set(kinds_of(site, states)) == {kind}


def served_by_secondary(states: Iterable[HaStatus]) -> bool:
    """Whether a failover is under way or has happened, in the words of one of the servers.

    If the secondary reports both states, “primary active” says nothing about the secondary; alone it does.
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
    try:
        states = await observe_ha(context)
        if not served_by_secondary(states):
            states = await settled_states(context)
    except DeviceError:
        return ""
    under_way = not {StateKind.IN_TRANSITION, StateKind.UNKNOWN}.isdisjoint(kinds_of(context.site, states))
    done = both_are(StateKind.HEALTHY, context.site, states)
    return ha_states_in_words(states) if (under_way or done) and not served_by_secondary(states) else ""


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
    """Return for each server whether its own word on HA is a healthy one; noted where its failover type is another."""
    wanted = site.ha.failover
    return [
        Check(
            expected="healthy (Primary Active, Secondary Syncing)",
            actual=status.state,
            ok=kind is StateKind.HEALTHY,
            note=f"failover type {status.failover}; the site's file says {wanted}"
            if status.failover.casefold() not in ("", wanted)
            else "",
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
    check = Check(expected="listed", actual="", ok=None, kind=CheckKind.ENTRY, server=observer, target=target)
    if isinstance(store, DeviceError):
        return replace(check, actual=store.what)
    targets = ((entry.key, target_of(site, observer, entry)) for entry in store.entries)
    keys = tuple(key for key, host in targets if host and host.name == target)
    return replace(check, actual=", ".join(keys) or "not listed", ok=bool(keys), values=keys)


# -- Watch a registration on the page, and both servers beside it: what they say twice in a row ends it

REGISTRATION = About(topic=LineTopic.REGISTER_HA)
MILESTONES = About(topic=LineTopic.MILESTONES)
_ASK_SERVERS_S, _ASK_AT_LAST_S = 10.0, 120.0
_NO_PAGE = "the web pages did not come back"


async def watch_registration(context: Context, page: PrimePages, before: Diagnosis | None) -> HaPage:
    """Watch until the page calls HA active; a failure is written as the result, a silence leaves it pending.

    ``before`` are the logs before the click. Raises RepairFailed, OutcomeUnknown at the site's ``registration_s``.
    """
    try:
        shown: list[HaPage] = []
        report, asking = _reporter(context, shown), asyncio.Lock()
        return await first_of(_watch_page(page, report, asking), _watch_servers(context, shown, asking))
    except (PageRefused, DeviceSilent, ConnectionLost) as error:
        found = error.found or error.what
        states = ""
        if isinstance(error, PageRefused):
            # A page may show a message of something else as a failure: what both servers say decides.
            states = await still_going_on(context)
            if not states:
                write_late_result(context, REGISTRATION, f"failed: {found}")
                raise await failed(context, f"HA registration failed: {error.what}", error, before) from error
        raise OutcomeUnknown(
            "The end of the registration was not seen",
            where="primary",
            found=f"{found}\n{states}".strip(),
            next_step="run this stage again: it keeps watching and does not register twice",
        ) from error


async def ask_whether_it_began(context: Context, error: OutcomeUnknown) -> None:
    """Wait until one of the servers says otherwise than before the click, at most the site's ``settle_s``.

    What both say then, and the page, decides as after any registration. Raises the error where they cannot be asked.
    """
    journal = context.record.journal
    journal.append(Kind.OBSERVED, stage=context.stage, server="primary", text=error.what, seen=error.found)

    def waited_for(states: tuple[HaStatus, ...]) -> str:
        words = f"Waiting for the servers to say whether the registration has begun: {ha_states_in_words(states)}"
        return words if both_are(StateKind.NOT_CONFIGURED, context.site, states) else ""

    try:
        await wait_until(context, lambda: observe_ha(context, patient=True), waited_for)
    except DeviceError:
        raise error from None


async def failed(context: Context, what: str, error: PageRefused, before: Diagnosis | None) -> RepairFailed:
    """Return the error for a registration that failed: the page's words, both servers' states, what the logs gained."""
    words = error.found or error.what
    states: tuple[HaStatus, ...] = ()
    with suppress(DeviceError):
        states = await observe_ha(context)
    evidence = "\n".join(filter(None, (words, ha_states_in_words(states), log_growth(before, logs_now(context)))))
    advice = error.next_step if error.declined else _advice(words, states)
    return RepairFailed(what, where="primary", found=evidence, next_step=advice)


def _advice(message: str, states: tuple[HaStatus, ...]) -> str:
    if "authentication key" in message.lower():
        return "set one key on both servers (ncs ha authkey NEWKEY), put it where the site's file points, and run again"
    if served_by_secondary(states):
        return "the secondary serves now: fail back in its Health Monitor page, then run this stage again"
    return "run 10_diagnose_logs again: a mismatch means that a stale entry is left; then run this stage again"


def _reporter(context: Context, shown: list[HaPage]) -> Callable[[HaPage], None]:
    """Return what tells the milestones, one sentence for each change of theirs, whatever else the page changes.

    Each is in the journal too: a run without a notebook in front of it, and a later reader, see how far it came.
    Every page is added to ``shown``.
    """
    last = ""

    def report(page: HaPage) -> None:
        nonlocal last
        shown.append(page)
        words = ", ".join(f"{step.name} {step.percent} %" for step in page.milestones) or page.configuration_mode
        if words and words != last:
            journal = context.record.journal
            journal.append(Kind.NOTED, stage=context.stage, server="primary", text=MILESTONES, seen=words)
            total = sum(milestone.percent for milestone in page.milestones)
            context.progress(words, total / (100 * len(page.milestones)) if page.milestones else None)
        last = words or last

    return report


async def _watch_page(page: PrimePages, report: Callable[[HaPage], None], asking: asyncio.Lock) -> HaPage:
    try:
        return await page.watch_registration(report)
    finally:
        async with asking:  # a command that is cut short costs its session: what is being asked now is answered first
            pass


async def _watch_servers(context: Context, shown: Sequence[HaPage], asking: asyncio.Lock) -> HaPage:
    """Ask both servers now and then; raise PageRefused once they say twice in a row that the registration is over.

    That is where the secondary serves, and where both call high availability not configured although it was something
    else since the start, or the page calls nothing under way. ``shown`` are the pages so far: their words are kept.
    Raises DeviceSilent where neither they nor the page have shown a beginning within the site's ``settle_s``.
    Returns the page where both are healthy at two looks, and it stood still between them with nothing under way: its
    milestones may be written in a way that nobody reads. One that has not come within ``page_s`` is behind an error of
    the web server's, which is no word on the registration. ``asking`` is held while they are asked.
    """
    begun = False
    pages_when_healthy = -1
    last = ""
    clock = asyncio.get_running_loop().time
    start = clock()
    while True:
        await asyncio.sleep(pause_after(clock() - start, _ASK_SERVERS_S, _ASK_AT_LAST_S))
        try:
            async with asking:
                states = await observe_ha(context)
        except DeviceError:
            continue
        watched_s = clock() - start
        stands = not shown[-1].under_way if shown else watched_s > context.site.deadlines.page_s
        ended = stands and both_are(StateKind.HEALTHY, context.site, states)
        if ended and pages_when_healthy == len(shown):
            return shown[-1] if shown else HaPage(configuration_mode="", message=_NO_PAGE, read_utc=datetime.now(UTC))
        pages_when_healthy = len(shown) if ended else -1
        unconfigured = both_are(StateKind.NOT_CONFIGURED, context.site, states)
        begun = begun or not unconfigured
        over = ""
        if served_by_secondary(states):
            over = "the primary has failed over to the secondary"
        elif unconfigured and (begun or (shown and not shown[-1].under_way)):
            over = "both servers call high availability not configured"
        if over and over == last:
            words = dict.fromkeys(filter(None, (page.message for page in shown)))
            raise PageRefused(over, where="primary", found="\n".join((*words, ha_states_in_words(states))))
        last = over
        empty = not any(step.percent for page in shown[-1:] for step in page.milestones)
        if unconfigured and not over and empty and watched_s > context.site.deadlines.settle_s:
            raise DeviceSilent("neither server nor the page shows that the registration has begun")
