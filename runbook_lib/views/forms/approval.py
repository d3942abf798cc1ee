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
        question = Table(
            title=f"Approve the deletion of {count} entries?",
            headers=("server", "entry"),
            rows=tuple(Row(cells=(row.server, row.key)) for row in plan.deletions),
            note=f"Plan {plan.digest}. A deleted entry cannot be restored.",
            whole=("entry",),
        )
        ways = without_form(("on the command line", command), ("as a parameter", f'approve = "{plan.digest}"'))
        said = Said()
        name = text_field("Your name", "as it shall stand in the record")
        reason = text_field("Reason", "for example the change's number")
        press = button(
            f"Approve {count} deletions",
            "Writes the approval into the record; deletes nothing",
            lambda: approve(name.value, reason.value),
            said,
        )
        super().__init__(plan, (question, ways), (name, reason, press, said))
