"""The approval of a plan: writing it, and whether a plan may be carried out by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbook_lib import places
from runbook_lib.errors import ApprovalMissing, DeletionRefused, ParameterRefused
from runbook_lib.models import Approval, Plan, PlannedChange, PlanRow
from runbook_lib.record import Record
from runbook_lib.record.approvals import signed
from runbook_lib.record.keys import signing_key
from runbook_lib.record.process import ProcessName, account, host
from runbook_lib.steps.carried_out import place_of, unsent, unsent_changes
from runbook_lib.steps.context import Context, now_utc
from runbook_lib.steps.history import deletion_intents
from runbook_lib.steps.plan import Change, essence
from runbook_lib.steps.whose_word import Judge


def approver(name: str) -> str:
    """Return the name of the person who approves; raises ParameterRefused where there is none."""
    if not name.strip():
        raise ParameterRefused("An approval needs a name", next_step="give the name of the person who approves")
    return name.strip()


def approve(record: Record, digest: str, *, by: str, how: str, reason: str = "") -> Approval:
    """Write an approval of the plan with this digest, signed where this account has a key, and return it.

    Raises ParameterRefused without a name, or with a key that cannot be used.
    """
    approval = Approval(
        digest=digest,
        by=approver(by),
        at_utc=now_utc(),
        how=how,
        reason=reason.strip(),
        account=account(),
        host=host(),
        process=str(ProcessName.current()),
    )
    approval = signed(approval, signing_key(places.key_dir()))
    record.write_approval(approval)
    return approval


def approval_of(context: Context, plan: Plan) -> Approval | None:
    """Return the approval that holds for every change of this plan that is left, or None.

    It holds for none that was sent since, so that nothing is ever sent twice on it.
    """
    return _unspent(context, plan, (*unsent(context, plan), *unsent_changes(context, plan)))


def approval_naming(context: Context, plan: Plan, change: Change) -> Approval | None:
    """Return the newest approval that names this change, sent since or not; None where nobody has approved it."""
    named = (approval for approval, covered in _approvals(context, plan) if essence(change) in covered)
    return next(named, None)


def _unspent(context: Context, plan: Plan, left: Sequence[Change]) -> Approval | None:
    sent_utc = deletion_intents(context.record)
    places = [place_of(each) for each in left if isinstance(each, PlanRow)]
    for approval, covered in _approvals(context, plan):
        spent = any(sent_utc.get(place, approval.at_utc) > approval.at_utc for place in places)
        if not spent and covered.issuperset(map(essence, left)):
            return approval
    return None


def _approvals(context: Context, plan: Plan) -> Iterator[tuple[Approval, set[tuple[object, ...]]]]:
    """Yield the approvals that count for this plan, newest first, each with what it covers.

    An approval names one plan by its digest and covers that plan's changes; where an interruption
    left some of them, those too, although the plan of the rest has another digest. One that does not
    count (``Judge``) is passed over. An approval of a plan of release 0.1.0 covers its deletions and nothing else.
    """
    sent_utc = deletion_intents(context.record)
    judge = Judge.here()
    for approval, artifact in reversed(context.record.approvals()):
        if judge.refusal(context, approval, artifact):
            continue
        approved = context.record.read_plan(approval.digest)
        interrupted = any(sent_utc.get(place_of(row), approval.at_utc) > approval.at_utc for row in approved.deletions)
        if approval.digest == plan.digest or interrupted:
            yield approval, set(map(essence, approved.every_change))


def refused_approvals(context: Context, plan: Plan) -> tuple[str, ...]:
    """Return a sentence for each approval of this plan that does not count."""
    judge = Judge.here()
    told = ((approval, judge.refusal(context, approval, file)) for approval, file in context.record.approvals())
    return tuple(
        f"the approval by {approval.by} does not count: {why}"
        for approval, why in told
        if why and approval.digest == plan.digest
    )


def require_approval(context: Context, plan: Plan) -> Approval | None:
    """Return the approval, None where the plan needs none as things stand: what comes up later is asked for then.

    Raises DeletionRefused where the plan is blocked, ApprovalMissing where nobody has approved its deletions or,
    where nothing is left to delete, what else has to be done.
    """
    require_not_blocked(plan)
    if not plan.needs_approval:
        return None
    expected = (each for each in unsent_changes(context, plan) if each.expected)
    approval = _unspent(context, plan, unsent(context, plan) or tuple(expected))
    if approval is None:
        raise missing(context, plan)
    return approval


def missing(context: Context, plan: Plan, change: Change | None = None) -> ApprovalMissing:
    """Return the error that says what nobody has approved: the plan, or one change of it."""
    by_form = "give your name in the form above, press its button, and run this cell again; or: " * context.attended
    who = "nobody else has" if context.site.policy.second_person else "nobody has"
    return ApprovalMissing(
        f"{_in_words(plan, change)} and {who} approved it",
        where=f"incident {plan.incident}, plan {plan.digest}",
        found="\n".join(refused_approvals(context, plan)),
        next_step=f"{by_form}runbook approve {plan.incident} {plan.digest} --by NAME",
    )


def require_not_blocked(plan: Plan) -> None:
    """Raise DeletionRefused where the plan is blocked."""
    if plan.blocked:
        raise DeletionRefused(
            "The plan is blocked; nothing is changed",
            where=f"incident {plan.incident}",
            found="\n".join(plan.blocked),
            next_step="settle each point, then make a new plan (20_list_certificates)",
        )


def _in_words(plan: Plan, change: Change | None) -> str:
    if isinstance(change, PlannedChange):
        return f"The plan holds this change: {change.kind} ({change.target}),"
    if plan.deletions:
        return f"The plan deletes {len(plan.deletions)} entries"
    return f"The plan changes something: {', '.join(each.kind for each in plan.changes if each.expected)},"
