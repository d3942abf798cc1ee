"""Stage 20: what is stored, what is presented, the verdicts and the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from runbook_lib.models import (
    Inventory,
    Plan,
    Stage,
)
from runbook_lib.pictures.trust import Trusts, trust_as_planned
from runbook_lib.session.knowing import show_known, show_unconfirmed
from runbook_lib.session.runbook import Runbook
from runbook_lib.steps import (
    diagnose,
    inventory,
)
from runbook_lib.steps.context import Context
from runbook_lib.steps.expecting import parse_given
from runbook_lib.steps.means import lacking
from runbook_lib.steps.plan import plan_of
from runbook_lib.steps.ways_out import ways_out_of
from runbook_lib.views import View, deletion, findings, pictured
from runbook_lib.views.forms.expecting import Host
from runbook_lib.views.forms.overriding import Unconfirmed


class ListCertificates(Runbook):
    """Stage 20: both stores, what each host presents now, the verdicts, the plan."""

    stage = Stage.LIST

    def __init__(self, context: Context, *, expect: str = "") -> None:
        super().__init__(context)
        self._expect = expect

    def expectations(self) -> View[tuple[Host, ...]]:
        """Show what is known of each host by another way, for a person with a form that takes more."""
        return self._do(lambda: show_known(self.context))

    def inventory(self) -> View[Inventory]:
        """Look at everything once; shows both TOFU lists."""
        given = self._do(lambda: parse_given(self._expect, self.context.site))
        return findings.stores(self._run(inventory.take_inventory(self.context, given)))

    def presented(self) -> View[Inventory]:
        """Show what each host presents, and from where it was seen."""
        return findings.presented(self._do(lambda: inventory.recorded_inventory(self.context)), datetime.now(UTC))

    def verdicts(self) -> View[Inventory]:
        """Show what is presented compared with what is known by another way."""
        return findings.verdicts(self._do(lambda: inventory.recorded_inventory(self.context)))

    def override(self) -> View[tuple[Unconfirmed, ...]]:
        """Show which stale entries nothing confirms, for a person with a form that takes the responsibility."""
        return self._do(lambda: show_unconfirmed(self.context, self._planned()))

    def plan(self) -> View[Plan]:
        """Make the plan and keep it in the record."""
        plan = self._do(self._make_plan)
        return deletion.plan(plan, ways_out_of(self.context.record, plan))

    def trust(self) -> View[Trusts]:
        """Draw who trusts whom, as far as the plan tells."""
        plan = self._do(self.context.record.read_plan)
        return pictured.trust(trust_as_planned(plan, self._do(lambda: inventory.recorded_inventory(self.context))))

    def _make_plan(self) -> Plan:
        plan = self._planned()
        if plan.needs_approval:
            plan = replace(plan, blocked=(*plan.blocked, *lacking(self.context, plan)))
        self.context.record.write_plan(plan)
        return plan

    def _planned(self) -> Plan:
        context = self.context
        return plan_of(context, diagnose.recorded_diagnosis(context), inventory.recorded_inventory(context))
