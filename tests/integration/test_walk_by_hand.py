"""A repair walked cell by cell, as a person does it in a notebook: what the record says of each attempt at a stage."""

from __future__ import annotations

import pytest
from repair_site import StartLab, changes, run_stage
from resume_site import QUICK_LAB, quick_site, run_changing_stages

from runbook_lib.errors import ApprovalMissing, ExpectationInvalid, StageOutOfOrder
from runbook_lib.models import Stage, StageState
from runbook_lib.notebook.changing_stages import approve_by_form
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.show.report import post_mortem

pytestmark = pytest.mark.usefixtures("one_browser")


def test_the_approval_is_given_between_two_runs_of_one_cell(start_lab: StartLab) -> None:
    """Red, form, the same cell again, delete, close twice: the report says who approved what, and in which attempt."""
    lab = start_lab(**QUICK_LAB)
    site = quick_site(lab, "production")
    with pytest.raises(ApprovalMissing):
        run_changing_stages(site)
    rb = open_runbook("30_delete_stale_certificates", site=str(site))
    with pytest.raises(ApprovalMissing):
        rb.approval()  # type: ignore[attr-defined]
    with pytest.raises(StageOutOfOrder, match="ended red"):
        rb.close()
    approve_by_form(rb.context, rb.context.record.read_plan(), "Ada Example", "looked at")
    for verb in ("approval", "delete", "prove", "close", "close"):
        getattr(rb, verb)()
    record: Record = rb.context.record
    found = post_mortem(record.folder)
    own = [row for row in found.stages if row.stage == Stage.DELETE]
    assert [row.state for row in own] == [StageState.STOPPED, StageState.STOPPED, StageState.DONE]
    assert [row.changes for row in own] == [(), (), tuple(change.number for change in found.changes)]
    assert len(found.changes) == len(changes(lab.truth()).deleted) == 3
    assert not [sentence for sentence in found.unproven if "nobody" in sentence]
    assert "approved by Ada Example" in " ".join(found.summary)
    ended = [line for line in record.journal.read().lines if line.kind is Kind.STAGE_ENDED]
    assert [line.seen for line in ended if line.stage == Stage.DELETE] == ["stopped", "stopped", "done"]


def test_a_stage_is_not_done_while_a_cell_was_red(start_lab: StartLab) -> None:
    """Stage 20 whose expectation is refused is not closed as done, whatever cell is run meanwhile.

    Run again it goes on in another attempt.
    """
    lab = start_lab(**QUICK_LAB)
    site = quick_site(lab)
    run_stage(Stage.DIAGNOSE, site)
    rb = open_runbook("20_list_certificates", site=str(site), expect="nobody=sha256:00")
    with pytest.raises(ExpectationInvalid):
        rb.inventory()  # type: ignore[attr-defined]
    rb.expectations()  # type: ignore[attr-defined]
    with pytest.raises(StageOutOfOrder, match="ended red"):
        rb.close()
    assert rb.context.record.stage_states()[Stage.LIST] is StageState.STOPPED
    rb._expect = ""
    for verb in ("inventory", "plan", "close"):
        getattr(rb, verb)()
    assert rb.context.record.stage_states()[Stage.LIST] is StageState.DONE
    assert rb.context.record.earlier_ends() == {Stage.LIST: (StageState.FAILED, StageState.STOPPED)}
    assert "attempts before" in repr(rb)
