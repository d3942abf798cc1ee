"""What happens between two deletions of one run is seen before the next one is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fault_site import Begin, Case, once_behind_the_first_deletion
from repair_site import StartLab

from runbook_lib.decisions import Plan
from runbook_lib.errors import CertificateMoved, DeletionRefused, PlanStale
from runbook_lib.repair import guard


@pytest.fixture
def after_the_first(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """``after_the_first(act)``: ``act`` is done once the first deletion was read back."""

    return lambda act: once_behind_the_first_deletion(monkeypatch, act)


Arrange = Callable[[Callable[[], object]], None]


def impostors(case: Case) -> None:
    for host in ("primary", "secondary", "ise"):
        case.lab.set_fault("impostor", host, seen_from=("peer",))


@pytest.fixture
def planned(faulty: StartLab, begin: Begin) -> tuple[Case, Plan]:
    case = begin(faulty("renewed"))
    return case, case.make_plan()


def test_an_impostor_that_appears_after_the_first_deletion_gets_none_of_its_own(
    planned: tuple[Case, Plan], after_the_first: Arrange
) -> None:
    """Each host is looked at from all its vantages right before its own entry is deleted: one command, then exit 3."""
    case, plan = planned
    after_the_first(lambda: impostors(case))
    with pytest.raises((CertificateMoved, DeletionRefused)) as refused:
        case.carry_out(plan)
    assert refused.value.exit_code == 3
    assert case.seen().sent == 1
    case.assert_agrees()


def test_without_that_look_the_impostors_entries_would_go(
    planned: tuple[Case, Plan], after_the_first: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof that the test before can fail."""
    case, plan = planned
    checks = tuple(check for check in guard.CHECKS if check is not guard.host_is_confirmed)
    monkeypatch.setattr(guard, "CHECKS", checks)
    after_the_first(lambda: impostors(case))
    case.carry_out(plan)
    assert case.seen().sent == 3


def test_somebody_elses_change_of_a_store_stops_the_next_deletion(
    planned: tuple[Case, Plan], after_the_first: Arrange
) -> None:
    """Two machines do not see each other's lock: what the other one deletes in the store stops this one."""
    case, plan = planned
    other = plan.deletions[1]

    async def delete_by_hand() -> None:
        case.lab._simulation.core.world.delete_entry(other.server, other.key)

    after_the_first(lambda: case.lab._do(delete_by_hand()))
    error = case.refused(PlanStale, 3, lambda: case.carry_out(plan))
    assert "changed by somebody else" in error.what
    assert other.key in error.found
    assert case.seen().sent == 1
