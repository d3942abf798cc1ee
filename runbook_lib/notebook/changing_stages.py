"""The stages that change something: 30 delete, 40 register HA, 50 add the ISE servers again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from runbook_lib.decisions import Approval, DeletionResult, Plan
from runbook_lib.errors import DecisionNeeded, ParameterRefused, PlanStale, RepairFailed, StageOutOfOrder
from runbook_lib.models import Stage
from runbook_lib.notebook.runbook import Runbook, T, sign_of
from runbook_lib.observations import Check, HaPage, ListedIseServer, ReadinessItem
from runbook_lib.repair import approval, deletion, guard, ha, ise, planned_changes
from runbook_lib.repair.approval import approval_command, approval_of, approve, approve_as_asked
from runbook_lib.repair.confirmation import plan_guidance
from runbook_lib.repair.context import Context
from runbook_lib.repair.ha import HaAction, decide_ha, why_no_readiness
from runbook_lib.repair.ha_state import form_rows, prove_ha
from runbook_lib.repair.primary_pages import Guide
from runbook_lib.show import tables
from runbook_lib.show.document import Row, Table
from runbook_lib.show.forms import ApprovalForm, Form, ProductionForm
from runbook_lib.show.rendering import View

# -- An approval that is given in the notebook


def approve_by_form(context: Context, shown: Plan, name: str, reason: str) -> str:
    """Write the approval of the plan that the form shows, once, and return the sentence to say.

    Raises PlanStale where the record holds a newer plan, which the person has not seen, and ParameterRefused.
    """
    newest = context.record.read_plan()
    if newest.digest != shown.digest:
        raise PlanStale(
            "There is a newer plan than the one that this form shows; nothing was approved",
            where=f"incident {shown.incident}",
            found=f"shown  {shown.digest}\nnewest {newest.digest}",
            next_step="run the cells of this notebook again from the top, and look at the newer plan",
        )
    already = approval_of(context, newest)
    if already:
        return f"{already.by} has approved this plan already; nothing was written. Run this cell again, then the next."
    if context.site.policy.second_person:
        raise ParameterRefused(
            "This site asks for a second person, and this form is filled in by the account that runs the stage",
            where=f"incident {shown.incident}",
            found="nothing was approved",
            next_step="let somebody else approve it from an account of their own, with a key that is trusted here:"
            f" {approval_command(newest)} --by NAME",
        )
    approve(context.record, newest.digest, by=name, how="the form in the notebook", reason=reason)
    return f"Approved by {name.strip()}. Run this cell again, then the next."


# -- What the stages that change something have in common: the plan, and who approved it -----------


class Changing(Runbook):
    """A stage that changes something by the incident's plan; ``approve`` is its digest, or empty."""

    _proof: tuple[Check, ...] = ()

    def __init__(self, context: Context, *, approve: str = "") -> None:
        super().__init__(context)
        self._approve = approve

    def production(self, name: str) -> str:
        """Note that a person has given the real site's name, as the form before its first change does."""
        return guard.name_site(self.context, name)

    def _do(self, act: Callable[[], T], *, begins: bool = True, verb: str = "") -> T:
        try:
            return super()._do(act, begins=begins, verb=verb)
        except DecisionNeeded as error:
            if error.names_site:
                sign = sign_of(self.context.site)
                show(ProductionForm(sign.site, sign.servers, partial(guard.name_site, self.context)))
            raise

    def plan(self) -> View[Plan]:
        """Show the plan of stage 20; raises ``StageOutOfOrder`` where there is none."""
        plan = self._do(self.context.record.read_plan)
        return tables.plan(plan, *plan_guidance(self.context.record, plan))

    def approval(self) -> View[Approval | None] | ApprovalForm:
        """Show who approved this plan, or a form that asks for it; writes what the parameter ``approve`` gives.

        Never waits: the form's button writes the approval, the next cell reads it.
        """
        needed = self._needs_approval()
        if not needed and not self._approve:
            return tables.approval(None, "There is nothing to approve.")
        plan = self._do(self.context.record.read_plan)
        given = self._do(lambda: approve_as_asked(self.context, plan, self._approve))
        if given is None and needed and not plan.blocked:
            return ApprovalForm(
                plan,
                partial(approve_by_form, self.context, plan),
                f"{approval_command(plan)} --by NAME",
                lambda: _shown(approval_of(self.context, plan)),
            )
        return _shown(given)

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
            return tables.steps(shown.title, shown.why, shown.steps)
        return Table(title="Steps for a person", headers=("step",), rows=(), empty="shown once the plan is approved")


def _shown(approval: Approval | None) -> View[Approval | None]:
    return tables.approval(approval, "This plan may be carried out." if approval else "There is nothing to approve.")


def show(form: Form[Any]) -> None:
    """Show a form above the error that is going to be raised."""
    from IPython.display import display

    display(form)  # type: ignore[no-untyped-call]


# -- What a stage has to have proven before it may be called done ----------------------------------


def require_checks(checks: tuple[Check, ...], what: str, *, needed: bool = True) -> None:
    """Raise RepairFailed for a check that is not as expected, StageOutOfOrder where none was made."""
    if not checks and needed:
        raise StageOutOfOrder("This stage has proven nothing yet", next_step="run its cells in order, then close it")
    failed = [check for check in checks if check.ok is False]
    if failed:
        raise RepairFailed(
            what,
            found="\n".join(f"{check.name}: expected {check.expected}, found {check.actual}" for check in failed),
            next_step="see the table above; 10_diagnose_logs says whether a mismatch is left",
        )


# -- Stage 30: approval, deletion, proof -----------------------------------------------------------


class DeleteStale(Changing):
    """Stage 30: ask for approval, delete, prove that exactly those are gone."""

    stage = Stage.DELETE

    def approval(self) -> View[Approval | None] | ApprovalForm:
        """Show who approved this plan; raise where nobody did, below a form that asks for it."""
        shown = super().approval()
        if isinstance(shown, ApprovalForm):
            show(shown)
        plan = self._do(self.context.record.read_plan)
        self._do(lambda: approval.require_approval(self.context, plan))
        return shown

    def delete(self) -> View[tuple[DeletionResult, ...]]:
        """CHANGE. Carry out the approved plan, and return what became of each entry.

        Refuses by itself whatever was not approved or has moved. The command is published, what it prints is not
        (docs/product-facts.md): what the server lists afterwards decides.
        """
        plan = self._do(self.context.record.read_plan)
        return tables.results(self._run(deletion.delete_stale(self.context, plan, self._pages)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Show expected beside actual for every planned deletion."""
        plan = self._do(self.context.record.read_plan)
        checks = self._do(lambda: planned_changes.prove_deletions(self.context, plan))
        return tables.checks(
            checks,
            "Are exactly these gone?",
            "“not known”: listed again, perhaps with the new certificate; stages 40 to 60 find out.",
        )

    def _seal(self) -> None:
        plan = self.context.record.read_plan()
        approval.require_approval(self.context, plan)
        planned_changes.require_deletions(self.context, plan)


# -- Stage 40: high availability is registered, and both servers say so ----------------------------


class RegisterHa(Changing):
    """Stage 40: readiness, registration with its three milestones, Primary Active on both servers' own word."""

    stage = Stage.REGISTER
    _action: HaAction | None = None
    _items: tuple[ReadinessItem, ...] = ()

    def observe(self) -> View[str]:
        """Show both servers' HA states, what follows from them, and what will be typed into the page.

        The page and its fields are published, the states are recalled (docs/product-facts.md).
        """
        self._do(lambda: planned_changes.require_carried_out(self.context))
        self._action, states = self._run(decide_ha(self.context, self._pages))
        table = Table(title="What follows", headers=("decision",), rows=(Row(self._action),))
        return View(str(self._action), (table, tables.ha_states(states), *self._typed()))

    def _typed(self) -> Iterator[Table]:
        """Yield what will be typed into the page, and by whom; the key is named by its reference."""
        rows = tuple(Row(*cells) for cells in form_rows(self.context.site))
        yield Table(title="HA Configuration", headers=("field", "value"), rows=rows)
        if self._decided() is HaAction.GUIDE:
            yield self._steps(lambda: self._run(ha.guide_of(self.context, self._pages)))

    def readiness(self) -> View[tuple[ReadinessItem, ...]]:
        """Press Check Readiness where something is to be registered, and return the items of its table.

        Raises where one is not good, unless the site's file accepts it. The items, and that a failed one does not
        block *Register*, are recalled (docs/product-facts.md).
        """
        if self._decided() is HaAction.REGISTER:
            self._items = self._run(ha.check_readiness(self.context, self._pages))
        accepted = self.context.site.policy.accept_readiness
        self._do(lambda: ha.require_readiness(self._items, accepted))
        return tables.readiness(self._items, accepted, why_no_readiness(self._decided(), guided=self._pages.guided))

    def register(self) -> View[HaPage | None]:
        """CHANGE. Register once and watch the three milestones, each in percent; one under way is only watched.

        The button and the milestones are published, how long they take is recalled (docs/product-facts.md).
        In guided mode a person does it, and this watches both servers until they report it; it can be interrupted.
        """
        action = self._decided_now()
        self._action = None  # it holds for one attempt, an interrupted one too
        return tables.ha_page(self._run(ha.register(self.context, self._pages, action, self._items)), action)

    def prove(self) -> View[tuple[Check, ...]]:
        """Ask both servers' command lines, whose form is recalled (docs/product-facts.md), and return the checks."""
        self._proof = self._run(prove_ha(self.context))
        return tables.checks(self._proof, "Is high availability up, as both servers report it?")

    def _needs_approval(self) -> bool:
        return self._decided() not in (HaAction.NOTHING, HaAction.WATCH)

    def _decided(self) -> HaAction:
        if self._action is None:
            self._action, _ = self._run(decide_ha(self.context, self._pages))
        return self._action

    def _decided_now(self) -> HaAction:
        """Return what is to be done; to register is decided again, since a person may have looked hours ago."""
        if self._action is not HaAction.REGISTER:
            return self._decided()
        now, _ = self._run(decide_ha(self.context, self._pages))
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


# -- Stage 50: the ISE servers are listed and answer -----------------------------------------------


class ReaddIse(Changing):
    """Stage 50: the ISE servers are added again and answer."""

    stage = Stage.READD_ISE
    _decisions: tuple[ise.IseDecision, ...] | None = None

    def observe(self) -> View[tuple[ise.IseDecision, ...]]:
        """Show what the ISE Servers page lists and what follows per ISE server of the site."""
        decisions = self._decided()
        table = Table(
            title="ISE servers of the site",
            headers=("name", "address", "what the page says", "what follows"),
            rows=tuple(Row(each.name, each.address, self._page_says(each), each.action) for each in decisions),
            empty="the site has no ISE server",
        )
        by_hand = [each.name for each in decisions if each.action is ise.IseAction.GUIDE]
        if not by_hand:
            return View(decisions, (table,))
        steps = self._steps(lambda: self._run(ise.ise_steps(self.context, self._pages, by_hand)))
        return View(decisions, (table, steps))

    def _page_says(self, decision: ise.IseDecision) -> str:
        if decision.listed:
            return decision.listed.status
        return "not read" if self._pages.guided else "not listed"

    def readd(self) -> View[tuple[ListedIseServer, ...]]:
        """CHANGE. Add what is missing, replace what does not answer, and return what the page lists then.

        In guided mode a person does, and this watches. The page and its menu are published (docs/product-facts.md).
        """
        decisions = self._decided()
        self._decisions = None  # they hold for one attempt, an interrupted one too
        listed = self._run(ise.readd_ise(self.context, self._pages, decisions))
        return tables.ise_servers(listed, read=not self._pages.guided)

    def prove(self) -> View[tuple[Check, ...]]:
        """Ask the page and the primary's store, and return a check for each ISE server."""
        self._proof = self._run(ise.prove_ise(self.context, self._pages))
        return tables.checks(self._proof, "Do the ISE servers answer?")

    def _needs_approval(self) -> bool:
        return any(each.action in ise.CHANGING for each in self._decided())

    def _decided(self) -> tuple[ise.IseDecision, ...]:
        if self._decisions is None:
            self._decisions = self._run(ise.decide_ise(self.context, self._pages))
        return self._decisions

    def _seal(self) -> None:
        require_checks(self._proof, "An ISE server does not answer", needed=bool(self.context.site.ise))
