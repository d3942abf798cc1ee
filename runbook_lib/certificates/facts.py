"""Facts of an X.509 certificate, and whether a CA issued it for a name. Pure; total."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store

from runbook_lib.hosts import is_address
from runbook_lib.models import CertificateFacts

# -- What an engineer wants to know of one certificate. Total: a part that cannot be read is said to be so

T = TypeVar("T")
Ext = TypeVar("Ext", bound=x509.ExtensionType)
SMALLEST_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}
WEAK_HASHES = ("md2", "md4", "md5", "sha1")
SOON = timedelta(days=30)
UNREADABLE = "(cannot be read)"
_NEVER = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))


def sha256_of(der: bytes) -> str:
    """Return the certificate's SHA-256 fingerprint: 64 lower-case hex digits over the DER."""
    return hashlib.sha256(der).hexdigest()


def load(der: bytes) -> x509.Certificate:
    """Return the certificate; raises ValueError, and nothing else, where the bytes are none that can be read."""
    try:
        # What the library says of old certificates (a serial that is not positive) is no news of this program's.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x509.load_der_x509_certificate(der)
    except Exception as error:  # noqa: BLE001 - the library raises several kinds on hostile input
        raise ValueError(f"not a certificate that can be read ({type(error).__name__})") from None


def spki_sha256_of(der: bytes) -> str:
    """Return the SHA-256 over the certificate's SubjectPublicKeyInfo, 64 lower-case hex digits.

    Raises ValueError where the bytes are no certificate, or its key is of an unknown kind.
    """
    key = key_sha256(load(der))
    if not key:
        raise ValueError("the certificate's key is of an unknown kind")
    return key


def key_sha256(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """Return the SHA-256 over the public key (SubjectPublicKeyInfo); nothing where the key cannot be read."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    spki = read_or(b"", lambda: holder.public_key().public_bytes(*form))
    return hashlib.sha256(spki).hexdigest() if spki else ""


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and addresses of the subject alternative name; the CN only where there is none.

    Raises ValueError where the extensions cannot be read: nobody knows then which names it is for.
    """
    alternative = extension_of(certificate, x509.SubjectAlternativeName)
    if alternative is None:
        return read_or((), lambda: _common_names(certificate))
    addresses = [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
    return (*alternative.get_values_for_type(x509.DNSName), *addresses)


def extension_of(certificate: x509.Certificate, kind: type[Ext]) -> Ext | None:
    """Return one extension, None where it is not there; raises ValueError where any of them cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except Exception as error:  # noqa: BLE001 - the library raises several kinds on hostile input
        raise ValueError(f"its extensions cannot be read ({type(error).__name__})") from None


def facts_of(der: bytes, now_utc: datetime) -> CertificateFacts:
    """Return the facts of a DER certificate, with warnings as of ``now_utc``.

    Raises ValueError where the bytes are no certificate.
    """
    certificate = load(der)
    key_type, key_bits = _key(certificate)
    algorithm = _signature_hash(certificate)
    return CertificateFacts(
        sha256=sha256_of(der),
        spki_sha256=key_sha256(certificate),
        subject=read_or(UNREADABLE, lambda: certificate.subject.rfc4514_string()),
        issuer=read_or(UNREADABLE, lambda: certificate.issuer.rfc4514_string()),
        serial=read_or(UNREADABLE, lambda: f"{certificate.serial_number:x}"),
        not_before_utc=certificate.not_valid_before_utc,
        not_after_utc=certificate.not_valid_after_utc,
        key_type=key_type,
        key_bits=key_bits,
        signature_hash=algorithm,
        names=read_or((), lambda: names_of(certificate)),
        warnings=(*_of_validity(certificate, now_utc), *_of_strength(certificate, key_type, key_bits, algorithm)),
    )


def facts_as_far_as_read(der: bytes, now_utc: datetime) -> CertificateFacts:
    """Return the facts of whatever a host presented: its SHA-256 and a warning where no more of it can be read."""
    try:
        return facts_of(der, now_utc)
    except Exception as error:  # noqa: BLE001 - hostile input must not keep anybody from seeing that it is hostile
        return CertificateFacts(
            sha256=sha256_of(der),
            spki_sha256="",
            subject=UNREADABLE,
            issuer=UNREADABLE,
            serial=UNREADABLE,
            not_before_utc=_NEVER[0],
            not_after_utc=_NEVER[1],
            key_type=UNREADABLE,
            key_bits=None,
            signature_hash=UNREADABLE,
            names=(),
            warnings=(f"what the host presents is {error}; only its SHA-256 is known",),
        )


def read_or(otherwise: T, read: Callable[[], T]) -> T:
    """Return what ``read`` returns, or ``otherwise`` where that part of a certificate cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except Exception:  # noqa: BLE001 - the library raises several kinds on hostile input
        return otherwise


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    found = (each.value for each in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME))
    return tuple(value.decode("latin-1") if isinstance(value, bytes) else value for value in found)


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    key = read_or(None, certificate.public_key)
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", None
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", None
    return (type(key).__name__ if key else UNREADABLE), None


def _signature_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except Exception:  # noqa: BLE001 - the library raises several kinds on hostile input
        return UNREADABLE
    return algorithm.name if algorithm else "none (the signature scheme has its own)"


def _of_validity(certificate: x509.Certificate, now_utc: datetime) -> list[str]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    here = f"it is {now_utc:%Y-%m-%d %H:%M} UTC by this machine's clock"
    if ends < begins:
        return [f"never valid: its validity ends ({ends:%Y-%m-%d}) before it begins ({begins:%Y-%m-%d})"]
    if now_utc < begins:
        words = "a clock is wrong, this machine's or the one by which it was issued; compare the clocks"
        return [f"not valid before {begins:%Y-%m-%d %H:%M} UTC, and {here}: {words}"]
    if now_utc > ends:
        return [f"expired on {ends:%Y-%m-%d %H:%M} UTC, and {here}; if that is wrong, so is this"]
    return [f"expires in {(ends - now_utc).days} days"] if ends - now_utc < SOON else []


def _of_strength(certificate: x509.Certificate, key_type: str, key_bits: int | None, algorithm: str) -> list[str]:
    found = []
    if algorithm in WEAK_HASHES:
        found.append(f"signed with {'SHA-1' if algorithm == 'sha1' else algorithm.upper()}, which can be forged")
    if key_bits is not None and key_bits < SMALLEST_BITS.get(key_type.split()[0], 0):
        found.append(f"{key_type} key of {key_bits} bits: too short")
    if key_type == UNREADABLE:
        found.append("its key type is not supported here")
    try:
        names_of(certificate)
    except ValueError as error:
        found.append(str(error))
    return found


# -- Whether the operator's CA issued a certificate for a name: three answers, of which one is that it cannot be told

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
        return None, "it is in the CA bundle itself; if it is the server's own, give it as certificate: instead"
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
    problem = _verify(leaf, helpers, trusted, names, now_utc)
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
    constraints = [found for each in chain[1:] if (found := extension_of(each, x509.NameConstraints))]
    limits = [
        one for each in constraints for kept in (each.permitted_subtrees, each.excluded_subtrees) for one in kept or ()
    ]
    if any(isinstance(one, x509.DirectoryName) for one in limits):
        return "a CA on the way is limited to certain subjects, and whether this is one of them was not checked"
    names = extension_of(chain[0], x509.SubjectAlternativeName) or ()
    held = [
        str(one.value) for one in names if type(one) is (x509.IPAddress if is_address(str(one.value)) else x509.DNSName)
    ]
    if not limits or any(covers(name, one) for name in held for one in expected):
        return ""
    return "a CA on the way is limited to certain names, and nothing holds a CN to that limit"


def covers(name: str, expected: str) -> bool:
    """Whether a certificate's name covers the expected one; a wildcard stands for one whole left-most label of a name.

    Addresses are compared by value, and no wildcard stands for a part of one. Letters outside ASCII cover nothing,
    although some fold into one of its own.
    """
    name, expected = name.lower().rstrip(".") if name.isascii() else "", expected.lower().rstrip(".")
    if is_address(expected):
        return read_or(False, lambda: ip_address(name) == ip_address(expected))
    label, dot, parent = expected.partition(".")
    return name == expected or (bool(label and dot) and name == f"*.{parent}")
