"""High availability: observe, decide, register once, watch, and prove it on both servers' own word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum

from runbook_lib.errors import (
    ConnectionLost,
    DecisionNeeded,
    DeviceError,
    DeviceSilent,
    OutcomeUnknown,
    PageRefused,
    ReadinessFailed,
    RepairFailed,
)
from runbook_lib.models import Check, HaPage, HaStatus, ReadinessItem
from runbook_lib.params import Site
from runbook_lib.parse.ha import StateKind, kind_of_state
from runbook_lib.record import SiteLock
from runbook_lib.steps.confirmed import require_confirmed
from runbook_lib.steps.context import Context
from runbook_lib.steps.pages import PrimaryPages
from runbook_lib.steps.preflight import require_release
from runbook_lib.steps.targets import PI_SERVERS, target_of
from runbook_lib.web import HaForm, PrimePages

POLL_S = 2.0
REGISTRATION = "register HA"


class HaAction(StrEnum):
    """What stage 40 will do, decided from what the servers say."""

    NOTHING = "nothing to do: high availability is registered and healthy"
    REGISTER = "register"
    WATCH = "watch the registration that is under way"


async def observe_ha(context: Context) -> tuple[HaStatus, ...]:
    """Return both servers' own HA states."""
    return tuple(await asyncio.gather(*(context.devices.prime(key).ha_status() for key in PI_SERVERS)))


def typed_form(site: Site) -> HaForm:
    """Return the values that are typed into *HA Configuration*, the key resolved from its reference just now."""
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


async def decide_ha(context: Context, pages: PrimaryPages) -> HaAction:
    """Return what is to be done, after waiting for states that may end by themselves.

    A pair that is registered but broken gets the site's ``settle_s`` to recover, as it does once
    the stale entries are gone. Raises DecisionNeeded where it does not, or where a state is not
    known; removing HA is never decided here.
    """
    states = await _settled_states(context)
    kinds = {kind_of_state(status.state) for status in states}
    words = "; ".join(f"{status.server}: {status.role} {status.state}" for status in states)
    if kinds == {StateKind.HEALTHY}:
        settle_pending(context, REGISTRATION, words)
        return HaAction.NOTHING
    page = await (await pages.open()).ha_page()
    if page.under_way:
        return HaAction.WATCH
    settle_pending(context, REGISTRATION, f"{words}; page: {page.configuration_mode} {page.message}")
    primary = kind_of_state(next(status.state for status in states if status.server == "primary"))
    if primary is StateKind.NOT_CONFIGURED and StateKind.UNKNOWN not in kinds:
        return HaAction.REGISTER
    raise DecisionNeeded(
        "High availability is registered and not healthy, and it did not recover by itself",
        where=f"site {context.site.name}",
        found=f"{words}; page: {page.configuration_mode} {page.message}",
        next_step=(
            "decide on the servers' own HA pages whether to remove HA there (ncs ha remove on the primary:"
            " replication starts anew, and the secondary holds no copy until it is done), then run this stage again"
        ),
    )


def settle_pending(context: Context, change_text: str, seen: str) -> None:
    """Write what the devices say of a change of this stage whose result was not seen yet; nothing is sent again."""
    for change in context.record.pending_changes():
        if change.stage == context.stage and change.text == change_text:
            change.result(seen)


async def _settled_states(context: Context) -> tuple[HaStatus, ...]:
    """Wait until no state is in transition or broken, or the site's ``settle_s`` is over; return the last states."""
    unsettled = {StateKind.IN_TRANSITION, StateKind.BROKEN}
    states = await observe_ha(context)
    waited = 0.0
    while waited < context.site.deadlines.settle_s and any(kind_of_state(s.state) in unsettled for s in states):
        context.tell(
            "Waiting for high availability to settle: " + "; ".join(f"{s.server} {s.state}" for s in states),
            waited / context.site.deadlines.settle_s,
        )
        pause = min(POLL_S, context.site.deadlines.settle_s - waited)
        await asyncio.sleep(pause)
        waited += pause
        states = await observe_ha(context)
    return states


async def check_readiness(context: Context, pages: PrimaryPages) -> tuple[ReadinessItem, ...]:
    """Press *Check Readiness* and keep its table. Typing the key needs a confirmed secondary, so that comes first."""
    await require_confirmed(context, "secondary")
    context.tell("Check Readiness")
    page = await pages.open()
    await page.open_ha_configuration()
    items = await page.check_readiness(typed_form(context.site))
    context.record.write_facts(context.stage, "readiness", items)
    return items


def require_readiness(items: Sequence[ReadinessItem], accepted: Sequence[str]) -> None:
    """Raise ReadinessFailed for a failed item that the site's file does not name."""
    failed = [item for item in items if not item.passed and item.name not in accepted]
    if failed:
        raise ReadinessFailed(
            "Check Readiness reports failures; nothing was registered",
            found="\n".join(f"{item.name}: {item.detail}" for item in failed),
            next_step="mend them, or accept one in the site's file (policy: accept_readiness: [its name])",
        )


async def register(
    context: Context, pages: PrimaryPages, action: HaAction, items: Sequence[ReadinessItem]
) -> HaPage | None:
    """Register if that was decided, and watch until it is done; None where nothing was to be done.

    *Register* is pressed once; a registration that is under way is only watched. Raises
    ReadinessFailed, VersionUnsupported, the errors of ``require_confirmed``, PageRefused, RepairFailed with the
    failed milestone, OutcomeUnknown where the page did not say within the site's deadline.
    """
    if action is HaAction.NOTHING:
        return None
    with SiteLock(
        context.records_root, context.site.name, purpose="register high availability", incident=context.record.incident
    ):
        page = await pages.open()
        if action is HaAction.REGISTER:
            require_readiness(items, context.site.policy.accept_readiness)
            await require_release(context.site, context.devices)
            await require_confirmed(context, "secondary")
            await require_confirmed(context, "primary")
            await page.open_ha_configuration()
            await _register_once(context, page)
        done = await _watch(context, page)
    context.record.write_facts(context.stage, "ha_page", done)
    settle_pending(context, REGISTRATION, done.configuration_mode)
    return done


async def _register_once(context: Context, page: PrimePages) -> None:
    change = context.record.intend(context.stage, "primary", REGISTRATION, expected="Primary Active")
    try:
        await page.register(typed_form(context.site))
        change.sent()
    except PageRefused as error:
        words = error.found or error.what
        change.result(f"refused: {words}", expected="accepted")
        raise RepairFailed(
            "The page refused to register high availability", where="primary", found=words, next_step=_advice(words)
        ) from error


def _reporter(context: Context) -> Callable[[HaPage], None]:
    def report(page: HaPage) -> None:
        total = sum(milestone.percent for milestone in page.milestones)
        words = ", ".join(f"{milestone.name} {milestone.percent} %" for milestone in page.milestones)
        context.tell(
            words or page.configuration_mode, total / (100 * len(page.milestones)) if page.milestones else None
        )

    return report


async def _watch(context: Context, page: PrimePages) -> HaPage:
    """Watch until the page calls HA active; a failure is written as the result, a silence leaves it pending."""
    try:
        return await page.watch_registration(_reporter(context))
    except PageRefused as error:
        words = error.found or error.what
        settle_pending(context, REGISTRATION, f"failed: {words}")
        raise RepairFailed(
            f"HA registration failed: {error.what}", where="primary", found=words, next_step=_advice(words)
        ) from error
    except (DeviceSilent, ConnectionLost) as error:
        raise OutcomeUnknown(
            "The registration was sent and its end was not seen",
            where="primary",
            found=error.found or error.what,
            next_step="run this stage again: it goes on watching and does not register twice",
        ) from error


def _advice(message: str) -> str:
    if "authentication key" in message.lower():
        return "set one key on both servers (ncs ha authkey NEWKEY), put it where the site's file refers to, run again"
    return "run 10_diagnose_logs again: a mismatch means that a stale entry is left; then run this stage again"


async def prove_ha(context: Context) -> tuple[Check, ...]:
    """Wait for both servers to call HA healthy and for the entries to be back; return expected beside actual.

    Waits at most the site's ``settle_s``; raises nothing for what it sees.
    """
    waited = 0.0
    while True:
        checks = await _ha_checks(context)
        if all(check.ok for check in checks) or waited >= context.site.deadlines.settle_s:
            return checks
        context.tell("Waiting for both servers to report high availability as healthy")
        await asyncio.sleep(POLL_S)
        waited += POLL_S


async def _ha_checks(context: Context) -> tuple[Check, ...]:
    checks = []
    expected = {"primary": "Primary Active", "secondary": "Secondary Syncing"}
    for status in await observe_ha(context):
        healthy = kind_of_state(status.state) is StateKind.HEALTHY
        checks.append(
            Check(
                name=f"HA state of the {status.server}",
                expected=expected[status.server],
                actual=status.state,
                ok=healthy,
            )
        )
    checks.extend(
        [
            await entry_check(context, observer, peer)
            for observer, peer in zip(PI_SERVERS, PI_SERVERS[::-1], strict=True)
        ]
    )
    return tuple(checks)


async def entry_check(context: Context, observer: str, target: str) -> Check:
    """Whether the store of ``observer`` holds an entry of ``target`` again."""
    name = f"entry of {target} on the {observer}"
    try:
        store = await context.devices.prime(observer).list_tofu()
    except DeviceError as error:
        return Check(name=name, expected="listed", actual=error.what, ok=None)
    found = [e.key for e in store.entries if (t := target_of(context.site, observer, e)) and t.name == target]
    return Check(name=name, expected="listed", actual=", ".join(found) or "not listed", ok=bool(found))
