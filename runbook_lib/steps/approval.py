"""The approval of a plan: writing it, and whether a plan may be carried out by it."""

from __future__ import annotations

from runbook_lib.errors import ApprovalMissing, DeletionRefused, ParameterRefused
from runbook_lib.models import Approval, Plan
from runbook_lib.record import Record
from runbook_lib.steps.carried_out import unsent
from runbook_lib.steps.context import Context, now_utc
from runbook_lib.steps.history import deletion_intents
from runbook_lib.steps.plan import essence


def approver(name: str) -> str:
    """Return the name of the person who approves; raises ParameterRefused where there is none."""
    if not name.strip():
        raise ParameterRefused("An approval needs a name", next_step="give the name of the person who approves")
    return name.strip()


def approve(record: Record, digest: str, *, by: str, how: str, reason: str = "") -> Approval:
    """Write an approval of the plan with this digest and return it; raises ParameterRefused without a name."""
    approval = Approval(digest=digest, by=approver(by), at_utc=now_utc(), how=how, reason=reason.strip())
    record.write_approval(approval)
    return approval


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
        covered = {essence(row) for row in approved}
        left = unsent(context, plan)
        if all(essence(row) in covered and (row.server, row.key) not in sent_since for row in left):
            return approval
    return None


def same_person(one: str, other: str) -> bool:
    """Whether two names may be one person's: the same without regard to case, or the same before an ``@``."""
    names = [name.strip().casefold() for name in (one, other)]
    return names[0] == names[1] or names[0].partition("@")[0] == names[1].partition("@")[0]


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
            next_step=f"{by_form}runbook approve {plan.incident} {plan.digest} --by NAME",
        )
    return approval
