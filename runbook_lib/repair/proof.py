"""Which facts prove the repair, which do not, and the incident's outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from runbook_lib.models import PI_SERVERS, Inventory, Outcome
from runbook_lib.observations import Check, CheckKind, Diagnosis
from runbook_lib.record.journal import Kind
from runbook_lib.repair.confirmation import certificate_check, deleted_under_override
from runbook_lib.repair.context import Context, ask_both, is_own, read_when_back, target_of, target_of_key, targets
from runbook_lib.repair.ha_state import entry_checks, observe_ha, state_checks
from runbook_lib.repair.inventory import grown_mismatches, knowledge_of, look_at_all, read_logs
from runbook_lib.repair.ise import prove_ise
from runbook_lib.repair.planned_changes import ends_of_deletions
from runbook_lib.repair.primary_pages import PrimaryPages
from runbook_lib.repair.sent_changes import CONFIRMED_FACTS, ConfirmedCertificates, collateral_of, recorded_deletions
from runbook_lib.repair.staleness import AHEAD_OF_UTC, End


async def verify(context: Context, pages: PrimaryPages) -> tuple[Check, ...]:
    """Return one check per fact, expected beside actual; keeps them and the confirmed certificates in the record.

    Waits for the ISE servers that are being connected (``settle_s``, in ``prove_ise``), and while the logs are
    watched for new mismatches (``quiet_s``, in ``_log_checks``).
    """
    known = {target.name: knowledge_of(context, target.name) for target in targets(context.site)}
    before = read_logs(context)
    since = asyncio.get_running_loop().time()
    context.progress("Reading both stores and the HA states", 0.1)
    states = await observe_ha(context, patient=True)
    observed = [(observer, target.name) for target in targets(context.site) for observer in target.observers]
    checks = [*await entry_checks(context, observed)]
    note = "an impostor could not have brought this about"
    checks += [replace(check, note=note) for check in state_checks(context.site, states)]
    presented, judgements = await look_at_all(context, known)
    checks += [certificate_check(context, judgement) for judgement in judgements]
    checks += await prove_ise(context, pages)
    diagnosis, log_checks = await _log_checks(context, before, since)
    stores = await read_when_back(context, lambda: ask_both(context.devices, lambda prime: prime.list_tofu()))
    inventory = Inventory(stores=stores, presented=presented, judgements=judgements, ha=states)
    checks += [*log_checks, *_deletion_checks(context, diagnosis, inventory, checks), *_lost_checks(context, inventory)]
    unique = tuple({(check.kind, check.server, check.target): check for check in checks}.values())
    context.record.write_facts(context.stage, "checks", unique)
    confirmed = {each.target: each.facts.sha256 for each in judgements if each.facts and each.verdict.accepted}
    others = {each.target: each.others for each in judgements}
    at_end = ConfirmedCertificates(sha256=confirmed, others=others, at_utc=context.now())
    context.record.write_facts(context.stage, CONFIRMED_FACTS, at_end)
    return unique


# -- What the checks say together ------------------------------------------------------------------


def outcome_of(context: Context, checks: tuple[Check, ...]) -> Outcome:
    """Return the incident's outcome from its checks and from what was changed on the way.

    ``unknown`` where a deletion was sent, in whichever incident, and nobody knows whether it happened.
    """
    if any(check.ok is False for check in checks):
        return Outcome.FAILED
    if undecided(checks):
        return Outcome.UNKNOWN
    lines = context.record.journal.read().lines
    if not any(line.kind is Kind.INTENT for line in lines):
        return Outcome.NOTHING_TO_DO
    optional = (CheckKind.MISMATCHES, CheckKind.ISE_API)  # logs or an ISE API that are not at hand
    unproven = any(check.ok is None and check.kind not in optional for check in checks)
    return Outcome.REPAIRED_UNVERIFIED if unproven or deleted_under_override(context.record) else Outcome.REPAIRED


def undecided(checks: Sequence[Check]) -> str:
    """Return which deletions nobody knows the end of, in words; empty where there is none."""
    not_known = (check for check in checks if check.kind is CheckKind.DELETION and check.ok is None)
    return "; ".join(f"{check.name}: {check.actual}" for check in not_known)


# -- The checks that need more than one look: deletions that nobody saw, entries that went, the logs


def _deletion_checks(
    context: Context, diagnosis: Diagnosis, inventory: Inventory, checks: Sequence[Check]
) -> Iterator[Check]:
    """Yield a check per deletion that nobody saw happen, and that nothing proves: not the pair, the page or the logs.

    Those of earlier incidents count: whether the entry that is listed now is the new one rests on them as well.
    One that the logs disprove fails; one of which nobody knows leaves the outcome unknown.
    """
    answering = {check.target for check in checks if check.ok and check.kind is CheckKind.ISE_PAGE}
    for (server, key), end in sorted(ends_of_deletions(context, diagnosis, inventory, earlier=True).items()):
        target = target_of_key(context.site, server, key)
        answers = target is not None and target.name in answering
        if end is End.HAPPENED or (end is End.NOT_KNOWN and answers):
            continue
        yield Check(
            expected="it happened",
            actual=end,
            ok=False if end is End.DID_NOT_HAPPEN else None,
            note="the deletion was not observed, and the list shows no fingerprint",
            kind=CheckKind.DELETION,
            server=server,
            target=key,
        )


def _lost_checks(context: Context, inventory: Inventory) -> Iterator[Check]:
    """Yield a check per entry that went or changed with a deletion of another: what is stored since, nobody confirmed.

    Unless it is listed again and is the server's own, or that of a host whose certificate is looked at here.
    """
    lost = [(each.server, entry) for each in recorded_deletions(context.record) for entry in collateral_of(each)]
    for server, entry in lost:
        again = entry.key in [each.key for each in inventory.store(server).entries]
        if again and (is_own(context.site, server, entry) or target_of(context.site, server, entry)):
            continue
        yield Check(
            expected="as it was",
            actual="listed again" if again else "not listed",
            ok=None,
            note="it went or changed with a deletion; what the server stores since then is not confirmed",
            kind=CheckKind.ENTRY,
            server=server,
            target=entry.key,
        )


async def _log_checks(context: Context, before: Diagnosis, since: float) -> tuple[Diagnosis, list[Check]]:
    """Whether mismatches still come in, from the logs as they were read at ``since``; and what was read last.

    What came in until the servers had recovered is no verdict: then a whole quiet time after that counts.
    """
    if len(before.no_logs) == 2:
        none = _no_mismatch("", "no logs available")
        return before, [replace(none, name="new mismatches in the logs")]
    quiet_s = context.site.deadlines.quiet_s
    after = await _read_after(context, since + quiet_s - asyncio.get_running_loop().time())
    if grown_mismatches(before, after):
        before, after = after, await _read_after(context, quiet_s)
    changed_utc = max((result.read_back_utc for result in recorded_deletions(context.record)), default=None)
    return after, [_log_check(server, before, after, changed_utc) for server in PI_SERVERS]


async def _read_after(context: Context, seconds: float) -> Diagnosis:
    if seconds > 0:
        context.progress(f"Watching the logs for {seconds:.0f} s", 0.8)
        await asyncio.sleep(seconds)
    return read_logs(context)


def _log_check(server: str, before: Diagnosis, after: Diagnosis, changed_utc: datetime | None) -> Check:
    if server in after.no_logs:
        return _no_mismatch(server, "no logs available")
    if more := [mismatch.subject for mismatch in grown_mismatches(before, after) if mismatch.server == server]:
        return _no_mismatch(server, f"still coming in: {', '.join(more)}", ok=False)
    end = after.log_end_utc.get(server)
    again = "download the logs again to see more"
    if unread := after.unread(server):
        actual = f"none in what could be read, but {unread[0]} was not read whole"
        return _no_mismatch(server, actual, note=again)
    if changed_utc and end and end < changed_utc:
        actual = f"none, but the log that was read ends at {end:%H:%M:%S} UTC, before the repair"
        return _no_mismatch(server, actual, note=again)
    if changed_utc and end and server in after.ends_assumed and end - AHEAD_OF_UTC < changed_utc:
        actual = "none, but the time zone of the log is not known: it may end before the repair"
        return _no_mismatch(server, actual, note="name log_zone in the site's file")
    return _no_mismatch(server, "none", ok=True)


def _no_mismatch(server: str, actual: str, *, ok: bool | None = None, note: str = "") -> Check:
    return Check(expected="none", actual=actual, ok=ok, note=note, kind=CheckKind.MISMATCHES, server=server)
