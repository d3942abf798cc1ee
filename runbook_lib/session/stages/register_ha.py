"""Stage 40: high availability is registered, and both servers say so."""

from __future__ import annotations

from runbook_lib.errors import PlanStale
from runbook_lib.models import (
    Check,
    HaPage,
    ReadinessItem,
    Stage,
)
from runbook_lib.session.changing import Changing
from runbook_lib.session.stages.proof import require_checks
from runbook_lib.steps import (
    carried_out,
    register_ha,
)
from runbook_lib.steps.context import Context
from runbook_lib.steps.deciding_ha import HaAction, decide_ha, why_no_readiness
from runbook_lib.steps.ha_form import form_rows, secondary_address
from runbook_lib.steps.ha_state import observe_ha, prove_ha
from runbook_lib.views import Row, Table, View, standing


class RegisterHa(Changing):
    """Stage 40: readiness, registration with its three milestones, Primary Active on both servers' own word."""

    stage = Stage.REGISTER

    def __init__(self, context: Context, *, approve: str = "") -> None:
        super().__init__(context, approve=approve)
        self._action: HaAction | None = None
        self._items: tuple[ReadinessItem, ...] = ()
        self._proof: tuple[Check, ...] = ()

    def observe(self) -> View[str]:
        """Show both servers' HA states and what follows from them."""
        self._do(lambda: carried_out.require_carried_out(self.context))
        states = self._run(observe_ha(self.context))
        self._action = self._run(decide_ha(self.context, self._pages))
        table = Table(title="What follows", headers=("decision",), rows=(Row(cells=(self._action,)),))
        return View(str(self._action), (standing.ha_states(states), table))

    def form(self) -> View[str]:
        """Show what will be typed into the page, and by whom; the key is named by its reference."""
        site = self.context.site
        rows = tuple(Row(cells=cells) for cells in form_rows(site))
        tables = [Table(title="HA Configuration", headers=("field", "value"), rows=rows)]
        if self._decided() is HaAction.GUIDE:
            tables.append(self._steps(lambda: self._run(register_ha.guide_of(self.context, self._pages))))
        return View(secondary_address(site), tuple(tables))

    def readiness(self) -> View[tuple[ReadinessItem, ...]]:
        """Press Check Readiness where something is to be registered, and show its table."""
        if self._decided() is HaAction.REGISTER:
            self._items = self._run(register_ha.check_readiness(self.context, self._pages))
        accepted = self.context.site.policy.accept_readiness
        self._do(lambda: register_ha.require_readiness(self._items, accepted))
        return standing.readiness(self._items, accepted, why_no_readiness(self._decided(), guided=self._pages.guided))

    def register(self) -> View[HaPage | None]:
        """CHANGE. Register once and watch the three milestones; a registration under way is only watched.

        In guided mode a person does it, and this watches both servers until they report it; it can be interrupted.
        """
        action, self._action = self._decided_now(), None  # it holds for one attempt, an interrupted one too
        return standing.ha_page(self._run(register_ha.register(self.context, self._pages, action, self._items)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Ask both servers' command lines."""
        self._proof = self._run(prove_ha(self.context))
        return standing.checks(self._proof, "Is high availability up, on both servers' own word?")

    def _needs_approval(self) -> bool:
        return self._decided() not in (HaAction.NOTHING, HaAction.WATCH)

    def _decided(self) -> HaAction:
        if self._action is None:
            self._action = self._run(decide_ha(self.context, self._pages))
        return self._action

    def _decided_now(self) -> HaAction:
        """Return what is to be done; to register is decided again, since a person may have looked hours ago."""
        if self._action is not HaAction.REGISTER:
            return self._decided()
        now = self._run(decide_ha(self.context, self._pages))
        if now is HaAction.REMOVE:
            self._action = None
            self._do(_raise_moved)
        return now

    def _seal(self) -> None:
        require_checks(self._proof, "High availability is not healthy")


def _raise_moved() -> None:
    raise PlanStale(
        "High availability has changed since it was looked at: it is registered now, and broken; nothing was changed",
        next_step="run this notebook again from the top, and read what follows now",
    )
