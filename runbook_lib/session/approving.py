"""Where an approval comes from: the command, the notebook's parameter, or the lab answering for itself."""

from __future__ import annotations

from runbook_lib.errors import ParameterRefused, PlanStale
from runbook_lib.models import Approval, Plan
from runbook_lib.steps.approval import approval_of, approve
from runbook_lib.steps.context import Context

LAB = "the lab itself"


def approve_as_asked(context: Context, plan: Plan, digest: str) -> Approval | None:
    """Write the approval that was asked for, and return the one that holds for this plan.

    ``digest`` is the parameter ``approve``: empty, or the plan's digest to the letter; another
    one raises ParameterRefused. Only a site that says it is the lab approves by itself.
    """
    if digest and digest != plan.digest:
        raise ParameterRefused(
            "The parameter approve is not this plan's digest; nothing was approved",
            where=f"incident {plan.incident}",
            found=f"approve {digest}\nplan    {plan.digest}",
            next_step="look at the plan above; approve it with its own digest",
        )
    if approval_of(context, plan) or plan.empty or plan.blocked:
        return approval_of(context, plan)
    if digest:
        approve(context.record, plan.digest, by=context.operator, how="parameter approve")
    elif context.site.kind == "lab" and not context.attended:
        approve(context.record, plan.digest, by=LAB, how="the site's file says that it is the lab")
    return approval_of(context, plan)


def approve_by_form(context: Context, shown: Plan, name: str, reason: str) -> str:
    """Write the approval of the plan that the form shows, once, and return the sentence to say.

    Raises PlanStale where the record holds a newer plan, which the person has not seen, and ParameterRefused.
    """
    newest = context.record.read_plan()
    if newest.digest != shown.digest:
        raise PlanStale(
            "There is a newer plan than the one that this form shows; nothing was approved",
            where=f"incident {shown.incident}",
            found=f"shown  {shown.digest}\nnewest {newest.digest}",
            next_step="run the cells of this notebook again from the top, and look at the newer plan",
        )
    already = approval_of(context, newest)
    if already:
        return f"{already.by} has approved this plan already; nothing was written. Run the next cell."
    if context.site.policy.second_person:
        raise ParameterRefused(
            "This site asks for a second person, and this form is filled in by the account that runs the stage",
            where=f"incident {shown.incident}",
            found="nothing was approved",
            next_step=f"let somebody else approve it from an account of their own, with a key that is trusted here: "
            f"{approve_command(newest)}",
        )
    approve(context.record, newest.digest, by=name, how="the form in the notebook", reason=reason)
    return f"Approved by {name.strip()}. Run the next cell."


def approve_command(plan: Plan) -> str:
    """Return the command that approves a plan from a terminal."""
    return f"runbook approve {plan.incident} {plan.digest} --by NAME"
