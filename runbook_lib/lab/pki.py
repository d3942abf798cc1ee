"""Keys, certificate requests and certificates of the simulated servers, and the spellings of their subjects."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KeyMaker = Callable[[], PrivateKey]

_SHORT_NAMES = {
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COMMON_NAME: "CN",
}
_STARTS, _LIFETIME = -timedelta(minutes=5), timedelta(days=730)


def rsa_2048() -> PrivateKey:
    """A new key of the kind that the product makes; takes a tenth of a second or so of one core."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_1024() -> PrivateKey:
    """A new key of a size that is no longer safe."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 (that it is weak is the point)


def ec_p256() -> PrivateKey:
    """A new key that costs next to nothing to make."""
    return ec.generate_private_key(ec.SECP256R1())


def ed25519_key() -> PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def prime_subject(common_name: str) -> x509.Name:
    """The subject of the published listings: ``/C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN=…``."""
    values = ("US", "CA", "SJ", "Cisco Systems", "Prime Infra", common_name)
    # Not validated: whoever makes a certificate may write what he likes, of any length.
    pairs = zip(_SHORT_NAMES, values, strict=True)
    return x509.Name(x509.NameAttribute(oid, value, _validate=False) for oid, value in pairs)


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
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # weak keys and hashes are shown as they are
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
        usage = x509.KeyUsage(
            key_cert_sign=True,
            crl_sign=True,
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, csr: x509.CertificateSigningRequest, starts: timedelta = _STARTS, ends: timedelta = _LIFETIME
    ) -> x509.Certificate:
        """Issue a server's certificate for a request: its subject, key and alternative names as they are."""
        builder = _builder(csr.subject, self.certificate.subject, csr.public_key(), starts, ends)
        for extension in csr.extensions:
            builder = builder.add_extension(extension.value, critical=extension.critical)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        return builder.sign(self._key, hashes.SHA256())

    def new_identity(
        self,
        common_name: str,
        address: str,
        *,
        names: bool = True,
        new_key: KeyMaker = rsa_2048,
        starts: timedelta = _STARTS,
        ends: timedelta = _LIFETIME,
        sha1: bool = False,
    ) -> Identity:
        """Make a new key, a request and its certificate; ``names``: with name and address as alternatives.

        ``sha1`` makes it a self-signed one of that hash; the key is an RSA key then.
        """
        key = new_key()
        builder = x509.CertificateSigningRequestBuilder().subject_name(prime_subject(common_name))
        if names:
            alternatives = [x509.DNSName(common_name), x509.IPAddress(ipaddress.ip_address(address))]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        csr = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        if sha1 and isinstance(key, rsa.RSAPrivateKey):
            return Identity(key, _signed_with_sha1(csr, key, starts, ends), csr)
        return Identity(key, self.issue(csr, starts, ends), csr)


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


@lru_cache(maxsize=256)
def _parts(der: bytes) -> list[str]:
    subject = x509.load_der_x509_certificate(der).subject
    return [f"{_SHORT_NAMES.get(part.oid, part.oid.dotted_string)}={part.value!s}" for part in subject]


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    starts: timedelta = _STARTS,
    ends: timedelta = _LIFETIME,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
    )


_RSA_WITH_SHA256 = bytes.fromhex("06092a864886f70d01010b0500")
_RSA_WITH_SHA1 = bytes.fromhex("06092a864886f70d0101050500")


def _signed_with_sha1(
    csr: x509.CertificateSigningRequest, key: rsa.RSAPrivateKey, starts: timedelta, ends: timedelta
) -> x509.Certificate:
    """A self-signed certificate of the old kind, which the library does not make any more: signed anew, by hand."""
    modern = _builder(csr.subject, csr.subject, key.public_key(), starts, ends).sign(key, hashes.SHA256())
    signed = modern.tbs_certificate_bytes.replace(_RSA_WITH_SHA256, _RSA_WITH_SHA1)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 (that it is weak is the point)
    algorithm = _der(0x30, _RSA_WITH_SHA1)
    return x509.load_der_x509_certificate(_der(0x30, signed + algorithm + _der(0x03, b"\0" + signature)))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content
