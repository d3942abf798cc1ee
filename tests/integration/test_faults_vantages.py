"""Who answers there? Impostors, missing vantages, host keys and kinds of certificates, up to the refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from direct_pages import direct_pages
from fault_site import Begin, Case, deletions, row_of, through_the_primary, without_expectation
from repair_site import StartLab, run_stage

from runbook_lib.decisions import Deletion, Override
from runbook_lib.errors import (
    ApprovalMissing,
    CertificateMoved,
    DeletionRefused,
    HostKeyChanged,
    HostKeyUnknown,
    PlanStale,
)
from runbook_lib.lab import Lab
from runbook_lib.models import Outcome, Stage, StageState, Vantage, Verdict
from runbook_lib.repair.approval import approve
from runbook_lib.repair.confirmation import PHRASE, write_override

pytestmark = pytest.mark.usefixtures("one_browser")

EVERYWHERE_BUT_SELF = ("here", "peer")


def override(case: Case, server: str, target: str) -> None:
    """A person's word for the certificate of ``target`` as it was seen, for its entry on ``server``."""
    facts = case.judgement(target).facts
    assert facts
    word = Override(
        server=server,
        key=case.entry(target),
        sha256=facts.sha256,
        by="Ada Example",
        at_utc=datetime.now(UTC),
        reason="the console is out of reach",
    )
    write_override(case.record, word, target, phrase=PHRASE)


@pytest.mark.parametrize(
    ("server", "observer", "seen_from"),
    [
        ("secondary", "primary", EVERYWHERE_BUT_SELF),
        ("secondary", "primary", ("here",)),
        ("secondary", "primary", ("peer",)),
        ("primary", "secondary", ("peer",)),
        ("ise", "primary", EVERYWHERE_BUT_SELF),
        ("ise", "primary", ("peer",)),
    ],
)
def test_an_impostor_is_contradicted_and_no_override_helps(
    stale: Lab, begin: Begin, server: str, observer: str, seen_from: tuple[str, ...]
) -> None:
    """What differs at any vantage, PI's own included, is a suspected interception: zero deletions, no override."""
    stale.set_fault("impostor", server, seen_from=seen_from)
    case = begin(stale)
    plan = case.make_plan()
    assert case.judgement(server).verdict is Verdict.CONTRADICTED
    assert (observer, case.entry(server)) not in deletions(plan)
    case.refused(DeletionRefused, 3, lambda: override(case, observer, server))
    case.assert_refused(plan)


@pytest.mark.parametrize("forwarding", [False, True])
def test_two_certificates_in_turn_are_refused(stale: Lab, begin: Begin, forwarding: bool) -> None:
    """A host that shows two certificates in turn is not confirmed, although the last one seen is the right one."""
    if not forwarding:
        stale.set_fault("forwarding_off")
    stale.set_fault("alternating", "secondary")
    case = begin(stale)
    plan = case.make_plan()
    allowed = {Verdict.UNSTABLE, Verdict.CONTRADICTED} if forwarding else {Verdict.UNSTABLE}
    assert case.judgement("secondary").verdict in allowed
    case.assert_refused(plan)


def test_without_an_expectation_nothing_is_deleted(stale: Lab, begin: Begin) -> None:
    """Where nothing is known by another way, the same subject and every vantage agreeing confirm nothing."""
    case = begin(stale, without_expectation("secondary"))
    plan = case.make_plan()
    seen = case.judgement("secondary")
    assert (seen.verdict, set(seen.seen_from)) == (Verdict.UNCONFIRMED, set(Vantage))
    case.assert_refused(plan)


@pytest.mark.parametrize("service", ["silent", "refuse"])
def test_a_host_that_does_not_answer_is_refused(stale: Lab, begin: Begin, service: str) -> None:
    """A certificate that nobody sees is not confirmed."""
    stale.set_fault(service, "secondary", service="hm")
    case = begin(stale)
    plan = case.make_plan()
    assert case.judgement("secondary").verdict is Verdict.UNREACHABLE
    case.assert_refused(plan)


def move_to_impostor(case: Case) -> None:
    case.lab.set_fault("impostor", "secondary", seen_from=EVERYWHERE_BUT_SELF)


def renew_again(case: Case) -> None:
    case.lab.renew("ise")


def add_an_entry(case: Case) -> None:
    case.lab.plant("secondary", "192.0.2.77_8082")


def replace_the_entry(case: Case) -> None:
    case.lab.plant("primary", case.entry("secondary"), common_name="somebody else")


@pytest.mark.parametrize("move", [move_to_impostor, renew_again, add_an_entry, replace_the_entry])
def test_what_moved_since_the_plan_makes_it_stale(faulty: StartLab, begin: Begin, move: Any) -> None:
    """It never changes anything when something that the change rests on has moved since the plan was made.

    The certificate or a store is another one when the approved plan is applied: PlanStale, zero deletions.
    """
    case = begin(faulty("renewed"))
    plan = case.make_plan()
    assert len(plan.deletions) == 3
    move(case)
    error = case.refused(PlanStale, 3, lambda: case.carry_out(plan))
    assert error.next_step.startswith("treat it as a suspected interception") is (
        move in (move_to_impostor, renew_again)
    )
    assert case.state(Stage.DELETE) is StageState.STOPPED
    case.assert_untouched()


def test_no_credentials_reach_a_host_that_moved_after_the_deletion(faulty: StartLab, begin: Begin) -> None:
    """It never types the HA key or an ISE password while the host that it is meant for presents a certificate that is
    neither confirmed nor overridden by name.

    Right before the deletions, another after them: neither the HA key nor the ISE password is typed.
    """
    case = begin(faulty("renewed"), pages=True)
    plan = case.make_plan()
    assert {result.result for result in case.carry_out(plan)} == {Deletion.GONE}
    for server in ("secondary", "ise"):
        case.lab.set_fault("impostor", server, seen_from=EVERYWHERE_BUT_SELF)
    after = len(case.lab.truth())

    case.refused(CertificateMoved, 3, lambda: run_stage(Stage.REGISTER, case.site, case.incident))
    told = case.refused(ApprovalMissing, 3, lambda: run_stage(Stage.READD_ISE, case.site, case.incident))
    assert "find out who answered" in told.next_step
    approve(case.record, plan.digest, by="Ada Example", how="in spite of that")
    case.refused(CertificateMoved, 3, lambda: run_stage(Stage.READD_ISE, case.site, case.incident))

    lines = case.lab.truth()[after:]
    assert {line["channel"] for line in lines if line["server"] == "secondary"} <= {"ssh", "tls", "world"}
    assert {line["channel"] for line in lines if line["server"] == "ise"} <= {"tls", "world"}
    assert not [line for line in lines if line.get("impostor")]
    seen = case.seen()
    assert (seen.registered, seen.ise, seen.sent) == ([], [], 3)
    case.assert_agrees()


def test_no_login_reaches_a_primary_that_moved_after_the_deletion(faulty: StartLab, begin: Begin) -> None:
    """Somebody else answers for the primary itself after the deletions: its pages are not even opened."""
    case = begin(faulty("renewed"), pages=True)
    case.carry_out(case.make_plan())
    before = [line for line in case.truth() if line["channel"] == "web"]  # the login was tried before the deletions
    case.lab.set_fault("impostor", "primary", seen_from=EVERYWHERE_BUT_SELF)

    for stage in (Stage.REGISTER, Stage.READD_ISE):
        case.refused(DeletionRefused, 3, lambda stage=stage: run_stage(stage, case.site, case.incident))

    assert [line for line in case.truth() if line["channel"] == "web"] == before
    case.assert_agrees()


def test_an_override_ends_at_best_unverified(faulty: StartLab, begin: Begin) -> None:
    """A named person may stand in for a confirmation; the repair goes through, and is never called verified."""
    case = begin(faulty("renewed-secondary-only", monitor_style="quick"), without_expectation("secondary"), pages=True)
    refused = case.make_plan()
    case.refused(DeletionRefused, 3, lambda: case.carry_out(refused))
    override(case, "primary", "secondary")
    case.refused(DeletionRefused, 3, lambda: case.carry_out(refused))  # the old plan stays what it was
    plan = case.make_plan()
    row = row_of(plan, "primary", case.entry("secondary"))
    assert (row.verdict, row.override.partition(",")[0]) == (Verdict.UNCONFIRMED, "Ada Example")

    with direct_pages(case.lab):
        assert len(case.carry_out(plan)) == 1
        for stage in (Stage.REGISTER, Stage.READD_ISE, Stage.VERIFY):
            run_stage(stage, case.site, case.incident)

    assert case.record.outcome() is Outcome.REPAIRED_UNVERIFIED
    assert case.seen().deleted == [("primary", case.entry("secondary"))]
    case.assert_agrees()


def test_an_override_is_for_one_certificate(faulty: StartLab, begin: Begin) -> None:
    """An override of one certificate does not hold for the next one that the host shows."""
    case = begin(faulty("renewed"), without_expectation("secondary"))
    case.make_plan()
    override(case, "primary", "secondary")
    case.lab.renew("secondary")
    case.assert_refused(case.make_plan())


# -- vantages that are missing -----------------------------------------------------------------------


def confirm_primary_by_certificate(site: dict[str, Any]) -> None:
    site["primary"]["expect"] = {"certificate": "desk/primary.pem"}


def test_refused_forwarding_leaves_self_unconfirmed(stale: Lab, begin: Begin) -> None:
    """Where servers do not forward, vantages are named as not available, and ``self`` alone confirms nothing."""
    stale.set_fault("forwarding_off")
    case = begin(stale)
    plan = case.make_plan()
    seen = {name: case.judgement(name) for name in ("primary", "secondary", "ise")}
    assert seen["primary"].verdict is Verdict.UNCONFIRMED
    assert seen["secondary"].verdict is Verdict.CONFIRMED_KEY
    assert {vantage for vantage, _ in seen["secondary"].not_available} == {Vantage.SELF, Vantage.PEER}
    case.assert_refused(plan)


def test_refused_forwarding_does_not_stop_what_is_known_by_another_way(faulty: StartLab, begin: Begin) -> None:
    """A CSR, a certificate and a fingerprint confirm from here alone."""
    case = begin(faulty("renewed", forwarding=False), confirm_primary_by_certificate)
    plan = case.make_plan()
    assert {tuple(row.seen_from) for row in plan.deletions} == {("here",)}
    assert {result.result for result in case.carry_out(plan)} == {Deletion.GONE}
    assert case.seen().sent == 3
    case.assert_agrees()


def pin(*keys: str) -> Any:
    def edit(site: dict[str, Any]) -> None:
        site["secondary"]["ssh"]["host_key"] = list(keys)

    return edit


OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIgqMkQ5dqzxiq1M9CzFjv4DcmKCQyIUtIFTzZmCKyfS"


@pytest.mark.parametrize(("pins", "kind"), [((OTHER_KEY,), HostKeyChanged), ((), HostKeyUnknown)])
def test_no_password_goes_to_a_server_whose_host_key_is_not_the_pinned_one(
    stale: Lab, begin: Begin, pins: tuple[str, ...], kind: Any
) -> None:
    """A changed or an unknown SSH host key ends the stage before the password, and nothing is planned."""
    case = begin(stale, pin(*pins))
    case.refused(kind, 4, case.make_plan)
    assert not [line for line in case.truth() if line["server"] == "secondary" and line["what"] == "login"]
    assert case.state(Stage.LIST) is StageState.FAILED
    case.assert_untouched()


def test_a_redeployed_server_is_served_once_its_key_is_pinned(faulty: StartLab, begin: Begin) -> None:
    """A server that was deployed anew is not logged in to; with its new key pinned, ``self`` confirms again."""
    lab = faulty("after-redeploy")
    case = begin(lab)
    case.refused(HostKeyChanged, 4, case.make_plan)
    case.assert_untouched()
    case.write_site(pin((lab.folder / "desk" / "secondary.host_key").read_text().strip()))
    plan = case.make_plan()
    assert Vantage.SELF in case.judgement("secondary").seen_from
    assert deletions(plan) == {("primary", case.entry("secondary"))}
    case.carry_out(plan)
    assert case.seen().deleted == [("primary", case.entry("secondary"))]
    case.assert_agrees()


def test_a_jump_host_carries_the_whole_repair(faulty: StartLab, begin: Begin) -> None:
    """Through a jump host the same entries are deleted, and the secondary sees the jump host's connections only."""
    case = begin(faulty("renewed", addresses="block"), through_the_primary)
    assert {result.result for result in case.carry_out(case.make_plan())} == {Deletion.GONE}
    primary = case.lab.world["servers"]["primary"]["address"]
    sources = {
        t["from"].rpartition(":")[0] for t in case.truth() if (t["server"], t["channel"]) == ("secondary", "ssh")
    }
    assert sources == {primary}
    assert case.seen().sent == 3
    case.assert_agrees()


def test_a_jump_host_with_another_key_gets_no_password(stale: Lab, begin: Begin) -> None:
    """The jump host's own host key is pinned too."""

    def edit(site: dict[str, Any]) -> None:
        through_the_primary(site)
        site["secondary"]["ssh"]["jump"]["host_key"] = [OTHER_KEY]

    case = begin(stale, edit)
    case.refused(HostKeyChanged, 4, case.make_plan)
    assert not [line for line in case.truth() if line["server"] == "secondary" and line["what"] == "login"]
    case.assert_untouched()


# -- kinds of certificates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ca_confirms", "warning"),
    [
        ("expired", False, "expired"),
        ("not_yet_valid", False, "not valid before"),
        ("sha1", False, "SHA-1"),
        ("rsa_1024", True, "1024"),
        ("ec", True, ""),
        ("ed25519", True, ""),
        ("cn_only", True, ""),
        ("wildcard", False, ""),
        ("address_in_cn", False, ""),
    ],
)
def test_a_certificate_of_any_kind_is_judged_by_its_key_and_its_chain(
    stale: Lab, begin: Begin, kind: str, ca_confirms: bool, warning: str
) -> None:
    """A CSR confirms whatever its key was certified as, with a warning; a CA only a sound one of that name."""
    stale.renew("secondary", kind)
    stale.renew("ise", kind)
    case = begin(stale, without_expectation("ise"))
    plan = case.make_plan(expect=f"ise=ca:{stale.folder}/desk/ca.pem#ISE-server")
    by_csr, by_ca = case.judgement("secondary"), case.judgement("ise")
    assert by_csr.verdict is Verdict.CONFIRMED_KEY
    assert by_csr.facts
    assert warning in " ".join(by_csr.facts.warnings)
    assert (("primary", case.entry("ise")) in deletions(plan)) is by_ca.verdict.confirmed is ca_confirms, by_ca.reason
    if not ca_confirms:
        case.assert_refused(plan)
    case.assert_untouched()
