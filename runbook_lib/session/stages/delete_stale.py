"""Stage 30: approval, deletion, proof."""

from __future__ import annotations

from runbook_lib.models import (
    Approval,
    Check,
    DeletionResult,
    Stage,
)
from runbook_lib.session.changing import Changing
from runbook_lib.steps import (
    approval,
    carried_out,
    delete,
)
from runbook_lib.views import View, deletion, standing


class DeleteStale(Changing):
    """Stage 30: ask for approval, delete, prove that exactly those are gone."""

    stage = Stage.DELETE

    def require_approval(self) -> View[Approval | None]:
        """Raise unless the plan may be carried out."""
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: approval.require_approval(self.context, plan))
        return deletion.approval(found, "The plan may be carried out." if found else "Nothing needs an approval now.")

    def delete(self) -> View[tuple[DeletionResult, ...]]:
        """CHANGE. Carry out the approved plan; refuses by itself whatever was not approved or has moved."""
        plan = self._do(self.context.record.read_plan)
        return deletion.results(self._run(delete.delete_stale(self.context, plan, self._pages)))

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
