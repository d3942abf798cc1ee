"""Remove a registration that stays broken, where the site's file allows it."""

from __future__ import annotations

from collections.abc import Sequence

from runbook_lib.errors import DecisionNeeded, DeviceError, OutcomeUnknown, RepairFailed
from runbook_lib.models import ChangeKind, HaStatus
from runbook_lib.params import Site
from runbook_lib.parse.ha import StateKind
from runbook_lib.prime import REMOVE_HA
from runbook_lib.steps.context import Context
from runbook_lib.steps.guard import permit, planned_change
from runbook_lib.steps.ha_state import in_words, kinds_of, observe_ha, served_by_secondary
from runbook_lib.steps.releases import require_release
from runbook_lib.steps.settling import settled


def removable(site: Site, states: Sequence[HaStatus]) -> bool:
    """Whether the primary's registration is broken, no state is unknown, and the secondary is not the active one."""
    kinds = kinds_of(site, states)
    return kinds[0] is StateKind.BROKEN and StateKind.UNKNOWN not in kinds and not served_by_secondary(states)


async def remove_ha(context: Context) -> None:
    """Send ``ncs ha remove`` to the primary, once, its intent in the journal; both servers' states decide.

    Raises the errors of ``permit``, DecisionNeeded where they say right before that it may not be removed, RepairFailed
    where one of them still has HA configured after the site's ``settle_s``, OutcomeUnknown where they do not say.
    """
    await require_release(context.site, context.devices)
    await _require_removable(context)
    await permit(context, planned_change(context, ChangeKind.REMOVE_HA, "secondary"), REMOVE_HA)
    change = context.record.intend(context.stage, "primary", REMOVE_HA, expected="HA not Configured")
    context.tell(f"primary: {REMOVE_HA}")
    try:
        await context.devices.prime("primary").remove_ha()
        change.sent()
    except DeviceError as error:
        if not error.sent:
            change.result(f"not sent: {error.what}", expected="HA not Configured")
            raise
    try:
        states = await _states_after(context)
    except DeviceError as error:
        raise OutcomeUnknown(
            f"{REMOVE_HA} was sent and its result was not seen",
            where="primary",
            found=error.what,
            next_step="run this stage again: it asks both servers first, and sends nothing twice",
        ) from error
    change.result(in_words(states), expected="HA not Configured")
    if not _is_removed(context.site, states):
        raise RepairFailed(
            f"{REMOVE_HA} did not remove high availability",
            where="primary",
            found=in_words(states),
            next_step="read the primary's answer in the record, and look at both servers' Health Monitor pages",
        )


async def _require_removable(context: Context) -> None:
    """It was decided some time ago, perhaps by a person who looked at it over night."""
    states = await observe_ha(context)
    if not removable(context.site, states):
        raise DecisionNeeded(
            "High availability is no longer as it was when its removal was decided; nothing was removed",
            where=f"site {context.site.name}",
            found=in_words(states),
            next_step="run this stage again: it looks at both servers and decides anew",
        )


async def _states_after(context: Context) -> tuple[HaStatus, ...]:
    """Ask both servers until both have no HA configured, or the site's ``settle_s`` is over."""

    def waited_for(states: tuple[HaStatus, ...]) -> str:
        removed = _is_removed(context.site, states)
        return "" if removed else f"Waiting for both servers to give up high availability: {in_words(states)}"

    return await settled(context, lambda: observe_ha(context), waited_for)


def _is_removed(site: Site, states: Sequence[HaStatus]) -> bool:
    return set(kinds_of(site, states)) == {StateKind.NOT_CONFIGURED}
