"""How far a plan has been carried out, by the incident's record, and the proof that it was."""

from __future__ import annotations

from runbook_lib.errors import RepairFailed, StageOutOfOrder
from runbook_lib.models import Check, Deletion, DeletionResult, Plan, PlannedChange, PlanRow
from runbook_lib.steps.context import Context
from runbook_lib.steps.history import past_of, recorded_deletions
from runbook_lib.steps.planned import attempt, words_of


def results_of(context: Context, plan: Plan) -> tuple[DeletionResult, ...]:
    """Return what became of this plan's deletions so far, an interrupted run's included."""
    return tuple(result for result in recorded_deletions(context.record) if result.sent_utc >= plan.made_utc)


def unsent(context: Context, plan: Plan) -> tuple[PlanRow, ...]:
    """Return the plan's deletions that were not sent yet."""
    done = sent_places(context, plan)
    return tuple(row for row in plan.deletions if (row.server, row.key) not in done)


def unsent_changes(context: Context, plan: Plan) -> tuple[PlannedChange, ...]:
    """Return what stages 40 and 50 may still do by this plan: each attempt of a change is in one plan only."""
    past = past_of(context)
    return tuple(each for each in plan.changes if attempt(past, words_of(each)) == each.attempt)


def place_of(row: PlanRow) -> tuple[str, str]:
    """Return which server, and which entry of its store."""
    return (row.server, row.key)


def sent_places(context: Context, plan: Plan) -> set[tuple[str, str]]:
    """Return server and entry of the plan's deletions that were sent."""
    return {(result.server, result.key) for result in results_of(context, plan)}


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
    results = {(result.server, result.key): result for result in results_of(context, plan)}
    checks = []
    for row in plan.deletions:
        result = results.get((row.server, row.key))
        seen = result.result if result else Deletion.NOT_SENT
        ok = {Deletion.GONE: True, Deletion.NOT_DELETED_OR_CAME_BACK: None}.get(seen, False)
        checks.append(
            Check(name=f"{row.server}: {row.key}", expected=Deletion.GONE, actual=seen, ok=ok, note=row.command)
        )
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
