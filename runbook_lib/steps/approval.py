"""The approval of a plan: writing it, and whether a plan may be carried out by it."""

from __future__ import annotations

from runbook_lib import places
from runbook_lib.errors import ApprovalMissing, DeletionRefused, ParameterRefused
from runbook_lib.models import Approval, Plan
from runbook_lib.record import Record
from runbook_lib.record.approvals import signed
from runbook_lib.record.keys import signing_key
from runbook_lib.record.process import ProcessName, account, host
from runbook_lib.steps.carried_out import unsent
from runbook_lib.steps.context import Context, now_utc
from runbook_lib.steps.history import deletion_intents
from runbook_lib.steps.plan import essence
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
    """Return the approval that holds for every deletion of this plan, or None.

    An approval names one plan by its digest and holds for that plan's deletions; where an interruption
    left some of them, for those too, although the plan of the rest has another digest. It holds for
    none that was sent since, so that no second deletion ever rests on it. One that does not count (``Judge``) is
    passed over.
    """
    sent_utc = deletion_intents(context.record)
    judge = Judge.here()
    for approval, artifact in reversed(context.record.approvals()):
        if judge.refusal(context, approval, artifact):
            continue
        approved = context.record.read_plan(approval.digest).deletions
        sent_since = {place for place, utc in sent_utc.items() if utc > approval.at_utc}
        interrupted = any((row.server, row.key) in sent_since for row in approved)
        if approval.digest != plan.digest and not interrupted:
            continue
        covered = {essence(row) for row in approved}
        left = unsent(context, plan)
        if all(essence(row) in covered and (row.server, row.key) not in sent_since for row in left):
            return approval
    return None


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
        by_form = "give your name in the form above, press its button, and run this cell again; or: " * context.attended
        who = "nobody else has" if context.site.policy.second_person else "nobody has"
        raise ApprovalMissing(
            f"The plan deletes {len(plan.deletions)} entries and {who} approved it",
            where=f"incident {plan.incident}, plan {plan.digest}",
            found="\n".join(refused_approvals(context, plan)),
            next_step=f"{by_form}runbook approve {plan.incident} {plan.digest} --by NAME",
        )
    return approval
