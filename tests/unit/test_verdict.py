"""The verdict, row by row of the table, over real certificates; and that no wrong one is ever confirmed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from certificate_kit import DAY, NOW, Made, hostile, key_of, make, request, seen, with_weak_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_lib.certificates.expectation import Issuer, Knowledge
from runbook_lib.certificates.facts import key_sha256, sha256_of
from runbook_lib.certificates.verdict import judge
from runbook_lib.models import CertificateFacts, Judgement, Presented, Vantage, Verdict

HERE, SELF, PEER = Vantage.HERE, Vantage.SELF, Vantage.PEER
ROOT = make("root", key=key_of("ec", 1), ca=True)
INTER = make("intermediate", key=key_of("ec", 2), by=ROOT, ca=True)
OLD = make("prime-sec", key=key_of("ec", 3))
NEW = make("prime-sec", key=key_of("ec", 4))
ISSUED = make("prime-sec", key=key_of("ec", 5), by=INTER)
IMPOSTOR = make("prime-sec", key=key_of("ec", 6))
HOSTILE = hostile()

CSR = Knowledge(spki_sha256=(key_sha256(request(key=NEW.key)),))
PRINT = Knowledge(sha256=(sha256_of(NEW.der),))
CA = Knowledge(issuers=(Issuer(ca=(ROOT.der,), names=("prime-sec",)),))
OWN = Knowledge(self_=True)
NOTHING = Knowledge()


def everywhere(*chain: bytes) -> tuple[Presented, ...]:
    return tuple(seen(vantage, *chain) for vantage in Vantage)


def verdict(looks: tuple[Presented, ...], known: Knowledge = NOTHING, previous: str = "") -> Judgement:
    return judge("secondary", looks, known, now_utc=NOW, previous_sha256=previous.split())


def refused(vantage: Vantage) -> Presented:
    return seen(vantage, available=False, problem="the server refuses forwarding")


def silent(vantage: Vantage) -> Presented:
    return seen(vantage, problem="no answer")


# -- the table -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "known", "expected"),
    [
        ((NEW.der,), CSR, Verdict.CONFIRMED_KEY),
        ((ISSUED.der, INTER.der), CA, Verdict.CONFIRMED_CHAIN),
        ((NEW.der,), PRINT, Verdict.CONFIRMED_FINGERPRINT),
        ((NEW.der,), OWN, Verdict.CONFIRMED_SELF),
        ((NEW.der,), NOTHING, Verdict.UNCONFIRMED),
        ((IMPOSTOR.der,), CSR, Verdict.CONTRADICTED),
        ((IMPOSTOR.der,), CA, Verdict.CONTRADICTED),
        ((IMPOSTOR.der,), PRINT, Verdict.CONTRADICTED),
    ],
)
def test_each_row_of_the_table(chain: tuple[bytes, ...], known: Knowledge, expected: Verdict) -> None:
    """Key, chain, fingerprint and self confirm; nothing known is unconfirmed; what differs is contradicted."""
    judged = verdict(everywhere(*chain), known)
    assert judged.verdict is expected
    assert judged.facts
    assert judged.facts.sha256 == sha256_of(chain[0])
    assert judged.seen_from == tuple(Vantage)
    assert judged.reason


def test_a_new_certificate_with_the_csrs_key_is_confirmed_whoever_issued_it() -> None:
    """The key decides: the CA's certificate for the CSR and a self-signed one are both the CSR's."""
    for made in (make("other", key=NEW.key), make("prime-sec", key=NEW.key, by=ROOT)):
        assert verdict(everywhere(made.der), CSR).verdict is Verdict.CONFIRMED_KEY


@pytest.mark.parametrize("kind", ["rsa2048", "rsa1024", "ec", "ed25519", "ed448"])
def test_every_kind_of_key_is_confirmed_by_its_csr_and_fingerprint(kind: str) -> None:
    """RSA, EC and Edwards keys alike; a short one is confirmed with a warning."""
    made = make(key=key_of(kind, 9))
    for known in (Knowledge(spki_sha256=(key_sha256(made.certificate),)), Knowledge(sha256=(sha256_of(made.der),))):
        judged = verdict(everywhere(made.der), known)
        assert judged.verdict.confirmed
        assert judged.facts
        assert bool(judged.facts.warnings) == (kind == "rsa1024")


@pytest.mark.parametrize(
    "valid", [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)], ids=["expired", "too early"]
)
def test_dates_are_warned_of_and_are_no_interception(valid: tuple[Any, Any]) -> None:
    """An expired or not yet valid certificate is never contradicted for that; the facts name the clock."""
    made = make(key=NEW.key, valid=valid)
    assert verdict(everywhere(made.der), CSR).verdict is Verdict.CONFIRMED_KEY
    assert verdict(everywhere(made.der)).verdict is Verdict.UNCONFIRMED
    by_ca = verdict(everywhere(make(by=ROOT, valid=valid).der), CA)
    assert by_ca.verdict is Verdict.UNCONFIRMED
    assert "does not verify now" in by_ca.reason
    assert by_ca.facts
    assert "clock" in by_ca.facts.warnings[0]


def test_sha1_is_warned_of_and_is_no_interception() -> None:
    """SHA-1 is confirmed by a fingerprint, with a warning; the CA's signature over SHA-1 is not enough."""
    key = key_of("rsa2048", 1)
    ca = make("rsa root", key=key, ca=True)
    der = with_weak_hash(make(by=ca), key, "sha1")
    judged = verdict(everywhere(der), Knowledge(sha256=(sha256_of(der),)))
    assert judged.verdict is Verdict.CONFIRMED_FINGERPRINT
    assert judged.facts
    assert "SHA-1" in judged.facts.warnings[0]
    by_ca = Knowledge(issuers=(Issuer(ca=(ca.der,), names=("prime-sec",)),))
    assert verdict(everywhere(der), by_ca).verdict is Verdict.UNCONFIRMED


@pytest.mark.parametrize("known", [CSR, PRINT, CA, NOTHING], ids=["csr", "fingerprint", "ca", "nothing"])
def test_the_same_subject_never_counts(known: Knowledge) -> None:
    """It never trusts a subject or CN.

    A certificate with the expected subject, names and issuer's name, and another key, is never confirmed.
    """
    twin_ca = make("intermediate", key=key_of("ec", 7), by=make("root", key=key_of("ec", 8), ca=True), ca=True)
    for twin in (make("prime-sec", key=key_of("ec", 10)), make("prime-sec", key=key_of("ec", 10), by=twin_ca)):
        judged = verdict(everywhere(twin.der, twin_ca.der, INTER.der, ROOT.der), known)
        assert judged.verdict is (Verdict.UNCONFIRMED if known is NOTHING else Verdict.CONTRADICTED)


def test_another_subject_with_the_right_key_is_confirmed() -> None:
    """After a redeployment with another CN the subject says nothing either."""
    assert verdict(everywhere(make("another name", key=NEW.key).der), CSR).verdict is Verdict.CONFIRMED_KEY


# -- vantages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", list(Vantage))
@pytest.mark.parametrize("known", [CSR, PRINT, OWN, NOTHING], ids=["csr", "fingerprint", "self", "nothing"])
def test_an_impostor_at_one_vantage_is_contradicted(where: Vantage, known: Knowledge) -> None:
    """Whatever is known, and if nothing is, one vantage that shows another certificate is an alarm."""
    looks = tuple(seen(vantage, (IMPOSTOR if vantage is where else NEW).der) for vantage in Vantage)
    judged = verdict(looks, known)
    assert judged.verdict is Verdict.CONTRADICTED
    if known in (CSR, PRINT):
        assert judged.facts
        assert judged.facts.sha256 == sha256_of(IMPOSTOR.der)
        assert f"seen from {where}" in judged.reason


@pytest.mark.parametrize("known", [CSR, PRINT, OWN, NOTHING], ids=["csr", "fingerprint", "self", "nothing"])
def test_two_vantages_without_self_that_differ_are_contradicted(known: Knowledge) -> None:
    """Two that disagree contradict each other even where nobody can say which is right."""
    assert (
        verdict((seen(HERE, NEW.der), refused(SELF), seen(PEER, IMPOSTOR.der)), known).verdict is Verdict.CONTRADICTED
    )


def test_another_certificate_behind_the_name_that_a_server_uses_is_contradicted() -> None:
    """It is seen from the same vantage as the right one, and only the name leads to it."""
    by_name = replace(seen(PEER, IMPOSTOR.der), host="prime-sec.example.com")
    judged = verdict((*everywhere(NEW.der), by_name), OWN)
    assert (judged.verdict, judged.seen_from) == (Verdict.CONTRADICTED, tuple(Vantage))
    assert "seen from peer as prime-sec.example.com" in judged.reason
    nowhere = verdict((*everywhere(NEW.der), replace(silent(PEER), host="prime-sec.example.com")), CSR)
    assert (nowhere.verdict, nowhere.seen_from) == (Verdict.CONFIRMED_KEY, tuple(Vantage))
    assert [words.partition(": ")[0] for _, words in nowhere.not_available] == ["as prime-sec.example.com"]


@pytest.mark.parametrize("missing", [refused, silent], ids=["refused", "no answer"])
@pytest.mark.parametrize("where", list(Vantage))
def test_a_vantage_that_is_missing_is_said_and_not_guessed(where: Vantage, missing: Any) -> None:
    """One vantage less is reported with its problem; the others decide."""
    looks = tuple(missing(vantage) if vantage is where else seen(vantage, NEW.der) for vantage in Vantage)
    judged = verdict(looks, CSR)
    assert judged.verdict is Verdict.CONFIRMED_KEY
    assert [vantage for vantage, _ in judged.not_available] == [where]
    assert where not in judged.seen_from


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize("where", list(Vantage))
def test_what_was_seen_before_a_look_that_failed_still_contradicts(where: Vantage, available: bool) -> None:
    """An impostor that is met once and hangs up after that was met; a host that is met once confirms nothing."""
    seen_whole = [seen(vantage, NEW.der) for vantage in Vantage if vantage is not where]
    met, again = (seen(where, one.der, available=available, problem="no answer") for one in (IMPOSTOR, NEW))
    for known in (CSR, PRINT, CA, OWN, NOTHING):
        assert verdict((*seen_whole, met), known).verdict is Verdict.CONTRADICTED
        assert verdict((met,), known).verdict is (
            Verdict.UNREACHABLE if known in (OWN, NOTHING) else Verdict.CONTRADICTED
        )
        assert verdict((again,), known).verdict in (Verdict.UNREACHABLE, Verdict.CONTRADICTED)
    judged = verdict((*seen_whole, again), CSR)
    assert judged.verdict is Verdict.CONFIRMED_KEY
    assert (where in judged.seen_from, judged.not_available) == (False, ((where, "no answer"),))
    assert verdict((again,), CSR).verdict is Verdict.UNREACHABLE
    alone = (seen(HERE, NEW.der), seen(SELF, NEW.der, available=available, problem="no answer"))
    assert verdict(alone, OWN).verdict is Verdict.UNCONFIRMED


@pytest.mark.parametrize("missing", [refused, silent], ids=["refused", "no answer"])
def test_self_confirms_only_where_it_was_seen(missing: Any) -> None:
    """With ``self`` expected and not available there is nothing to compare with, however the other vantages agree."""
    judged = verdict((seen(HERE, NEW.der), missing(SELF), seen(PEER, NEW.der)), OWN)
    assert judged.verdict is Verdict.UNCONFIRMED
    assert "self is not available" in judged.reason


def test_agreement_of_vantages_confirms_nothing_that_was_not_expected() -> None:
    """That the host shows itself the same proves nothing unless the operator says so by ``self``."""
    assert verdict(everywhere(NEW.der), NOTHING).verdict is Verdict.UNCONFIRMED


def test_no_answer_from_anywhere_is_unreachable() -> None:
    """An outage is an outage, whatever is known; there are no facts, and each problem is told."""
    judged = verdict((silent(HERE), refused(SELF), silent(PEER)), CSR, previous="0" * 64)
    assert judged.verdict is Verdict.UNREACHABLE
    assert judged.facts is None
    assert "refuses forwarding" in judged.reason
    assert len(judged.not_available) == 3


@pytest.mark.parametrize("known", [CSR, PRINT, CA, OWN, NOTHING])
def test_two_probes_that_differ_are_unstable(known: Knowledge) -> None:
    """A host that alternates is unstable, whatever the last look showed; what contradicts is told too."""
    looks = (seen(HERE, NEW.der), seen(SELF, NEW.der), seen(PEER, NEW.der, stable=False))
    assert verdict(looks, known).verdict is Verdict.UNSTABLE
    both = verdict((seen(HERE, IMPOSTOR.der), seen(PEER, NEW.der, stable=False)), PRINT)
    assert both.verdict is Verdict.UNSTABLE
    assert "seen from here: it is not the expected certificate" in both.reason


def test_another_vantages_intermediates_lead_to_the_ca_too() -> None:
    """Which intermediates came over which vantage does not matter: they are certificates, and signed."""
    looks = (seen(HERE, ISSUED.der, INTER.der), seen(PEER, ISSUED.der))
    assert verdict(looks, CA).verdict is Verdict.CONFIRMED_CHAIN


# -- an RSA and an ECDSA certificate of one server -------------------------------------------------


def served(one: Made, other: Made) -> tuple[Presented, ...]:
    return tuple(seen(vantage, one.der, others=(other.der,)) for vantage in Vantage)


def test_two_certificates_of_one_server_are_confirmed_together_or_not_at_all() -> None:
    """PI may be shown either: what is known of one says nothing of the other, which may be an impostor's."""
    ours, twin = make("prime-sec", key=key_of("rsa2048", 1), by=ROOT), make("prime-sec", key=key_of("ec", 5), by=ROOT)
    prints = tuple(sha256_of(each.der) for each in (ours, twin))
    keys = tuple(key_sha256(each.certificate) for each in (ours, twin))
    for known, expected in (
        (Knowledge(sha256=prints), Verdict.CONFIRMED_FINGERPRINT),
        (Knowledge(spki_sha256=keys), Verdict.CONFIRMED_KEY),
        (CA, Verdict.CONFIRMED_CHAIN),
        (OWN, Verdict.CONFIRMED_SELF),
        (NOTHING, Verdict.UNCONFIRMED),
        (Knowledge(sha256=prints[:1]), Verdict.UNCONFIRMED),
        (Knowledge(spki_sha256=keys[:1]), Verdict.UNCONFIRMED),
        (Knowledge(sha256=prints[1:]), Verdict.CONTRADICTED),
        (Knowledge(spki_sha256=keys[1:]), Verdict.CONTRADICTED),
    ):
        judged = verdict(served(ours, twin), known)
        assert (judged.verdict, judged.others) == (expected, prints[1:]), known
        assert f"the other one that it serves (EC secp256r1) has to be confirmed too: {prints[1]}" in judged.reason
    assert verdict(served(ours, IMPOSTOR), CA).verdict is Verdict.UNCONFIRMED
    assert verdict(served(IMPOSTOR, ours), CA).verdict is Verdict.CONTRADICTED
    here, *rest = served(ours, twin)
    assert verdict((here, *served(ours, IMPOSTOR)[1:]), OWN).verdict is Verdict.CONTRADICTED
    assert verdict((seen(HERE, twin.der, others=(ours.der,)), *rest), CA).verdict is Verdict.CONFIRMED_CHAIN


def test_a_certificate_that_is_still_served_beside_another_one_is_neither_stale_nor_unchanged() -> None:
    """An entry may hold it, or the one that has changed: nothing is deleted for that, and no all-clear is given."""
    there, new = sha256_of(OLD.der), sha256_of(NEW.der)
    for looks in (served(OLD, NEW), served(NEW, OLD)):
        for known in (Knowledge(sha256=(there, new)), NOTHING):
            judged = verdict(looks, known, there)
            assert judged.verdict is Verdict.UNCONFIRMED
            assert "served beside another one" in judged.reason
        assert verdict(looks, NOTHING, f"{there} {new}").verdict is Verdict.UNCHANGED


# -- before, and several things known --------------------------------------------------------------


def test_the_certificate_of_before_is_unchanged() -> None:
    """A host that still presents what it did is unchanged, whether or not that would be confirmed too."""
    before = sha256_of(OLD.der)
    assert verdict(everywhere(OLD.der), NOTHING, before).verdict is Verdict.UNCHANGED
    assert verdict(everywhere(OLD.der), OWN, before).verdict is Verdict.UNCHANGED
    assert verdict(everywhere(NEW.der), NOTHING, before).verdict is Verdict.UNCONFIRMED


def test_the_certificate_of_before_does_not_outweigh_what_is_expected() -> None:
    """Whoever holds the old key is not let through where another is expected; the words say what it may be."""
    judged = verdict(everywhere(OLD.der), CSR, sha256_of(OLD.der))
    assert judged.verdict is Verdict.CONTRADICTED
    assert "the one that was there before" in judged.reason
    mixed = verdict((seen(HERE, OLD.der), seen(PEER, IMPOSTOR.der)), NOTHING, sha256_of(OLD.der))
    assert mixed.verdict is Verdict.CONTRADICTED


def test_all_that_is_known_has_to_hold() -> None:
    """One thing that differs contradicts, however much else confirms; what cannot be told is said beside."""
    wrong = Knowledge(spki_sha256=CSR.spki_sha256, sha256=("f" * 64,))
    assert verdict(everywhere(NEW.der), wrong).verdict is Verdict.CONTRADICTED
    two = Knowledge(sha256=(*PRINT.sha256, "f" * 64))
    assert verdict(everywhere(NEW.der), two).verdict is Verdict.CONTRADICTED
    keys = Knowledge(spki_sha256=(*CSR.spki_sha256, "f" * 64))
    assert verdict(everywhere(NEW.der), keys).verdict is Verdict.CONTRADICTED
    half = verdict((seen(HERE, NEW.der), refused(SELF)), Knowledge(sha256=PRINT.sha256, self_=True))
    assert half.verdict is Verdict.CONFIRMED_FINGERPRINT
    assert "self is not available" in half.reason


def test_two_cas_have_to_hold_each_for_its_own_names() -> None:
    """A second CA that did not issue it contradicts, and one CA's names are not lent to the other."""
    other = make("other root", key=key_of("ec", 11), ca=True)
    both = Knowledge(issuers=(*CA.issuers, Issuer(ca=(other.der,), names=("prime-sec",))))
    assert verdict(everywhere(ISSUED.der, INTER.der), both).verdict is Verdict.CONTRADICTED


def test_the_strongest_confirmation_is_the_verdict() -> None:
    """Of several that hold, the one that stands first in the table is named, and the others in words."""
    every = Knowledge(spki_sha256=CSR.spki_sha256, sha256=PRINT.sha256, self_=True)
    judged = verdict(everywhere(NEW.der), every)
    assert judged.verdict is Verdict.CONFIRMED_KEY
    assert judged.reason.count(";") == 2


# -- hostile certificates --------------------------------------------------------------------------


@pytest.mark.parametrize("known", [CSR, PRINT, CA, OWN, NOTHING], ids=["csr", "fingerprint", "ca", "self", "nothing"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_certificates_never_raise_and_are_never_confirmed(kind: str, known: Knowledge) -> None:
    """What an impostor presents is contradicted where anything is known of it, and always has its SHA-256 told."""
    looks = (seen(HERE, HOSTILE[kind]), refused(SELF), seen(PEER, HOSTILE[kind], HOSTILE[kind]))
    judged = verdict(looks, known)
    assert judged.verdict is (Verdict.UNCONFIRMED if known in (NOTHING, OWN) else Verdict.CONTRADICTED)
    assert judged.facts
    assert judged.facts.sha256 == sha256_of(HOSTILE[kind])


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_certificates_beside_a_good_one_never_raise(kind: str) -> None:
    """One vantage with a good certificate and one with a hostile one contradict each other."""
    assert verdict((seen(HERE, NEW.der), seen(PEER, HOSTILE[kind])), CSR).verdict is Verdict.CONTRADICTED
    assert verdict(everywhere(NEW.der, HOSTILE[kind]), CSR).verdict is Verdict.CONFIRMED_KEY


def test_a_certificate_that_cannot_be_read_is_said_to_be_so() -> None:
    """Its facts hold the SHA-256 and a warning, so that what was seen is shown and an override can name it."""
    facts = verdict(everywhere(HOSTILE["half of it"])).facts
    assert isinstance(facts, CertificateFacts)
    assert "only its SHA-256 is known" in facts.warnings[0]


# -- for every combination -------------------------------------------------------------------------

POOL: tuple[Made, ...] = (NEW, OLD, IMPOSTOR, ISSUED)
LOOK = st.tuples(st.sampled_from([None, "refused", *POOL]), st.booleans())


@settings(max_examples=400)
@given(st.tuples(LOOK, LOOK, LOOK), st.sets(st.sampled_from(["csr", "print", "ca", "self"])), st.sampled_from(POOL))
def test_confirmed_is_only_what_is_expected_and_seen_alike_from_everywhere(
    shown: tuple[tuple[Any, bool], ...], knows: set[str], before: Made
) -> None:
    """For every combination: confirmed means stable, one certificate at all vantages, and each thing known met."""
    looks = []
    for vantage, (what, stable) in zip(Vantage, shown, strict=True):
        if isinstance(what, Made):
            looks.append(seen(vantage, what.der, INTER.der, stable=stable))
        else:
            looks.append(refused(vantage) if what else silent(vantage))
    known = Knowledge(
        spki_sha256=CSR.spki_sha256 if "csr" in knows else (),
        sha256=PRINT.sha256 if "print" in knows else (),
        issuers=CA.issuers if "ca" in knows else (),
        self_="self" in knows,
    )
    judged = verdict(tuple(looks), known, sha256_of(before.der))
    chains = [look for look in looks if look.chain]
    leaves = {look.chain[0] for look in chains}
    meets = {
        "csr": leaves == {NEW.der},
        "print": leaves == {NEW.der},
        "ca": leaves == {ISSUED.der},
    }
    if judged.verdict.confirmed:
        assert len(leaves) == 1
        assert all(look.stable for look in chains)
        assert all(meets[one] for one in knows - {"self"})
        assert knows - {"self"} or looks[1].chain
    if not chains:
        assert judged.verdict is Verdict.UNREACHABLE
    elif all(look.stable for look in chains) and (len(leaves) > 1 or any(not meets[one] for one in knows - {"self"})):
        assert judged.verdict is Verdict.CONTRADICTED
    if judged.verdict is Verdict.UNCHANGED:
        assert leaves == {before.der}


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(Vantage, 2)))
def test_the_order_of_the_looks_does_not_matter(first: Vantage, second: Vantage) -> None:
    """The same looks in another order give the same verdict on the same certificate."""
    looks = (seen(first, NEW.der), seen(second, IMPOSTOR.der))
    one, other = verdict(looks, CSR), verdict(looks[::-1], CSR)
    assert (one.verdict, one.facts) == (other.verdict, other.facts)
