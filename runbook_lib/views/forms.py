"""Forms in a notebook: a button writes, the next cell reads; no cell waits, and no secret goes through a widget."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets

from runbook_lib.errors import RunbookError
from runbook_lib.models import Plan
from runbook_lib.views.table import Row, Table, View

WIDE = {"width": "36em"}


class ApprovalForm(View[Plan]):
    """Asks for a name and a reason; the machine compares the digest. ``value`` is the plan.

    ``approve`` writes the approval and returns the sentence to show; what it raises is shown as
    advice. Beside the widgets there is always a table that names the command that does the same.
    """

    widget: ipywidgets.VBox
    _approve: Callable[[str, str], str]

    def __init__(self, plan: Plan, approve: Callable[[str, str], str], command: str) -> None:
        table = Table(
            title=f"Approve the deletion of {len(plan.deletions)} entries?",
            headers=("how", "what"),
            rows=(
                Row(cells=("with the form", "give your name and a reason, press the button, run the next cell")),
                Row(cells=("on the command line", command)),
                Row(cells=("as a parameter", f'approve = "{plan.digest}"')),
            ),
            note="A deleted entry cannot be restored.",
        )
        super().__init__(plan, (table,))
        # The dataclass is frozen; the widgets are no part of its value.
        object.__setattr__(self, "_approve", approve)
        object.__setattr__(self, "widget", self._build())

    def _build(self) -> ipywidgets.VBox:
        name = ipywidgets.Text(description="Your name", placeholder="as it shall stand in the record", layout=WIDE)
        reason = ipywidgets.Text(description="Reason", placeholder="for example the change's number", layout=WIDE)
        button = ipywidgets.Button(
            description=f"Approve {len(self.value.deletions)} deletions",
            tooltip="Writes the approval into the record; deletes nothing",
            layout=WIDE,
        )
        said = ipywidgets.HTML()

        def press(_: Any) -> None:
            try:
                said.value = f"<b>{escape(self._approve(name.value, reason.value))}</b>"
            except RunbookError as error:
                said.value = f"<pre>{escape(str(error))}</pre>"

        button.on_click(press)
        return ipywidgets.VBox([name, reason, button, said])

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.widget._repr_mimebundle_(**options) or {}
        return {**bundle, "text/html": self._repr_html_(), "text/plain": self.text()}
