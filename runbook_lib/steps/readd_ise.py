"""The ISE servers: what the page lists, what is missing or does not answer, and adding it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.errors import PageRefused, RepairFailed
from runbook_lib.models import Check, IseServer
from runbook_lib.params import IseServer as IseSettings
from runbook_lib.record import SiteLock
from runbook_lib.steps.confirmed import require_confirmed
from runbook_lib.steps.context import Context
from runbook_lib.steps.pages import PrimaryPages
from runbook_lib.steps.preflight import require_release
from runbook_lib.steps.register_ha import POLL_S, entry_check, settle_pending
from runbook_lib.steps.targets import any_same_host
from runbook_lib.web import PrimePages


class IseAction(StrEnum):
    """What stage 50 will do with one ISE server."""

    NOTHING = "nothing to do: it is listed and answers"
    LEAVE = "leave it: it is listed, and the page does not say whether it answers"
    ADD = "add it: it is not listed"
    REPLACE = "replace it: it is listed and does not answer"


@dataclass(frozen=True, kw_only=True)
class IseDecision:
    """One ISE server of the site, what the page says of it, and what follows."""

    name: str
    address: str
    listed: IseServer | None
    action: IseAction


async def decide_ise(context: Context, pages: PrimaryPages) -> tuple[IseDecision, ...]:
    """Read the ISE Servers page and decide per ISE server of the site.

    A server that is listed and does not answer gets the site's ``settle_s`` to recover by itself,
    as it does once its stale entry is gone.
    """
    if not context.site.ise:
        return ()
    page = await pages.open()
    waited = 0.0
    while True:
        listed = await page.ise_servers()
        decisions = tuple(_decide(settings, listed) for settings in context.site.ise)
        for decision in decisions:
            for verb in ("add", "remove"):
                settle_pending(context, f"{verb} ISE server {decision.name}", decision.action)
        silent = [d.name for d in decisions if d.action is IseAction.REPLACE]
        if not silent or waited >= context.site.deadlines.settle_s:
            context.record.write_facts(context.stage, "ise_servers", listed)
            return decisions
        context.tell(f"Waiting for {', '.join(silent)} to answer", waited / context.site.deadlines.settle_s)
        await asyncio.sleep(POLL_S)
        waited += POLL_S


def _decide(settings: IseSettings, listed: tuple[IseServer, ...]) -> IseDecision:
    row = next((r for r in listed if any_same_host(r.address, (settings.address, *settings.names))), None)
    if row is None:
        action = IseAction.ADD
    else:
        action = {True: IseAction.NOTHING, False: IseAction.REPLACE, None: IseAction.LEAVE}[row.answers]
    return IseDecision(name=settings.name, address=settings.address, listed=row, action=action)


async def readd_ise(context: Context, pages: PrimaryPages, decisions: tuple[IseDecision, ...]) -> tuple[IseServer, ...]:
    """Add or replace what was decided; return the page's list afterwards.

    Each server's certificate is confirmed again right before its password is typed. Raises the
    errors of ``require_confirmed``, and RepairFailed with the page's words where it refuses.
    """
    changes = [d for d in decisions if d.action in {IseAction.ADD, IseAction.REPLACE}]
    if not changes:
        return tuple(d.listed for d in decisions if d.listed)
    with SiteLock(
        context.records_root, context.site.name, purpose="add ISE servers again", incident=context.record.incident
    ):
        await require_release(context.site, context.devices)
        page = await pages.open()
        for decision in changes:
            context.tell(f"{decision.name}: {decision.action}")
            await require_confirmed(context, decision.name)
            if decision.action is IseAction.REPLACE and decision.listed:
                await _change(context, decision.name, "remove", page.remove_ise(decision.listed.address))
            await _add(context, page, decision.name)
        listed = await page.ise_servers()
    context.record.write_facts(context.stage, "ise_servers", listed)
    return listed


async def _add(context: Context, page: PrimePages, name: str) -> None:
    settings = next(server for server in context.site.ise if server.name == name)
    await _change(context, name, "add", page.add_ise(settings.address, settings.user, settings.password.resolve()))


async def _change(context: Context, name: str, verb: str, act: Awaitable[object]) -> None:
    """Write the intent, press the button once, write what the page said."""
    what = f"{verb} ISE server {name}"
    change = context.record.intend(context.stage, "primary", what, expected="accepted")
    try:
        await act
        change.sent()
    except PageRefused as error:
        words = error.found or error.what
        change.result(f"refused: {words}", expected="accepted")
        raise RepairFailed(
            f"The page refused to {what}",
            where="primary: ISE Servers",
            found=words,
            next_step="settle what the page says, then run this stage again",
        ) from error
    change.result("accepted", expected="accepted")


async def prove_ise(context: Context, pages: PrimaryPages) -> tuple[Check, ...]:
    """Wait until each ISE server of the site is listed and answers; return expected beside actual."""
    if not context.site.ise:
        return ()
    page = await pages.open()
    waited = 0.0
    while True:
        checks = await _ise_checks(context, page)
        if all(check.ok is not False for check in checks) or waited >= context.site.deadlines.settle_s:
            return checks
        context.tell("Waiting for the ISE servers to answer")
        await asyncio.sleep(POLL_S)
        waited += POLL_S


async def _ise_checks(context: Context, page: PrimePages) -> tuple[Check, ...]:
    listed = await page.ise_servers()
    checks = []
    for settings in context.site.ise:
        row = _decide(settings, listed).listed
        actual = "not listed" if row is None else row.status or "listed, no status shown"
        ok = False if row is None else row.answers
        checks.append(
            Check(
                name=f"ISE server {settings.name} ({settings.address})",
                expected="listed and answers",
                actual=actual,
                ok=ok,
            )
        )
        checks.append(await entry_check(context, "primary", settings.name))
    return tuple(checks)
