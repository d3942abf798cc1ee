"""What the server does with a deletion: answers that are lost, that lie, and entries that come back by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from direct_pages import direct_pages
from doomed import only_here
from fault_site import LIST, Begin, before_it_is_read_back, deletions
from repair_site import StartLab, run_stage
from waiting import wait_until

from runbook_lib.decisions import Deletion, DeletionResult
from runbook_lib.errors import ApprovalMissing, OutcomeUnknown, RepairFailed, SafetyStop
from runbook_lib.models import Outcome, Stage, StageState

pytestmark = pytest.mark.usefixtures("one_browser")

UNKNOWN = Deletion.NOT_DELETED_OR_CAME_BACK


def results(found: tuple[DeletionResult, ...]) -> dict[tuple[str, str], Deletion]:
    return {(result.server, result.key): result.result for result in found}


def test_a_deletion_that_takes_another_entry_stops_everything(faulty: StartLab, begin: Begin) -> None:
    """Where another entry went than the named one, the run stops at once: exit 1, no further command."""
    case = begin(faulty("renewed"))
    plan = case.make_plan()
    case.lab.set_fault("deletecert_lie", "primary", how="deletes_another")
    error = case.refused(RepairFailed, 1, lambda: case.carry_out(plan))
    assert case.state(Stage.DELETE) is StageState.FAILED
    assert case.seen().sent == 1
    (gone,) = case.seen().deleted
    assert gone[1] in error.found
    case.assert_agrees()
    case.refused(SafetyStop, 3, case.delete_only)
    assert case.seen().sent == 1


def test_an_entry_that_stays_away_is_gone_and_nothing_is_deleted_again(faulty: StartLab, begin: Begin) -> None:
    """Monitors that meet at a registration only: each entry is gone, and the plan once more sends nothing."""
    case = begin(faulty("renewed", monitor_style="on_registration", monitor_interval_s=0.2))
    plan = case.make_plan()
    assert {result.result for result in case.carry_out(plan)} == {Deletion.GONE}
    case.carry_out(plan)
    assert case.seen().sent == len(plan.deletions) == 3
    case.assert_agrees()


def test_an_entry_that_stays_is_told_by_what_follows_and_deleted_by_a_new_plan_only(
    faulty: StartLab, begin: Begin
) -> None:
    """“Done”, and it stays: unknown at first; the registration fails and says so; a new plan and approval repair it."""
    case = begin(faulty("renewed"), pages=True)
    first = case.make_plan()
    case.lab.set_fault("deletecert_lie", "primary", how="done_but_stays", times=1, entry=case.entry("secondary"))
    unknown = {place for place, said in results(case.carry_out(first)).items() if said is UNKNOWN}
    assert unknown == {("primary", case.entry("secondary"))}

    with direct_pages(case.lab):
        case.refused(RepairFailed, 1, lambda: run_stage(Stage.REGISTER, case.site, case.incident))
    assert case.seen().sent == 3

    second = case.make_plan()
    assert deletions(second) == unknown
    case.refused(ApprovalMissing, 3, case.delete_only)
    assert case.seen().sent == 3
    assert set(results(case.carry_out(second)).values()) == {Deletion.GONE}
    assert case.seen().sent == 4
    case.assert_agrees()


def test_an_entry_that_came_back_is_called_repaired_by_the_servers_own_state(
    faulty: StartLab, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor may enter the new certificate before the store is read: unknown, and no second deletion follows.

    It is repaired once both servers' HA state says so; nothing is registered for it.
    """
    lab = faulty("renewed-secondary-only", monitor_style="quick", monitor_interval_s=0.2)

    def no_ise(site: dict[str, Any]) -> None:
        site["ise"] = []

    def is_back() -> bool:
        return case.entry("secondary") in lab.world["servers"]["primary"]["tofu"]

    case = begin(lab, no_ise, pages=True)
    before_it_is_read_back(monkeypatch, lambda: wait_until(is_back, "the monitor, which enters the new certificate"))
    with direct_pages(lab):
        plan = case.make_plan()
        assert [result.result for result in case.carry_out(plan)] == [UNKNOWN]
        case.carry_out(plan)
        for stage in (Stage.REGISTER, Stage.VERIFY):
            run_stage(stage, case.site, case.incident)
    assert case.record.outcome() is Outcome.REPAIRED
    seen = case.seen()
    assert seen.deleted == [("primary", case.entry("secondary"))]
    assert (seen.sent, seen.registered) == (1, [])
    case.assert_agrees()


def test_nothing_is_deleted_without_an_approval_of_this_plan(faulty: StartLab, begin: Begin) -> None:
    """Nothing is deleted on any other approval than one of this very plan.

    No approval, that of an earlier plan, or that of the one who runs it where two are asked for: exit 3.
    """
    case = begin(faulty("renewed"))
    first = case.make_plan()
    error = case.refused(ApprovalMissing, 3, case.delete_only)
    assert f"runbook approve {case.incident} {first.digest}" in error.next_step
    case.open(Stage.DELETE, approve=first.digest).approval()
    case.lab.renew("ise")
    case.write_site()
    second = case.make_plan()
    assert second.digest != first.digest
    case.refused(ApprovalMissing, 3, case.delete_only)

    case.write_site(lambda site: site.update(policy={"second_person": True}))
    case.refused(ApprovalMissing, 3, lambda: case.carry_out(second))
    case.assert_untouched()


def test_a_list_that_cannot_be_read_back_leaves_the_deletion_unknown(
    faulty: StartLab, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command left and the store does not answer afterwards: exit 6, and no further command until it does."""
    case = begin(faulty("renewed"), lambda site: site["deadlines"].update(command_s=1.5))
    only_here(monkeypatch, case.lab, "primary", "silent_command")
    plan = case.make_plan()
    case.lab.set_fault("silent_command", "primary", command=LIST, skip=2)
    case.refused(OutcomeUnknown, 6, lambda: case.carry_out(plan))
    assert case.state(Stage.DELETE) is StageState.UNKNOWN
    assert case.seen().sent == 1
    case.assert_agrees()
    case.lab.clear_fault()
    rest = case.make_plan()
    assert len(rest.deletions) == 2
    case.carry_out(rest)
    assert case.seen().sent == 3
    case.assert_agrees()
