"""Whether the operator's CA issued a certificate for a name: three answers, of which one is that it cannot be told."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store

from runbook_lib.certificates.facts import WEAK_HASHES, extension_of, load, names_of, read_or

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
    helpers = [c for der in sent if (c := read_or(None, lambda der=der: load(der)))][:MOST_INTERMEDIATES]  # type: ignore[misc]
    if leaf in trusted:
        return None, "it stands in the CA bundle itself; if it is the server's own, give it as certificate: instead"
    if not _leads_to(leaf, helpers, trusted):
        return False, (
            "nothing leads from it to the expected CA: another one issued it (or the host does not send the"
            " intermediate certificates: then add them to the bundle)"
        )
    try:
        if (wrong := _wrong_purpose(leaf, names)) is not None:
            return False, wrong
    except ValueError as error:
        return None, f"the expected CA signed it, but {error}"
    problem = _verify(leaf, helpers, trusted, now_utc)
    if problem:
        return None, f"the expected CA signed it, but its chain does not verify now ({problem})"
    return True, "the expected CA issued it for the expected name"


def _leads_to(leaf: x509.Certificate, helpers: list[x509.Certificate], trusted: list[x509.Certificate]) -> bool:
    """Whether signatures of CAs lead from the leaf to a trusted certificate, whatever the dates and algorithms."""
    reached, at_hand = [leaf], list(helpers)
    for below in range(LONGEST_PATH):
        if any(_issued(child, anchor, below) for child in reached for anchor in trusted):
            return True
        reached = [c for c in at_hand if any(_issued(child, c, below) for child in reached)]
        at_hand = [c for c in at_hand if c not in reached]
    return False


def _issued(child: x509.Certificate, parent: x509.Certificate, below: int) -> bool:
    """Whether the parent, a CA that may have ``below`` CAs under it on this way, signed the child."""
    if read_or(True, lambda: child.issuer != parent.subject) or not may_issue(parent, below):
        return False
    return read_or(False, lambda: _signed(child, parent))


def may_issue(certificate: x509.Certificate, below: int = 0) -> bool:
    """Whether a certificate is a CA's; those of version 1 cannot say so and are taken at the operator's word."""
    try:
        constraints = extension_of(certificate, x509.BasicConstraints)
        usage = extension_of(certificate, x509.KeyUsage)
    except ValueError:
        return False
    if constraints is None:
        return certificate.version is x509.Version.v1
    long_enough = constraints.path_length is None or constraints.path_length >= below
    return constraints.ca and long_enough and (usage is None or usage.key_cert_sign)


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
        raise ValueError("a CA on the way may not issue for servers")


def _ca_for_certificates(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    """Take a CA without key usage too: many CAs that organisations made for themselves have none."""
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("a CA on the way may not sign certificates")


def _verify(
    leaf: x509.Certificate, helpers: list[x509.Certificate], trusted: list[x509.Certificate], now_utc: datetime
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
        builder.build_client_verifier().verify(leaf, helpers)
    except Exception as error:  # noqa: BLE001 - the library raises several kinds on hostile input
        return str(error) or type(error).__name__
    return ""


def covers(name: str, expected: str) -> bool:
    """Whether a certificate's name covers the expected one; a wildcard stands for one whole left-most label of a name.

    Addresses are compared by value, and no wildcard stands for a part of one.
    """
    name, expected = name.lower().rstrip("."), expected.lower().rstrip(".")
    try:
        address = ip_address(expected)
    except ValueError:
        label, dot, parent = expected.partition(".")
        return name == expected or (bool(label and dot) and name == f"*.{parent}")
    return read_or(False, lambda: ip_address(name) == address)
