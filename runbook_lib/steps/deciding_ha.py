"""High availability: what is to be done, decided from what the servers and the page say."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from runbook_lib.errors import DecisionNeeded, PageNotUnderstood
from runbook_lib.models import HaPage, HaStatus
from runbook_lib.parse.ha import StateKind
from runbook_lib.prime import REMOVE_HA
from runbook_lib.steps.context import Context
from runbook_lib.steps.ha_removal import removable
from runbook_lib.steps.ha_state import in_words, kinds_of, served_by_secondary, settled_states
from runbook_lib.steps.pages import PrimaryPages
from runbook_lib.steps.pending import settle_pending
from runbook_lib.steps.planned import REGISTRATION, REMOVAL_MEANS

BY_HAND = "register HA by hand"


class HaAction(StrEnum):
    """What stage 40 will do, decided from what the servers say."""

    NOTHING = "nothing to do: high availability is registered and healthy"
    REGISTER = "register"
    WATCH = "watch the registration that is under way"
    REMOVE = "remove the broken registration (ncs ha remove), then register anew"
    GUIDE = "a person registers in the web pages, as shown below; this stage watches the servers"


def why_no_readiness(action: HaAction, *, guided: bool) -> str:
    """Return why this stage pressed *Check Readiness* not, or not yet."""
    if action is HaAction.GUIDE or (guided and action is HaAction.REGISTER):
        return "not run here: a person registers by hand, and presses Check Readiness in the web pages"
    return {
        HaAction.WATCH: "not run: a registration is under way",
        HaAction.REMOVE: "not run yet: it is, once the broken registration is removed",
    }.get(action, "not run: nothing is to be registered")


async def decide_ha(context: Context, pages: PrimaryPages) -> HaAction:
    """Return what is to be done, after waiting for states that may end by themselves.

    A pair that is registered but broken gets the site's ``settle_s`` to recover, as it does once
    the stale entries are gone. Raises DecisionNeeded where it does not and the site's file does not allow to
    remove it, or where a state is not known.
    """
    states = await settled_states(context)
    words = in_words(states)
    settle_pending(context, REMOVE_HA, words)
    if set(kinds_of(context.site, states)) == {StateKind.HEALTHY}:
        _settle(context, words)
        return HaAction.NOTHING
    if not pages.guided:
        try:
            page = await (await pages.open()).ha_page()
        except PageNotUnderstood as error:
            await pages.give_up(error)
        else:
            if page.under_way and not _is_over(page, kinds_of(context.site, states)[0]):
                return HaAction.WATCH
            words = f"{words}; page: {page.configuration_mode} {page.message}".strip()
    return _by_states(context, states, words, guided=pages.guided)


def _is_over(page: HaPage, primary: StateKind) -> bool:
    """Whether the milestones are those of a registration that ended, and whose pair has broken since."""
    ended = bool(page.milestones) and all(step.percent == 100 for step in page.milestones)
    return ended and primary is StateKind.BROKEN


def _by_states(context: Context, states: Sequence[HaStatus], words: str, *, guided: bool) -> HaAction:
    kinds = kinds_of(context.site, states)
    register = HaAction.GUIDE if guided else HaAction.REGISTER
    if guided and kinds[0] in (StateKind.UNKNOWN, StateKind.IN_TRANSITION) and not served_by_secondary(states):
        return register  # a registration may be under way: the guide says to wait for it
    _settle(context, words)
    if served_by_secondary(states):
        raise DecisionNeeded(
            "The secondary serves now: registering would replace its database, the newest that there is",
            where=f"site {context.site.name}",
            found=words,
            next_step="fail back in the secondary's Health Monitor page, then run this stage again",
        )
    if kinds[0] is StateKind.NOT_CONFIGURED and StateKind.UNKNOWN not in kinds:
        return register
    if context.site.policy.remove_broken_ha and removable(context.site, states):
        return HaAction.REMOVE
    raise DecisionNeeded(
        "High availability is registered and not healthy, and it did not recover by itself",
        where=f"site {context.site.name}",
        found=f"{words}\n{REMOVAL_MEANS}",
        next_step=(
            "look at the servers' own HA pages; then remove HA there (ncs ha remove on the primary), or let this stage"
            " do it (site's file, policy: remove_broken_ha: true; never while the secondary is the active one),"
            " and run it again"
        ),
    )


def _settle(context: Context, words: str) -> None:
    for change in (REGISTRATION, BY_HAND):
        settle_pending(context, change, words)
