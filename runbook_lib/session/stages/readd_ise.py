"""Stage 50: the ISE servers are listed and answer."""

from __future__ import annotations

from runbook_lib.models import (
    Check,
    IseServer,
    Stage,
)
from runbook_lib.session.changing import Changing
from runbook_lib.session.stages.proof import require_checks
from runbook_lib.steps import (
    readd_ise,
)
from runbook_lib.steps.context import Context
from runbook_lib.views import Row, Table, View, standing


class ReaddIse(Changing):
    """Stage 50: the ISE servers are added again and answer."""

    stage = Stage.READD_ISE

    def __init__(self, context: Context, *, approve: str = "") -> None:
        super().__init__(context, approve=approve)
        self._decisions: tuple[readd_ise.IseDecision, ...] | None = None
        self._proof: tuple[Check, ...] = ()

    def observe(self) -> View[tuple[readd_ise.IseDecision, ...]]:
        """Show what the ISE Servers page lists and what follows per ISE server of the site."""
        found = self._decided()
        table = Table(
            title="ISE servers of the site",
            headers=("name", "address", "what the page says", "what follows"),
            rows=tuple(Row(cells=(d.name, d.address, self._page_says(d), d.action)) for d in found),
            empty="the site has no ISE server",
        )
        by_hand = [d.name for d in found if d.action is readd_ise.IseAction.GUIDE]
        if not by_hand:
            return View(found, (table,))
        steps = self._steps(lambda: self._run(readd_ise.ise_steps(self.context, self._pages, by_hand)))
        return View(found, (table, steps))

    def _page_says(self, decision: readd_ise.IseDecision) -> str:
        if decision.listed:
            return decision.listed.status
        return "not read" if self._pages.guided else "not listed"

    def readd(self) -> View[tuple[IseServer, ...]]:
        """CHANGE. Add what is missing, replace what does not answer; in guided mode a person does, and this watches."""
        decisions, self._decisions = self._decided(), None  # they hold for one attempt, an interrupted one too
        return standing.ise_servers(self._run(readd_ise.readd_ise(self.context, self._pages, decisions)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Ask the page and the primary's store."""
        self._proof = self._run(readd_ise.prove_ise(self.context, self._pages))
        return standing.checks(self._proof, "Do the ISE servers answer?")

    def _needs_approval(self) -> bool:
        return any(d.action in readd_ise.CHANGING for d in self._decided())

    def _decided(self) -> tuple[readd_ise.IseDecision, ...]:
        if self._decisions is None:
            self._decisions = self._run(readd_ise.decide_ise(self.context, self._pages))
        return self._decisions

    def _seal(self) -> None:
        require_checks(self._proof, "An ISE server does not answer", needed=bool(self.context.site.ise))
