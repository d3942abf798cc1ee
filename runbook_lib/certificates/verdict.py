"""The verdict: what a host presents, compared with what the operator knows by another way.

The order of the questions is the order of the risks. A certificate that changes between two looks
comes first (``unstable``), then anything that differs from what is known, or between two vantages
(``contradicted``), then whether the host shows the certificate that was there before
(``unchanged``), and only then what confirms it. Subject and CN are shown to people and compare
with nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from runbook_lib.certificates.expectation import Knowledge
from runbook_lib.certificates.facts import facts_of, key_sha256, names_of, sha256_of
from runbook_lib.models import Judgement, Presented, Vantage, Verdict

LONGEST_PATH = 8


class _Match(Enum):
    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class _Comparison:
    """One thing known against one certificate seen."""

    match: _Match
    verdict: Verdict
    vantage: Vantage
    words: str


def judge(
    target: str,
    seen: Sequence[Presented],
    known: Knowledge,
    *,
    now_utc: datetime,
    previous_sha256: str = "",
) -> Judgement:
    """Return the verdict on one host and port from all that was seen of it.

    ``seen`` holds one value per vantage, all of the same host and port, at least one;
    ``previous_sha256`` is the certificate that the host was last known to present, where it is
    known. Never raises for what a host presents.
    """
    looks = [p for p in seen if p.available and p.chain]
    verdict, reason, judged = _decide(seen, looks, known, now_utc, previous_sha256)
    return Judgement(
        target=target,
        host=seen[0].host,
        port=seen[0].port,
        verdict=verdict,
        reason=reason,
        expectation=known.words,
        facts=facts_of(judged.chain[0], now_utc) if judged else None,
        seen_from=tuple(p.vantage for p in looks),
        not_available=tuple((p.vantage, p.problem) for p in seen if p not in looks),
    )


def _decide(
    seen: Sequence[Presented], looks: list[Presented], known: Knowledge, now_utc: datetime, previous: str
) -> tuple[Verdict, str, Presented | None]:
    if not looks:
        problems = "; ".join(f"{p.vantage}: {p.problem}" for p in seen)
        return Verdict.UNREACHABLE, f"no answer from any vantage ({problems})", None
    for look in looks:
        if not look.stable:
            return Verdict.UNSTABLE, f"two probes from {look.vantage} showed different certificates", look
    unreadable = [look for look in looks if not _readable(look.chain[0])]
    if unreadable:
        return Verdict.CONTRADICTED, f"what {unreadable[0].vantage} shows cannot be read as a certificate", None
    comparisons = [c for look in looks for c in _compare(look, looks, known, now_utc)]
    for comparison in comparisons:
        if comparison.match is _Match.NO:
            judged = next(look for look in looks if look.vantage is comparison.vantage)
            return Verdict.CONTRADICTED, f"seen from {comparison.vantage}: {comparison.words}", judged
    leaf = sha256_of(looks[0].chain[0])
    if previous and leaf == previous:
        return Verdict.UNCHANGED, "the host presents the certificate that was there before", looks[0]
    for comparison in sorted(comparisons, key=lambda c: list(Verdict).index(c.verdict)):
        if comparison.match is _Match.YES:
            return comparison.verdict, comparison.words, looks[0]
    undecided = [c.words for c in comparisons if c.match is _Match.CANNOT_TELL]
    reason = "; ".join(dict.fromkeys(undecided)) or "the operator knows nothing of this certificate by another way"
    return Verdict.UNCONFIRMED, reason, looks[0]


def _readable(der: bytes) -> bool:
    try:
        facts_of(der, datetime.now(UTC))
    except Exception:  # noqa: BLE001 - cryptography raises several kinds on hostile input
        return False
    return True


def _compare(look: Presented, looks: list[Presented], known: Knowledge, now_utc: datetime) -> list[_Comparison]:
    leaf = look.chain[0]
    found = []
    if known.spki_sha256:
        same = {key_sha256(x509.load_der_x509_certificate(leaf))} == set(known.spki_sha256)
        words = "its key is the CSR's" if same else "its key is not the CSR's"
        found.append(_Comparison(_yes(same), Verdict.CONFIRMED_KEY, look.vantage, words))
    if known.ca:
        match, words = _issued(look.chain, known, now_utc)
        found.append(_Comparison(match, Verdict.CONFIRMED_CHAIN, look.vantage, words))
    if known.sha256:
        same = {sha256_of(leaf)} == set(known.sha256)
        words = "it is the expected certificate" if same else "it is not the expected certificate"
        found.append(_Comparison(_yes(same), Verdict.CONFIRMED_FINGERPRINT, look.vantage, words))
    found.append(_against_self(look, looks, known))
    return found


def _yes(same: bool) -> _Match:
    return _Match.YES if same else _Match.NO


def _against_self(look: Presented, looks: list[Presented], known: Knowledge) -> _Comparison:
    """Compare with what the host shows through its own SSH server; where that is missing, with the first look.

    Two vantages that disagree contradict each other even where nothing else is known. Agreement
    confirms only where the operator named ``self`` as an expectation and it was really seen.
    """
    own = next((p for p in looks if p.vantage is Vantage.SELF), None)
    reference = own or looks[0]
    if look.chain[0] != reference.chain[0]:
        words = f"it differs from what is seen from {reference.vantage}"
        return _Comparison(_Match.NO, Verdict.CONFIRMED_SELF, look.vantage, words)
    if own and known.self_:
        words = "it is what the host shows through its own SSH server"
        return _Comparison(_Match.YES, Verdict.CONFIRMED_SELF, look.vantage, words)
    words = (
        "the vantage self is not available, so there is nothing to compare with"
        if known.self_
        else "the operator knows nothing of this certificate by another way"
    )
    return _Comparison(_Match.CANNOT_TELL, Verdict.CONFIRMED_SELF, look.vantage, words)


def _issued(chain: tuple[bytes, ...], known: Knowledge, now_utc: datetime) -> tuple[_Match, str]:
    """Whether the operator's CA issued the leaf for one of the expected names.

    The path is verified by the library's verifier; the name by the subject alternative name, or
    by the CN where there is none, because servers of this kind often have no other. A path that
    holds but is expired, not yet valid or too weak neither confirms nor contradicts.
    """
    try:
        leaf, *rest = (x509.load_der_x509_certificate(der) for der in chain)
    except ValueError:
        return _Match.NO, "its chain cannot be read"
    trusted = [x509.load_der_x509_certificate(der) for der in known.ca]
    if not _signed_by(leaf, [*rest, *trusted], trusted):
        return _Match.NO, "it was not issued by the expected CA"
    if not any(_covers(name, expected) for name in names_of(leaf) for expected in known.ca_names):
        return _Match.NO, f"it was issued for other names ({', '.join(names_of(leaf)) or 'none'})"
    if not _for_servers(leaf):
        return _Match.NO, "it was not issued for servers (extended key usage)"
    policy = PolicyBuilder().store(Store(trusted)).time(now_utc).max_chain_depth(LONGEST_PATH)
    policy = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        policy.build_client_verifier().verify(leaf, rest)
    except (VerificationError, ValueError) as error:
        return _Match.CANNOT_TELL, f"the expected CA signed it, but its chain does not verify now ({error})"
    return _Match.YES, "the expected CA issued it for the expected name"


def _signed_by(leaf: x509.Certificate, candidates: list[x509.Certificate], trusted: list[x509.Certificate]) -> bool:
    """Whether signatures lead from the leaf to a trusted certificate, whatever the dates and algorithms."""
    current = leaf
    for _ in range(LONGEST_PATH):
        issuer = next((c for c in candidates if c != current and _issued_directly(current, c)), None)
        if issuer is None:
            return False
        if issuer in trusted:
            return True
        current = issuer
    return False


def _issued_directly(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _for_servers(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _covers(name: str, expected: str) -> bool:
    """Whether a certificate's name covers the expected one; a wildcard stands for one whole left-most label."""
    name, expected = name.lower().rstrip("."), expected.lower().rstrip(".")
    if name.startswith("*."):
        label, dot, parent = expected.partition(".")
        return bool(label and dot) and parent == name[2:]
    return name == expected
