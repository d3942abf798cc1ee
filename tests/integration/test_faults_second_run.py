"""A run that went wrong, and the run after it: repaired, with at most one deletion per entry and approval."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from doomed import only_here
from fault_site import LIST, Begin
from repair_site import DELETE, StartLab, run_stage

from runbook_lib.errors import RunbookError
from runbook_lib.models import Outcome, Stage

GONE_WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "the connection died before the deletion": ("reset_before", {"command": DELETE, "times": 1}),
    "the connection died after the deletion": ("reset_after", {"command": DELETE, "times": 1}),
    "the answer never came": ("silent_command", {"command": DELETE, "times": 1}),
    "the server lied": ("deletecert_lie", {"how": "done_but_stays", "times": 1}),
    "the list could not be read back": ("silent_command", {"command": LIST, "skip": 2, "times": 1}),
}


@pytest.mark.parametrize("way", GONE_WRONG)
def test_the_run_after_one_that_went_wrong_repairs(
    faulty: StartLab, begin: Begin, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever became of the first deletion: it is proven by what follows, or offered again for a new approval."""

    def quick(site: dict[str, Any]) -> None:
        site["ise"] = []
        site["deadlines"] |= {"command_s": 2.0, "quiet_s": 1.0}

    case = begin(faulty("renewed-secondary-only", monitor_style="quick", monitor_interval_s=0.1), quick)
    fault, settings = GONE_WRONG[way]
    only_here(monkeypatch, case.lab, "primary", fault)
    plan = case.make_plan()
    case.lab.set_fault(fault, "primary", **settings)
    with suppress(RunbookError):
        case.carry_out(plan)
        run_stage(Stage.REGISTER, case.site, case.incident)
    case.lab.clear_fault()
    first = case.seen().sent

    again = case.make_plan()
    if again.deletions:
        case.carry_out(again)
    for stage in (Stage.REGISTER, Stage.VERIFY):
        run_stage(stage, case.site, case.incident)

    assert first == 1
    assert case.seen().sent == first + len(again.deletions)
    assert case.record.outcome() is Outcome.REPAIRED
    case.assert_agrees()
