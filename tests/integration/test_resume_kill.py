"""``kill -9`` at the lines of the journal: the stages run again reach the same end, and delete nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from long_way import LONG
from repair_site import run_stage
from resume_site import (
    QUICK_LAB,
    Mortal,
    add_ise,
    assert_no_more_than_approved,
    assert_record_is_true,
    entry,
    free_lock_left_behind,
    mortal_process,
    pinned_right,
    quick_site,
    run_changing_stages,
    seen_gone,
    sent_deletions,
    stale_entries,
)
from waiting import wait_until

from runbook_lib import paths
from runbook_lib.decisions import Deletion
from runbook_lib.errors import ApprovalMissing, SiteLocked
from runbook_lib.lab import Lab
from runbook_lib.models import Stage
from runbook_lib.record.incident import Record, find_open
from runbook_lib.record.lock import holder_of
from runbook_lib.repair.sent_changes import NOT_SEEN, recorded_deletions

pytestmark = pytest.mark.usefixtures("one_browser")

MOST_ROUNDS = 3
LINES_OF_A_DELETION = 8  # its intent, the answer and what it means, sent, the list and what it means, result, facts
LINES_BEFORE = 46


def places_to_die() -> list[tuple[int, int]]:
    """(so many intents, so many lines after the last of them): every one, or those that differ most."""
    if LONG:
        in_deletions = [(number, line) for number in (1, 2, 3) for line in range(LINES_OF_A_DELETION + 1)]
        return [(0, line) for line in range(1, LINES_BEFORE)] + in_deletions
    return [(0, 27), (1, 1), (1, 3), (1, 6), (1, 7), (2, 0), (2, 5), (3, 0), (3, 7)]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Mortal]:
    with mortal_process() as process:
        yield process


@pytest.fixture(autouse=True)
def _own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))


@pytest.mark.parametrize(("intents", "lines"), places_to_die())
def test_run_killed_at_a_line_is_finished_by_the_next_and_deletes_nothing_twice(
    tmp_path: Path, mortal: Mortal, intents: int, lines: int
) -> None:
    """It never sends a change twice on one approval.

    Whatever was on disk by then: over all runs one deletion command per stale entry, a second one only where nobody saw
    the first one happen, by a plan and an approval of its own; and the right pins.
    """
    with Lab(tmp_path / "lab", **QUICK_LAB) as lab:
        # The login to the pages is tried before the first deletion: these die before it, and with the pages open.
        site = quick_site(lab, web="driven" if intents in (0, 3) else "guided")
        assert mortal.run(site, intents=intents, lines=lines) in (-9, 0)
        assert_record_is_true(the_record(), lab)
        free_lock_left_behind()
        for _ in range(MOST_ROUNDS):
            run_changing_stages(site)
            if add_ise(lab) is None:
                break
        wait_until(lambda: pinned_right(lab), "the right certificates in the stores")
        assert set(sent_deletions(lab)) == set(stale_entries(lab))
        again = {place for place, count in sent_deletions(lab).items() if count > 1}
        assert not again & seen_gone(the_record())
        assert_no_more_than_approved(the_record(), lab)
        assert_record_is_true(the_record(), lab)


def test_deletion_that_may_not_have_left_is_offered_again_for_an_approval_of_its_own(
    tmp_path: Path, mortal: Mortal
) -> None:
    """No monitor meets the ISE server, so silence proves nothing: the old lines still count, the old approval does not.

    A run that goes on by itself stops at the approval; with it the entry is deleted once, and ISE can be added.
    """
    with Lab(tmp_path / "lab", **QUICK_LAB) as lab:
        ise = ("primary", entry(lab, "ise"))
        assert mortal.run(quick_site(lab, web="guided"), intents=1, lines=0) == -9
        free_lock_left_behind()
        assert [change.text for change in the_record().pending_changes()] == [ise[1]]
        with pytest.raises(ApprovalMissing):
            run_changing_stages(quick_site(lab, "production", "guided"))
        record = the_record()
        assert sent_deletions(lab)[ise] == 0
        (result,) = [r for r in recorded_deletions(record) if (r.server, r.key) == ise]
        assert (result.result, result.said) == (Deletion.NOT_DELETED_OR_CAME_BACK, NOT_SEEN)
        assert not record.pending_changes()
        assert ise in {(row.server, row.key) for row in record.read_plan().deletions}
        assert "its result is not known; it is offered again" in " ".join(record.read_plan().notes)
        assert "different from what was used earlier" in str(add_ise(lab))
        run_changing_stages(quick_site(lab, web="guided"))
        assert sent_deletions(lab)[ise] == 1
        assert_no_more_than_approved(the_record(), lab)
        assert add_ise(lab) is None


def test_mismatch_that_was_logged_while_the_command_was_on_its_way_does_not_count(
    tmp_path: Path, mortal: Mortal
) -> None:
    """The intent is older than such a line and the deletion newer: only lines after the next look call it stale."""
    with Lab(tmp_path / "lab", command_delay_s=0.25, **(QUICK_LAB | {"monitor_interval_s": 0.1})) as lab:
        site = quick_site(lab, web="guided")
        assert mortal.run(site, intents=2, lines=2) == -9
        free_lock_left_behind()
        run_changing_stages(site)
        assert sent_deletions(lab) == dict.fromkeys(stale_entries(lab), 1)


def test_entry_that_is_stale_again_is_not_deleted_on_the_approval_of_before(tmp_path: Path, mortal: Mortal) -> None:
    """Its intent was on disk when the run was killed, so a person has to approve once more before it may be sent."""
    with Lab(tmp_path / "lab", **QUICK_LAB) as lab:
        assert mortal.run(quick_site(lab, web="guided"), intents=2, lines=0) == -9
        free_lock_left_behind()
        before = sent_deletions(lab)
        with pytest.raises(ApprovalMissing):
            run_changing_stages(quick_site(lab, "production", "guided"))
        deletions = {(row.server, row.key) for row in the_record().read_plan().deletions}
        assert deletions == {("primary", entry(lab, "secondary")), ("secondary", entry(lab, "primary"))}
        assert sent_deletions(lab) == before


def test_stage_30_alone_goes_on_after_a_kill_and_leaves_out_what_may_have_been_sent(
    tmp_path: Path, mortal: Mortal
) -> None:
    """Who runs only the deletions again needs no new plan: the rest of it is sent, the interrupted one is not."""
    with Lab(tmp_path / "lab", **QUICK_LAB) as lab:
        site = quick_site(lab, web="guided")
        assert mortal.run(site, intents=2, lines=2) == -9
        free_lock_left_behind()
        digest = the_record().read_plan().digest
        run_stage(Stage.DELETE, site)
        assert the_record().read_plan().digest == digest
        assert sent_deletions(lab) == dict.fromkeys(stale_entries(lab), 1)


def test_killed_run_keeps_the_site_until_its_holder_is_named(tmp_path: Path, mortal: Mortal) -> None:
    """The next run is refused before any command, by who held the lock and how to free it."""
    with Lab(tmp_path / "lab", **QUICK_LAB) as lab:
        site = quick_site(lab, web="guided")
        assert mortal.run(site, intents=1, lines=0) == -9
        holder = holder_of("lab")
        assert holder
        with pytest.raises(SiteLocked, match="the run that took it is gone") as refused:
            run_stage(Stage.DELETE, site)
        assert f"runbook unlock lab --holder {holder.id}" in refused.value.next_step
        assert not sent_deletions(lab)


def the_record() -> Record:
    incident = find_open(paths.records_dir(), "lab")
    assert incident
    return Record.open(paths.records_dir(), incident)
