"""Approvals: bound to a plan's digest, by a second person where one is asked for, good for one deletion each."""

from __future__ import annotations

import asyncio
import errno
import os
from base64 import b64encode
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from incident_kit import PRIMARYS, SECONDARYS, STALE, Incident
from site_kit import site_with

from runbook_lib import secrets
from runbook_lib.cli.plans import approved_by, waits_for_approval
from runbook_lib.decisions import Approval, ChangeKind, Deletion, Plan, canonical_json
from runbook_lib.errors import (
    ApprovalMissing,
    DeletionRefused,
    ParameterRefused,
    PlanStale,
    RecordNotWritable,
    StageOutOfOrder,
)
from runbook_lib.models import Outcome, Stage, Verdict
from runbook_lib.processes import ProcessName, account, host
from runbook_lib.record import signing
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.files import plain_json_value
from runbook_lib.record.journal import About, Kind, LineTopic
from runbook_lib.record.signing import (
    PAYLOAD_TYPE,
    PUBLIC,
    SEEN,
    TYPE,
    key_id,
    new_key,
    note_seen,
    pae,
    signed_approval,
    signer_of,
    signing_key,
    trusted_keys,
)
from runbook_lib.redactor import Redactor
from runbook_lib.repair.approval import (
    LAB,
    Judge,
    approval_naming,
    approve,
    approve_as_asked,
    refused_approvals,
    require_approval,
    same_person,
)
from runbook_lib.repair.guard import ChangeRequest, not_sent_before
from runbook_lib.repair.sent_changes import (
    CONFIRMED_FACTS,
    DELETION_FACTS,
    ConfirmedCertificates,
    Undecided,
    about_deletion,
    change_history,
    deletion_intents,
    interrupted_deletions,
    last_known_certificates,
    recorded_deletions,
    unseen_changes,
)
from runbook_lib.show import tables
from runbook_lib.show.document import DOUBT
from runbook_lib.show.forms import ApprovalForm

ISE_ENTRY, SECONDARY_ENTRY = ("primary", PRIMARYS[1]), ("primary", PRIMARYS[2])
PRIMARY_ENTRY = ("secondary", SECONDARYS[1])
HEALTHY = ("Primary Active", "Secondary Syncing")


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the keys of the one who runs it: no key yet."""
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys"))
    return tmp_path / "keys"


def colleague(keys: Path, name: str = "bob") -> Ed25519PrivateKey:
    """The private key of somebody whose public key is trusted here."""
    folder = keys.parent / name
    if not folder.exists():
        new_key(folder)
        keys.mkdir(mode=0o700, exist_ok=True)
        (keys / f"{name}.pub.pem").write_bytes((folder / PUBLIC).read_bytes())
    key = signing_key(folder)
    assert key
    return key


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


def test_one_entry_is_one_entry(incident: Incident) -> None:
    """A plan with one deletion does not delete “1 entries”."""
    incident.list({}, primary=PRIMARYS[:2], secondary=SECONDARYS[:1])
    with pytest.raises(ApprovalMissing, match="The plan deletes 1 entry and"):
        require_approval(incident.context, incident.write_plan())


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


@pytest.mark.parametrize("verdict", [Verdict.CONTRADICTED, Verdict.UNSTABLE])
def test_whoever_approves_is_told_of_another_certificate_that_was_met(incident: Incident, verdict: Verdict) -> None:
    """It may be gone at the next look: the plan tells of it, and an approval from before counts no longer."""
    plan = incident.write_plan()
    incident.approve(plan)
    about = About(topic=LineTopic.CERTIFICATE, name="192.0.2.20:8082", seen=verdict)
    incident.record.journal.append(Kind.OBSERVED, server="secondary", seen=f"{verdict}: not the CSR's", text=about)
    assert incident.approved(plan) is None
    assert f"(secondary: {verdict})" in refused_approvals(incident.context, plan)[0]
    assert (approved_by(incident.record, plan), waits_for_approval(incident.record, plan)) == ("not yet", True)
    again = incident.write_plan()
    assert (again.digest, plan.notes) == (plan.digest, incident.record.read_plan().notes[1:])
    newest = incident.record.read_plan()
    form = ApprovalForm(newest, lambda by, reason: "", "runbook approve", lambda: tables.approval(None, ""))
    for shown in (tables.plan(newest), form):  # above the rows, and above the button
        assert shown.tables[0].title == "Know this before you approve"
        assert f"UTC: {verdict}: not the CSR's; find out" in str(shown.tables[0].rows[0].cells[0])
        assert shown.tables[0].rows[0].mark == DOUBT
    assert incident.approve(again) == incident.approved(again)
    incident.list({"secondary": verdict})
    assert not any("find out" in note for note in incident.write_plan().notes)  # its row says it


@pytest.mark.parametrize("ahead", [True, False])
def test_no_clock_that_is_set_lets_an_approval_be_used_again(incident: Incident, ahead: bool) -> None:
    """What was sent after it is told by the journal's order or by its time; and the refusal says what that was."""
    plan = incident.write_plan()
    if ahead:
        incident.approve(plan, "Ann", at_utc=hours(25))
    incident.sent(*ISE_ENTRY, Deletion.NOT_DELETED_OR_CAME_BACK)
    again = incident.write_plan()
    assert ISE_ENTRY in {(row.server, row.key) for row in again.deletions}
    if not ahead:
        incident.approve(again, "Ann", at_utc=hours(-1))
    context = replace(incident.context, now=lambda: hours(30))
    with pytest.raises(ApprovalMissing) as caught:
        require_approval(context, again)
    assert caught.value.what.endswith("no approval of it counts")
    assert caught.value.found == f"the approval by Ann does not count: {': '.join(ISE_ENTRY)} was sent after it"
    change = next(row for row in again.deletions if (row.server, row.key) == ISE_ENTRY)
    request = ChangeRequest(
        plan=again, change=change, what=about_deletion(change.key), approval=incident.record.read_approvals()[0]
    )
    with pytest.raises(PlanStale, match="already sent"):
        asyncio.run(not_sent_before(context, request))


def test_a_host_that_is_unstable_at_every_look_undoes_no_approval(incident: Incident) -> None:
    """Whoever approved has seen it; one that was confirmed in between, and is unstable again, is news."""

    def look(verdict: Verdict) -> None:
        about = About(topic=LineTopic.CERTIFICATE, name="192.0.2.31:443", seen=verdict)
        incident.record.journal.append(Kind.OBSERVED, server="ise2", seen=verdict, text=about)

    look(Verdict.UNSTABLE)
    approval = incident.approve(plan := incident.write_plan())
    look(Verdict.UNSTABLE)
    assert incident.approved(plan) == approval
    look(Verdict.CONFIRMED_KEY)
    later = incident.approve(plan)
    look(Verdict.UNSTABLE)
    assert incident.approved(plan) == approval != later


def test_approvals_that_cannot_be_read_count_for_nothing_and_are_named(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails ends with advice, and no approval is taken for one that nobody gave."""

    read = signing.read_private

    def failing(path: Path, *given: Any, **named: Any) -> bytes:
        if path.name == SEEN:
            raise OSError(errno.EIO, "Input/output error")
        return read(path, *given, **named)

    incident.approve(plan := incident.write_plan())
    monkeypatch.setattr(signing, "read_private", failing)
    with pytest.raises(ParameterRefused, match="does not count: Input/output error") as caught:
        require_approval(incident.context, plan)
    assert caught.value.where.endswith(SEEN)


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
    """Nothing to delete and HA healthy: nothing to approve. What may come up at the ISE servers is asked for then."""
    incident.list({}, primary=PRIMARYS[:1], secondary=SECONDARYS[:1], ha=HEALTHY)
    plan = incident.write_plan()
    assert [(change.kind, change.expected) for change in plan.changes] == [(ChangeKind.READD_ISE, False)] * 2
    assert require_approval(incident.context, plan) is None


def test_a_plan_that_registers_needs_an_approval(incident: Incident) -> None:
    """Nothing to delete and HA not registered: what is to be registered is approved like a deletion."""
    incident.list({}, primary=PRIMARYS[:1], secondary=SECONDARYS[:1])
    plan = incident.write_plan()
    with pytest.raises(ApprovalMissing, match="register high availability"):
        require_approval(incident.context, plan)
    approval = incident.approve(plan)
    assert require_approval(incident.context, plan) == approval


def test_while_the_secondary_serves_no_change_of_the_pair_is_planned(incident: Incident) -> None:
    """Registering would overwrite the newest database, so nobody is asked to approve it; the ISE servers stay in."""
    for states in (("Primary Failover", "Secondary Active"), ("Primary Lost Secondary", "Secondary Active")):
        incident.list({}, ha=states)
        plan = incident.plan()
        assert {each.kind for each in plan.changes} == {ChangeKind.READD_ISE}
        assert any("fail back first" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("kind", "attended", "digest", "by"),
    [
        ("lab", False, "", LAB),
        ("lab", True, "", None),
        ("production", False, "", None),
        ("production", True, "", None),
        ("production", False, "its own", "ada@desk"),
        ("production", False, "another", ParameterRefused),
        ("lab", False, "another", ParameterRefused),
    ],
)
def test_a_plan_is_approved_where_that_was_asked_for_and_by_the_unattended_lab(
    incident: Incident, kind: str, attended: bool, digest: str, by: object
) -> None:
    """Silence is no consent, a digest of another plan approves nothing, and a person at the lab is asked as well."""
    site = incident.context.site.model_copy(update={"kind": kind})
    context = replace(incident.context, site=site, attended=attended)
    plan = incident.write_plan()
    given = plan.digest if digest == "its own" else "0" * 64 if digest else ""
    with pytest.raises(ParameterRefused) if by is ParameterRefused else nullcontext():
        approve_as_asked(context, plan, given)
    assert [each.by for each in incident.record.read_approvals()] == ([by] if isinstance(by, str) else [])


# -- a second person -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path, keys: Path) -> Incident:
    """An incident of a site that asks for a second person; it is ada@desk who runs it."""
    return Incident(tmp_path, site=site_with(policy={"second_person": True}))


def refusal(incident: Incident, plan: Plan) -> str:
    """Why the newest approval does not count."""
    assert incident.approved(plan) is None
    with pytest.raises(ApprovalMissing) as caught:
        require_approval(incident.context, plan)
    return caught.value.found.splitlines()[-1]


@pytest.mark.parametrize(
    "by",
    ["ada@desk", "Ada@Desk", " ada@desk ", "ada", "ADA@elsewhere", "аda", "ａｄａ", "A d a", "a\u200bda", "𝐚𝖽𝕒", "ΑDA"],
)
def test_where_a_second_person_is_asked_for_the_one_who_runs_it_does_not_count(
    two: Incident, keys: Path, by: str
) -> None:
    """The operator's approval, however spelled, does not count; another person's does, whichever came first."""
    plan = two.write_plan()
    two.approve(plan, by, colleague(keys), account="bob (uid 7)")
    assert "ada@desk runs this stage" in refusal(two, plan)
    second = two.approve(plan, "Bob", colleague(keys, "bob2"), account="bob (uid 7)")
    two.approve(plan, by)
    assert two.approved(plan) == second


def test_another_name_typed_in_the_same_account_is_no_second_person(two: Incident, keys: Path) -> None:
    """One account, one person: also where it signs with another key."""
    plan = two.write_plan()
    here = {"account": account(), "host": host()}
    for key in (None, colleague(keys)):
        two.approve(plan, "Bob", key, **here)
        assert f"both were typed by one account, {account()} on {host()}" in refusal(two, plan)


def test_a_second_person_signs_with_a_key_of_his_own(two: Incident, keys: Path) -> None:
    """Without a signature nobody knows who gave it, and with the runner's own key it is the runner's."""
    plan = two.write_plan()
    two.approve(plan, "Bob", account="bob (uid 7)")
    assert "not signed, so it is not proven" in refusal(two, plan)
    new_key(keys)
    two.approve(plan, "Bob", signing_key(keys), account="bob (uid 7)")
    assert "signed with the key of the one who runs this stage" in refusal(two, plan)
    assert two.approve(plan, "Bob", colleague(keys), account="bob (uid 7)") == two.approved(plan)


def test_a_key_signs_in_its_own_name_and_for_an_approval_alone(two: Incident, keys: Path) -> None:
    """The runner's key under the name of another's, and one over the same bytes as another kind of statement."""
    plan = two.write_plan()
    new_key(keys)
    own, bobs = signing_key(keys), colleague(keys)
    assert own
    named = Approval(digest=plan.digest, by="Bob", at_utc=hours(-1), how="test", key=key_id(bobs.public_key()))
    assert signer_of(replace(named, signature=signature_of(own, named, TYPE)), trusted_keys(keys)) is None
    assert signer_of(replace(named, signature=signature_of(bobs, named, TYPE)), trusted_keys(keys))
    assert signer_of(replace(named, signature=signature_of(bobs, named, PAYLOAD_TYPE)), trusted_keys(keys)) is None


def signature_of(key: Ed25519PrivateKey, approval: Approval, kind: str) -> str:
    body = {name: value for name, value in plain_json_value(approval).items() if name != "signature"}
    return b64encode(key.sign(pae(canonical_json(body), kind))).decode("ascii")


def test_a_signature_that_is_none_is_not_made_good_by_who_wrote_it_down(two: Incident, keys: Path) -> None:
    """That this account noted the file says that it wrote it, not that the key in it signed it."""
    plan = two.write_plan()
    made = signed_approval(Approval(digest=plan.digest, by="Bob", at_utc=hours(-1), how="test"), colleague(keys))
    two.record.write_approval(replace(made, account="bob (uid 7)"))
    assert "no key that is trusted here did" in refusal(two, plan)


def test_otherwise_the_one_who_runs_it_may_approve(incident: Incident) -> None:
    """A site that asks for nobody else takes the operator's own approval."""
    plan = incident.write_plan()
    assert incident.approved(plan) is None
    assert incident.approve(plan, "ada@desk") == incident.approved(plan)


PEOPLE = [
    ("bob", "ada@desk", False), ("bob@desk", "ada@desk", False), ("Ada", "ada@desk", True), ("Ada", "Ida", False),
    ("Βоb", "Bob", True), ("ßob", "Bob", False), ("Bernard", "Bemard", True), ("Zoë", "Zoe\u0308", True),
    ("Zoë", "Zoe", False), ("pаypаl", "paypal", True), ("Straße", "STRASSE", True), ("山田", "山口", False),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "same"), PEOPLE)
def test_two_spellings_that_look_alike_are_one_person(one: str, other: str, same: bool) -> None:
    """Two people at one machine are two people; two spellings that look alike are one."""
    assert same_person(one, other) is same
    assert same_person(other, one) is same


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_two_names_can_be_compared(one: str, other: str) -> None:
    """Whatever is typed: a name is the same as itself, and the order does not matter."""
    assert same_person(one, one)
    assert same_person(one, other) is same_person(other, one)


# -- whose word it is --------------------------------------------------------------------------------


def test_an_approval_says_where_it_was_typed(incident: Incident) -> None:
    """The account, the host and the process, as the system says, whatever name was given."""
    plan = incident.write_plan()
    made = approve(incident.record, plan.digest, by="Bob", how="test")
    assert (made.account, made.host, made.process) == (account(), host(), str(ProcessName.current()))
    assert (made.key, made.signature) == ("", "")


def test_a_forged_approval_counts_for_nothing(incident: Incident, tmp_path: Path, keys: Path) -> None:
    """A line and a file that somebody else wrote are no approval, whatever they claim and whoever seals them after."""
    plan = incident.write_plan()
    new_key(keys)
    seal_record(incident.record, {"name": "lab"}, key_folder=keys)
    with pytest.MonkeyPatch.context() as patch:  # whoever does it cannot write where this account notes its own
        patch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "elsewhere"))
        incident.approve(plan, "ada@desk", account=account(), host=host())
    assert "not signed, and this account did not write it" in refusal(incident, plan)
    seal_record(incident.record, {"name": "lab"}, key_folder=keys)
    assert incident.approved(plan) is None
    assert incident.approve(plan, "ada@desk") == incident.approved(plan)


def test_with_a_key_an_approval_is_signed_and_counts_elsewhere(
    incident: Incident, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by a key that is trusted there, it counts on another machine; one letter changed, or not trusted: not."""
    plan = incident.write_plan()
    new_key(keys)
    made = approve(incident.record, plan.digest, by="Bob", how="test", reason="CHG-1")
    assert incident.approved(plan) == made
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "elsewhere"))
    assert "no key that is trusted here did" in refusal(incident, plan)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "elsewhere" / "bob.pub.pem").write_bytes((keys / PUBLIC).read_bytes())
    assert incident.approved(plan) == made
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "nowhere"))
    incident.record.write_approval(replace(made, by="Eve"))
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "elsewhere"))
    assert "approval by Eve does not count: it says that the key" in refusal_of(incident, plan, "Eve")


def refusal_of(incident: Incident, plan: Plan, by: str) -> str:
    return next(said for said in refused_approvals(incident.context, plan) if f"by {by} " in said)


def test_what_is_signed_is_what_is_kept(incident: Incident, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in a reason is kept as its reference; the signature is over that, so the approval counts."""
    monkeypatch.setattr(secrets, "REDACTOR", Redactor())
    secrets.REDACTOR.know("env:X", "correct-horse")
    new_key(keys)
    plan = incident.write_plan()
    made = approve(incident.record, plan.digest, by="Bob", how="test", reason="correct-horse")
    assert made.reason == "[secret env:X]"
    (kept,) = incident.record.read_approvals()
    assert signer_of(kept, trusted_keys(keys))


@pytest.mark.parametrize("field", ["digest", "by", "at_utc", "how", "reason", "account", "host", "process", "key"])
def test_a_signature_is_over_every_field(field: str, keys: Path) -> None:
    """Whatever is changed, or taken from another approval, no key signed it."""
    key = colleague(keys)
    texts = dict.fromkeys(("digest", "by", "how", "reason", "account", "host", "process"), "x")
    made = signed_approval(Approval(at_utc=hours(0), **texts), key)
    assert signer_of(made, trusted_keys(keys))
    assert signer_of(replace(made, **{field: hours(1) if field == "at_utc" else "y"}), trusted_keys(keys)) is None


def test_an_approval_that_is_dated_in_the_future_does_not_count(incident: Incident, keys: Path) -> None:
    """It would hold for whatever is deleted until then, again and again; a signature does not help."""
    plan = incident.write_plan()
    incident.approve(plan, "Bob", colleague(keys), at_utc=hours(1))
    assert "dated in the future" in refusal(incident, plan)


def test_who_sends_a_record_away_vouches_for_what_he_believes(
    two: Incident, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a record is sent, the approvals count that its sender believes, signed ones as signed; no others."""
    plan = two.write_plan()
    two.approve(plan, "Carol")
    signed_one = two.approve(plan, "Bob", colleague(keys), account="bob (uid 7)")
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "forger"))
    two.approve(plan, "Eve", account="eve (uid 8)")
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(keys))
    believed = Judge.here().vouches(two.record)
    assert sorted(believed.values()) == ["", signed_one.key]
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "worker"))
    assert two.approved(plan) is None
    note_seen(tmp_path / "worker", believed)
    assert two.approved(plan) == signed_one


@pytest.mark.parametrize("lies_there", ["a link", "a pipe"])
def test_nothing_is_noted_in_what_is_no_file(keys: Path, tmp_path: Path, lies_there: str) -> None:
    """A link leads to a file of something else, and a pipe keeps its writer for ever."""
    keys.mkdir(mode=0o700, exist_ok=True)
    os.mkfifo(keys / SEEN) if lies_there == "a pipe" else (keys / SEEN).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordNotWritable):
        note_seen(keys, {"0" * 64: ""})
    assert not (tmp_path / "elsewhere").exists()


def test_what_was_noted_in_part_takes_no_later_approval_with_it(incident: Incident, keys: Path) -> None:
    """The disk was full, or the power went, in the middle of a line."""
    plan = incident.write_plan()
    note_seen(keys, {"0" * 64: ""})
    with (keys / SEEN).open("ab") as file:
        file.write(b"1" * 30)
    assert incident.approve(plan) == incident.approved(plan)


def test_what_this_account_approved_is_not_believed_where_others_could_write_it(incident: Incident, keys: Path) -> None:
    """The list of one's own approvals is the owner's alone, or nothing is carried out."""
    plan = incident.write_plan()
    incident.approve(plan)
    (keys / SEEN).chmod(0o666)
    with pytest.raises(ParameterRefused, match="does not count: others may use the file"):
        incident.approved(plan)


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
    assert change_history(incident.context).sent_here == frozenset()
    again = incident.write_plan(last_utc=hours(-1))
    assert {(row.server, row.key) for row in again.deletions} == STALE
    assert incident.approved(again) == approval


def test_after_an_interruption_an_approval_covers_nothing_more_than_it_named(incident: Incident) -> None:
    """A certificate that changed after the interruption, or an entry that was not in the plan, is not covered."""
    approval = incident.approve(incident.write_plan(last_utc=hours(-1)))
    incident.sent(*ISE_ENTRY)
    incident.list({}, primary=(PRIMARYS[0], PRIMARYS[2]), sha={"secondary": "9" * 64})
    plan = incident.write_plan(last_utc=hours(-1))
    assert incident.approved(plan) is None
    named = {(row.server, row.key): approval_naming(incident.context, plan, row) for row in plan.deletions}
    assert named == {SECONDARY_ENTRY: None, PRIMARY_ENTRY: approval}
    incident.list({}, primary=(PRIMARYS[0], PRIMARYS[2], "prime-sec_8082"))
    assert incident.approved(incident.write_plan(last_utc=hours(-1))) is None


@pytest.mark.parametrize("moved", ["nothing", "what is typed", "the certificate"])
def test_after_an_interruption_an_approval_covers_a_change_as_it_was_named(incident: Incident, moved: str) -> None:
    """The rest of an approved plan needs no new approval, unless other values or another host would get the key."""
    approval = incident.approve(incident.write_plan(last_utc=hours(-1)))
    for place in (ISE_ENTRY, SECONDARY_ENTRY, PRIMARY_ENTRY):
        incident.sent(*place)
    if moved == "what is typed":
        site = incident.context.site
        ha = site.ha.model_copy(update={"failover": "automatic"})
        incident.context = replace(incident.context, site=site.model_copy(update={"ha": ha}))
    other = {"secondary": "9" * 64} if moved == "the certificate" else None
    incident.list({}, primary=PRIMARYS[:1], secondary=SECONDARYS[:1], sha=other)
    rest = incident.write_plan(last_utc=hours(-1))
    (register,) = (each for each in rest.changes if each.kind is ChangeKind.REGISTER_HA)
    named = approval_naming(incident.context, rest, register)
    assert (rest.digest != approval.digest, named) == (True, approval if moved == "nothing" else None)


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
    past = change_history(later.context)
    assert set(past.gone_utc) == {ISE_ENTRY}
    assert not past.undecided
    assert past.sent_here == frozenset()
    assert change_history(incident.context).sent_here == {ISE_ENTRY}


def test_the_newest_of_several_deletions_counts(incident: Incident) -> None:
    """An intent after a result that was seen is a newer deletion, and nobody has seen it happen."""
    incident.sent(*ISE_ENTRY)
    first = change_history(incident.context)
    incident.sent(*ISE_ENTRY, None)
    (last,) = [line for line in incident.record.journal.read().lines if line.kind is Kind.INTENT][1:]
    again = change_history(incident.context)
    assert (first.gone_utc, dict(first.undecided)) == (again.gone_utc, {})
    assert again.undecided == {ISE_ENTRY: Undecided(sent_utc=last.utc, looked_utc=last.utc)}
    incident.sent(*ISE_ENTRY)
    assert not change_history(incident.context).undecided


@pytest.mark.parametrize("result", [None, Deletion.NOT_DELETED_OR_CAME_BACK])
@pytest.mark.parametrize("same", [True, False])
def test_no_clock_that_is_set_back_hides_a_later_deletion(
    tmp_path: Path, incident: Incident, result: Deletion | None, same: bool
) -> None:
    """An entry went at a time that is yet to come; the deletion after it, in whichever incident, is not seen to end."""
    incident.sent(*ISE_ENTRY)
    (gone,) = recorded_deletions(incident.record)
    ahead = datetime.now(UTC) + timedelta(hours=25)
    dated = (replace(gone, sent_utc=ahead, read_back_utc=ahead),)
    incident.record.write_facts(Stage.DELETE, DELETION_FACTS, dated)
    later = incident if same else Incident(tmp_path)
    later.sent(*ISE_ENTRY, result)
    assert set(change_history(later.context).undecided) == {ISE_ENTRY}
    assert [what.name for _, what in unseen_changes(later.record)] == [ISE_ENTRY[1]]
    assert len(list(interrupted_deletions(later.record))) == (result is None)


@pytest.mark.parametrize("result", [Deletion.NOT_DELETED_OR_CAME_BACK, Deletion.COLLATERAL])
def test_a_deletion_that_nobody_saw_happen_is_undecided(incident: Incident, result: Deletion) -> None:
    """It settles nothing, whatever was sent; one that is known not to have left is none at all."""
    incident.sent(*ISE_ENTRY, result)
    past = change_history(incident.context)
    assert (set(past.undecided), past.gone_utc) == ({ISE_ENTRY}, {})


def test_the_certificate_of_before_is_that_of_the_newest_proven_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proven repair says what was there before, until a later incident deleted something and was not proven."""

    def opened(day: int) -> Incident:
        clock = SimpleNamespace(now=lambda _zone: datetime(2026, 11, day, tzinfo=UTC))
        with monkeypatch.context() as patch:
            patch.setattr("runbook_lib.record.incident.datetime", clock)
            return Incident(tmp_path)

    first, second, now = opened(1), opened(2), opened(3)
    finish(first, Outcome.REPAIRED, "1" * 64)
    finish(second, Outcome.FAILED, "2" * 64)
    assert last_known_certificates(now.context, "ise") == ("1" * 64,)
    assert last_known_certificates(now.context, "secondary") == ()
    second.sent(*ISE_ENTRY, Deletion.NOT_SENT)
    assert last_known_certificates(now.context, "ise") == ("1" * 64,)
    second.sent(*ISE_ENTRY)
    assert last_known_certificates(now.context, "ise") == ()
    finish(now, Outcome.REPAIRED, "3" * 64)
    assert last_known_certificates(now.context, "ise") == ()
    assert last_known_certificates(opened(4).context, "ise") == ("3" * 64,)


def test_with_a_key_only_a_signed_record_says_what_was_there_before(
    tmp_path: Path, keys: Path, incident: Incident
) -> None:
    """A record that somebody else put there would make an impostor the host of before, which passwords are sent to."""
    finish(incident, Outcome.REPAIRED, "1" * 64)
    later = Incident(tmp_path)
    assert last_known_certificates(later.context, "ise") == ("1" * 64,)  # without a key every record is believed
    colleague(keys)
    assert last_known_certificates(later.context, "ise") == ()
    seal_record(incident.record, {"name": "lab"}, key_folder=keys.parent / "stranger")
    assert last_known_certificates(later.context, "ise") == ()
    seal_record(incident.record, {"name": "lab"}, key_folder=keys.parent / "bob")
    assert last_known_certificates(later.context, "ise") == ("1" * 64,)
    finish(incident, Outcome.REPAIRED, "2" * 64)  # by whoever can write there: no signature covers it
    assert last_known_certificates(later.context, "ise") == ()


def finish(incident: Incident, outcome: Outcome, ise_sha256: str) -> None:
    """Leave what stage 60 leaves."""
    seen = ConfirmedCertificates(sha256={"ise": ise_sha256}, at_utc=datetime.now(UTC))
    incident.record.write_facts(Stage.VERIFY, CONFIRMED_FACTS, seen)
    incident.record.set_outcome(outcome)
