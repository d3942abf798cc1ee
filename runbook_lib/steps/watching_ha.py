"""Watch a registration on the page, and both servers beside it: what they say twice in a row ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from runbook_lib.errors import ConnectionLost, DeviceError, DeviceSilent, OutcomeUnknown, PageRefused, RepairFailed
from runbook_lib.models import Diagnosis, HaPage, HaStatus
from runbook_lib.parse.ha import StateKind
from runbook_lib.record import Kind
from runbook_lib.steps.context import Context
from runbook_lib.steps.ha_state import in_words, kinds_of, observe_ha, served_by_secondary
from runbook_lib.steps.meanwhile import gained, logs_now
from runbook_lib.steps.pending import settle_pending
from runbook_lib.steps.planned import REGISTRATION

if TYPE_CHECKING:
    from runbook_lib.web import PrimePages

MILESTONES = "milestones of the registration, as the page says"
_ASK_SERVERS_S = 10.0


async def watch_registration(context: Context, page: PrimePages, before: Diagnosis | None) -> HaPage:
    """Watch until the page calls HA active; a failure is written as the result, a silence leaves it pending.

    ``before`` are the logs before the click. Raises RepairFailed, OutcomeUnknown at the site's ``registration_s``.
    """
    try:
        shown: list[HaPage] = []
        return await _first(page.watch_registration(_reporter(context, shown)), _servers_word(context, shown))
    except PageRefused as error:
        settle_pending(context, REGISTRATION, f"failed: {error.found or error.what}")
        raise await failed(context, f"HA registration failed: {error.what}", error, before) from error
    except (DeviceSilent, ConnectionLost) as error:
        raise OutcomeUnknown(
            "The registration was sent and its end was not seen",
            where="primary",
            found=error.found or error.what,
            next_step="run this stage again: it goes on watching and does not register twice",
        ) from error


async def failed(context: Context, what: str, error: PageRefused, before: Diagnosis | None) -> RepairFailed:
    """Return the error for a registration that failed: the page's words, both servers' states, what the logs gained."""
    words = error.found or error.what
    try:
        states = await observe_ha(context)
    except DeviceError:
        states = ()
    found = "\n".join(filter(None, (words, in_words(states), gained(before, logs_now(context)))))
    return RepairFailed(what, where="primary", found=found, next_step=_advice(words, states))


def _advice(message: str, states: tuple[HaStatus, ...]) -> str:
    if "authentication key" in message.lower():
        return "set one key on both servers (ncs ha authkey NEWKEY), put it where the site's file refers to, run again"
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
        words = ", ".join(f"{milestone.name} {milestone.percent} %" for milestone in page.milestones)
        words = words or page.configuration_mode
        if words and words != last:
            context.record.journal.append(
                Kind.NOTED, stage=context.stage, server="primary", text=MILESTONES, seen=words
            )
            total = sum(milestone.percent for milestone in page.milestones)
            context.tell(words, total / (100 * len(page.milestones)) if page.milestones else None)
        last = words or last

    return report


async def _servers_word(context: Context, shown: Sequence[HaPage]) -> HaPage:
    """Ask both servers now and then; raise PageRefused once they say twice in a row that the registration is over.

    That is where the secondary serves, and where both call high availability not configured although it was something
    else since the start, or the page calls nothing under way. ``shown`` are the pages so far: their words are kept.
    """
    begun, last = False, ""
    while True:
        await asyncio.sleep(_ASK_SERVERS_S)
        try:
            states = await observe_ha(context)
        except DeviceError:
            continue
        nothing = set(kinds_of(context.site, states)) == {StateKind.NOT_CONFIGURED}
        begun = begun or not nothing
        over = ""
        if served_by_secondary(states):
            over = "the primary has failed over to the secondary"
        elif nothing and (begun or (shown and not shown[-1].under_way)):
            over = "both servers call high availability not configured"
        if over and over == last:
            words = dict.fromkeys(filter(None, (page.message for page in shown)))
            raise PageRefused(over, where="primary", found="\n".join((*words, in_words(states))))
        last = over


async def _first(*works: Coroutine[Any, Any, HaPage]) -> HaPage:
    """Return or raise what ends first; the others are ended before that."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
