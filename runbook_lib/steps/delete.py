"""Delete exactly the approved entries, each once, and let the stores say what became of it.

The order is fixed: approval, lock, a fresh look at everything, comparison with the plan, and only
then, entry by entry, the intent on disk, one command, and the store read back. What the command
prints is kept and decides nothing. No command is ever sent a second time: after an interruption
the journal knows what was sent, and the store says what happened.
"""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.errors import (
    ApprovalMissing,
    DeletionRefused,
    DeviceError,
    OutcomeUnknown,
    PlanStale,
    RepairFailed,
    RunbookError,
    StageOutOfOrder,
)
from runbook_lib.models import Approval, Check, Decision, Deletion, DeletionResult, Plan, PlanRow, TofuStore
from runbook_lib.record import Change, Kind, SiteLock
from runbook_lib.steps.context import Context
from runbook_lib.steps.diagnose import recorded_diagnosis
from runbook_lib.steps.history import DELETION_FACTS, deletion_intents, past_of, recorded_deletions
from runbook_lib.steps.inventory import take_inventory
from runbook_lib.steps.overriding import overrides_of
from runbook_lib.steps.plan import make_plan
from runbook_lib.steps.preflight import require_release


def approval_of(context: Context, plan: Plan) -> Approval | None:
    """Return the approval that holds for every deletion of this plan, or None.

    An approval names one plan by its digest and holds for that plan's deletions; where an interruption
    left some of them, for those too, although the plan of the rest has another digest. It holds for
    none that was sent since, so that no second deletion ever rests on it. Where the site asks for a
    second person, an approval by the one who runs the stage does not count.
    """
    sent_utc = deletion_intents(context.record)
    for approval in reversed(context.record.read_approvals()):
        if context.site.policy.second_person and same_person(approval.by, context.operator):
            continue
        approved = context.record.read_plan(approval.digest).deletions
        sent_since = {place for place, utc in sent_utc.items() if utc > approval.at_utc}
        interrupted = any((row.server, row.key) in sent_since for row in approved)
        if approval.digest != plan.digest and not interrupted:
            continue
        covered = {_essence(row) for row in approved}
        left = _unsent(context, plan)
        if all(_essence(row) in covered and (row.server, row.key) not in sent_since for row in left):
            return approval
    return None


def same_person(one: str, other: str) -> bool:
    """Whether two names may be one person's: the same without regard to case, or the same before an ``@``."""
    names = [name.strip().casefold() for name in (one, other)]
    return names[0] == names[1] or names[0].partition("@")[0] == names[1].partition("@")[0]


def _unsent(context: Context, plan: Plan) -> tuple[PlanRow, ...]:
    done = _sent(context, plan)
    return tuple(row for row in plan.deletions if (row.server, row.key) not in done)


def _sent(context: Context, plan: Plan) -> set[tuple[str, str]]:
    return {(result.server, result.key) for result in results_of(context, plan)}


def require_approval(context: Context, plan: Plan) -> Approval | None:
    """Return the approval, None where nothing is to be deleted; raises DeletionRefused or ApprovalMissing."""
    if plan.blocked:
        raise DeletionRefused(
            "The plan is blocked; nothing is deleted",
            where=f"incident {plan.incident}",
            found="\n".join(plan.blocked),
            next_step="settle each point, then make a new plan (20_list_certificates)",
        )
    if not plan.deletions:
        return None
    approval = approval_of(context, plan)
    if approval is None:
        who = "nobody else has" if context.site.policy.second_person else "nobody has"
        raise ApprovalMissing(
            f"The plan deletes {len(plan.deletions)} entries and {who} approved it",
            where=f"incident {plan.incident}, plan {plan.digest}",
            next_step=f"runbook approve {plan.incident} {plan.digest} --by NAME",
        )
    return approval


async def delete_stale(context: Context, plan: Plan) -> tuple[DeletionResult, ...]:
    """Carry out the plan and return one result per deletion, those of an interrupted run included.

    Raises DeletionRefused, ApprovalMissing, VersionUnsupported or PlanStale before anything is sent; RepairFailed at
    once where another entry changed with the deleted one; DeviceError where a store cannot be read.
    """
    approval = require_approval(context, plan)
    if approval is None:
        return ()
    with SiteLock(context.records_root, context.site.name, purpose="delete stale certificates", incident=plan.incident):
        await require_release(context.site, context.devices)
        await _refuse_if_moved(context, plan)
        sent = _sent(context, plan)
        for number, row in enumerate(plan.deletions):
            if (row.server, row.key) in sent:
                continue
            context.tell(f"{row.server}: {row.command}", number / len(plan.deletions))
            result = await _delete_one(context, row, approval)
            kept = (*recorded_deletions(context.record), result)
            context.record.write_facts(context.stage, DELETION_FACTS, kept)
            _stop_on_collateral(result)
        return results_of(context, plan)


def results_of(context: Context, plan: Plan) -> tuple[DeletionResult, ...]:
    """Return what became of this plan's deletions so far, an interrupted run's included."""
    return tuple(result for result in recorded_deletions(context.record) if result.sent_utc >= plan.made_utc)


async def _refuse_if_moved(context: Context, plan: Plan) -> None:
    """Read both stores and probe every host again; raises PlanStale where a row is no longer what was approved."""
    context.tell("Looking at everything again before the first deletion")
    inventory = await take_inventory(context)
    fresh = make_plan(
        context.site,
        plan.incident,
        recorded_diagnosis(context),
        inventory,
        past_of(context),
        now_utc=context.now(),
        overrides=overrides_of(context.record),
    )
    # What an interrupted run may have sent is known only now, after the stores were read.
    deleted = {(result.server, result.key) for result in recorded_deletions(context.record)}
    moved = list(differences(plan, fresh, _sent(context, plan) | _new_rows(plan, fresh) & deleted))
    if moved:
        context.record.journal.append(
            Kind.DECIDED, stage=context.stage, expected=f"the plan {plan.digest}", seen="stale: " + "; ".join(moved)
        )
        raise PlanStale(
            "Something moved between the plan and the deletion; nothing was deleted",
            where=f"incident {plan.incident}",
            found="\n".join(moved),
            next_step="look at it again and make a new plan: 20_list_certificates",
        )


def _new_rows(plan: Plan, fresh: Plan) -> set[tuple[str, str]]:
    """Return the entries that the plan does not know; one that this incident deleted may have come back since."""
    return {(row.server, row.key) for row in fresh.rows} - {(row.server, row.key) for row in plan.rows}


def differences(plan: Plan, fresh: Plan, sent: Iterable[tuple[str, str]] = ()) -> Iterable[str]:
    """Yield a sentence for every row that is no longer what the plan says; rows that were sent already are left out."""
    skipped = set(sent)
    approved = {(row.server, row.key): row for row in plan.rows}
    now = {(row.server, row.key): row for row in fresh.rows}
    for place in sorted({*approved, *now} - skipped):
        before, after = approved.get(place), now.get(place)
        where = f"{place[0]}: {place[1]}"
        if before is None:
            yield f"{where}: is new in the store"
        elif after is None:
            yield f"{where}: is no longer in the store"
        elif _essence(before) != _essence(after):
            yield f"{where}: was {_in_words(before)}; is {_in_words(after)}: {after.reason}"


def _in_words(row: PlanRow) -> str:
    return f"«{row.decision}» ({row.verdict}, {row.confirmed_sha256 or 'no certificate'})"


def _essence(row: PlanRow) -> tuple[object, ...]:
    deleted = row.decision is Decision.DELETE
    verdict = row.verdict if deleted else None
    return (row.server, row.key, row.subject, row.target, row.command, row.confirmed_sha256, verdict, row.override)


async def _delete_one(context: Context, row: PlanRow, approval: Approval) -> DeletionResult:
    prime = context.devices.prime(row.server)
    before = await prime.list_tofu()
    if row.key not in [entry.key for entry in before.entries]:
        raise PlanStale(
            "The entry is no longer listed; its deletion was not sent",
            where=f"{row.server}: {row.key}",
            next_step="make a new plan: 20_list_certificates",
        )
    change = context.record.intend(
        context.stage, row.server, row.key, expected=f"{row.command} (approved by {approval.by}: {approval.digest})"
    )
    sent_utc = context.now()
    said = await _send(context, row, change)
    after = await _read_back(context, row)
    result = DeletionResult(
        server=row.server,
        key=row.key,
        command=row.command,
        result=_compare(before, after, row.key),
        said=said,
        before=tuple(entry.line for entry in before.entries),
        after=tuple(entry.line for entry in after.entries),
        sent_utc=sent_utc,
        read_back_utc=after.read_utc,
    )
    change.result(result.result, expected=Deletion.GONE)
    return result


async def _send(context: Context, row: PlanRow, change: Change) -> str:
    """Send the command once and return what it said; an answer that was lost is said, and never asked for again."""
    try:
        said = (await context.devices.prime(row.server).delete_tofu(row.key)).text
    except RunbookError as error:
        if not getattr(error, "sent", False):
            change.result(Deletion.NOT_SENT, expected=Deletion.GONE)
            raise
        said = f"no usable answer: {error.what}"
    change.sent()
    return said


async def _read_back(context: Context, row: PlanRow) -> TofuStore:
    try:
        return await context.devices.prime(row.server).list_tofu()
    except DeviceError as error:
        raise OutcomeUnknown(
            "A deletion was sent and the list could not be read afterwards",
            where=f"{row.server}: {row.command}",
            found=str(error),
            next_step="make the server answer, then run 20_list_certificates: it plans what is left",
        ) from error


def _compare(before: TofuStore, after: TofuStore, key: str) -> Deletion:
    """What the store says. Entries that appeared are the monitors' doing; one that went or changed is not."""
    left = [entry.line for entry in after.entries]
    if any(entry.line not in left for entry in before.entries if entry.key != key):
        return Deletion.COLLATERAL
    still = any(entry.key == key for entry in after.entries)
    return Deletion.NOT_DELETED_OR_CAME_BACK if still else Deletion.GONE


def _stop_on_collateral(result: DeletionResult) -> None:
    if result.result is Deletion.COLLATERAL:
        gone = [line for line in result.before if line not in result.after]
        raise RepairFailed(
            "The server changed another entry than the one that was deleted; no further command was sent",
            where=f"{result.server}: {result.command}",
            found="\n".join(gone),
            next_step="compare the lists in the record; the entry is added again at the host's next connection",
        )


def require_carried_out(context: Context) -> None:
    """Raise StageOutOfOrder where the incident has a plan whose deletions were not all sent."""
    try:
        plan = context.record.read_plan()
    except StageOutOfOrder:
        return
    missing = _unsent(context, plan)
    if missing:
        raise StageOutOfOrder(
            "The incident's plan is not carried out yet",
            where=f"incident {plan.incident}",
            found="\n".join(f"{row.server}: {row.command}" for row in missing),
            next_step="run 30_delete_stale_certificates first",
        )


def prove_deletions(context: Context, plan: Plan) -> tuple[Check, ...]:
    """Return expected beside actual for every planned deletion, as the stores said it."""
    results = {(result.server, result.key): result for result in results_of(context, plan)}
    checks = []
    for row in plan.deletions:
        result = results.get((row.server, row.key))
        seen = result.result if result else Deletion.NOT_SENT
        ok = {Deletion.GONE: True, Deletion.NOT_DELETED_OR_CAME_BACK: None}.get(seen, False)
        checks.append(
            Check(name=f"{row.server}: {row.key}", expected=Deletion.GONE, actual=seen, ok=ok, note=row.command)
        )
    return tuple(checks)


def require_deletions(context: Context, plan: Plan) -> None:
    """Raise RepairFailed unless every planned deletion was sent and changed nothing else."""
    failed = [check for check in prove_deletions(context, plan) if check.ok is False]
    if failed:
        raise RepairFailed(
            "Not every planned deletion was carried out",
            where=f"incident {plan.incident}",
            found="\n".join(f"{check.name}: {check.actual}" for check in failed),
            next_step="run the change cell of this stage, or make a new plan (20_list_certificates)",
        )
