"""One approval for the whole roll-up, or for single sites of it: ordinary approvals in each site's own record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runbook_lib.errors import ParameterRefused, RunbookError
from runbook_lib.fleet.planning import newest_rollup
from runbook_lib.fleet.rollup import PlannedSite, Rollup
from runbook_lib.fleet.round import STAGE, Round
from runbook_lib.record import Kind, Record
from runbook_lib.steps.approval import approve, approver


@dataclass(frozen=True, kw_only=True)
class Approved:
    """Which sites the approval covers, and which not, and why."""

    covered: tuple[PlannedSite, ...]
    not_covered: Mapping[str, str]


def approve_rollup(round_: Round, digest: str, *, by: str, reason: str = "", only: Iterable[str] = ()) -> Approved:
    """Approve the newest roll-up of a round by its digest; ``only``: these sites of it, empty for all.

    Each covered site gets an approval in its own record, bound to the digest of its plan and naming the roll-up. A site
    whose newest plan is another one by now is not covered. Raises ParameterRefused without a name, with another digest
    than the roll-up's, or for a site that is not in it.
    """
    by = approver(by)
    rollup = newest_rollup(round_)
    if rollup is None or rollup.digest != digest:
        raise ParameterRefused(
            "This is not the digest of the round's newest roll-up; nothing was approved",
            where=f"round {round_.incident}",
            found=f"given   {digest}\nroll-up {rollup.digest if rollup else 'none'}",
            next_step="look at the roll-up (runbook fleet status) and approve it with its own digest",
        )
    wanted = _wanted(rollup, tuple(only))
    covered: list[PlannedSite] = []
    not_covered: dict[str, str] = {}
    for each in wanted:
        why = _approve(round_, rollup, each, by=by, reason=reason)
        if why:
            not_covered[each.site] = why
        else:
            covered.append(each)
            round_.journal.append(Kind.APPROVED, stage=STAGE, server=each.site, expected=each.plan, seen=by)
    return Approved(covered=tuple(covered), not_covered=not_covered)


def _wanted(rollup: Rollup, only: tuple[str, ...]) -> tuple[PlannedSite, ...]:
    unknown = [name for name in only if rollup.site(name) is None]
    if unknown:
        why = {each.site: each.why for each in rollup.not_planned}
        raise ParameterRefused(
            "The roll-up holds no plan of these sites; nothing was approved",
            found="\n".join(f"{name}: {why.get(name, 'no site of this round')}" for name in unknown),
            next_step="approve sites that are in it; settle what blocks the others and plan again",
        )
    return tuple(each for each in rollup.sites if not only or each.site in only)


def _approve(round_: Round, rollup: Rollup, each: PlannedSite, *, by: str, reason: str) -> str:
    """Write one site's approval; return why not, where its plan is not the planned one any more."""
    try:
        record = Record.open(round_.root, each.incident)
        newest = record.read_plan()
        if newest.digest != each.plan:
            return f"its newest plan is another one: {newest.digest}"
        if newest.needs_approval:
            how = f"runbook fleet approve, round {round_.incident}, roll-up {rollup.digest}"
            approve(record, each.plan, by=by, how=how, reason=reason)
    except RunbookError as error:
        return f"{type(error).__name__}: {error.what}"
    return ""
