"""Certificates for tests, made when needed, keys once per process; weak and broken ones by way of their bytes."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runbook_lib.models import Presented, Vantage

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SERVERS = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENTS = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@functools.cache
def key_of(kind: str, number: int = 0) -> Any:
    """Return a private key of a kind (``ec``, ``rsa2048``, ``rsa1024``, ``p192``, ``ed25519``, ``ed448``)."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "p192":
        return ec.generate_private_key(ec.SECP192R1())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))


@dataclass(frozen=True)
class Made:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def make(
    cn: str = "prime-sec",
    *,
    key: Any = None,
    by: Made | None = None,
    ca: bool = False,
    key_usage: bool = True,
    path_length: int | None = None,
    names: Sequence[str] = (),
    usage: Sequence[x509.ObjectIdentifier] = (),
    valid: tuple[datetime, datetime] = (NOW - DAY, NOW + 365 * DAY),
    subject: x509.Name | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Made:
    """Make a certificate: self-signed, or issued ``by`` another; ``names`` are its subject alternative name."""
    key = key or key_of("ec")
    issuer = by.certificate.subject if by else subject or name(cn)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or name(cn))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(0x77665544332211)
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if ca and key_usage:
        builder = builder.add_extension(x509.KeyUsage(*[False] * 5, True, True, False, False), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signer = by.key if by else key
    own_hash = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return Made(builder.sign(signer, None if own_hash else hashes.SHA256()), key)


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def request(cn: str = "prime-sec", key: Any = None) -> x509.CertificateSigningRequest:
    """Make a CSR."""
    key = key or key_of("ec")
    return x509.CertificateSigningRequestBuilder().subject_name(name(cn)).sign(key, hashes.SHA256())


def with_weak_hash(made: Made, signer: rsa.RSAPrivateKey, kind: str) -> bytes:
    """Return an RSA-signed certificate's DER, signed anew with ``sha1`` or ``md5``, which the library does not do."""
    sha256_with_rsa = bytes.fromhex("06092a864886f70d01010b")
    last, algorithm = {"sha1": (b"\x05", hashes.SHA1()), "md5": (b"\x04", hashes.MD5())}[kind]
    weak = sha256_with_rsa[:-1] + last
    old = made.certificate.tbs_certificate_bytes
    new = old.replace(sha256_with_rsa, weak)
    signature = signer.sign(new, padding.PKCS1v15(), algorithm)
    return made.der.replace(old, new).replace(sha256_with_rsa, weak).replace(made.certificate.signature, signature)


def seen(
    vantage: Vantage,
    *chain: bytes,
    others: tuple[bytes, ...] = (),
    available: bool = True,
    stable: bool = True,
    problem: str = "",
) -> Presented:
    """What was seen from a vantage: a chain, or nothing, and leaves for other kinds of key."""
    return Presented(
        host="192.0.2.20",
        port=8082,
        vantage=vantage,
        chain=chain,
        others=others,
        available=available,
        stable=stable,
        problem=problem,
        seen_utc=NOW,
    )


def hostile() -> dict[str, bytes]:
    """Return certificates that nobody should have to read, by what is wrong with them."""
    plain = make("prime")
    der = plain.der
    key = key_of("ec")
    broken_names = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x82\xff")
    twice = [x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{n}"), b"x") for n in (4, 5)]
    ec_key = bytes.fromhex("06072a8648ce3d0201")
    serial = (0x77665544332211).to_bytes(7, "big")
    utf8_prime = b"\x0c\x05prime"
    return {
        "extensions that cannot be read": make("prime", extensions=[broken_names]).der,
        "an extension twice": make("prime", extensions=twice).der.replace(b"\x06\x03*\x03\x05", b"\x06\x03*\x03\x04"),
        "an empty subject": make(subject=x509.Name([]), key=key).der,
        "a CN of 10,000 characters": long_cn(plain),
        "a negative serial": der.replace(serial, b"\xff" + serial[1:]),
        "a serial of zero": der.replace(serial, b"\0" * 7),
        "a BMPString": der.replace(utf8_prime * 1, b"\x1e\x05prime"),
        "a NUL in the CN": der.replace(b"prime", b"pr\0me"),
        "a CN that is no UTF-8": der.replace(b"prime", b"\xff\xfe\xfd\xfc\xfb"),
        "an escape sequence in the CN": der.replace(b"prime", b"\x1b[31m"),
        "an unknown version": der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105")),
        "an unknown key": der.replace(ec_key, ec_key[:-1] + b"\x63"),
        "a date that is none": der.replace(b"261122120000Z", b"991332256161Z"),
        "bytes behind it": der + b"\0",
        "half of it": der[: len(der) // 2],
        "nothing but zeros": b"\0" * 64,
        "text": b"-----BEGIN CERTIFICATE-----",
    }


def long_cn(plain: Made) -> bytes:
    """Return a certificate with a CN of 10,000 characters, which the library makes only with a warning."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attribute = x509.NameAttribute(NameOID.COMMON_NAME, "y" * 10_000, _validate=False)
    return make(subject=x509.Name([attribute]), key=plain.key).der
