"""The approval of a plan: a person gives a name and a reason, the machine compares the digest."""

from __future__ import annotations

from collections.abc import Callable

from runbook_lib.models import Plan
from runbook_lib.views.forms.base import Form, Said, button, text_field, without_form
from runbook_lib.views.rows import Row, Table


class ApprovalForm(Form[Plan]):
    """Asks for a name and a reason. ``value`` is the plan that is shown above it.

    ``approve`` is called with both, writes the approval and returns the sentence to show.
    """

    def __init__(self, plan: Plan, approve: Callable[[str, str], str], command: str) -> None:
        count = len(plan.deletions)
        deletions = tuple(Row(cells=(row.server, f"delete {row.key}", "now")) for row in plan.deletions)
        others = tuple(
            Row(cells=(change.server, f"{change.kind}: {change.target}", change.condition)) for change in plan.changes
        )
        asked = f"Approve the deletion of {count} entries, and what the later stages may do?"
        question = Table(
            title=asked if others else f"Approve the deletion of {count} entries?",
            headers=("server", "change", "when"),
            rows=(*deletions, *others),
            note=f"Plan {plan.digest}. A deleted entry cannot be restored.",
            whole=("change",),
        )
        ways = without_form(("on the command line", command), ("as a parameter", f'approve = "{plan.digest}"'))
        said = Said()
        name = text_field("Your name", "as it shall stand in the record")
        reason = text_field("Reason", "for example the change's number")
        press = button(
            "Approve this plan",
            "Writes the approval into the record; changes nothing",
            lambda: approve(name.value, reason.value),
            said,
        )
        super().__init__(plan, (question, ways), (name, reason, press, said))
