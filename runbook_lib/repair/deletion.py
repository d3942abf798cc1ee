"""Delete exactly the approved entries, each once, and let the stores say what became of it.

The order is fixed: approval, lock, a fresh look at everything, comparison with the plan, and only
then, entry by entry, one more look at every host and at the one store, the intent on disk, one command,
and the store read back. What the command prints is kept and decides nothing. No command is ever sent a second
time: after an interruption the journal knows what was sent, and the store says what happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace

from runbook_lib import errors
from runbook_lib.decisions import Decision, Deletion, DeletionResult, Plan, PlanRow
from runbook_lib.device.command_line import raise_if_refused
from runbook_lib.device.tofu import vanished_entries
from runbook_lib.event_loop import poll_until
from runbook_lib.models import TofuStore
from runbook_lib.record.journal import Kind
from runbook_lib.record.stages import RecordedChange
from runbook_lib.repair import planned_changes
from runbook_lib.repair.approval import require_approval
from runbook_lib.repair.confirmation import INTERCEPTION
from runbook_lib.repair.context import Context, read_when_back
from runbook_lib.repair.guard import begin, permit, require_release
from runbook_lib.repair.inventory import recorded_diagnosis, recorded_inventory, take_inventory, watch_logs
from runbook_lib.repair.plan import essence, plan_of
from runbook_lib.repair.preflight import require_means, try_login
from runbook_lib.repair.primary_pages import PrimaryPages
from runbook_lib.repair.sent_changes import DELETION_FACTS, about_deletion, collateral_of, recorded_deletions

LOOK_EVERY_S = 5.0
"""How often the store is read for a deletion that may take effect late."""

_ONCE_IS_ENOUGH = (errors.AnswerNotUnderstood, errors.CommandRefused, errors.DeviceSilent, errors.LoginQuestion)
"""What a server asks or refuses, it would ask or refuse at each further deletion too. One that prints no end may be
asking in words that nobody here knows. A connection that was lost says nothing of the kind."""


async def delete_stale(context: Context, plan: Plan, pages: PrimaryPages) -> tuple[DeletionResult, ...]:
    """Carry out the plan and return one result per deletion, those of an interrupted run included.

    What the whole plan will need is tried first, the login to the web pages by ``pages`` included. Raises what that
    raises, DeletionRefused, ApprovalMissing, VersionUnsupported or PlanStale before anything is sent, and the errors of
    ``permit`` before each entry; RepairFailed at once where another entry changed with the deleted one; DeviceError
    where a store cannot be read.
    """
    require_approval(context, plan)
    if not plan.deletions:
        return ()
    with context.lock("delete stale certificates"):
        await require_release(context.site, context.devices)
        if planned_changes.unsent(context, plan):
            require_means(context, plan)
            await try_login(context, pages, plan)
        await _refuse_if_moved(context, plan)
        sent = planned_changes.sent_places(context, plan)
        for number, row in enumerate(plan.deletions):
            if row.place in sent:
                continue
            done = number / len(plan.deletions)
            context.progress(f"{row.server}: looking once more before {row.key} is deleted", done)
            result, problem = await _delete_one(context, plan, row, done)
            kept = (*recorded_deletions(context.record), result)
            context.record.write_facts(context.stage, DELETION_FACTS, kept)
            _stop_on_collateral(result)
            refused = isinstance(problem, _ONCE_IS_ENOUGH) and result.result is not Deletion.GONE
            if problem and (refused or isinstance(problem, errors.RecordError)):
                raise problem
        if await watch_logs(context, planned_changes.results_of(context, plan)):
            ends = planned_changes.ends_of_deletions(context, recorded_diagnosis(context), recorded_inventory(context))
            planned_changes.require_none_goes_on(context, ends)
        return planned_changes.results_of(context, plan)


async def _refuse_if_moved(context: Context, plan: Plan) -> None:
    """Read both stores and probe every host again; raises PlanStale where a row is no longer what was approved."""
    context.progress("Looking at everything again before the first deletion")
    inventory = await take_inventory(context)
    fresh = plan_of(context, recorded_diagnosis(context), inventory)
    # What an interrupted run may have sent is known only now, after the stores were read.
    deleted = {result.place for result in recorded_deletions(context.record)}
    # An entry that the plan does not know, and that this incident deleted, may have come back since.
    back = deleted & ({row.place for row in fresh.rows} - {row.place for row in plan.rows})
    moved = [*inventory.contradictions, *differences(plan, fresh, planned_changes.sent_places(context, plan) | back)]
    if moved:
        context.record.journal.append(
            Kind.DECIDED, stage=context.stage, expected=f"the plan {plan.digest}", seen="stale: " + "; ".join(moved)
        )
        raise errors.PlanStale(
            "Somebody else may be answering: a certificate contradicts what is known of it; nothing was deleted"
            if inventory.contradictions
            else "Something moved between the plan and the deletion; nothing was deleted",
            where=f"incident {plan.incident}",
            found="\n".join(moved),
            next_step=INTERCEPTION if inventory.contradictions else planned_changes.NEW_PLAN,
        )


def differences(plan: Plan, fresh: Plan, sent: Iterable[tuple[str, str]] = ()) -> Iterable[str]:
    """Yield a sentence for every row that is no longer what the plan says; rows that were sent already are left out."""
    approved = {row.place: row for row in plan.rows}
    now = {row.place: row for row in fresh.rows}
    for place in sorted({*approved, *now}.difference(sent)):
        before = approved.get(place)
        after = now.get(place)
        where = f"{place[0]}: {place[1]}"
        if before is None:
            yield f"{where}: is new in the store"
        elif after is None:
            yield f"{where}: is no longer in the store"
        elif essence(before) != essence(after) or after.decision is Decision.CANNOT_TELL:  # which blocks a whole plan
            yield f"{where}: was {_in_words(before)}; is {_in_words(after)}: {after.reason}"


def _in_words(row: PlanRow) -> str:
    return f"“{row.decision}” ({row.verdict}, {row.confirmed_sha256 or 'no certificate'})"


async def _delete_one(
    context: Context, plan: Plan, row: PlanRow, done: float
) -> tuple[DeletionResult, errors.RunbookError | None]:
    what = replace(about_deletion(row.key), command=row.command)
    request = await permit(context, row, what)
    planned = {each.key: each.subject for each in plan.rows if each.server == row.server}
    before = await _undisturbed(context.devices.prime(row.server).list_tofu, planned)
    _refuse_if_changed(context, plan, before)
    change = begin(context, request, f"{row.command} (approved by {request.approval.by}: {request.approval.digest})")
    context.progress(f"{row.server}: {row.command}", done)  # the last that a person may read of a stop
    sent_utc = context.now()
    text, problem = await _send(context, row, change)
    read = _decided if isinstance(problem, errors.DeviceSilent) else _read_back
    after = await _undisturbed(lambda: read(context, row), {each.key: each.subject for each in before.entries})
    ours = {key for server, key in planned_changes.sent_places(context, plan) if server == row.server}
    result = DeletionResult(
        server=row.server,
        key=row.key,
        command=row.command,
        result=_compare(before, after, row.key, ours),
        said=text,
        before=tuple(entry.line for entry in before.entries),
        after=tuple(entry.line for entry in after.entries),
        sent_utc=sent_utc,
        read_back_utc=after.read_utc,
    )
    change.result(result.result, expected=Deletion.GONE)
    return result, problem


def _refuse_if_changed(context: Context, plan: Plan, store: TofuStore) -> None:
    """Raise PlanStale where somebody else has changed the store since the plan, or a deletion of this run before this.

    What this incident deleted may be back: that is the monitors' doing.
    """
    own = {key for server, key in planned_changes.sent_places(context, plan) if server == store.server}
    planned = [
        f"host={row.key};  subject={row.subject}"
        for row in plan.rows
        if row.server == store.server and row.key not in own
    ]
    listed = [entry.line for entry in store.entries if entry.key not in own]
    moved = [f"no longer in the store as it was: {line}" for line in vanished_entries(planned, listed)]
    moved += [f"new in the store: {line}" for line in vanished_entries(listed, planned)]
    if moved:
        raise errors.PlanStale(
            "The store was changed by somebody else since the plan; this deletion was not sent",
            where=f"{store.server}, incident {plan.incident}",
            found="\n".join(moved),
            next_step="find out who changes this server now, then make a new plan: 20_list_certificates",
        )


async def _send(context: Context, row: PlanRow, change: RecordedChange) -> tuple[str, errors.RunbookError | None]:
    """Send the command once and return what it said; an answer that was lost is said, and never asked for again.

    What was refused is kept as it was said, and told beside it.
    """
    text = ""
    problem = None
    try:
        answer = await context.devices.prime(row.server).delete_tofu(row.key)
        text = answer.text
        raise_if_refused(answer)
    except errors.RunbookError as error:
        if not getattr(error, "sent", False):
            change.not_sent(expected=Deletion.GONE)
            raise
        text = text or f"no usable answer: {error.what}"
        problem = error
    change.sent()
    return text, problem


async def _read_back(context: Context, row: PlanRow) -> TofuStore:
    """Return what the store lists now; where the server is away it is waited for, since only the store decides."""
    try:
        return await read_when_back(context, context.devices.prime(row.server).list_tofu)
    except errors.DeviceError as error:
        raise errors.OutcomeUnknown(
            "A deletion was sent and the list could not be read afterwards",
            where=f"{row.server}: {row.command}",
            found=str(error),
            next_step="make the server answer, then run 20_list_certificates: it plans what is left",
        ) from error


async def _undisturbed(read: Callable[[], Awaitable[TofuStore]], subjects: Mapping[str, str]) -> TofuStore:
    """Read a store; read it again if a known subject has grown, since a message to all users may stand behind it."""
    store = await read()
    known = ((each.subject, subjects.get(each.key, each.subject)) for each in store.entries)
    return await read() if any(now != was and now.startswith(was) for now, was in known) else store


async def _decided(context: Context, row: PlanRow) -> TofuStore:
    """Wait until a deletion that outlived its deadline took effect, for as long again, before the next one is sent.

    The server may still be at it, although nobody listens any more.
    """
    patience_s = context.site.deadlines.command_s
    waiting = f"{row.server}: checking whether the deletion of {row.key} takes effect late"
    return await poll_until(
        lambda: _read_back(context, row),
        lambda seen: row.key not in [entry.key for entry in seen.entries],
        limit_s=patience_s,
        pause_s=min(LOOK_EVERY_S, patience_s / 10),
        on_look=lambda *_: context.progress(waiting),
    )


def _compare(before: TofuStore, after: TofuStore, key: str, ours: Collection[str] = ()) -> Deletion:
    """What the store says. Entries that appeared are the monitors' doing; one that went or changed is not.

    ``ours`` are entries whose deletion was sent before: one that goes now is a late effect of that.
    """
    others = [entry.line for entry in before.entries if entry.key != key and entry.key not in ours]
    if vanished_entries(others, [entry.line for entry in after.entries]):
        return Deletion.COLLATERAL
    still = any(entry.key == key for entry in after.entries)
    return Deletion.NOT_DELETED_OR_CAME_BACK if still else Deletion.GONE


def _stop_on_collateral(result: DeletionResult) -> None:
    if result.result is Deletion.COLLATERAL:
        raise errors.RepairFailed(
            "An entry other than the deleted one is no longer listed as it was; no further command was sent",
            where=f"{result.server}: {result.command}",
            found="\n".join(entry.line for entry in collateral_of(result)),
            next_step="compare the lists in the record, and list them by hand; an entry that went is added again at its"
            " host's next connection, whoever answers there",
        )
