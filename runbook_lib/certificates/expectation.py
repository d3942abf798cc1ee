"""What the operator expects of a certificate: a CSR, a file, a fingerprint or a CA, read once and carefully."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from runbook_lib.certificates.facts import key_sha256, load, may_issue, read_or, sha256_of
from runbook_lib.errors import ExpectationInvalid
from runbook_lib.params.model import CaBundle, Expectation
from runbook_lib.paths import read_plain

# -- Files that hold a CSR or certificates, and never a private key: read once, carefully, nothing of them kept

LARGEST_FILE = 1 << 20

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_KEY_IN_TEXT = re.compile(rb"BEGIN [^\r\n]{0,40}PRIVATE KEY|PuTTY-User-Key-File-")
_LENGTH = rb"(?:[\x00-\x80]|\x81.|\x82..|\x83...|\x84....)"
# A certificate and a CSR begin with a SEQUENCE in a SEQUENCE. What begins with a number instead is a key (PKCS #1,
# PKCS #8, SEC 1, DSA) or a container of keys (PKCS #12); an encrypted key begins with the way it was encrypted.
_KEY_IN_DER = re.compile(rb"\x30" + _LENGTH + rb"\x02", re.DOTALL)
_ENCRYPTED_KEY_IN_DER = re.compile(
    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c]", re.DOTALL
)
_KEY_STORE = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")  # of Java


def read_public(path: Path) -> bytes:
    """Return what a file holds; raises ExpectationInvalid where it holds a private key, or cannot be read.

    Only an ordinary file of at most 1 MiB is read, so that nothing waits for a writer or never ends.
    """
    try:
        data = read_plain(path, LARGEST_FILE)
    except (OSError, ValueError) as error:
        raise ExpectationInvalid(
            "The expectation's file cannot be read",
            where=str(path),
            found=getattr(error, "strerror", "") or type(error).__name__,
            next_step="check the path; it is that of a CSR's or certificate's file",
        ) from None
    refuse_keys(data, str(path))
    return data


def refuse_keys(data: bytes, where: str) -> None:
    """Raise ExpectationInvalid for what holds a private key, or is too large for a CSR or certificates."""
    if len(data) > LARGEST_FILE:
        raise ExpectationInvalid(
            "The expectation's file is larger than 1 MiB",
            where=where,
            next_step="give a file that holds the CSR or the certificates alone",
        )
    if _holds_private_key(data):
        raise ExpectationInvalid(
            "The file holds a private key (or a container of keys); it was not used, and no part of it is kept",
            where=where,
            next_step="give the CSR or the certificate alone, and keep the key where only its server can read it",
        )


def _holds_private_key(data: bytes) -> bool:
    text = data.replace(b"\0", b"")  # UTF-16, as some editors write it
    start = data.lstrip()
    return bool(
        _KEY_IN_TEXT.search(text)
        or _KEY_IN_DER.match(start)
        or _ENCRYPTED_KEY_IN_DER.match(start)
        or start.startswith(_KEY_STORE)
    )


def blocks_of(data: bytes, labels: tuple[str, ...], where: str) -> list[bytes]:
    """Return the PEM blocks with one of the labels, whatever stands around them; the whole file where it is not PEM.

    Raises ExpectationInvalid where a block is not ended, or none has such a label.
    """
    blocks: list[tuple[str, bytes]] = []
    begun: re.Match[bytes] | None = None
    for boundary in _BOUNDARY.finditer(data):
        begins = boundary[1] == b"BEGIN"
        if begins == (begun is not None) or (begun and boundary[2] != begun[2]):
            raise _cut_off(where)
        if begun:
            lines = data[begun.start() : boundary.end()].splitlines()
            blocks.append((begun[2].decode(), b"\n".join(line.strip() for line in lines)))
        begun = boundary if begins else None
    if begun:
        raise _cut_off(where)
    if not blocks:
        return [data]
    wanted = [block for label, block in blocks if label in labels]
    if not wanted:
        raise ExpectationInvalid(
            f"The file holds no {labels[0]}",
            where=where,
            found=", ".join(dict.fromkeys(label for label, _ in blocks)),
            next_step="give a file of that kind, PEM or DER, or say csr:, certificate: or ca: as it is",
        )
    return wanted


def _cut_off(where: str) -> ExpectationInvalid:
    return ExpectationInvalid(
        "A PEM block in the file has no end: it may have been cut off",
        where=where,
        next_step="export or copy the file again, with every BEGIN and END line",
    )


# -- What the operator knows of a new certificate by another way, read and checked before anything is contacted

_CSR = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_CERTIFICATE = ("CERTIFICATE", "X509 CERTIFICATE")


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """CA certificates (DER), and the names of which one has to be in what they issued."""

    ca: tuple[bytes, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """An expectation after reading: digests and CA certificates, nothing left to look up.

    Empty fields are things that the operator does not know; what is known has to hold all together.
    ``spki_sha256`` holds the keys of CSRs, ``sha256`` fingerprints and those of certificate files; where
    one of them holds two different values, no certificate can meet both, and none does.
    """

    spki_sha256: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    self_: bool = False
    words: str = "nothing"

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all to compare with."""
        return not (self.spki_sha256 or self.sha256 or self.issuers or self.self_)


def read_expectation(given: Expectation) -> Knowledge:
    """Read the files that an expectation names; raises ExpectationInvalid, contacts nothing.

    A file that holds a private key is refused and none of it is kept; so is a CSR whose own
    signature does not verify.
    """
    words: list[str] = []
    keys: list[str] = []
    fingerprints: list[str] = []
    if given.csr is not None:
        keys.append(_csr_key(read_public(given.csr), str(given.csr)))
        words.append(f"the key of the CSR {given.csr.name}")
    if given.certificate is not None:
        fingerprints.append(_server_certificate(read_public(given.certificate), str(given.certificate)))
        words.append(f"the certificate file {given.certificate.name}")
    if given.sha256:
        fingerprints.append(given.sha256)
        words.append("a SHA-256 given by the operator")
    if given.ca is not None:
        words.append(f"issued by {given.ca.bundle.name} for {' or '.join(given.ca.names)}")
    if given.self_:
        words.append("what the host shows through its own SSH server")
    return Knowledge(
        spki_sha256=tuple(keys),
        sha256=tuple(fingerprints),
        issuers=(_issuer(given.ca),) if given.ca else (),
        self_=given.self_,
        words="; ".join(words) or "nothing",
    )


def combine(one: Knowledge, other: Knowledge) -> Knowledge:
    """Return all that is known by either; everything of it has to hold."""
    if one.empty:
        return other
    if other.empty:
        return one
    return Knowledge(
        spki_sha256=tuple(dict.fromkeys((*one.spki_sha256, *other.spki_sha256))),
        sha256=tuple(dict.fromkeys((*one.sha256, *other.sha256))),
        issuers=tuple(dict.fromkeys((*one.issuers, *other.issuers))),
        self_=one.self_ or other.self_,
        words="; ".join(dict.fromkeys((*one.words.split("; "), *other.words.split("; ")))),
    )


def _csr_key(data: bytes, where: str) -> str:
    """Return the SHA-256 of the key of the one CSR that the data hold."""
    blocks = blocks_of(data, _CSR, where)
    if len(blocks) != 1:
        raise ExpectationInvalid(
            f"The file holds {len(blocks)} CSRs, and only one can be the server's",
            where=where,
            next_step="give a file with that one alone",
        )
    read = x509.load_pem_x509_csr if blocks[0].startswith(b"-----") else x509.load_der_x509_csr
    request = read_or(None, lambda: read(blocks[0]))
    if request is None:
        raise ExpectationInvalid(
            "The file is not a CSR (PKCS #10, PEM or DER)", where=where, next_step="export the CSR from the server"
        )
    if not read_or(False, lambda: request.is_signature_valid):
        raise ExpectationInvalid(
            "The CSR's own signature is wrong: its maker did not hold the key, or it was altered",
            where=where,
            next_step="export the CSR from the server again",
        )
    key = key_sha256(request)
    if not key:
        raise ExpectationInvalid(
            "The CSR's key type is not supported", where=where, next_step="give the certificate instead"
        )
    return key


def _server_certificate(data: bytes, where: str) -> str:
    """Return the fingerprint of the server's own certificate: in a chain, the one that issued no other."""
    certificates = _certificates(data, where)
    nobody: list[x509.Certificate] = []
    own = certificates if len(certificates) == 1 else read_or(nobody, lambda: _issued_none(certificates))
    if len(own) != 1:
        raise ExpectationInvalid(
            f"The file holds {len(certificates)} certificates, and nothing shows which one is the server's",
            where=where,
            next_step="give a file with that one alone",
        )
    return sha256_of(_der(own[0]))


def _issued_none(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    issuers = {one.issuer for one in certificates if one.issuer != one.subject}
    return [one for one in certificates if one.subject not in issuers]


def _issuer(given: CaBundle) -> Issuer:
    certificates = _certificates(read_public(given.bundle), str(given.bundle))
    if not any(may_issue(one) for one in certificates):
        raise ExpectationInvalid(
            "None of the bundle's certificates is a CA's",
            where=str(given.bundle),
            next_step="give the CA's certificates; the server's own is given as certificate: instead",
        )
    return Issuer(ca=tuple(map(_der, certificates)), names=given.names)


def _certificates(data: bytes, where: str) -> list[x509.Certificate]:
    blocks = blocks_of(data, _CERTIFICATE, where)
    certificates = []
    for number, block in enumerate(blocks, 1):
        try:
            certificates.append(_load_certificate(block))
        except ValueError:
            raise ExpectationInvalid(
                f"Certificate {number} of {len(blocks)} in the file cannot be read (X.509, PEM or DER)",
                where=where,
                next_step="look at it with: openssl x509 -in FILE -noout -text (a .p7b file has to be converted first)",
            ) from None
    return list(dict.fromkeys(certificates))


def _load_certificate(block: bytes) -> x509.Certificate:
    if not block.startswith(b"-----"):
        return load(block)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificate(block)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


# -- A CSR or a certificate that came as bytes, not as a file: which of the two it is, and what it says


def read_uploaded(data: bytes, name: str) -> tuple[str, str]:
    """Return ``csr`` and the SHA-256 of its key, or ``certificate`` and its fingerprint; nothing is kept.

    Raises ExpectationInvalid for a private key, of which no byte reaches the disk, and for everything that a file
    would be refused for.
    """
    refuse_keys(data, name)
    kind = _kind(data)
    return kind, _csr_key(data, name) if kind == "csr" else _server_certificate(data, name)


def _kind(data: bytes) -> str:
    if b"-----BEGIN " in data:
        return "csr" if b" CERTIFICATE REQUEST-----" in data else "certificate"
    return "csr" if read_or(None, lambda: x509.load_der_x509_csr(data)) else "certificate"
