"""High availability: check readiness, register once, and watch the milestones; or watch while a person does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runbook_lib.errors import (
    PageNotUnderstood,
    PageRefused,
    ReadinessFailed,
)
from runbook_lib.models import ChangeKind, Diagnosis, HaPage, ReadinessItem
from runbook_lib.parse.ha import StateKind
from runbook_lib.steps.confirmed import require_confirmed
from runbook_lib.steps.context import Context
from runbook_lib.steps.deciding_ha import BY_HAND, HaAction
from runbook_lib.steps.guard import permit, planned_change
from runbook_lib.steps.guided import Guide, ha_guide, require_someone, watch, web_fingerprint
from runbook_lib.steps.ha_form import typed_form
from runbook_lib.steps.ha_removal import remove_ha
from runbook_lib.steps.ha_state import in_words, kinds_of, observe_ha
from runbook_lib.steps.means import require_means
from runbook_lib.steps.meanwhile import logs_now
from runbook_lib.steps.pages import PrimaryPages
from runbook_lib.steps.pending import settle_pending
from runbook_lib.steps.planned import REGISTRATION
from runbook_lib.steps.releases import require_release
from runbook_lib.steps.watching_ha import failed, watch_registration

if TYPE_CHECKING:
    from runbook_lib.web import PrimePages


async def check_readiness(context: Context, pages: PrimaryPages) -> tuple[ReadinessItem, ...]:
    """Press *Check Readiness* and keep its table. The key is typed for it, so it needs the approved plan as well.

    Where the page is not understood nothing is returned, and ``pages`` are guided from then on. Raises the errors
    of ``permit``.
    """
    with context.lock("check readiness"):
        await permit(
            context, planned_change(context, ChangeKind.REGISTER_HA, "secondary"), "check readiness", sends=False
        )
        context.tell("Check Readiness")
        try:
            page = await pages.open()
            await page.open_ha_configuration()
            items = await page.check_readiness(typed_form(context.site))
        except PageNotUnderstood as error:
            await pages.give_up(error)
            return ()
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
            except PageNotUnderstood as error:
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
        await _register_once(context, page, before)
    done = await watch_registration(context, page, before)
    context.record.write_facts(context.stage, "ha_page", done)
    settle_pending(context, REGISTRATION, done.configuration_mode)
    return done


async def _register_once(context: Context, page: PrimePages, before: Diagnosis | None) -> None:
    form = typed_form(context.site)
    await permit(context, planned_change(context, ChangeKind.REGISTER_HA, "secondary"), REGISTRATION)
    change = context.record.intend(context.stage, "primary", REGISTRATION, expected="Primary Active")
    try:
        await page.register(form)
        change.sent()
    except PageNotUnderstood as error:
        change.result(f"not sent: {error.what}", expected="accepted")
        raise
    except PageRefused as error:
        change.result(f"refused: {error.found or error.what}", expected="accepted")
        raise await failed(context, "The page refused to register high availability", error, before) from error


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
    if BY_HAND not in [change.text for change in context.record.pending_changes()]:
        context.record.intend(context.stage, "primary", BY_HAND, expected="Primary Active")

    async def look() -> tuple[bool, str]:
        states = await observe_ha(context)
        return set(kinds_of(context.site, states)) == {StateKind.HEALTHY}, in_words(states)

    await watch(context, look, "high availability on both servers' own word")
    settle_pending(context, BY_HAND, in_words(await observe_ha(context)))
