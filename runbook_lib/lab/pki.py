"""Keys, certificate requests and certificates of the simulated servers, and the spellings of their subjects."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeyMaker = Callable[[], PrivateKey]

_SHORT_NAMES = {
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COMMON_NAME: "CN",
}
_LIFETIME = timedelta(days=730)


def rsa_2048() -> PrivateKey:
    """A new key of the kind that the product makes; takes a tenth of a second or so of one core."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def prime_subject(common_name: str) -> x509.Name:
    """The subject of the published listings: ``/C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN=…``."""
    values = ("US", "CA", "SJ", "Cisco Systems", "Prime Infra", common_name)
    return x509.Name(x509.NameAttribute(oid, value) for oid, value in zip(_SHORT_NAMES, values, strict=True))


@dataclass(frozen=True)
class Identity:
    """A server's private key and the certificate that it presents; ``csr`` is what the operator sent to the CA."""

    key: PrivateKey
    certificate: x509.Certificate
    csr: x509.CertificateSigningRequest

    def __repr__(self) -> str:
        return f"Identity({self.sha256})"

    @cached_property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @cached_property
    def sha256(self) -> str:
        return sha256(self.der)

    @cached_property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def csr_pem(self) -> bytes:
        return self.csr.public_bytes(serialization.Encoding.PEM)

    def context(self, folder: Path) -> ssl.SSLContext:
        """A server's TLS context for this identity. The key passes through a private file in ``folder``."""
        path = folder / f"{self.sha256[:16]}.pem"
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key + self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        path.unlink()
        return context


class Authority:
    """The operator's own certification authority, which issues what the servers present."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lab CA")])
        builder = _builder(name, name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, csr: x509.CertificateSigningRequest) -> x509.Certificate:
        """Issue a server's certificate for a request: its subject, key and alternative names as they are."""
        builder = _builder(csr.subject, self.certificate.subject, csr.public_key())
        for extension in csr.extensions:
            builder = builder.add_extension(extension.value, critical=extension.critical)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        return builder.sign(self._key, hashes.SHA256())

    def new_identity(
        self, common_name: str, address: str, *, names: bool = True, new_key: KeyMaker = rsa_2048
    ) -> Identity:
        """Make a new key, a request and its certificate; ``names``: with name and address as alternatives."""
        key = new_key()
        builder = x509.CertificateSigningRequestBuilder().subject_name(prime_subject(common_name))
        if names:
            alternatives = [x509.DNSName(common_name), x509.IPAddress(ipaddress.ip_address(address))]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        csr = builder.sign(key, hashes.SHA256())
        return Identity(key, self.issue(csr), csr)


def sha256(der: bytes) -> str:
    """The SHA-256 of a certificate's DER as 64 lower-case hex digits."""
    return hashlib.sha256(der).hexdigest()


def openssl_subject(der: bytes) -> str:
    """The subject as the listings spell it, ``/C=US/ST=CA/…/CN=x``."""
    return "".join(f"/{part}" for part in _parts(der))


def rfc2253_subject(der: bytes) -> str:
    """The subject as the Health Monitor's log spells it, ``CN=x, OU=…, C=US``."""
    return ", ".join(reversed(_parts(der)))


def common_name(der: bytes) -> str:
    """The subject's CN, empty where it has none."""
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _parts(der: bytes) -> list[str]:
    subject = x509.load_der_x509_certificate(der).subject
    return [f"{_SHORT_NAMES.get(part.oid, part.oid.dotted_string)}={part.value!s}" for part in subject]


def _builder(subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )
