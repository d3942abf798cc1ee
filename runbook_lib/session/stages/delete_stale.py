"""Stage 30: approval, deletion, proof."""

from __future__ import annotations

from functools import partial

from runbook_lib.models import (
    Approval,
    Check,
    DeletionResult,
    Plan,
    Stage,
)
from runbook_lib.session.approving import approve_as_asked, approve_by_form, approve_command
from runbook_lib.session.runbook import Runbook
from runbook_lib.steps import (
    approval,
    carried_out,
    delete,
)
from runbook_lib.steps.context import Context
from runbook_lib.views import View, deletion, standing
from runbook_lib.views.forms import ApprovalForm


class DeleteStale(Runbook):
    """Stage 30: ask for approval, delete, prove that exactly those are gone."""

    stage = Stage.DELETE

    def __init__(self, context: Context, *, approve: str = "") -> None:
        super().__init__(context)
        self._approve = approve

    def plan(self) -> View[Plan]:
        """Show the plan of stage 20."""
        return deletion.plan(self._do(self.context.record.read_plan))

    def approval(self) -> View[Approval | None] | ApprovalForm:
        """Show who approved this plan, or a form that asks for it; writes what the parameter ``approve`` gives.

        Never waits: the form's button writes the approval, the next cell reads it.
        """
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: approve_as_asked(self.context, plan, self._approve))
        if found is None and plan.deletions and not plan.blocked:
            return ApprovalForm(plan, partial(approve_by_form, self.context, plan), approve_command(plan))
        return deletion.approval(found, "This plan may be carried out." if found else "There is nothing to approve.")

    def require_approval(self) -> View[Approval | None]:
        """Raise unless the plan may be carried out."""
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: approval.require_approval(self.context, plan))
        return deletion.approval(found, "The plan may be carried out." if found else "Nothing is to be deleted.")

    def delete(self) -> View[tuple[DeletionResult, ...]]:
        """CHANGE. Carry out the approved plan; refuses by itself whatever was not approved or has moved."""
        plan = self._do(self.context.record.read_plan)
        return deletion.results(self._run(delete.delete_stale(self.context, plan)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Show expected beside actual for every planned deletion."""
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: carried_out.prove_deletions(self.context, plan))
        return standing.checks(
            found,
            "Are exactly these gone?",
            "«not known»: listed again, perhaps with the new certificate; stages 40 to 60 tell.",
        )

    def _seal(self) -> None:
        plan = self.context.record.read_plan()
        approval.require_approval(self.context, plan)
        carried_out.require_deletions(self.context, plan)
