"""High availability: decide, remove a broken registration, check readiness, register once, watch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from runbook_lib import errors
from runbook_lib.decisions import ChangeKind
from runbook_lib.device.answers import StateKind
from runbook_lib.device.prime import REMOVE_HA
from runbook_lib.models import HaStatus
from runbook_lib.observations import Diagnosis, HaPage, ReadinessItem
from runbook_lib.record.journal import About, LineTopic
from runbook_lib.repair.confirmation import require_confirmed
from runbook_lib.repair.context import Context, wait_until, write_late_result
from runbook_lib.repair.guard import begin, permit, require_release
from runbook_lib.repair.ha_state import (
    REGISTRATION,
    are_crossed,
    ask_whether_it_began,
    both_are,
    failed,
    ha_states_in_words,
    kinds_of,
    observe_ha,
    removable,
    served_by_secondary,
    settled_states,
    typed_form,
    watch_registration,
)
from runbook_lib.repair.inventory import logs_now
from runbook_lib.repair.planned_changes import REMOVAL, REMOVAL_MEANS, planned_change
from runbook_lib.repair.preflight import require_means
from runbook_lib.repair.primary_pages import Guide, PrimaryPages, ha_guide, require_someone, watch, web_fingerprint

if TYPE_CHECKING:
    from runbook_lib.web.pages import PrimePages

# -- Remove a registration that stays broken, where the site's file allows it ----------------------


async def remove_ha(context: Context) -> None:
    """Send ``ncs ha remove`` to the primary, once, its intent in the journal; both servers' states decide.

    Raises the errors of ``permit``, DecisionNeeded where they forbid it right before, RepairFailed
    where one of them still has HA configured after the site's ``settle_s``, OutcomeUnknown where they do not say.
    """
    await require_release(context.site, context.devices)
    await _require_removable(context)
    request = await permit(context, planned_change(context, ChangeKind.REMOVE_HA, "secondary"), REMOVAL)
    change = begin(context, request, "HA not Configured")
    context.progress(f"primary: {REMOVE_HA}")
    try:
        await context.devices.prime("primary").remove_ha()
        change.sent()
    except errors.DeviceError as error:
        if not error.sent:
            change.not_sent(error.what, expected="HA not Configured")
            raise

    def waited_for(states: tuple[HaStatus, ...]) -> str:
        removed = both_are(StateKind.NOT_CONFIGURED, context.site, states)
        return "" if removed else f"Waiting for both servers to give up high availability: {ha_states_in_words(states)}"

    try:
        states = await wait_until(context, lambda: observe_ha(context, patient=True), waited_for)
    except errors.DeviceError as error:
        raise errors.OutcomeUnknown(
            f"{REMOVE_HA} was sent and its result was not seen",
            where="primary",
            found=error.what,
            next_step="run this stage again: it asks both servers first, and sends nothing twice",
        ) from error
    change.result(ha_states_in_words(states), expected="HA not Configured")
    if not both_are(StateKind.NOT_CONFIGURED, context.site, states):
        raise errors.RepairFailed(
            f"{REMOVE_HA} did not remove high availability",
            where="primary",
            found=ha_states_in_words(states),
            next_step="read the primary's answer in the record, and look at both servers' Health Monitor pages",
        )


async def _require_removable(context: Context) -> None:
    """Look again: the removal was decided some time ago, perhaps by a person who slept on it."""
    states = await observe_ha(context)
    if not removable(context.site, states):
        raise errors.DecisionNeeded(
            "High availability is no longer as it was when its removal was decided; nothing was removed",
            where=f"site {context.site.name}",
            found=ha_states_in_words(states),
            next_step="run this stage again: it looks at both servers and decides again",
        )


# -- High availability: what is to be done, decided from what the servers and the page say ---------

BY_HAND = About(topic=LineTopic.REGISTER_HA_BY_HAND)


class HaAction(StrEnum):
    """What stage 40 will do, decided from what the servers say."""

    NOTHING = "nothing to do: high availability is registered and healthy"
    REGISTER = "register"
    WATCH = "watch the registration that is under way"
    REMOVE = "remove the broken registration (ncs ha remove), then register again"
    GUIDE = "a person registers in the web pages, as shown below; this stage watches the servers"


def why_no_readiness(action: HaAction, *, guided: bool) -> str:
    """Return why this stage did not press *Check Readiness*, or has not pressed it yet."""
    if action is HaAction.GUIDE or (guided and action is HaAction.REGISTER):
        return "not run here: a person registers by hand, and presses Check Readiness in the web pages"
    return {
        HaAction.WATCH: "not run: a registration is under way",
        HaAction.REMOVE: "not run yet: it is, once the broken registration is removed",
    }.get(action, "not run: there is nothing to register")


async def decide_ha(context: Context, pages: PrimaryPages) -> tuple[HaAction, tuple[HaStatus, ...]]:
    """Return what is to be done, after waiting for states that may end by themselves, and the states that decided.

    A pair that is registered but broken gets the site's ``settle_s`` to recover, as it does once
    the stale entries are gone. Reading the page takes a while: the servers are asked again after it, and what they
    say by then decides. Raises DecisionNeeded where the pair does not recover and the site's file does not allow to
    remove it, or where a state is not known.
    """
    states = await settled_states(context)
    kinds = kinds_of(context.site, states)
    words = ha_states_in_words(states)
    write_late_result(context, REMOVAL, words)
    if both_are(StateKind.HEALTHY, context.site, states):
        _settle(context, words, good=True)
        return HaAction.NOTHING, states
    shown = StateKind.UNKNOWN
    if not pages.guided:
        try:
            page = await (await pages.open()).ha_page()
        except errors.PageNotUnderstood as error:
            await pages.give_up(error)
        else:
            # Its milestones may be those of a registration that ended, and whose pair has broken since.
            ended = bool(page.milestones) and all(step.percent == 100 for step in page.milestones)
            if page.under_way and not (ended and kinds[0] is StateKind.BROKEN):
                return HaAction.WATCH, states
            (shown,) = kinds_of(context.site, (replace(states[0], state=page.configuration_mode),))
            words = f"{words}; page: {page.configuration_mode} {page.message}".strip()
        if kinds_of(context.site, await observe_ha(context)) != kinds:
            return await decide_ha(context, pages)  # they went on while the page was read: these states are past
    if kinds[0] is StateKind.NOT_CONFIGURED and shown not in (StateKind.NOT_CONFIGURED, StateKind.UNKNOWN):
        what = "the page calls high availability configured, and the primary itself does not"
        await pages.give_up(errors.PageNotUnderstood(what, found=words))  # it is an old one, or another server's
    return _by_states(context, states, words, guided=pages.guided), states


def _by_states(context: Context, states: Sequence[HaStatus], words: str, *, guided: bool) -> HaAction:
    if are_crossed(states):
        raise errors.DecisionNeeded(
            "Each server reports the other one's role: what is meant for the primary would be done on the secondary",
            where=f"site {context.site.name}",
            found=words,
            next_step="compare both addresses in the site's file with the servers, correct it, and make a new plan",
        )
    kinds = kinds_of(context.site, states)
    register = HaAction.GUIDE if guided else HaAction.REGISTER
    if guided and kinds[0] in (StateKind.UNKNOWN, StateKind.IN_TRANSITION) and not served_by_secondary(states):
        return register  # a registration may be under way: the guide says to wait for it
    _settle(context, words)
    if served_by_secondary(states):
        raise errors.DecisionNeeded(
            "The secondary is active: registering would overwrite its database, which is the newest",
            where=f"site {context.site.name}",
            found=words,
            next_step="fail back in the secondary's Health Monitor page, then run this stage again",
        )
    if kinds[0] is StateKind.NOT_CONFIGURED and StateKind.UNKNOWN not in kinds:
        return register
    if context.site.policy.remove_broken_ha and removable(context.site, states):
        return HaAction.REMOVE
    raise errors.DecisionNeeded(
        "High availability is registered and not healthy, and it did not recover by itself",
        where=f"site {context.site.name}",
        found=f"{words}\n{REMOVAL_MEANS}",
        next_step="look at the servers' own HA pages; then remove HA there (ncs ha remove on the primary), or let this"
        " stage do it (site's file, policy: remove_broken_ha: true; never while the secondary is the active one), and"
        " run it again",
    )


def _settle(context: Context, words: str, *, good: bool = False) -> None:
    for change in (REGISTRATION, BY_HAND):
        write_late_result(context, change, words, good=good)


# -- High availability: check readiness, register once, and watch the milestones; or watch while a person does it


async def check_readiness(context: Context, pages: PrimaryPages) -> tuple[ReadinessItem, ...]:
    """Press *Check Readiness* and keep its table. The key is typed for it, so it needs the approved plan as well.

    Where the page is not understood nothing is returned, and ``pages`` are guided from then on. Raises the errors
    of ``permit``.
    """
    with context.lock("check readiness"):
        try:
            return await _checked(context, pages)
        except errors.PageNotUnderstood as error:
            await pages.give_up(error)
            return ()


async def _checked(context: Context, pages: PrimaryPages) -> tuple[ReadinessItem, ...]:
    change = planned_change(context, ChangeKind.REGISTER_HA, "secondary")
    await permit(context, change, About(topic=LineTopic.CHECK_READINESS), sends=False)
    context.progress("Check Readiness")
    items = await (await pages.open()).check_readiness(typed_form(context.site))
    context.record.write_facts(context.stage, "readiness", items)
    return items


def require_readiness(items: Sequence[ReadinessItem], accepted: Sequence[str]) -> None:
    """Raise ReadinessFailed for a failed item that the site's file does not name."""
    not_passed = [item for item in items if not item.passed and item.name not in accepted]
    if not_passed:
        raise errors.ReadinessFailed(
            "Check Readiness reports failures; nothing was registered",
            found="\n".join(f"{item.name}: {item.detail}" for item in not_passed),
            next_step="fix them, or accept one in the site's file (policy: accept_readiness: [its name])",
        )


async def register(
    context: Context, pages: PrimaryPages, action: HaAction, items: Sequence[ReadinessItem]
) -> HaPage | None:
    """Do what was decided and watch until it is done; None where no page was read.

    *Register* is pressed once; a registration that is under way is only watched; a broken one is removed first where
    that was decided. Raises ReadinessFailed, VersionUnsupported, the errors of ``require_confirmed``, RepairFailed
    with the failed milestone, OutcomeUnknown where the page did not say within the site's deadline, DecisionNeeded
    with the steps for a person where one has to do it and nobody watches.
    """
    if action is HaAction.NOTHING:
        return None
    with context.lock("register high availability"):
        if action is not HaAction.WATCH and not pages.guided:
            require_means(context, context.record.read_plan())
        if action is HaAction.REMOVE:
            await remove_ha(context)
            items = () if pages.guided else await check_readiness(context, pages)
        if not pages.guided:
            try:
                return await _drive(context, pages, action, items)
            except errors.PageNotUnderstood as error:
                await pages.give_up(error)
        await _by_hand(context, pages)
        return None


async def _drive(context: Context, pages: PrimaryPages, action: HaAction, items: Sequence[ReadinessItem]) -> HaPage:
    """Register in the browser, or go on watching; after an error other than OutcomeUnknown nothing was clicked."""
    page = await pages.open()
    before = logs_now(context)
    if action is not HaAction.WATCH:
        require_readiness(items, context.site.policy.accept_readiness)
        await require_release(context.site, context.devices)
        await require_confirmed(context, "primary")
        await page.open_ha_configuration()
        if await page.checks_first():  # the form was opened anew since the check that passed
            require_readiness(await _checked(context, pages), context.site.policy.accept_readiness)
        try:
            await _register_once(context, page, before)
        except errors.OutcomeUnknown as error:
            await ask_whether_it_began(context, error)
    done = await watch_registration(context, page, before)
    context.record.write_facts(context.stage, "ha_page", done)
    words = done.configuration_mode or done.message
    with suppress(errors.DeviceError):  # the proof asks them again, and waits for them
        states = await observe_ha(context)
        if not done.configuration_mode or StateKind.HEALTHY not in kinds_of(context.site, states):
            words = f"page: {words}; {ha_states_in_words(states)}"
    write_late_result(context, REGISTRATION, words)
    return done


async def _register_once(context: Context, page: PrimePages, before: Diagnosis | None) -> None:
    form = typed_form(context.site)
    request = await permit(context, planned_change(context, ChangeKind.REGISTER_HA, "secondary"), REGISTRATION)
    change = begin(context, request, "Primary Active")
    try:
        await page.register(form)
        change.sent()
    except errors.PageNotUnderstood as error:
        change.not_sent(error.what, expected="accepted")
        raise
    except errors.PageRefused as error:
        what = error.what if error.declined else "The page refused to register high availability"
        change.result(error.told, expected="accepted")
        raise await failed(context, what, error, before) from error


async def guide_of(context: Context, pages: PrimaryPages) -> Guide:
    """Return how a person registers HA. Both servers' certificates are confirmed first, as before every login."""
    await require_confirmed(context, "secondary")
    await require_confirmed(context, "primary")
    return ha_guide(context.site, pages.trouble, await web_fingerprint(context))


async def _by_hand(context: Context, pages: PrimaryPages) -> None:
    """Show the steps and watch both servers until they call HA healthy; the steps too need the approved plan."""
    await require_release(context.site, context.devices)
    await permit(context, planned_change(context, ChangeKind.REGISTER_HA, "secondary"), REGISTRATION)
    require_someone(context, await guide_of(context, pages))
    if BY_HAND not in [change.about for change in context.record.pending_changes()]:
        context.record.intend(context.stage, "primary", BY_HAND, expected="Primary Active")

    async def look() -> tuple[bool, str]:
        states = await observe_ha(context)
        return both_are(StateKind.HEALTHY, context.site, states), ha_states_in_words(states)

    words = await watch(context, look, "high availability as both servers report it")
    write_late_result(context, BY_HAND, words, good=True)
