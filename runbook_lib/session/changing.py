"""What the stages that change something have in common: the plan, and who approved it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runbook_lib.errors import DecisionNeeded, StageOutOfOrder
from runbook_lib.models import Approval, Plan
from runbook_lib.session.approving import approve_as_asked, approve_by_form, approve_command
from runbook_lib.session.runbook import Runbook, T, sign_of
from runbook_lib.steps import production
from runbook_lib.steps.approval import approval_of
from runbook_lib.steps.context import Context
from runbook_lib.steps.guided import Guide
from runbook_lib.steps.ways_out import ways_out_of
from runbook_lib.views import Table, View, deletion, standing
from runbook_lib.views.forms import ApprovalForm, ProductionForm


class Changing(Runbook):
    """A stage that changes something by the incident's plan; ``approve`` is its digest, or empty."""

    def __init__(self, context: Context, *, approve: str = "") -> None:
        super().__init__(context)
        self._approve = approve

    def production(self, name: str) -> str:
        """Note that a person has given the real site's name, as the form before its first change does."""
        return production.name_site(self.context, name)

    def _do(self, act: Callable[[], T], *, begins: bool = True) -> T:
        try:
            return super()._do(act, begins=begins)
        except DecisionNeeded as error:
            if error.what == production.question(self.context):
                self._show_question()
            raise

    def _show_question(self) -> None:
        from IPython.display import display

        sign = sign_of(self.context.site)
        form = ProductionForm(sign.site, sign.servers, partial(production.name_site, self.context))
        display(form)  # type: ignore[no-untyped-call]

    def plan(self) -> View[Plan]:
        """Show the plan of stage 20."""
        plan = self._do(self.context.record.read_plan)
        return deletion.plan(plan, ways_out_of(self.context.record, plan))

    def approval(self) -> View[Approval | None] | ApprovalForm:
        """Show who approved this plan, or a form that asks for it; writes what the parameter ``approve`` gives.

        Never waits: the form's button writes the approval, the next cell reads it.
        """
        needed = self._needs_approval()
        if not needed and not self._approve:
            return deletion.approval(None, "There is nothing to approve.")
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: approve_as_asked(self.context, plan, self._approve))
        if found is None and needed and not plan.blocked:
            return ApprovalForm(plan, partial(approve_by_form, self.context, plan), approve_command(plan))
        return deletion.approval(found, "This plan may be carried out." if found else "There is nothing to approve.")

    def _needs_approval(self) -> bool:
        """Whether what this stage is going to do needs one."""
        return self._do(self.context.record.read_plan).needs_approval

    def _is_approved(self) -> bool:
        """Whether a person may be told how to do by hand what the plan holds."""
        try:
            plan = self.context.record.read_plan()
        except StageOutOfOrder:
            return False
        return not plan.blocked and approval_of(self.context, plan) is not None

    def _steps(self, guide: Callable[[], Guide]) -> Table:
        """Return the steps for a person, or that they are shown once there is an approved plan for them."""
        if self._is_approved():
            shown = guide()
            return standing.steps(shown.title, shown.why, shown.steps)
        return Table(title="Steps for a person", headers=("step",), rows=(), empty="shown once the plan is approved")
