"""Facts of an X.509 certificate. Pure; total."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runbook_lib.i18n.language import count
from runbook_lib.models import CertificateFacts

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
    """Return the certificate; raises ValueError, and nothing else, if the bytes cannot be read as one."""
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
    names = (each.value for each in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME))
    return tuple(value.decode("latin-1") if isinstance(value, bytes) else value for value in names)


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
    return [expiry(ends, now_utc)] if ends - now_utc < SOON else []


def expiry(not_after_utc: datetime, now_utc: datetime) -> str:
    """Say in words how long a certificate is still valid, or for how long it has not been; whole days."""
    expired = not_after_utc <= now_utc
    days = abs(not_after_utc - now_utc) // timedelta(days=1)
    if not days:
        return "expired today" if expired else "expires within a day"
    shown = count(days, "day")
    return f"expired {shown} ago" if expired else f"expires in {shown}"


def _of_strength(certificate: x509.Certificate, key_type: str, key_bits: int | None, algorithm: str) -> Iterator[str]:
    if algorithm in WEAK_HASHES:
        yield f"signed with {'SHA-1' if algorithm == 'sha1' else algorithm.upper()}, which can be forged"
    if key_bits is not None and key_bits < SMALLEST_BITS.get(key_type.split()[0], 0):
        yield f"{key_type} key of {key_bits} bits: too short"
    if key_type == UNREADABLE:
        yield "its key type is not supported here"
    try:
        names_of(certificate)
    except ValueError as error:
        yield str(error)


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
