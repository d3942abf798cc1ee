"""The verdict: what a host presents, compared with what the operator knows by another way.

The order of the questions is the order of the risks. A certificate that changes between two looks
comes first (``unstable``), then anything that differs from what is known, or between two vantages
(``contradicted``), then whether the host shows the certificate that was there before
(``unchanged``), and only then what confirms it. Subject and CN are shown to people and compare
with nothing here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store

from runbook_lib.certificates.expectation import Knowledge
from runbook_lib.certificates.facts import (
    WEAK_HASHES,
    extension_of,
    facts_as_far_as_read,
    load,
    may_issue,
    names_of,
    read_or,
    sha256_of,
    spki_sha256_of,
)
from runbook_lib.models import Judgement, Presented, Vantage, Verdict
from runbook_lib.params.values import is_address

NOTHING_KNOWN = "the operator has given nothing to compare this certificate with"


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """One thing known against one certificate seen; ``same`` is None where it cannot be told."""

    look: Presented
    same: bool | None
    verdict: Verdict
    words: str


def judge(
    target: str, seen: Sequence[Presented], known: Knowledge, *, now_utc: datetime, previous_sha256: Sequence[str] = ()
) -> Judgement:
    """Return the verdict on one host and port from all that was seen of it.

    ``seen`` holds one value per vantage and name, all of the same host and port, at least one;
    ``previous_sha256`` are the certificates that the host was last known to serve, where they are
    known. Never raises for what a host presents.
    """
    verdict, reason, judged = _decide(seen, known, now_utc, previous_sha256)
    others = [facts_as_far_as_read(der, now_utc) for der in (judged.others if judged else ())]
    also = (f"the other one that it serves ({each.key_type}) has to be confirmed too: {each.sha256}" for each in others)
    return Judgement(
        target=target,
        host=seen[0].host,
        port=seen[0].port,
        verdict=verdict,
        reason="; ".join((reason, *also)),
        expectation=known.words,
        facts=facts_as_far_as_read(judged.chain[0], now_utc) if judged else None,
        others=tuple(facts.sha256 for facts in others),
        seen_from=tuple(dict.fromkeys(look.vantage for look in seen if look.seen_each_time)),
        not_available=tuple((look.vantage, _problem(look, seen[0].host)) for look in seen if not look.seen_each_time),
    )


def _decide(
    seen: Sequence[Presented], known: Knowledge, now_utc: datetime, previous: Sequence[str]
) -> tuple[Verdict, str, Presented | None]:
    looks = [look for look in seen if look.chain]
    compared = [comparison for look in looks for comparison in _compare(look, looks, known, now_utc)]
    # What contradicts the operator's knowledge says more than two vantages that differ.
    against = [*(each for each in compared if each.same is False), *_differences(looks)]
    alarm = "; ".join(dict.fromkeys(f"seen from {_where(each.look, seen[0].host)}: {each.words}" for each in against))
    for look in looks:
        if not look.stable:
            words = f"two probes from {look.vantage} showed different certificates"
            return Verdict.UNSTABLE, "; ".join(filter(None, (words, alarm))), look
    if against:
        judged = against[0].look
        if sha256_of(judged.chain[0]) in previous:
            alarm += " (it is the one that was there before: is the new one in use yet?)"
        return Verdict.CONTRADICTED, alarm, judged
    # From here on every vantage shows the same. One that did not answer each time confirms nothing.
    looks = [look for look in looks if look.seen_each_time]
    if not looks:
        problems = "; ".join(f"{_where(look, seen[0].host)}: {look.problem}" for look in seen)
        return Verdict.UNREACHABLE, f"no answer from any vantage ({problems})", None
    there_before = {sha256_of(der) in previous for der in looks[0].served}
    if there_before == {True}:
        return Verdict.UNCHANGED, "the host presents the certificate that was there before", looks[0]
    if any(there_before):
        words = "a certificate that was there before is served beside another one; which one PI holds is not known"
        return Verdict.UNCONFIRMED, words, looks[0]
    undecided = tuple(dict.fromkeys(each.words for each in compared if each.same is None))
    confirming = sorted((each for each in compared if each.same), key=lambda each: list(Verdict).index(each.verdict))
    if confirming:
        reasons = dict.fromkeys((*(each.words for each in confirming), *undecided))
        return confirming[0].verdict, "; ".join(reasons), looks[0]
    return Verdict.UNCONFIRMED, "; ".join(undecided) or NOTHING_KNOWN, looks[0]


def _where(look: Presented, host: str) -> str:
    return look.vantage if look.host == host else f"{look.vantage} as {look.host}"


def _problem(look: Presented, host: str) -> str:
    return look.problem if look.host == host else f"as {look.host}: {look.problem}"


def _compare(look: Presented, looks: list[Presented], known: Knowledge, now_utc: datetime) -> Iterator[_Comparison]:
    """Yield one comparison per thing that is known."""
    if known.spki_sha256:
        same = _same([read_or("", partial(spki_sha256_of, der)) for der in look.served], known.spki_sha256)
        words = "its key is not the CSR's" if same is False else "its key is the CSR's"
        yield _Comparison(look=look, same=same, verdict=Verdict.CONFIRMED_KEY, words=words)
    sent = tuple(dict.fromkeys(der for one in looks for der in one.chain[1:]))
    for issuer in known.issuers:
        answers = [issued_for(der, sent, issuer.ca, issuer.names, now_utc) for der in look.served]
        issued, words = answers[0]
        same = issued and (all(other for other, _ in answers) or None)
        yield _Comparison(look=look, same=same, verdict=Verdict.CONFIRMED_CHAIN, words=words)
    if known.sha256:
        same = _same([sha256_of(der) for der in look.served], known.sha256)
        words = "it is not the expected certificate" if same is False else "it is the expected certificate"
        yield _Comparison(look=look, same=same, verdict=Verdict.CONFIRMED_FINGERPRINT, words=words)
    if known.self_:
        own = _own(looks)
        words = (
            "it is what the host shows through its own SSH server"
            if own
            else "the vantage self is not available, so there is nothing to compare with"
        )
        yield _Comparison(look=look, same=True if own else None, verdict=Verdict.CONFIRMED_SELF, words=words)


def _same(served: Sequence[str], known: Sequence[str]) -> bool | None:
    """Whether all that is served is known, and all that is known is served; None: another one is served beside it.

    The first has to be a known one. PI may be shown any of what is served, so that none of them confirms another.
    """
    if served[0] not in known or not set(known) <= set(served):
        return False
    return True if set(served) == set(known) else None


def _differences(looks: list[Presented]) -> Iterator[_Comparison]:
    """Yield every look that differs from what the host shows through its own SSH server, or else from the first.

    Two vantages that disagree contradict each other even where nothing else is known.
    """
    reference = _own(looks) or next(iter(looks), None)
    for look in looks:
        if reference and set(look.served) != set(reference.served):
            words = f"it differs from what is seen from {reference.vantage}"
            yield _Comparison(look=look, same=False, verdict=Verdict.CONTRADICTED, words=words)


def _own(looks: list[Presented]) -> Presented | None:
    return next((look for look in looks if look.vantage is Vantage.SELF and look.seen_each_time), None)


# -- Whether the operator's CA issued a certificate for a name: yes, no, or that it cannot be told

LONGEST_PATH = 8
MOST_INTERMEDIATES = 16  # more would only cost time: each may have to be compared with each other


def issued_for(
    leaf_der: bytes, sent: Sequence[bytes], ca: Sequence[bytes], names: Sequence[str], now_utc: datetime
) -> tuple[bool | None, str]:
    """Return whether one of the CA certificates issued the leaf, for servers and for one of the names, and the words.

    ``sent`` are the certificates that the host sent with it; they only help to find the way. False:
    no way of signatures leads from the leaf to the CA, or it was issued for something else. None: it
    was issued so, but does not verify now (expired, not yet valid, too weak), or cannot be read.
    Names are those of the subject alternative name, or the CN where there is none, because servers of this
    kind often have no other.
    """
    try:
        leaf = load(leaf_der)
    except ValueError:
        return False, "it cannot be read, so nothing shows that the expected CA issued it"
    trusted = [load(der) for der in ca]
    read = (read_or(None, partial(load, der)) for der in sent)
    helpers = [each for each in read if each is not None][:MOST_INTERMEDIATES]
    if leaf in trusted:
        return None, "it is in the CA bundle itself; if it is the server's own, give it as certificate: instead"
    if not _leads_to(leaf, helpers, trusted):
        return False, (
            "no chain leads from it to the expected CA: another one issued it (or the host does not send the"
            " intermediate certificates: then add them to the bundle)"
        )
    try:
        if (wrong := _wrong_purpose(leaf, names)) is not None:
            return False, wrong
    except ValueError as error:
        return None, f"the expected CA signed it, but {error}"
    problem = _verify(leaf, helpers, trusted, names, now_utc)
    if problem:
        return None, f"the expected CA signed it, but its chain does not verify now ({problem})"
    return True, "the expected CA issued it for the expected name"


def _leads_to(leaf: x509.Certificate, helpers: list[x509.Certificate], trusted: list[x509.Certificate]) -> bool:
    """Whether signatures of CAs lead from the leaf to a trusted certificate, whatever the dates and algorithms."""
    reached = [leaf]
    at_hand = list(helpers)
    for below in range(LONGEST_PATH):
        if any(_issued(child, anchor, below) for child in reached for anchor in trusted):
            return True
        reached = [each for each in at_hand if any(_issued(child, each, below) for child in reached)]
        at_hand = [each for each in at_hand if each not in reached]
    return False


def _issued(child: x509.Certificate, parent: x509.Certificate, below: int) -> bool:
    """Whether the parent, a CA that may have ``below`` CAs under it on this way, signed the child."""
    if read_or(True, lambda: child.issuer != parent.subject) or not may_issue(parent, below):
        return False
    return read_or(False, lambda: _signed(child, parent))


def _signed(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Check one signature; raises where it is wrong. Weak hashes are read too, so that weak is not called foreign."""
    algorithm = child.signature_hash_algorithm
    if algorithm is None or algorithm.name not in WEAK_HASHES:
        child.verify_directly_issued_by(parent)
        return True
    key = parent.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(child.signature, child.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        return True
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(child.signature, child.tbs_certificate_bytes, ec.ECDSA(algorithm))
        return True
    return False


def _wrong_purpose(leaf: x509.Certificate, expected: Sequence[str]) -> str | None:
    names = names_of(leaf)
    if not any(covers(name, one) for name, one in itertools.product(names, expected)):
        return f"it was issued for other names ({', '.join(names) or 'none'}), not for {' or '.join(expected)}"
    usage = extension_of(leaf, x509.ExtendedKeyUsage)
    return None if _for_servers(usage) else "it was not issued for servers (extended key usage)"


def _for_servers(usage: x509.ExtendedKeyUsage | None) -> bool:
    any_or_server = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return usage is None or bool(any_or_server & set(usage))


def _ca_for_servers(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if not _for_servers(usage):
        raise ValueError("a CA in the chain may not issue for servers")


def _ca_for_certificates(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    """Take a CA without key usage too: many CAs that organisations made for themselves have none."""
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("a CA in the chain may not sign certificates")


def _verify(
    leaf: x509.Certificate,
    helpers: list[x509.Certificate],
    trusted: list[x509.Certificate],
    expected: Sequence[str],
    now_utc: datetime,
) -> str:
    """Return why the library's verifier refuses the chain, or nothing.

    Of its two verifiers the one for clients is taken, because that for servers knows no CN; so the
    purpose of the CAs is checked here.
    """
    ca_policy = (
        ExtensionPolicy.webpki_defaults_ca()
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _ca_for_servers)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _ca_for_certificates)
    )
    try:
        builder = PolicyBuilder().store(Store(trusted)).time(now_utc).max_chain_depth(LONGEST_PATH)
        builder = builder.extension_policies(ca_policy=ca_policy, ee_policy=ExtensionPolicy.permit_all())
        return _beyond_limits(builder.build_client_verifier().verify(leaf, helpers).chain, expected)
    except Exception as error:  # noqa: BLE001 - the library raises several kinds on hostile input
        return str(error) or type(error).__name__


def _beyond_limits(chain: Sequence[x509.Certificate], expected: Sequence[str]) -> str:
    """Return why the names that CAs on the way are limited to leave the expected one open, or nothing.

    The verifier holds the subject alternative name to limits of DNS names and of addresses; a CN, an address that
    stands there as a DNS name, and limits of other kinds it passes over.
    """
    limits: list[x509.GeneralName] = []
    for issuer in chain[1:]:
        if constraints := extension_of(issuer, x509.NameConstraints):
            limits += (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
    if any(isinstance(one, x509.DirectoryName) for one in limits):
        return "a CA in the chain is limited to certain subjects, and whether this is one of them was not checked"
    names = extension_of(chain[0], x509.SubjectAlternativeName) or ()
    held = [str(each.value) for each in names if type(each) is _kind_of_name(str(each.value))]
    if not limits or any(covers(name, one) for name, one in itertools.product(held, expected)):
        return ""
    return "a CA in the chain is limited to certain names, and nothing holds a CN to that limit"


def _kind_of_name(text: str) -> type[x509.GeneralName]:
    return x509.IPAddress if is_address(text) else x509.DNSName


def covers(name: str, expected: str) -> bool:
    """Whether a certificate's name covers the expected one; a wildcard stands for one whole left-most label of a name.

    Addresses are compared by value, and no wildcard stands for a part of one. Letters outside ASCII cover nothing,
    although some fold into one of its own.
    """
    if not name.isascii():
        return False
    name = name.lower().rstrip(".")
    expected = expected.lower().rstrip(".")
    if is_address(expected):
        return read_or(False, lambda: ip_address(name) == ip_address(expected))
    label, dot, parent = expected.partition(".")
    return name == expected or (bool(label and dot) and name == f"*.{parent}")
