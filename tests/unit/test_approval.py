"""Approvals: bound to a plan's digest, by a second person where one is asked for, good for one deletion each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from incident_kit import PRIMARYS, SECONDARYS, STALE, Incident
from site_kit import site_with

from runbook_lib.errors import ApprovalMissing, DeletionRefused, ParameterRefused, StageOutOfOrder
from runbook_lib.models import Approval, Deletion, Outcome, Stage, Verdict
from runbook_lib.record import Kind
from runbook_lib.steps.approval import approve, require_approval, same_person
from runbook_lib.steps.history import CONFIRMED_FACTS, Confirmed, deletion_intents, last_known_certificate, past_of

ISE_ENTRY, SECONDARY_ENTRY = ("primary", PRIMARYS[1]), ("primary", PRIMARYS[2])
PRIMARY_ENTRY = ("secondary", SECONDARYS[1])


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return Incident(tmp_path)


def hours(number: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=number)


def left(incident: Incident, *keys: str, last_utc: datetime | None = None) -> set[tuple[str, str]]:
    """What a new plan would delete after the primary's store was left with these entries."""
    incident.list({}, primary=keys)
    plan = incident.write_plan(last_utc=last_utc)
    return {(row.server, row.key) for row in plan.deletions}


# -- one plan --------------------------------------------------------------------------------------


def test_without_an_approval_nothing_may_be_carried_out(incident: Incident) -> None:
    """The error holds the command that gives it, with the whole digest."""
    plan = incident.write_plan()
    with pytest.raises(ApprovalMissing) as caught:
        require_approval(incident.context, plan)
    assert f"runbook approve {plan.incident} {plan.digest} --by" in caught.value.next_step
    assert caught.value.exit_code == 3


def test_an_approval_holds_for_its_plan(incident: Incident) -> None:
    """All deletions of the approved plan may be carried out, also after the same plan was made anew."""
    plan = incident.write_plan()
    assert {(row.server, row.key) for row in plan.deletions} == STALE
    approval = incident.approve(plan)
    assert incident.approved(plan) == approval
    assert incident.approved(incident.write_plan()) == approval


@pytest.mark.parametrize("change", ["an entry more", "an entry less", "another certificate", "another verdict"])
def test_an_approval_holds_for_no_other_plan(incident: Incident, change: str) -> None:
    """Whatever changes the digest before anything was sent needs an approval of its own."""
    incident.approve(incident.write_plan())
    if change == "an entry more":
        incident.list({}, primary=(*PRIMARYS, "198.51.100.7_443"))
    elif change == "an entry less":
        incident.list({}, primary=PRIMARYS[1:])
    elif change == "another certificate":
        incident.list({}, sha={"secondary": "9" * 64})
    else:
        incident.list({"secondary": Verdict.CONFIRMED_CHAIN})
    assert incident.approved(incident.write_plan()) is None


def test_only_a_plan_that_the_record_holds_can_be_approved(incident: Incident) -> None:
    """A digest of no plan, or a part of one, is refused."""
    plan = incident.write_plan()
    for digest in ("0" * 64, plan.digest[:63], plan.digest.upper()):
        with pytest.raises(StageOutOfOrder):
            incident.record.write_approval(Approval(digest=digest, by="Bob", at_utc=hours(0), how="test"))
    assert incident.approved(plan) is None


def test_an_approval_needs_a_name(incident: Incident) -> None:
    """Blanks are no name and nothing is written for them; around a name they are dropped."""
    plan = incident.write_plan()
    with pytest.raises(ParameterRefused, match="needs a name"):
        approve(incident.record, plan.digest, by=" ", how="test")
    assert incident.record.read_approvals() == ()
    assert approve(incident.record, plan.digest, by=" Bob ", how="test").by == "Bob"
    assert incident.approved(plan) == incident.record.read_approvals()[0]


def test_an_approval_of_another_incident_counts_for_nothing(tmp_path: Path, incident: Incident) -> None:
    """The digest is over the incident too, so the same deletions in another incident are another plan."""
    incident.approve(incident.write_plan())
    other = Incident(tmp_path)
    assert other.approved(other.write_plan()) is None


def test_a_file_that_the_journal_does_not_name_is_no_approval(incident: Incident) -> None:
    """An approval that somebody put into the folder by hand is none."""
    plan = incident.write_plan()
    forged = incident.record.folder / "approvals" / f"{plan.digest}.json"
    forged.parent.mkdir(exist_ok=True)
    forged.write_text(f'{{"digest": "{plan.digest}", "by": "Eve", "at_utc": "2026-11-23T12:00:00Z", "how": "hand"}}')
    assert incident.approved(plan) is None


def test_a_blocked_plan_is_refused_though_it_is_approved(tmp_path: Path) -> None:
    """What blocks a plan is not under its digest; the plan is refused all the same."""
    incident = Incident(tmp_path, {"ise": Verdict.CONTRADICTED})
    plan = incident.write_plan()
    incident.approve(plan)
    with pytest.raises(DeletionRefused, match="blocked"):
        require_approval(incident.context, plan)


def test_a_plan_without_deletions_needs_no_approval(incident: Incident) -> None:
    """Nothing to delete, nothing to approve."""
    incident.list({}, primary=(), secondary=())
    assert require_approval(incident.context, incident.write_plan()) is None


# -- a second person -------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["ada@desk", "Ada@Desk", " ada@desk ", "ada", "ADA@elsewhere"])
def test_where_a_second_person_is_asked_for_the_one_who_runs_it_does_not_count(tmp_path: Path, by: str) -> None:
    """The operator's approval, however spelled, does not count; another person's does, whichever came first."""
    incident = Incident(tmp_path, site=site_with(policy={"second_person": True}))
    plan = incident.write_plan()
    incident.approve(plan, by)
    assert incident.approved(plan) is None
    with pytest.raises(ApprovalMissing, match="nobody else has"):
        require_approval(incident.context, plan)
    second = incident.approve(plan, "Bob")
    incident.approve(plan, by)
    assert incident.approved(plan) == second


def test_otherwise_the_one_who_runs_it_may_approve(incident: Incident) -> None:
    """A site that asks for nobody else takes the operator's own approval."""
    plan = incident.write_plan()
    assert incident.approved(plan) is None
    assert incident.approve(plan, "ada@desk") == incident.approved(plan)


PEOPLE = [("bob", "ada@desk", False), ("bob@desk", "ada@desk", False), ("Ada", "ada@desk", True)]


@pytest.mark.parametrize(("one", "other", "same"), PEOPLE)
def test_same_person(one: str, other: str, same: bool) -> None:
    """Two people at one machine are two people."""
    assert same_person(one, other) is same


# -- after an interruption -------------------------------------------------------------------------


@pytest.mark.parametrize("result", [Deletion.GONE, Deletion.NOT_DELETED_OR_CAME_BACK, None])
def test_an_approval_covers_what_an_interruption_left(incident: Incident, result: Deletion | None) -> None:
    """One entry is gone and the run was killed: the plan of the rest has another digest and needs no new approval."""
    approval = incident.approve(incident.write_plan(last_utc=hours(-1)))
    incident.sent(*ISE_ENTRY, result)
    assert left(incident, PRIMARYS[0], PRIMARYS[2], last_utc=hours(-1)) == {SECONDARY_ENTRY, PRIMARY_ENTRY}
    rest = incident.record.read_plan()
    assert rest.digest != approval.digest
    assert incident.approved(rest) == approval


@pytest.mark.parametrize("result", [Deletion.GONE, Deletion.NOT_DELETED_OR_CAME_BACK, None])
def test_an_approval_never_covers_a_second_deletion(incident: Incident, result: Deletion | None) -> None:
    """An entry that is stale again after it was sent, or may have been, needs a new approval, which then holds."""
    incident.approve(incident.write_plan(last_utc=hours(-1)))
    incident.sent(*ISE_ENTRY, result)
    assert ISE_ENTRY in left(incident, *PRIMARYS, last_utc=hours(1))
    again = incident.record.read_plan()
    assert incident.approved(again) is None
    assert incident.approve(again) == incident.approved(again)
    incident.sent(*ISE_ENTRY)
    left(incident, *PRIMARYS, last_utc=hours(2))
    assert incident.approved(incident.record.read_plan()) is None


def test_a_command_that_is_known_not_to_have_left_uses_no_approval_up(incident: Incident) -> None:
    """Where the connection failed before the command, the approval still holds and nothing counts as deleted."""
    approval = incident.approve(incident.write_plan(last_utc=hours(-1)))
    incident.sent(*ISE_ENTRY, Deletion.NOT_SENT)
    assert deletion_intents(incident.record) == {}
    assert past_of(incident.context).sent_here == frozenset()
    again = incident.write_plan(last_utc=hours(-1))
    assert {(row.server, row.key) for row in again.deletions} == STALE
    assert incident.approved(again) == approval


def test_after_an_interruption_an_approval_covers_nothing_more_than_it_named(incident: Incident) -> None:
    """A certificate that changed after the interruption, or an entry that was not in the plan, is not covered."""
    incident.approve(incident.write_plan(last_utc=hours(-1)))
    incident.sent(*ISE_ENTRY)
    incident.list({}, primary=(PRIMARYS[0], PRIMARYS[2]), sha={"secondary": "9" * 64})
    assert incident.approved(incident.write_plan(last_utc=hours(-1))) is None
    incident.list({}, primary=(PRIMARYS[0], PRIMARYS[2], "prime-sec_8082"))
    assert incident.approved(incident.write_plan(last_utc=hours(-1))) is None


def test_an_earlier_approval_covers_nothing_once_its_plan_was_left_behind(incident: Incident) -> None:
    """Approved and not begun, then planned anew with another digest: the old approval is void."""
    incident.approve(incident.write_plan())
    assert left(incident, PRIMARYS[0], PRIMARYS[2]) == {SECONDARY_ENTRY, PRIMARY_ENTRY}
    assert incident.approved(incident.record.read_plan()) is None


# -- what the records say of earlier deletions -------------------------------------------------------


def test_deletions_of_earlier_incidents_settle_their_entries(tmp_path: Path, incident: Incident) -> None:
    """When an entry was deleted is known from every record of the site; only this incident's count as sent here."""
    incident.sent(*ISE_ENTRY)
    later = Incident(tmp_path)
    past = past_of(later.context)
    assert set(past.settled_utc) == {ISE_ENTRY}
    assert past.sent_here == frozenset()
    assert past_of(incident.context).sent_here == {ISE_ENTRY}


def test_the_newest_of_several_deletions_counts(incident: Incident) -> None:
    """An intent after a result that was seen is the newer one."""
    incident.sent(*ISE_ENTRY)
    first = past_of(incident.context).settled_utc[ISE_ENTRY]
    incident.sent(*ISE_ENTRY, None)
    assert past_of(incident.context).settled_utc[ISE_ENTRY] > first
    (last,) = [line for line in incident.record.journal.read().lines if line.kind is Kind.INTENT][1:]
    assert past_of(incident.context).settled_utc[ISE_ENTRY] == last.utc


def test_the_certificate_of_before_is_that_of_the_newest_proven_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proven repair says what was there before, until a later incident deleted something and was not proven."""

    def opened(day: int) -> Incident:
        clock = SimpleNamespace(now=lambda _zone: datetime(2026, 11, day, tzinfo=UTC))
        with monkeypatch.context() as patch:
            patch.setattr("runbook_lib.record.bundle.datetime", clock)
            return Incident(tmp_path)

    first, second, now = opened(1), opened(2), opened(3)
    finish(first, Outcome.REPAIRED, "1" * 64)
    finish(second, Outcome.FAILED, "2" * 64)
    assert last_known_certificate(now.context, "ise") == "1" * 64
    assert last_known_certificate(now.context, "secondary") == ""
    second.sent(*ISE_ENTRY, Deletion.NOT_SENT)
    assert last_known_certificate(now.context, "ise") == "1" * 64
    second.sent(*ISE_ENTRY)
    assert last_known_certificate(now.context, "ise") == ""
    finish(now, Outcome.REPAIRED, "3" * 64)
    assert last_known_certificate(now.context, "ise") == ""
    assert last_known_certificate(opened(4).context, "ise") == "3" * 64


def finish(incident: Incident, outcome: Outcome, ise_sha256: str) -> None:
    """Leave what stage 60 leaves."""
    seen = Confirmed(sha256={"ise": ise_sha256}, at_utc=datetime.now(UTC))
    incident.record.write_facts(Stage.VERIFY, CONFIRMED_FACTS, seen)
    incident.record.set_outcome(outcome)
