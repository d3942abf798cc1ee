"""A repair that is stopped and goes on, that is run again, and that must not begin."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from direct_pages import DirectPages, direct_pages
from repair_site import StartLab, changes, open_record, repair
from resume_site import assert_no_more_than_approved, entry, quick_site, stale_entries

from runbook_lib.errors import AnswerNotUnderstood, DeletionRefused, RepairFailed, VersionUnsupported
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.observations import HaPage, Milestone

pytestmark = pytest.mark.usefixtures("one_browser")

UP_TO = {stage: tuple(Stage)[: number + 1] for number, stage in enumerate(Stage)}


def test_repair_that_is_stopped_after_any_stage_goes_on_where_it_was(start_lab: StartLab) -> None:
    """Run to 20, to 30, to 40, then whole: one incident, and nothing twice on one approval.

    The logs hold no times, so they do not tell whether an entry that is back at once is the old one: it is offered
    again, and in the lab approved again. Once all is repaired one more run opens a new incident and has nothing to do,
    although the mismatch still stands in the logs.
    """
    lab = start_lab("renewed", log_time="")
    with direct_pages(lab):
        incidents = {repair(lab.site_file, UP_TO[last]).incident for last in (Stage.LIST, Stage.DELETE, Stage.REGISTER)}
        record = repair(lab.site_file)
        seen = changes(lab.truth())
        again = repair(lab.site_file)
    assert incidents == {record.incident}
    assert record.outcome() is Outcome.REPAIRED
    assert (set(seen.deleted), seen.registered, len(seen.ise)) == (set(stale_entries(lab)), ["registered"], 1)
    assert_no_more_than_approved(record, lab)
    assert again.incident != record.incident
    assert again.outcome() is Outcome.NOTHING_TO_DO
    assert changes(lab.truth()) == seen


@pytest.mark.parametrize(("fault", "how"), [("listcerts_garbage", {}), ("listcerts_truncated", {"keep": 170})])
def test_list_that_is_not_understood_is_kept_and_nothing_is_deleted(
    start_lab: StartLab, fault: str, how: dict[str, int]
) -> None:
    """Exit 4; the raw text is in the record, byte for byte, marked as not understood."""
    lab = start_lab("renewed")
    lab.set_fault(fault, "primary", **how)
    with pytest.raises(AnswerNotUnderstood) as stopped:
        repair(lab.site_file)
    record = open_record()
    texts = [path.read_text() for path in record.folder.glob("answers/*listcerts*.txt")]
    assert stopped.value.exit_code == 4
    assert stopped.value.found[:40] in "\n".join(texts)
    assert changes(lab.truth()).nothing


def test_list_that_is_not_understood_after_the_approval_stops_the_deletion(start_lab: StartLab) -> None:
    """The fresh look right before the first deletion counts: an approved plan is not carried out blindly."""
    lab = start_lab("renewed")
    repair(lab.site_file, UP_TO[Stage.LIST])
    lab.set_fault("listcerts_garbage", "secondary")
    with pytest.raises(AnswerNotUnderstood):
        repair(lab.site_file, [Stage.DELETE])
    assert changes(lab.truth()).nothing


def test_older_release_is_not_changed_by_a_stage_that_is_run_alone(start_lab: StartLab) -> None:
    """Whoever leaves out stage 00 meets the same refusal at the deletion."""
    lab = start_lab("renewed", release="3.4.1")
    with pytest.raises(VersionUnsupported):
        repair(lab.site_file, [Stage.DIAGNOSE, Stage.LIST, Stage.DELETE])
    assert changes(lab.truth()).nothing


def test_certificate_that_cannot_be_seen_from_its_own_server_is_not_confirmed(start_lab: StartLab) -> None:
    """Where the only expectation is the vantage self and forwarding is refused, nothing is deleted at all."""
    lab = start_lab("renewed", forwarding=False)
    with pytest.raises(DeletionRefused) as stopped:
        repair(lab.site_file)
    assert stopped.value.exit_code == 3
    assert changes(lab.truth()).nothing


def test_what_the_ha_page_announces_is_no_proof(start_lab: StartLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never takes what `deletecert` printed, or what the HA page announced, for proof that a change worked.

    The page calls the pair active with all milestones at 100 %, and nothing was registered: both servers say so.
    """
    lab = start_lab("healthy", keys="ec")
    assert lab.on_pages("primary", lambda server: server.remove_ha()) is None

    async def announce(*_given: object) -> HaPage:
        bars = tuple(Milestone(name=f"milestone {number}", percent=100) for number in range(3))
        return HaPage(configuration_mode="Primary Active", milestones=bars, read_utc=datetime.now(UTC))

    monkeypatch.setattr(DirectPages, "register", announce)
    monkeypatch.setattr(DirectPages, "watch_registration", announce)
    with direct_pages(lab), pytest.raises(RepairFailed, match="not healthy"):
        repair(quick_site(lab, settle_s=1.0), UP_TO[Stage.REGISTER])
    assert open_record().stage_states()[Stage.REGISTER] is StageState.FAILED


def test_registration_that_fails_as_the_last_one_did_is_told_from_one_that_is_not_known(start_lab: StartLab) -> None:
    """The page shows the old failure's words before and the same after: exit 1, sent once, never called unknown."""
    lab = start_lab("renewed", monitor_style="on_registration")
    repair(lab.site_file, UP_TO[Stage.LIST])
    lab.set_fault("deletecert_lie", "primary", how="done_but_stays", times=1, entry=entry(lab, "secondary"))
    repair(lab.site_file, [Stage.DELETE])
    with pytest.raises(RepairFailed) as failed:
        repair(lab.site_file, [Stage.REGISTER])
    assert "different from what was used earlier" in failed.value.found
    assert len(changes(lab.truth()).registered) == 1
