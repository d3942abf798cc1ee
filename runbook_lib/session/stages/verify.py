"""Stage 60: what proves the repair, and how the incident ends."""

from __future__ import annotations

from runbook_lib.models import (
    Check,
    Outcome,
    Stage,
)
from runbook_lib.pictures.trust import Trusts, trust_as_verified
from runbook_lib.session.runbook import Runbook
from runbook_lib.session.stages.proof import require_checks
from runbook_lib.steps import (
    verify,
)
from runbook_lib.steps.context import Context
from runbook_lib.steps.targets import targets
from runbook_lib.views import Row, Table, View, pictured, standing


class Verify(Runbook):
    """Stage 60: which facts prove the repair, which do not, and the outcome."""

    stage = Stage.VERIFY

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._checks: tuple[Check, ...] = ()

    def verify(self) -> View[tuple[Check, ...]]:
        """Look at everything again."""
        self._checks = self._run(verify.verify(self.context, self._pages))
        return standing.checks(self._checks, "What proves the repair", verify.UNPROVEN)

    def trust(self) -> View[Trusts]:
        """Draw who trusts whom, as far as the checks tell."""
        addresses = {host.name: f"{host.address}:{host.port}" for host in targets(self.context.site)}
        return pictured.trust(trust_as_verified(addresses, self._checks))

    def outcome(self) -> View[Outcome]:
        """Say how this incident ends, and what would keep it from coming back."""
        found = verify.outcome_of(self.context, self._checks)
        mark = "bad" if found in (Outcome.FAILED, Outcome.UNKNOWN) else "good"
        table = Table(
            title="Outcome",
            headers=("outcome", "incident"),
            rows=(Row(cells=(found, self.incident), mark=mark),),
            note=verify.LASTING_REPAIR,
        )
        return View(found, (table,))

    def _seal(self) -> None:
        require_checks(self._checks, "The repair is not proven")
        found = verify.outcome_of(self.context, self._checks)
        self.context.record.set_outcome(found, verify.undecided(self._checks))
