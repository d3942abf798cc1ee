"""Facts of certificates, of good, weak and hostile ones; and whether a CA issued one for a name."""

from __future__ import annotations

import contextlib
import hashlib
import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from certificate_kit import CLIENTS, DAY, NOW, SERVERS, Made, hostile, key_of, make, with_weak_hash
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_lib.certificates.facts import facts_of, sha256_of, spki_sha256_of
from runbook_lib.certificates.verdict import MOST_INTERMEDIATES, covers, issued_for

ROOT = make("root", key=key_of("ec", 1), ca=True)
INTER = make("intermediate", key=key_of("ec", 2), by=ROOT, ca=True)
HOSTILE = hostile()


def issued(leaf: Made | bytes, *sent: Made, ca: tuple[Made, ...] = (ROOT,), name: str = "ise.example.com") -> Any:
    der = leaf if isinstance(leaf, bytes) else leaf.der
    return issued_for(der, [one.der for one in sent], [one.der for one in ca], [name], NOW)


# -- facts -----------------------------------------------------------------------------------------


def test_facts_of_a_plain_certificate() -> None:
    """Subject, issuer, validity, key, hash, names and both digests are those of the certificate, with no warning."""
    leaf = make("prime-sec", by=ROOT, names=["prime-sec.example.com", "192.0.2.20", "2001:db8::20"])
    facts = facts_of(leaf.der, NOW)
    assert (facts.subject, facts.issuer, facts.serial) == ("CN=prime-sec", "CN=root", "77665544332211")
    assert (facts.not_before_utc, facts.not_after_utc) == (NOW - DAY, NOW + 365 * DAY)
    assert (facts.key_type, facts.key_bits, facts.signature_hash) == ("EC secp256r1", 256, "sha256")
    assert facts.names == ("prime-sec.example.com", "192.0.2.20", "2001:db8::20")
    assert facts.sha256 == hashlib.sha256(leaf.der).hexdigest() == sha256_of(leaf.der)
    assert facts.spki_sha256 == spki_sha256_of(leaf.der)
    assert facts.warnings == ()


@pytest.mark.parametrize(
    ("kind", "said", "bits"),
    [("rsa2048", "RSA", 2048), ("ed25519", "Ed25519", None), ("ed448", "Ed448", None), ("ec", "EC secp256r1", 256)],
)
def test_strong_keys_are_named_and_not_warned_of(kind: str, said: str, bits: int | None) -> None:
    """Every usual kind of key is named with its size, and a strong one brings no warning."""
    facts = facts_of(make(key=key_of(kind)).der, NOW)
    assert (facts.key_type, facts.key_bits, facts.warnings) == (said, bits, ())


@pytest.mark.parametrize(("kind", "warning"), [("rsa1024", "RSA key of 1024 bits"), ("p192", "of 192 bits")])
def test_short_keys_are_warned_of(kind: str, warning: str) -> None:
    """A key that is too short is said to be so."""
    assert any(
        warning in words and "too short" in words for words in facts_of(make(key=key_of(kind)).der, NOW).warnings
    )


@pytest.mark.parametrize(("kind", "said"), [("sha1", "SHA-1"), ("md5", "MD5")])
def test_hashes_that_can_be_forged_are_warned_of(kind: str, said: str) -> None:
    """A signature over SHA-1 or MD5 is said to be forgeable."""
    key = key_of("rsa2048")
    facts = facts_of(with_weak_hash(make(key=key), key, kind), NOW)
    assert facts.signature_hash == kind
    assert facts.warnings == (f"signed with {said}, which can be forged",)


@pytest.mark.parametrize(
    ("valid", "warning"),
    [
        (
            (NOW - 9 * DAY, NOW - DAY),
            r"expired on 2026-11-22 12:00 UTC, and it is 2026-11-23 12:00 UTC by this machine",
        ),
        ((NOW + DAY, NOW + 9 * DAY), r"not valid before 2026-11-24 12:00 UTC.*a clock is wrong"),
        ((NOW - DAY, NOW + 9 * DAY), r"expires in 9 days"),
        ((NOW - DAY, NOW + DAY), r"expires in 1 day\Z"),
        ((NOW - DAY, NOW + 31 * DAY), None),
        ((NOW, NOW + 365 * DAY), None),
    ],
)
def test_validity_is_said_by_which_clock(valid: tuple[Any, Any], warning: str | None) -> None:
    """Expired, not yet valid (a clock is wrong) and nearly expired are warned of, each with both times."""
    found = facts_of(make(valid=valid).der, NOW).warnings
    assert bool(found) == bool(warning)
    assert warning is None or re.search(warning, found[0])


def test_validity_that_ends_before_it_begins_is_said() -> None:
    """A certificate that was never valid is said to be so, by whatever clock."""
    der = make(valid=(NOW - DAY, NOW + DAY)).der.replace(b"261124120000Z", b"250101000000Z")
    assert facts_of(der, NOW).warnings == ("never valid: its validity ends (2025-01-01) before it begins (2026-11-22)",)


def test_names_are_the_cn_only_where_there_is_no_alternative_name() -> None:
    """With a subject alternative name the CN is no name; without one it is, an address too."""
    assert facts_of(make("cn", names=["san.example.com"]).der, NOW).names == ("san.example.com",)
    assert facts_of(make("192.0.2.20").der, NOW).names == ("192.0.2.20",)


def test_names_of_a_certificate_whose_extensions_cannot_be_read_are_none() -> None:
    """Broken extensions never make the CN count as the name."""
    facts = facts_of(HOSTILE["extensions that cannot be read"], NOW)
    assert facts.names == ()
    assert any("extensions cannot be read" in warning for warning in facts.warnings)


@pytest.mark.parametrize("kind", HOSTILE)
def test_facts_of_hostile_certificates_are_facts_or_a_value_error(kind: str) -> None:
    """Nothing that a host presents raises anything else than ValueError; the digest is that of the bytes."""
    with contextlib.suppress(ValueError):
        assert facts_of(HOSTILE[kind], NOW).sha256 == sha256_of(HOSTILE[kind])
    with contextlib.suppress(ValueError):
        assert len(spki_sha256_of(HOSTILE[kind])) == 64


@settings(max_examples=150)
@given(st.integers(0, 400), st.integers(1, 255), st.booleans())
def test_facts_of_damaged_certificates_are_facts_or_a_value_error(place: int, flip: int, cut: bool) -> None:
    """One wrong byte, or a cut, anywhere raises ValueError at most."""
    der = bytearray(ROOT.der)
    place %= len(der)
    der[place] ^= flip
    with contextlib.suppress(ValueError):
        facts_of(bytes(der[: place + 1] if cut else der), NOW)


# -- issued by the CA ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaf",
    [
        make("ise.example.com", by=ROOT),
        make("x", by=ROOT, names=["ISE.example.com."]),
        make("x", by=ROOT, names=["*.example.com"]),
        make("x", by=ROOT, names=["other.example.com", "ise.example.com"], usage=SERVERS),
    ],
    ids=["CN only", "SAN in other case", "wildcard", "one of several, for servers"],
)
def test_certificates_of_the_ca_for_the_name_are_confirmed(leaf: Made) -> None:
    """The CA's signature and the expected name together are enough, also where there is a CN only."""
    assert issued(leaf)[0] is True


@pytest.mark.parametrize(
    ("leaf", "name"),
    [
        (make("192.0.2.20", by=ROOT), "192.0.2.20"),
        (make("x", by=ROOT, names=["192.0.2.20"]), "192.0.2.20"),
        (make("x", by=ROOT, names=["2001:db8::20"]), "2001:0DB8:0::20"),
    ],
    ids=["address in the CN", "address in the SAN", "IPv6, spelled otherwise"],
)
def test_addresses_are_names_too(leaf: Made, name: str) -> None:
    """An address in the CN or the SAN covers that address, however it is spelled."""
    assert issued(leaf, name=name)[0] is True


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        (make("x", by=ROOT, names=["other.example.com"]), "other names"),
        (make("ise.example.com", by=ROOT, names=["other.example.com"]), "other names"),
        (make("x", by=ROOT, names=["*.ise.example.com"]), "other names"),
        (make("x", by=ROOT, names=["*.com"]), "other names"),
        (make("ise.example.com\0.evil.example", by=ROOT), "other names"),
        (make("ise.example.com", by=ROOT, usage=CLIENTS), "not issued for servers"),
        (make("ise.example.com"), "no chain leads"),
        (make("ise.example.com", by=make("root", key=key_of("ec", 9), ca=True)), "no chain leads"),
    ],
    ids=[
        "name",
        "SAN beats CN",
        "wildcard of another",
        "wildcard of two labels",
        "NUL",
        "client",
        "self",
        "same subject",
    ],
)
def test_other_certificates_are_not_the_cas_for_the_name(leaf: Made, words: str) -> None:
    """Another name, another purpose, another CA, or a CA of the same subject with another key: no."""
    assert issued(leaf)[0] is False
    assert words in issued(leaf)[1]


def test_intermediates_that_the_host_sends_lead_to_the_ca() -> None:
    """The way may go over certificates that the host sent, in any order, with strangers among them."""
    leaf = make("ise.example.com", by=INTER)
    stranger = make("intermediate", key=key_of("ec", 8), ca=True)
    assert issued(leaf, INTER)[0] is True
    assert issued(leaf, stranger, ROOT, INTER, leaf)[0] is True


def test_missing_intermediates_are_named_as_a_reason() -> None:
    """Where the host does not send its intermediate, the bundle can hold it; the words say so."""
    leaf = make("ise.example.com", by=INTER)
    answer, words = issued(leaf)
    assert answer is False
    assert "add them to the bundle" in words
    assert issued(leaf, ca=(ROOT, INTER))[0] is True


def test_intermediates_for_servers_only_may_issue() -> None:
    """An intermediate that may issue for servers only is as good; one for clients only is not."""
    for usage, answer in ((SERVERS, True), (CLIENTS, None)):
        inter = make("narrow", key=key_of("ec", 3), by=ROOT, ca=True, usage=usage)
        assert issued(make("ise.example.com", by=inter, usage=SERVERS), inter)[0] is answer


def test_a_ca_without_key_usage_may_issue() -> None:
    """A CA that an organisation made for itself often has no key usage; one whose key usage says no is none."""
    plain = make("own CA", key=key_of("ec", 7), ca=True, key_usage=False)
    assert issued(make("ise.example.com", by=plain), ca=(plain,))[0] is True
    other_use = x509.KeyUsage(*[True] * 2, *[False] * 7)
    wrong = make("own CA", key=key_of("ec", 7), ca=True, key_usage=False, extensions=[other_use])
    assert issued(make("ise.example.com", by=wrong), ca=(wrong,))[0] is False


OF_OTHERS = x509.NameConstraints([x509.DNSName("other.example")], None)
NO_EXAMPLE = x509.NameConstraints(None, [x509.DNSName("example.com")])
OF_A_NET = x509.NameConstraints([x509.IPAddress(ip_network("10.0.0.0/8"))], None)
OF_EXAMPLE = x509.NameConstraints([x509.DNSName("example.com")], None)
OF_A_SUBJECT = x509.NameConstraints([x509.DirectoryName(x509.Name([]))], None)
SPELLED_AS_NAME = x509.SubjectAlternativeName(
    [x509.DNSName("192.0.2.20"), x509.UniformResourceIdentifier("192.0.2.20")]
)


@pytest.mark.parametrize(
    ("limits", "name", "alternative", "confirmed"),
    [
        (OF_OTHERS, "ise.example.com", None, None),
        (NO_EXAMPLE, "ise.example.com", None, None),
        (OF_EXAMPLE, "ise.example.com", None, None),
        (OF_A_NET, "192.0.2.20", None, None),
        (OF_A_NET, "192.0.2.20", SPELLED_AS_NAME, None),
        (OF_OTHERS, "ise.example.com", ["ise.example.com"], None),
        (OF_A_NET, "192.0.2.20", ["192.0.2.20"], None),
        (OF_A_SUBJECT, "ise.example.com", ["ise.example.com"], None),
        (OF_EXAMPLE, "ise.example.com", ["ise.example.com"], True),
        (OF_A_NET, "10.0.0.20", ["10.0.0.20"], True),
    ],
)
@pytest.mark.parametrize("by_root", [False, True], ids=["intermediate", "root"])
def test_a_ca_that_is_limited_to_some_names_confirms_no_other(
    limits: x509.NameConstraints, name: str, alternative: Any, confirmed: bool | None, by_root: bool
) -> None:
    """Whatever no limit of names holds, a CN above all, is never confirmed by a CA that has one."""
    ca = make("limited", by=None if by_root else ROOT, ca=True, key=key_of("ec", 5), extensions=[limits])
    extensions = [alternative] if isinstance(alternative, x509.SubjectAlternativeName) else []
    leaf = make(name, by=ca, names=() if extensions else alternative or (), extensions=extensions)
    assert issued(leaf, ca, ca=(ca if by_root else ROOT,), name=name)[0] is confirmed


def test_a_servers_certificate_of_the_ca_is_no_ca() -> None:
    """Whoever holds the key of one server's certificate cannot issue another's: that is contradicted, not undecided."""
    server = make("other.example.com", key=key_of("ec", 4), by=ROOT)
    assert issued(make("ise.example.com", by=server), server)[0] is False


def test_a_ca_that_may_have_none_under_it_has_none() -> None:
    """An intermediate with path length 0 cannot make an intermediate of its own."""
    narrow = make("narrow", key=key_of("ec", 5), by=ROOT, ca=True, path_length=0)
    below = make("below", key=key_of("ec", 6), by=narrow, ca=True)
    assert issued(make("ise.example.com", by=narrow), narrow)[0] is True
    assert issued(make("ise.example.com", by=below), below, narrow)[0] is False


def test_the_bundles_own_certificate_is_not_issued_by_it() -> None:
    """A server's certificate in the bundle vouches for nobody, itself included; the words say how to give it."""
    own = make("ise.example.com", ca=True)
    answer, words = issued(own, ca=(ROOT, own))
    assert answer is None
    assert "certificate:" in words


@pytest.mark.parametrize(
    "valid", [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)], ids=["expired", "too early"]
)
def test_dates_neither_confirm_nor_contradict(valid: tuple[Any, Any]) -> None:
    """A certificate of the CA that is out of its dates is undecided: no confirmation, and no alarm."""
    answer, words = issued(make("ise.example.com", by=ROOT, valid=valid))
    assert answer is None
    assert "does not verify now" in words


def test_an_expired_ca_neither_confirms_nor_contradicts() -> None:
    """The CA's own dates count likewise."""
    old = make("old", key=key_of("ec", 7), ca=True, valid=(NOW - 9 * DAY, NOW - timedelta(hours=1)))
    assert issued(make("ise.example.com", by=old), ca=(old,))[0] is None


@pytest.mark.parametrize("kind", ["sha1", "md5"])
def test_weak_signatures_of_the_ca_neither_confirm_nor_contradict(kind: str) -> None:
    """A SHA-1 signature of the CA is undecided; one that only claims to be the CA's contradicts."""
    key = key_of("rsa2048", 1)
    ca = make("rsa root", key=key, ca=True)
    leaf = make("ise.example.com", by=ca)
    assert issued(with_weak_hash(leaf, key, kind), ca=(ca,))[0] is None
    assert issued(with_weak_hash(leaf, key_of("rsa2048", 2), kind), ca=(ca,))[0] is False


def test_a_ca_with_a_short_key_neither_confirms_nor_contradicts() -> None:
    """What an RSA 1024 key signed proves little, and is no alarm."""
    weak = make("weak root", key=key_of("rsa1024"), ca=True)
    assert issued(make("ise.example.com", by=weak), ca=(weak,))[0] is None


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_certificates_are_never_the_cas(kind: str) -> None:
    """Whatever is presented or sent along, nothing raises and nothing of it is confirmed."""
    assert issued(HOSTILE[kind])[0] is False
    leaf = make("ise.example.com", by=ROOT)
    assert issued_for(leaf.der, [HOSTILE[kind]], [ROOT.der], ["ise.example.com"], NOW)[0] is True


def test_extensions_that_cannot_be_read_are_undecided_where_the_ca_signed_them() -> None:
    """What the CA signed and cannot be read is no alarm, and no confirmation by its CN."""
    from cryptography import x509

    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x82\xff")
    assert issued(make("ise.example.com", by=ROOT, extensions=[broken]))[0] is None


def test_a_flood_of_intermediates_is_cut() -> None:
    """Only so many certificates that were sent along are looked at, so that a host cannot keep this machine busy."""
    flood = [make(f"ca {n}", ca=True) for n in range(MOST_INTERMEDIATES)]
    leaf = make("ise.example.com", by=INTER)
    assert issued(leaf, *flood[1:], INTER)[0] is True
    assert issued(leaf, *flood, INTER)[0] is False


@pytest.mark.parametrize(
    ("name", "expected", "same"),
    [
        ("*.0.2.20", "192.0.2.20", False),
        ("*", "localhost", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "a.example.com", True),
        ("", "ise", False),
        ("192.0.2.020", "192.0.2.20", False),
        ("::ffff:192.0.2.20", "192.0.2.20", False),
        ("\u212aey.example.com", "key.example.com", False),
        ("*.\u212aey.example.com", "a.key.example.com", False),
    ],
    ids=ascii,
)
def test_wildcards_and_addresses(name: str, expected: str, same: bool) -> None:
    """A wildcard stands for one whole label of a name, never of an address; odd spellings of addresses do not count."""
    assert covers(name, expected) is same
