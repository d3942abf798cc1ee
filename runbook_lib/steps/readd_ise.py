"""The ISE servers: what the page lists, what is missing or does not answer, and adding it again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from runbook_lib.errors import PageNotUnderstood, PageRefused, RepairFailed
from runbook_lib.models import ChangeKind, Check, IseServer
from runbook_lib.params import IseServer as IseSettings
from runbook_lib.steps.confirmed import require_confirmed
from runbook_lib.steps.context import Context
from runbook_lib.steps.guard import permit, planned_change
from runbook_lib.steps.guided import Guide, ise_guide, require_someone, watch, web_fingerprint
from runbook_lib.steps.ha_state import entry_check
from runbook_lib.steps.ise_word import ise_word
from runbook_lib.steps.means import require_means
from runbook_lib.steps.pages import PrimaryPages
from runbook_lib.steps.pending import settle_pending
from runbook_lib.steps.planned import adding, removing
from runbook_lib.steps.releases import require_release
from runbook_lib.steps.settling import settled
from runbook_lib.steps.targets import any_same_host
from runbook_lib.web import labels_for, meaning

if TYPE_CHECKING:
    from runbook_lib.web import PrimePages


class IseAction(StrEnum):
    """What stage 50 will do with one ISE server."""

    NOTHING = "nothing to do: it is listed and answers"
    LEAVE = "leave it: it is listed, and the page does not say whether it answers"
    ADD = "add it: it is not listed"
    REPLACE = "replace it: it is listed and does not answer"
    GUIDE = "a person adds it in the web pages: its entry is not in the primary's list"
    SEEN = "nothing to do: its entry is in the primary's list; whether it answers stands on the page only"


CHANGING = frozenset({IseAction.ADD, IseAction.REPLACE, IseAction.GUIDE})
"""What changes something, or asks a person to."""

BY_HAND = "add ISE servers by hand"
_WORDS = {
    "unauthorized": "ISE does not accept the user or the password (401)",
    "duplicate": "it is in the list already",
    "too_many": "the list is full: two ISE servers at most",
    "unreachable": "the primary does not reach it",
    "mismatch": "the primary still holds another certificate of it",
}


@dataclass(frozen=True, kw_only=True)
class IseDecision:
    """One ISE server of the site, what the page says of it, and what follows."""

    name: str
    address: str
    listed: IseServer | None
    action: IseAction


async def decide_ise(context: Context, pages: PrimaryPages) -> tuple[IseDecision, ...]:
    """Read the ISE Servers page and decide per ISE server of the site; in guided mode by the primary's list alone.

    A server that is listed and does not answer gets the site's ``settle_s`` to recover by itself,
    as it does once its stale entry is gone.
    """
    if not context.site.ise:
        return ()
    if not pages.guided:
        try:
            return await _decide_by_page(context, await pages.open())
        except PageNotUnderstood as error:
            await pages.give_up(error)
    return tuple([await _decide_by_entry(context, settings) for settings in context.site.ise])


async def _decide_by_page(context: Context, page: PrimePages) -> tuple[IseDecision, ...]:
    async def look() -> tuple[IseServer, ...]:
        listed = await page.ise_servers()
        for decision in _decisions(context, listed):
            for words in (adding(decision.name), removing(decision.name)):
                settle_pending(context, words, decision.action)
        return listed

    def waited_for(listed: tuple[IseServer, ...]) -> str:
        silent = [decision.name for decision in _decisions(context, listed) if decision.action is IseAction.REPLACE]
        return f"Waiting for {', '.join(silent)} to answer" if silent else ""

    listed = await settled(context, look, waited_for)
    context.record.write_facts(context.stage, "ise_servers", listed)
    return _decisions(context, listed)


async def _decide_by_entry(context: Context, settings: IseSettings) -> IseDecision:
    check = await entry_check(context, "primary", settings.name)
    settle_pending(context, BY_HAND, f"{check.name}: {check.actual}")
    action = IseAction.SEEN if check.ok else IseAction.GUIDE
    return IseDecision(name=settings.name, address=settings.address, listed=None, action=action)


def _decisions(context: Context, listed: tuple[IseServer, ...]) -> tuple[IseDecision, ...]:
    return tuple(_decide(settings, listed) for settings in context.site.ise)


def _decide(settings: IseSettings, listed: tuple[IseServer, ...]) -> IseDecision:
    row = next((r for r in listed if any_same_host(r.address, (settings.address, *settings.names))), None)
    if row is None:
        action = IseAction.ADD
    else:
        action = {True: IseAction.NOTHING, False: IseAction.REPLACE, None: IseAction.LEAVE}[row.answers]
    return IseDecision(name=settings.name, address=settings.address, listed=row, action=action)


async def readd_ise(context: Context, pages: PrimaryPages, decisions: tuple[IseDecision, ...]) -> tuple[IseServer, ...]:
    """Add or replace what was decided; return the page's list afterwards, nothing where no page was read.

    Each server's certificate is confirmed again right before its password is typed. Raises the
    errors of ``permit``, RepairFailed with the page's words where it refuses, and DecisionNeeded with the
    steps for a person where one has to do it and nobody watches.
    """
    changes = [d for d in decisions if d.action in CHANGING]
    if not changes:
        return tuple(d.listed for d in decisions if d.listed)
    with context.lock("add ISE servers again"):
        await require_release(context.site, context.devices)
        if not pages.guided:
            require_means(context, context.record.read_plan())
            try:
                return await _drive(context, await pages.open(), changes)
            except PageNotUnderstood as error:
                await pages.give_up(error)
        await _by_hand(context, pages, [decision.name for decision in changes])
    return ()


async def _drive(context: Context, page: PrimePages, changes: list[IseDecision]) -> tuple[IseServer, ...]:
    for decision in changes:
        context.tell(f"{decision.name}: {decision.action}")
        if decision.action is IseAction.REPLACE and decision.listed:
            remove = partial(page.remove_ise, decision.listed.address)
            await _change(context, decision.name, removing(decision.name), remove)
        settings = _settings(context, decision.name)
        add = partial(page.add_ise, settings.address, settings.user, settings.password.resolve())
        await _change(context, decision.name, adding(decision.name), add)
    listed = await page.ise_servers()
    context.record.write_facts(context.stage, "ise_servers", listed)
    return listed


def _settings(context: Context, name: str) -> IseSettings:
    return next(server for server in context.site.ise if server.name == name)


async def _change(context: Context, name: str, what: str, act: Callable[[], Awaitable[object]]) -> None:
    """Ask whether it may be done, write the intent, press the button once, write what the page said."""
    await permit(context, planned_change(context, ChangeKind.READD_ISE, name), what)
    change = context.record.intend(context.stage, "primary", what, expected="accepted")
    try:
        await act()
        change.sent()
    except PageNotUnderstood as error:
        change.result(f"not sent: {error.what}", expected="accepted")
        raise
    except PageRefused as error:
        words = error.found or error.what
        change.result(f"refused: {words}", expected="accepted")
        why = _WORDS.get(meaning(words, labels_for(context.site.labels)), "it says why in its own words")
        raise RepairFailed(
            f"The page refused to {what}: {why}",
            where="primary: ISE Servers",
            found=words,
            next_step=error.next_step or "settle what the page says, then run this stage again",
        ) from error
    change.result("accepted", expected="accepted")


async def ise_steps(context: Context, pages: PrimaryPages, names: list[str]) -> Guide:
    """Return how a person adds ISE servers. Their certificates are confirmed first, as before every login."""
    for name in names:
        await require_confirmed(context, name)
    servers = [_settings(context, name) for name in names]
    return ise_guide(context.site, servers, pages.trouble, await web_fingerprint(context))


async def _by_hand(context: Context, pages: PrimaryPages, names: list[str]) -> None:
    """Show the steps and watch the primary's list until every server has an entry in it; they too need the plan."""
    for name in names:
        await permit(context, planned_change(context, ChangeKind.READD_ISE, name), adding(name))
    require_someone(context, await ise_steps(context, pages, names))
    if BY_HAND not in [change.text for change in context.record.pending_changes()]:
        context.record.intend(context.stage, "primary", BY_HAND, expected="accepted")

    async def look() -> tuple[bool, str]:
        checks = [await entry_check(context, "primary", name) for name in names]
        return all(check.ok for check in checks), "; ".join(f"{check.name}: {check.actual}" for check in checks)

    await watch(context, look, "the entries of the ISE servers")
    settle_pending(context, BY_HAND, (await look())[1])


async def prove_ise(context: Context, pages: PrimaryPages) -> tuple[Check, ...]:
    """Wait until each ISE server of the site is listed and answers; return expected beside actual.

    Beside that stands what ISE itself says of its certificate, where it does. Where no page is read, whether a
    server answers is not known.
    """
    if not context.site.ise:
        return ()

    def waited_for(checks: tuple[Check, ...]) -> str:
        silent = any(check.ok is False for check in checks)
        return "Waiting for the ISE servers to answer" if silent else ""

    checks = await settled(context, lambda: _ise_checks(context, pages), waited_for)
    return (*checks, *[await ise_word(context, settings) for settings in context.site.ise])


async def _ise_checks(context: Context, pages: PrimaryPages) -> tuple[Check, ...]:
    listed: tuple[IseServer, ...] | None = None
    if not pages.guided:
        try:
            listed = await (await pages.open()).ise_servers()
        except PageNotUnderstood as error:
            await pages.give_up(error)
    checks = []
    for settings in context.site.ise:
        checks.append(_page_check(settings, listed))
        checks.append(await entry_check(context, "primary", settings.name))
    return tuple(checks)


def _page_check(settings: IseSettings, listed: tuple[IseServer, ...] | None) -> Check:
    row = _decide(settings, listed).listed if listed is not None else None
    if listed is None:
        actual, ok = "the page was not read: a person has to look at its row", None
    elif row is None:
        actual, ok = "not listed", False
    else:
        actual, ok = row.status or "listed, no status shown", row.answers
    return Check(name=page_check_name(settings), expected="listed and answers", actual=actual, ok=ok)


def page_check_name(settings: IseSettings) -> str:
    """Return what the check is called that says whether the page lists an ISE server as answering."""
    return f"ISE server {settings.name} ({settings.address})"
