"""What stages 40 and 50 may change, planned before the first deletion; how far a plan was carried out, and proven."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from runbook_lib.decisions import ChangeKind, Decision, Deletion, DeletionResult, Override, Plan, PlannedChange, PlanRow
from runbook_lib.device.answers import StateKind
from runbook_lib.errors import PlanStale, RepairFailed, StageOutOfOrder, cut
from runbook_lib.models import PI_SERVERS, HaStatus, Inventory, Judgement, Stage, Verdict
from runbook_lib.observations import Check, Diagnosis
from runbook_lib.params.model import IseServer, Site
from runbook_lib.record.journal import About, LineTopic
from runbook_lib.record.stages import is_of_plan
from runbook_lib.repair.confirmation import accepted_of
from runbook_lib.repair.context import Context, target_of
from runbook_lib.repair.ha_state import REGISTRATION, form_rows, ha_states_in_words, kinds_of, served_by_secondary
from runbook_lib.repair.inventory import DIAGNOSIS_FACTS
from runbook_lib.repair.sent_changes import (
    ChangeHistory,
    change_history,
    deletion_intents,
    facts_or,
    recorded_deletions,
)
from runbook_lib.repair.staleness import End, Staleness

# Whether high availability comes back by itself, and what the ISE Servers page says, is known only after the
# deletions. So a change is planned with the condition under which it is made: what turns out not to be needed is
# not done, and what is needed and does not stand here is not done either, but planned anew.

NEW_PLAN = "look at it again and make a new plan: 20_list_certificates"
REMOVAL = About(topic=LineTopic.REMOVE_HA)
REMOVAL_MEANS = (
    "removing it ends replication: the secondary then holds no copy, no server takes over if the primary fails,"
    " and the whole database is replicated again, half an hour to hours"
)
_REGISTERING_MEANS = (
    "the primary keeps serving; its whole database is replicated to the secondary, half an hour to hours, and"
    " replaces what the secondary holds"
)
_ADDING_MEANS = "nothing that works: Prime Infrastructure gets on with this ISE server only once it answers"
_REGISTER_IF = "where both servers do not report high availability as healthy after the deletions"
_REMOVE_IF = "where the registration stays broken after the deletions, and the secondary does not serve"
_READD_IF = "added where the page does not list it, replaced where it is listed and does not answer, else left alone"
_WHY_REGISTER = {
    "not registered": "high availability is not registered",
    "registered and not healthy": "the pair does not work now; it may recover once the stale entries are gone",
    "healthy": "a stale entry of a peer is deleted; the pair may not come back by itself",
    "sent already": "a registration was sent and its end was not seen: it is watched, and this applies once it is over",
    "not known": "what the servers say of high availability is not understood",
}


def adding(name: str) -> About:
    """Return adding this ISE server, as the journal knows it."""
    return About(topic=LineTopic.ADD_ISE, name=name)


def removing(name: str) -> About:
    """Return removing this ISE server from the list, so that it can be added again."""
    return About(topic=LineTopic.REMOVE_ISE, name=name)


def about_change(change: PlannedChange) -> About:
    """Return the change as the journal knows it when it is sent; this is what its attempts are counted by."""
    if change.kind is ChangeKind.READD_ISE:
        return adding(change.target)
    return REMOVAL if change.kind is ChangeKind.REMOVE_HA else REGISTRATION


def changes_of(
    site: Site, inventory: Inventory, rows: Sequence[PlanRow], past: ChangeHistory, overrides: tuple[Override, ...]
) -> tuple[PlannedChange, ...]:
    """Return what may be changed after the deletions of ``rows``, in the order in which it is."""
    deleted = {row.target for row in rows if row.decision is Decision.DELETE}

    def confirmed(target: str) -> str:
        return _confirmed(inventory.judgement(target), accepted_of(site, overrides, target))

    ha = _ha_changes(site, inventory.ha, deleted, past, confirmed("secondary"))
    return (*ha, *(_readd(server, rows, past, confirmed(server.name)) for server in site.ise))


def settings_of(site: Site, kind: ChangeKind, target: str) -> tuple[tuple[str, str], ...]:
    """Return the fields that this change types as the site's file has them now, secrets by their references."""
    if kind is ChangeKind.REGISTER_HA:
        return form_rows(site)
    if kind is ChangeKind.REMOVE_HA:
        return ()
    return _ise_settings(next(each for each in site.ise if each.name == target))


def _ise_settings(server: IseServer) -> tuple[tuple[str, str], ...]:
    return (("Server Address", server.address), ("User Name", server.user), ("Password", server.password.source))


def attempt(past: ChangeHistory, what: About) -> int:
    """Return which attempt the next sending of a change is: each one needs a plan, and so an approval, of its own."""
    return 1 + past.sent_changes.get(what, 0)


def _confirmed(judgement: Judgement, accepted: frozenset[str]) -> str:
    """Return the certificate that the host must still show; nothing where the plan confirms none."""
    if judgement.facts is None:
        return ""
    sha256 = judgement.facts.sha256
    overridden = judgement.verdict is Verdict.UNCONFIRMED and sha256 in accepted
    return sha256 if judgement.verdict.accepted or overridden else ""


def _ha_changes(
    site: Site, states: Sequence[HaStatus], deleted: set[str], past: ChangeHistory, confirmed: str
) -> tuple[PlannedChange, ...]:
    state = "sent already" if REGISTRATION in past.pending_changes else _state(site, states)
    if served_by_secondary(states) or (state == "healthy" and not deleted & set(PI_SERVERS)):
        return ()
    seen = ha_states_in_words(states)
    change = partial(
        PlannedChange, server="primary", target="secondary", rests_on=state, confirmed_sha256=confirmed, seen=seen
    )
    register = change(
        kind=ChangeKind.REGISTER_HA,
        condition=_REGISTER_IF,
        reason=_WHY_REGISTER[state],
        interrupts=_REGISTERING_MEANS,
        settings=settings_of(site, ChangeKind.REGISTER_HA, "secondary"),
        attempt=attempt(past, REGISTRATION),
        expected=state == "not registered",
    )
    if not site.policy.remove_broken_ha or state == "not registered":
        return (register,)
    remove = change(
        kind=ChangeKind.REMOVE_HA,
        condition=_REMOVE_IF,
        reason="the site's file allows it (policy: remove_broken_ha)",
        interrupts=REMOVAL_MEANS,
        attempt=attempt(past, REMOVAL),
    )
    return (remove, register)


def _state(site: Site, states: Sequence[HaStatus]) -> str:
    """Return the states by their meaning, as far as the plan depends on them: a flapping pair is one that is broken."""
    kinds = kinds_of(site, states)
    if len(kinds) < len(PI_SERVERS) or StateKind.UNKNOWN in kinds:
        return "not known"
    if set(kinds) == {StateKind.HEALTHY}:
        return "healthy"
    return "not registered" if kinds[0] is StateKind.NOT_CONFIGURED else "registered and not healthy"


def _readd(server: IseServer, rows: Sequence[PlanRow], past: ChangeHistory, confirmed: str) -> PlannedChange:
    decisions = {row.decision for row in rows if row.target == server.name}
    if Decision.DELETE in decisions:
        rests_on, reason = "its entry is deleted", "once its stale entry is gone, it may answer again by itself"
    elif decisions:
        rests_on, reason = "its entry stays", "nothing says that it does not work; its page is read in stage 50"
    else:
        rests_on, reason = "no entry for it", "the primary holds no certificate for it; its page is read in stage 50"
    return PlannedChange(
        kind=ChangeKind.READD_ISE,
        server="primary",
        target=server.name,
        condition=_READD_IF,
        rests_on=rests_on,
        reason=reason,
        interrupts=_ADDING_MEANS,
        settings=_ise_settings(server),
        confirmed_sha256=confirmed,
        attempt=attempt(past, adding(server.name)),
    )


def planned_change(context: Context, kind: ChangeKind, target: str) -> PlannedChange:
    """Return the change as the newest plan has it; raises PlanStale where it has none, StageOutOfOrder with no plan."""
    plan = context.record.read_plan()
    change = next((each for each in plan.changes if (each.kind, each.target) == (kind, target)), None)
    if change is None:
        raise stale_plan(plan, f"{kind} ({target})", "is not in the plan")
    return change


def stale_plan(plan: Plan, what: str, why: str, found: str = "") -> PlanStale:
    """Return the error for a change by a plan that no longer fits, or never held it."""
    return PlanStale(
        f"{what} {why}; nothing was changed",
        where=f"incident {plan.incident}, plan {plan.digest}",
        found=found,
        next_step=NEW_PLAN,
    )


def sent_already(plan: Plan, what: str) -> PlanStale:
    """Return the error for a change that its approval allowed once, and that was sent or may have been."""
    return stale_plan(plan, what, "was already sent on this plan; one approval does not allow it twice")


# -- How far a plan has been carried out, by the incident's record, and the proof that it was ------


def results_of(context: Context, plan: Plan) -> tuple[DeletionResult, ...]:
    """Return what became of this plan's deletions so far, an interrupted run's included.

    They stand behind the plan in the journal, by its order: a clock may have been set back since the plan was made.
    """
    lines = context.record.journal.read().lines
    made = max((line.n for line in lines if is_of_plan(line) and line.seen == plan.digest), default=len(lines) + 1)
    return recorded_deletions(context.record)[len(recorded_deletions(context.record, before=made)) :]


def unsent(context: Context, plan: Plan) -> tuple[PlanRow, ...]:
    """Return the plan's deletions that were not sent yet."""
    done = sent_places(context, plan)
    return tuple(row for row in plan.deletions if row.place not in done)


def unsent_changes(context: Context, plan: Plan) -> tuple[PlannedChange, ...]:
    """Return what stages 40 and 50 may still do by this plan: each attempt of a change is in one plan only."""
    past = change_history(context)
    return tuple(each for each in plan.changes if attempt(past, about_change(each)) == each.attempt)


def sent_places(context: Context, plan: Plan) -> set[tuple[str, str]]:
    """Return server and entry of the plan's deletions that were sent."""
    return {result.place for result in results_of(context, plan)}


def require_carried_out(context: Context) -> None:
    """Raise StageOutOfOrder where the incident has a plan whose deletions were not all sent."""
    try:
        plan = context.record.read_plan()
    except StageOutOfOrder:
        return
    missing = unsent(context, plan)
    if missing:
        raise StageOutOfOrder(
            "The incident's plan is not carried out yet",
            where=f"incident {plan.incident}",
            found="\n".join(f"{row.server}: {row.command}" for row in missing),
            next_step="run 30_delete_stale_certificates first",
        )


def prove_deletions(context: Context, plan: Plan) -> tuple[Check, ...]:
    """Return expected beside actual for every planned deletion, as the stores said it."""
    results = {result.place: result for result in results_of(context, plan)}
    checks = []
    for row in plan.deletions:
        result = results.get(row.place)
        seen = result.result if result else Deletion.NOT_SENT
        ok = {Deletion.GONE: True, Deletion.NOT_DELETED_OR_CAME_BACK: None}.get(seen, False)
        name = f"{row.server}: {row.key}"
        checks.append(Check(name=name, expected=Deletion.GONE, actual=seen, ok=ok, note=row.command))
    return tuple(checks)


def require_deletions(context: Context, plan: Plan) -> None:
    """Raise RepairFailed unless every planned deletion was sent and changed nothing else."""
    failed = [check for check in prove_deletions(context, plan) if check.ok is False]
    if failed:
        raise RepairFailed(
            "Not every planned deletion was carried out",
            where=f"incident {plan.incident}",
            found="\n".join(f"{check.name}: {check.actual}" for check in failed),
            next_step="run the change cell of this stage, or make a new plan (20_list_certificates)",
        )


# -- Deletions that were sent and that nobody saw happen: what the logs say of them, before anything rests on them.
#
# The entry is listed after the command: it is the old one, or it is back already with the new certificate. The list
# holds no fingerprint and does not tell. Mismatches newer than the look at the store mean the old one; a pair that
# talks, or a mismatch that came in regularly and stays away, means the new one; everything else is not known.

_OFFER_AGAIN = (
    "if the server's answer asks for something, such as a restart of its services, do that first. Then make a new plan:"
    " 20_list_certificates; it offers the deletion again, for a new approval"
)


def ends_of_deletions(
    context: Context, diagnosis: Diagnosis, inventory: Inventory, *, earlier: bool = False
) -> dict[tuple[str, str], End]:
    """Return what became of each deletion of this incident that nobody saw happen, by server and entry.

    One whose entry is not listed any more is not among them: it is gone. With ``earlier`` those of the site's other
    incidents are among them.
    """
    past = change_history(context)
    places = past.undecided.keys() if earlier else past.sent_here & past.undecided.keys()
    stale = Staleness(context.site, diagnosis, inventory, past)
    intents, nothing = deletion_intents(context.record), Diagnosis(mismatches=())
    ends = {}
    for server, key in places:
        for entry in inventory.store(server).entries:
            target = target_of(context.site, server, entry)
            if entry.key == key and target:
                sent = intents[server, key].n if (server, key) in intents else 0
                before = facts_or(context.record, Stage.DIAGNOSE, DIAGNOSIS_FACTS, Diagnosis, nothing, before=sent)
                ends[server, key] = stale.end_of(server, entry, target, inventory.judgement(target.name), before)
    return ends


def require_none_goes_on(context: Context, ends: dict[tuple[str, str], End]) -> None:
    """Raise RepairFailed where newer mismatches prove that an entry is not what its host presents."""
    left = sorted(place for place, end in ends.items() if end is End.DID_NOT_HAPPEN)
    if left:
        said = {each.place: cut(" ".join(each.said.split()), 300) for each in recorded_deletions(context.record)}
        found = [f"{server}: {key}: listed, and newer mismatches name its subject" for server, key in left]
        found += [f"answer of the {server}: {said[server, key]}" for server, key in left if said.get((server, key))]
        raise RepairFailed(
            "A deletion was sent and its mismatch continues: it did not happen, or the certificate has changed again",
            found="\n".join(found),
            next_step=_OFFER_AGAIN,
        )
