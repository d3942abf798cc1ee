"""The ISE servers: what the page lists, what ISE itself says, adding what is missing again, the proof."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from runbook_lib.decisions import ChangeKind
from runbook_lib.device.ise_api import IseCertificate, NotAvailable, admin_certificates
from runbook_lib.errors import CertificateMoved, DeletionRefused, PageNotUnderstood, PageRefused, RepairFailed
from runbook_lib.models import CertificateFacts
from runbook_lib.observations import Check, CheckKind, ListedIseServer, check_name
from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import IseServer
from runbook_lib.params.values import any_same_host
from runbook_lib.record.journal import About, LineTopic
from runbook_lib.repair.confirmation import require_confirmed
from runbook_lib.repair.context import Context, wait_until, write_late_result
from runbook_lib.repair.guard import begin, permit, require_release
from runbook_lib.repair.ha_state import entry_checks
from runbook_lib.repair.planned_changes import adding, planned_change, removing
from runbook_lib.repair.preflight import require_means
from runbook_lib.repair.primary_pages import Guide, PrimaryPages, ise_guide, require_someone, watch, web_fingerprint
from runbook_lib.secrets import NOT_NAMED
from runbook_lib.web.reading import meaning

if TYPE_CHECKING:
    from runbook_lib.web.pages import PrimePages

# -- What ISE's own API says of its admin certificate, beside what was probed ----------------------

_UNSURE = timedelta(days=1)
"""How far off a date of ISE's may be: the names of some zones mean several."""


async def ise_word(context: Context, settings: IseServer) -> Check:
    """Return one check per ISE server: ISE's fingerprint of its admin certificate against the one that it presents.

    ISE is asked only where its certificate is confirmed. An API that is absent or refuses is said, and is no failure.
    A newer certificate than the presented one waits for a restart: a check of its own, of which nobody knows the end.
    """
    try:
        judgement = await require_confirmed(context, settings.name)
    except (DeletionRefused, CertificateMoved) as error:
        return _not_known(settings, f"not asked: {error.what}")
    facts = judgement.facts
    if settings.password == NOT_NAMED:
        return _not_known(settings, "not asked: the site's file names no login to it")
    if facts is None:
        return _not_known(settings, "not asked: it presents no certificate")
    try:
        certificates = await admin_certificates(
            settings.address,
            settings.port,
            _node_names(settings, facts),
            (settings.user, settings.password.resolve()),
            pin=facts.sha256,
            deadline_s=context.site.deadlines.connect_s,
        )
    except NotAvailable as problem:
        return _not_known(settings, f"not available: {problem}", facts.sha256)
    if waiting := _not_yet_presented(certificates, facts):
        return Check(
            expected=f"presented on port {settings.port}",
            actual=f"imported, not yet presented: {waiting.sha256}{_until(waiting)}",
            ok=None,
            note="its restart after the import was postponed: wait for it, or restart; the mismatch comes only after"
            " that",
            kind=CheckKind.ISE_IMPORTED,
            target=settings.name,
        )
    presented = next((one for one in certificates if one.sha256 == facts.sha256), None)
    return Check(
        expected=facts.sha256,
        actual=", ".join(one.sha256 for one in certificates),
        ok=presented is not None,
        note=f"sha256Fingerprint of the certificate that is used by Admin{_until(presented)}",
        kind=CheckKind.ISE_API,
        target=settings.name,
    )


def _not_yet_presented(certificates: Sequence[IseCertificate], facts: CertificateFacts) -> IseCertificate | None:
    """Return the certificate that ISE uses by its own word and does not show yet; an older one does not count."""
    if any(one.sha256 == facts.sha256 for one in certificates):
        return None
    oldest = facts.not_before_utc - _UNSURE
    return next((one for one in certificates if one.begins_utc is None or one.begins_utc >= oldest), None)


def _until(one: IseCertificate | None) -> str:
    return f", valid until {one.ends_utc:%Y-%m-%d}" if one and one.ends_utc else ""


def _not_known(settings: IseServer, words: str, expected: str = "the presented certificate") -> Check:
    note = "ISE 3.1 and later report it"
    return Check(expected=expected, actual=words, ok=None, note=note, kind=CheckKind.ISE_API, target=settings.name)


def _node_names(settings: IseServer, facts: CertificateFacts) -> tuple[str, ...]:
    """Return what ISE may call its node: the host's names, whole and without their domain."""
    given = filter(None, (*settings.names, settings.address, *facts.names))
    names = [name for name in given if not name.replace(".", "").isdigit() and not {":", "*"} & set(name)]
    return tuple(dict.fromkeys(part for name in names for part in (name.split(".")[0], name)))


# -- The ISE servers: what the page lists, what is missing or does not answer, and adding it again


class IseAction(StrEnum):
    """What stage 50 will do with one ISE server."""

    NOTHING = "nothing to do: it is listed and answers"
    LEAVE = "leave it: it is listed, and the page does not say whether it answers"
    ADD = "add it: it is not listed"
    REPLACE = "replace it: it is listed and does not answer"
    GUIDE = "a person adds it in the web pages: its entry is not in the primary's list"
    SEEN = "nothing to do: its entry is in the primary's list; only the page shows whether it answers"


CHANGING = frozenset({IseAction.ADD, IseAction.REPLACE, IseAction.GUIDE})
"""What changes something, or asks a person to."""

BY_HAND = About(topic=LineTopic.ADD_ISE_BY_HAND)
_WORDS = {
    "unauthorized": "ISE does not accept the user or the password (401)",
    "duplicate": "it is in the list already",
    "too_many": "the list is full: two ISE servers at most",
    "unreachable": "the primary does not reach it",
    "mismatch": "the primary still holds another certificate for it",
}


@dataclass(frozen=True, kw_only=True)
class IseDecision:
    """One ISE server of the site, what the page says of it, and what follows."""

    name: str
    address: str
    listed: ListedIseServer | None
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
    return await _decide_by_entry(context)


async def _decide_by_page(context: Context, page: PrimePages) -> tuple[IseDecision, ...]:
    addresses = [settings.address for settings in context.site.ise]

    async def look() -> tuple[ListedIseServer, ...]:
        listed = await page.ise_servers(*addresses)
        for decision in _decisions(context, listed):
            for what in (adding(decision.name), removing(decision.name)):
                write_late_result(context, what, decision.action)
        return listed

    def waited_for(listed: tuple[ListedIseServer, ...]) -> str:
        silent = [decision.name for decision in _decisions(context, listed) if decision.action is IseAction.REPLACE]
        return f"Waiting for {', '.join(silent)} to answer" if silent else ""

    listed = await wait_until(context, look, waited_for)
    context.record.write_facts(context.stage, "ise_servers", listed)
    return _decisions(context, listed)


async def _entries(context: Context) -> Iterator[tuple[IseServer, Check]]:
    """Return the site's ISE servers, each with whether the primary's store holds an entry of it again."""
    checks = await entry_checks(context, [("primary", settings.name) for settings in context.site.ise])
    return zip(context.site.ise, checks, strict=True)


async def _decide_by_entry(context: Context) -> tuple[IseDecision, ...]:
    decisions = []
    for settings, check in await _entries(context):
        write_late_result(context, BY_HAND, f"{check.name}: {check.actual}")
        action = IseAction.SEEN if check.ok else IseAction.GUIDE
        decisions.append(IseDecision(name=settings.name, address=settings.address, listed=None, action=action))
    return tuple(decisions)


def _decisions(context: Context, listed: tuple[ListedIseServer, ...]) -> tuple[IseDecision, ...]:
    return tuple(_decide(settings, listed) for settings in context.site.ise)


def _decide(settings: IseServer, listed: tuple[ListedIseServer, ...]) -> IseDecision:
    row = next((row for row in listed if any_same_host(row.address, (settings.address, *settings.names))), None)
    if row is None:
        action = IseAction.ADD
    else:
        action = {True: IseAction.NOTHING, False: IseAction.REPLACE, None: IseAction.LEAVE}[row.answers]
    return IseDecision(name=settings.name, address=settings.address, listed=row, action=action)


async def readd_ise(
    context: Context, pages: PrimaryPages, decisions: tuple[IseDecision, ...]
) -> tuple[ListedIseServer, ...]:
    """Add or replace what was decided; return the page's list afterwards, nothing where no page was read.

    Each server's certificate is confirmed again right before its password is typed. Raises the
    errors of ``permit``, RepairFailed with the page's words where it refuses, and DecisionNeeded with the
    steps for a person where one has to do it and nobody watches.
    """
    changes = [decision for decision in decisions if decision.action in CHANGING]
    if not changes:
        return tuple(decision.listed for decision in decisions if decision.listed)
    with context.lock("add ISE servers again"):
        await require_release(context.site, context.devices)
        if not pages.guided:
            require_means(context, context.record.read_plan())
            try:
                return await _drive(context, await pages.open(), changes)
            except PageNotUnderstood as error:
                await pages.give_up(error)
        if changes:
            await _by_hand(context, pages, [decision.name for decision in changes])
    return ()


async def _drive(context: Context, page: PrimePages, changes: list[IseDecision]) -> tuple[ListedIseServer, ...]:
    """Make the changes, and take each one out of the list once it is made: what is left then a person has to do."""
    for decided in tuple(changes):
        settings = _settings(context, decided.name)
        decision = decided
        if decided.action is IseAction.REPLACE:  # it was decided some time ago: it may answer by now
            decision = _decide(settings, await page.ise_servers())
        context.progress(f"{decision.name}: {decision.action}")
        if decision.action is IseAction.REPLACE and decision.listed:
            remove = partial(page.remove_ise, decision.listed.address)
            await _change(context, decision.name, removing(decision.name), remove)
        if decision.action in CHANGING:
            add = partial(page.add_ise, settings.address, settings.user, settings.password.resolve())
            await _change(context, decision.name, adding(decision.name), add)
        changes.remove(decided)
    listed = await page.ise_servers(anew=False)  # the proof reads it anew
    context.record.write_facts(context.stage, "ise_servers", listed)
    return listed


def _settings(context: Context, name: str) -> IseServer:
    return next(server for server in context.site.ise if server.name == name)


async def _change(context: Context, name: str, what: About, act: Callable[[], Awaitable[object]]) -> None:
    """Ask whether it may be done, write the intent, press the button once, write what the page said."""
    request = await permit(context, planned_change(context, ChangeKind.READD_ISE, name), what)
    change = begin(context, request, "accepted")
    try:
        await act()
        change.sent()
    except PageNotUnderstood as error:
        change.not_sent(error.what, expected="accepted")
        raise
    except PageRefused as error:
        change.result(error.told, expected="accepted")
        words = error.found or error.what
        why = _WORDS.get(meaning(words, labels_for(context.site.labels)), "for a reason that is not understood")
        raise RepairFailed(
            error.what if error.declined else f"The page refused to {what}: {why}",
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
    if BY_HAND not in [change.about for change in context.record.pending_changes()]:
        context.record.intend(context.stage, "primary", BY_HAND, expected="accepted")

    async def look() -> tuple[bool, str]:
        checks = [check for settings, check in await _entries(context) if settings.name in names]
        return all(check.ok for check in checks), "; ".join(f"{check.name}: {check.actual}" for check in checks)

    words = await watch(context, look, "the entries of the ISE servers")
    write_late_result(context, BY_HAND, words, good=True)


async def prove_ise(context: Context, pages: PrimaryPages) -> tuple[Check, ...]:
    """Wait until each ISE server of the site is listed and answers; return expected beside actual.

    Beside that stands what ISE itself says of its certificate, where it does. Where no page is read, whether a
    server answers is not known.
    """
    if not context.site.ise:
        return ()

    def waited_for(checks: tuple[Check, ...]) -> str:
        return "Waiting for the ISE servers to answer" if any(check.ok is False for check in checks) else ""

    checks = await wait_until(context, lambda: _ise_checks(context, pages), waited_for)
    return (*checks, *[await ise_word(context, settings) for settings in context.site.ise])


async def _ise_checks(context: Context, pages: PrimaryPages) -> tuple[Check, ...]:
    listed: tuple[ListedIseServer, ...] | None = None
    if not pages.guided:
        try:
            listed = await (await pages.open()).ise_servers()
        except PageNotUnderstood as error:
            await pages.give_up(error)
    entries = await _entries(context)
    return tuple(check for settings, entry in entries for check in (_page_check(settings, listed), entry))


def _page_check(settings: IseServer, listed: tuple[ListedIseServer, ...] | None) -> Check:
    name = f"{check_name(CheckKind.ISE_PAGE, target=settings.name)} ({settings.address})"
    check = Check(
        name=name, expected="listed and answers", actual="", ok=None, kind=CheckKind.ISE_PAGE, target=settings.name
    )
    if listed is None:
        return replace(check, actual="the page was not read: a person has to look at its row")
    row = _decide(settings, listed).listed
    if row is None:
        return replace(check, actual="not listed", ok=False)
    return replace(check, actual=row.status or "listed, no status shown", ok=row.answers)
