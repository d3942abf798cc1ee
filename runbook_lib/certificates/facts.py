"""What an engineer wants to know of one certificate."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runbook_lib.models import CertificateFacts

SMALLEST_RSA_BITS = 2048
SOON = timedelta(days=30)


def sha256_of(der: bytes) -> str:
    """Return the certificate's SHA-256 fingerprint: 64 lower-case hex digits over the DER."""
    return hashlib.sha256(der).hexdigest()


def spki_sha256_of(der: bytes) -> str:
    """Return the SHA-256 over the certificate's SubjectPublicKeyInfo, 64 lower-case hex digits.

    Raises ValueError where the bytes are no certificate.
    """
    return key_sha256(x509.load_der_x509_certificate(der))


def key_sha256(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """Return the SHA-256 over the public key (SubjectPublicKeyInfo) of a certificate or CSR."""
    return hashlib.sha256(holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and addresses of the subject alternative name; the CN only where there is none."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return tuple(_text(a.value) for a in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME))
    addresses = [str(a) for a in alternative.get_values_for_type(x509.IPAddress)]
    return (*alternative.get_values_for_type(x509.DNSName), *addresses)


def facts_of(der: bytes, now_utc: datetime) -> CertificateFacts:
    """Return the facts of a DER certificate, with warnings as of ``now_utc``.

    Raises ValueError where the bytes are no certificate.
    """
    certificate = x509.load_der_x509_certificate(der)
    key_type, key_bits = _key(certificate)
    algorithm = _signature_hash(certificate)
    return CertificateFacts(
        sha256=sha256_of(der),
        spki_sha256=key_sha256(certificate),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before_utc=certificate.not_valid_before_utc,
        not_after_utc=certificate.not_valid_after_utc,
        key_type=key_type,
        key_bits=key_bits,
        signature_hash=algorithm,
        names=names_of(certificate),
        warnings=tuple(_warnings(certificate, key_type, key_bits, algorithm, now_utc)),
    )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    key = certificate.public_key()
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
    return type(key).__name__, None


def _signature_hash(certificate: x509.Certificate) -> str:
    algorithm = certificate.signature_hash_algorithm
    return algorithm.name if algorithm else "none (the signature scheme has its own)"


def _warnings(
    certificate: x509.Certificate, key_type: str, key_bits: int | None, algorithm: str, now_utc: datetime
) -> list[str]:
    found = []
    if now_utc < certificate.not_valid_before_utc:
        found.append(
            f"not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC;"
            f" it is {now_utc:%Y-%m-%d %H:%M} UTC here: compare the clocks of the server and of this machine"
        )
    elif now_utc > certificate.not_valid_after_utc:
        found.append(f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC (by this machine's clock)")
    elif certificate.not_valid_after_utc - now_utc < SOON:
        found.append(f"expires in {(certificate.not_valid_after_utc - now_utc).days} days")
    if algorithm in {"sha1", "md5"}:
        found.append(f"signed with {algorithm.upper()}, which can be forged")
    if key_type in {"RSA", "DSA"} and (key_bits or 0) < SMALLEST_RSA_BITS:
        found.append(f"{key_type} key of {key_bits} bits: too short")
    return found
