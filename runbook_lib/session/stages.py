"""The verbs of each stage: one call per cell, each returning a view of what was seen or done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from runbook_lib.errors import PlanStale, RepairFailed, RunbookError, StageOutOfOrder
from runbook_lib.history import past_incidents
from runbook_lib.history.standings import standings
from runbook_lib.models import (
    Approval,
    Check,
    DeletionResult,
    Diagnosis,
    HaPage,
    Inventory,
    IseServer,
    Outcome,
    PastIncident,
    Plan,
    ReadinessItem,
    Stage,
    Standing,
)
from runbook_lib.pictures.trust import Trusts, trust_as_planned, trust_as_verified
from runbook_lib.session.approving import approve_as_asked, approve_by_form, approve_command
from runbook_lib.session.knowing import show_known, show_unconfirmed
from runbook_lib.session.nexts import stage_to_go_on_with
from runbook_lib.session.post_mortem import WritePostMortem
from runbook_lib.session.runbook import Runbook
from runbook_lib.steps import (
    approval,
    carried_out,
    delete,
    diagnose,
    inventory,
    preflight,
    readd_ise,
    register_ha,
    verify,
)
from runbook_lib.steps.context import Context
from runbook_lib.steps.deciding_ha import HaAction, decide_ha, why_no_readiness
from runbook_lib.steps.expecting import parse_given
from runbook_lib.steps.ha_form import form_rows, secondary_address
from runbook_lib.steps.ha_state import observe_ha, prove_ha
from runbook_lib.steps.history import past_of
from runbook_lib.steps.overriding import overrides_of
from runbook_lib.steps.plan import make_plan
from runbook_lib.steps.targets import targets
from runbook_lib.views import Link, Row, Table, View, pictured, show
from runbook_lib.views.fleet_map import fleet_map
from runbook_lib.views.forms import ApprovalForm
from runbook_lib.views.forms.expecting import Host
from runbook_lib.views.forms.overriding import Unconfirmed
from runbook_lib.views.incidents import incidents


class StartHere(Runbook):
    """Stage 00: is everything reachable, where does this incident stand, what was there before."""

    stage = Stage.START

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._checks: tuple[Check, ...] = ()
        self._problem: RunbookError | None = None

    def preflight(self) -> View[tuple[Check, ...]]:
        """Ask every server whether it answers; changes nothing."""
        found, self._problem = self._run(preflight.preflight(self.context))
        self._checks = found
        return show.checks(found, "Is everything reachable?", "Each line that is not «yes» says what to do.")

    def incidents(self) -> View[tuple[PastIncident, ...]]:
        """Show the other incidents of all sites, newest first."""
        found = self._do(lambda: past_incidents(self.context.records_root))
        return incidents(tuple(one for one in found if one.incident != self.incident))

    def sites(self) -> View[Sequence[Standing]]:
        """Show how every site stands by its newest incident, and whose certificates expire next."""
        root = self.context.records_root
        return fleet_map(self._do(lambda: standings(root, past_incidents(root))), self.context.now())

    def next(self) -> View[str]:
        """Show the notebook with which this incident goes on, and what comes next for each way in which this ends."""
        states = self.context.record.stage_states()
        stage = stage_to_go_on_with(states)
        site, incident = self.context.site.name, self.incident
        rows = [
            ("notebook", Link(stage.value, f"{stage}.ipynb") if stage else "none: every stage is done"),
            ("its state", states[stage] if stage else "-"),
            ("opens by itself", f"site {site}, incident {incident}"),
            ("as a batch job", f"runbook run {site} --incident {incident}"),
        ]
        go_on = Table(title="Go on here", headers=("what", "value"), rows=tuple(Row(cells=cells) for cells in rows))
        return View(self.stage, (go_on, *super().next().tables))

    def _seal(self) -> None:
        if not self._checks:
            raise StageOutOfOrder("The servers were not asked yet", next_step="run this stage's cells in order")
        if self._problem:
            raise self._problem


class DiagnoseLogs(Runbook):
    """Stage 10: which of the three places reports a mismatch, of whom, since when."""

    stage = Stage.DIAGNOSE

    def diagnose(self) -> View[Diagnosis]:
        """Read the logs that the site's file names."""
        return show.diagnosis(self._do(lambda: diagnose.diagnose(self.context)))

    def timeline(self) -> View[Diagnosis]:
        """Draw when the mismatches were reported."""
        return pictured.mismatches_over_time(self._do(lambda: diagnose.recorded_diagnosis(self.context)))


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
        return show.stores(self._run(inventory.take_inventory(self.context, given)))

    def presented(self) -> View[Inventory]:
        """Show what each host presents, and from where it was seen."""
        return show.presented(self._do(lambda: inventory.recorded_inventory(self.context)), datetime.now(UTC))

    def verdicts(self) -> View[Inventory]:
        """Show what is presented compared with what is known by another way."""
        return show.verdicts(self._do(lambda: inventory.recorded_inventory(self.context)))

    def override(self) -> View[tuple[Unconfirmed, ...]]:
        """Show which stale entries nothing confirms, for a person with a form that takes the responsibility."""
        return self._do(lambda: show_unconfirmed(self.context, self._planned()))

    def plan(self) -> View[Plan]:
        """Make the plan and keep it in the record."""
        return show.plan(self._do(self._make_plan))

    def trust(self) -> View[Trusts]:
        """Draw who trusts whom, as far as the plan tells."""
        plan = self._do(self.context.record.read_plan)
        return pictured.trust(trust_as_planned(plan, self._do(lambda: inventory.recorded_inventory(self.context))))

    def _make_plan(self) -> Plan:
        plan = self._planned()
        self.context.record.write_plan(plan)
        return plan

    def _planned(self) -> Plan:
        context = self.context
        return make_plan(
            context.site,
            self.incident,
            diagnose.recorded_diagnosis(context),
            inventory.recorded_inventory(context),
            past_of(context),
            now_utc=context.now(),
            overrides=overrides_of(context.record),
        )


class DeleteStale(Runbook):
    """Stage 30: ask for approval, delete, prove that exactly those are gone."""

    stage = Stage.DELETE

    def __init__(self, context: Context, *, approve: str = "") -> None:
        super().__init__(context)
        self._approve = approve

    def plan(self) -> View[Plan]:
        """Show the plan of stage 20."""
        return show.plan(self._do(self.context.record.read_plan))

    def approval(self) -> View[Approval | None] | ApprovalForm:
        """Show who approved this plan, or a form that asks for it; writes what the parameter ``approve`` gives.

        Never waits: the form's button writes the approval, the next cell reads it.
        """
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: approve_as_asked(self.context, plan, self._approve))
        if found is None and plan.deletions and not plan.blocked:
            return ApprovalForm(plan, partial(approve_by_form, self.context, plan), approve_command(plan))
        return show.approval(found, "This plan may be carried out." if found else "There is nothing to approve.")

    def require_approval(self) -> View[Approval | None]:
        """Raise unless the plan may be carried out."""
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: approval.require_approval(self.context, plan))
        return show.approval(found, "The plan may be carried out." if found else "Nothing is to be deleted.")

    def delete(self) -> View[tuple[DeletionResult, ...]]:
        """CHANGE. Carry out the approved plan; refuses by itself whatever was not approved or has moved."""
        plan = self._do(self.context.record.read_plan)
        return show.deletions(self._run(delete.delete_stale(self.context, plan)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Show expected beside actual for every planned deletion."""
        plan = self._do(self.context.record.read_plan)
        found = self._do(lambda: carried_out.prove_deletions(self.context, plan))
        return show.checks(
            found,
            "Are exactly these gone?",
            "«not known»: listed again, perhaps with the new certificate; stages 40 to 60 tell.",
        )

    def _seal(self) -> None:
        plan = self.context.record.read_plan()
        approval.require_approval(self.context, plan)
        carried_out.require_deletions(self.context, plan)


class RegisterHa(Runbook):
    """Stage 40: readiness, registration with its three milestones, Primary Active on both servers' own word."""

    stage = Stage.REGISTER

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._action: HaAction | None = None
        self._items: tuple[ReadinessItem, ...] = ()
        self._proof: tuple[Check, ...] = ()

    def observe(self) -> View[str]:
        """Show both servers' HA states and what follows from them."""
        self._do(lambda: carried_out.require_carried_out(self.context))
        states = self._run(observe_ha(self.context))
        self._action = self._run(decide_ha(self.context, self._pages))
        table = Table(title="What follows", headers=("decision",), rows=(Row(cells=(self._action,)),))
        return View(str(self._action), (show.ha_states(states), table))

    def form(self) -> View[str]:
        """Show what will be typed into the page, and by whom; the key is named by its reference."""
        site = self.context.site
        rows = tuple(Row(cells=cells) for cells in form_rows(site))
        tables = [Table(title="HA Configuration", headers=("field", "value"), rows=rows)]
        if self._decided() is HaAction.GUIDE:
            guide = self._run(register_ha.guide_of(self.context, self._pages))
            tables.append(show.steps(guide.title, guide.why, guide.steps))
        return View(secondary_address(site), tuple(tables))

    def readiness(self) -> View[tuple[ReadinessItem, ...]]:
        """Press Check Readiness where something is to be registered, and show its table."""
        if self._decided() is HaAction.REGISTER:
            self._items = self._run(register_ha.check_readiness(self.context, self._pages))
        accepted = self.context.site.policy.accept_readiness
        self._do(lambda: register_ha.require_readiness(self._items, accepted))
        return show.readiness(self._items, accepted, why_no_readiness(self._decided(), guided=self._pages.guided))

    def register(self) -> View[HaPage | None]:
        """CHANGE. Register once and watch the three milestones; a registration under way is only watched.

        In guided mode a person does it, and this watches both servers until they report it; it can be interrupted.
        """
        action, self._action = self._decided_now(), None  # it holds for one attempt, an interrupted one too
        return show.ha_page(self._run(register_ha.register(self.context, self._pages, action, self._items)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Ask both servers' command lines."""
        self._proof = self._run(prove_ha(self.context))
        return show.checks(self._proof, "Is high availability up, on both servers' own word?")

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


class ReaddIse(Runbook):
    """Stage 50: the ISE servers are added again and answer."""

    stage = Stage.READD_ISE

    def __init__(self, context: Context) -> None:
        super().__init__(context)
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
        guide = self._run(readd_ise.ise_steps(self.context, self._pages, by_hand))
        return View(found, (table, show.steps(guide.title, guide.why, guide.steps)))

    def _page_says(self, decision: readd_ise.IseDecision) -> str:
        if decision.listed:
            return decision.listed.status
        return "not read" if self._pages.guided else "not listed"

    def readd(self) -> View[tuple[IseServer, ...]]:
        """CHANGE. Add what is missing, replace what does not answer; in guided mode a person does, and this watches."""
        decisions, self._decisions = self._decided(), None  # they hold for one attempt, an interrupted one too
        return show.ise_servers(self._run(readd_ise.readd_ise(self.context, self._pages, decisions)))

    def prove(self) -> View[tuple[Check, ...]]:
        """Ask the page and the primary's store."""
        self._proof = self._run(readd_ise.prove_ise(self.context, self._pages))
        return show.checks(self._proof, "Do the ISE servers answer?")

    def _decided(self) -> tuple[readd_ise.IseDecision, ...]:
        if self._decisions is None:
            self._decisions = self._run(readd_ise.decide_ise(self.context, self._pages))
        return self._decisions

    def _seal(self) -> None:
        require_checks(self._proof, "An ISE server does not answer", needed=bool(self.context.site.ise))


class Verify(Runbook):
    """Stage 60: which facts prove the repair, which do not, and the outcome."""

    stage = Stage.VERIFY

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._checks: tuple[Check, ...] = ()

    def verify(self) -> View[tuple[Check, ...]]:
        """Look at everything again."""
        self._checks = self._run(verify.verify(self.context, self._pages))
        return show.checks(self._checks, "What proves the repair", verify.UNPROVEN)

    def trust(self) -> View[Trusts]:
        """Draw who trusts whom, as far as the checks tell."""
        addresses = {host.name: f"{host.address}:{host.port}" for host in targets(self.context.site)}
        return pictured.trust(trust_as_verified(addresses, self._checks))

    def outcome(self) -> View[Outcome]:
        """Say how this incident ends, and what would keep it from coming back."""
        found = verify.outcome_of(self.context, self._checks)
        mark = "bad" if found is Outcome.FAILED else "good"
        table = Table(
            title="Outcome",
            headers=("outcome", "incident"),
            rows=(Row(cells=(found, self.incident), mark=mark),),
            note=verify.LASTING_REPAIR,
        )
        return View(found, (table,))

    def _seal(self) -> None:
        require_checks(self._checks, "The repair is not proven")
        self.context.record.set_outcome(verify.outcome_of(self.context, self._checks))


def _raise_moved() -> None:
    raise PlanStale(
        "High availability has changed since it was looked at: it is registered now, and broken; nothing was changed",
        next_step="run this notebook again from the top, and read what follows now",
    )


def require_checks(checks: tuple[Check, ...], what: str, *, needed: bool = True) -> None:
    """Raise RepairFailed for a check that is not as expected, StageOutOfOrder where none was made."""
    if not checks and needed:
        raise StageOutOfOrder("This stage has proven nothing yet", next_step="run its cells in order, then close it")
    failed = [check for check in checks if check.ok is False]
    if failed:
        raise RepairFailed(
            what,
            found="\n".join(f"{c.name}: expected {c.expected}, found {c.actual}" for c in failed),
            next_step="see the table above; 10_diagnose_logs says whether a mismatch is left",
        )


_IN_ORDER = (StartHere, DiagnoseLogs, ListCertificates, DeleteStale, RegisterHa, ReaddIse, Verify, WritePostMortem)
STAGES: dict[Stage, type[Runbook]] = {kind.stage: kind for kind in _IN_ORDER}
