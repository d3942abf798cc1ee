"""What the operator knows of a new certificate by another way, read and checked before anything is contacted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from runbook_lib.certificates.facts import key_sha256, load, read_or, sha256_of
from runbook_lib.certificates.files import blocks_of, read_public
from runbook_lib.certificates.issuing import may_issue
from runbook_lib.errors import ExpectationInvalid
from runbook_lib.params import CaBundle, Expectation

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
        keys.append(_csr_key(given.csr))
        words.append(f"the key of the CSR {given.csr.name}")
    if given.certificate is not None:
        fingerprints.append(_server_certificate(given.certificate))
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
    if one.empty or other.empty:
        return other if one.empty else one
    return Knowledge(
        spki_sha256=tuple(dict.fromkeys((*one.spki_sha256, *other.spki_sha256))),
        sha256=tuple(dict.fromkeys((*one.sha256, *other.sha256))),
        issuers=tuple(dict.fromkeys((*one.issuers, *other.issuers))),
        self_=one.self_ or other.self_,
        words=f"{one.words}; {other.words}",
    )


def _csr_key(path: Path) -> str:
    blocks = blocks_of(read_public(path), _CSR, path)
    if len(blocks) != 1:
        raise ExpectationInvalid(
            f"The file holds {len(blocks)} CSRs, and only one can be the server's",
            where=str(path),
            next_step="give a file with that one alone",
        )
    request = read_or(None, lambda: _load_request(blocks[0]))
    if request is None:
        raise ExpectationInvalid(
            "The file is not a CSR (PKCS #10, PEM or DER)", where=str(path), next_step="export the CSR from the server"
        )
    if not read_or(False, lambda: request.is_signature_valid):
        raise ExpectationInvalid(
            "The CSR's own signature is wrong: whoever made it did not hold its key, or it was altered",
            where=str(path),
            next_step="export the CSR from the server again",
        )
    key = key_sha256(request)
    if not key:
        raise ExpectationInvalid(
            "The CSR's key is of a kind that cannot be read", where=str(path), next_step="give the certificate instead"
        )
    return key


def _load_request(block: bytes) -> x509.CertificateSigningRequest:
    if block.startswith(b"-----"):
        return x509.load_pem_x509_csr(block)
    return x509.load_der_x509_csr(block)


def _server_certificate(path: Path) -> str:
    """Return the fingerprint of the server's own certificate: in a chain, the one that issued no other."""
    found = _certificates(path)
    nobody: list[x509.Certificate] = []
    own = found if len(found) == 1 else read_or(nobody, lambda: _issued_none(found))
    if len(own) != 1:
        raise ExpectationInvalid(
            f"The file holds {len(found)} certificates, and it cannot be told which one is the server's",
            where=str(path),
            next_step="give a file with that one alone",
        )
    return sha256_of(_der(own[0]))


def _issued_none(found: list[x509.Certificate]) -> list[x509.Certificate]:
    issuers = {one.issuer for one in found if one.issuer != one.subject}
    return [one for one in found if one.subject not in issuers]


def _issuer(given: CaBundle) -> Issuer:
    found = _certificates(given.bundle)
    if not any(may_issue(one) for one in found):
        raise ExpectationInvalid(
            "None of the bundle's certificates is a CA's",
            where=str(given.bundle),
            next_step="give the CA's certificates; the server's own is given as certificate: instead",
        )
    return Issuer(ca=tuple(map(_der, found)), names=given.names)


def _certificates(path: Path) -> list[x509.Certificate]:
    blocks = blocks_of(read_public(path), _CERTIFICATE, path)
    found = []
    for number, block in enumerate(blocks, 1):
        try:
            found.append(_load_certificate(block))
        except ValueError:
            raise ExpectationInvalid(
                f"Certificate {number} of {len(blocks)} in the file cannot be read (X.509, PEM or DER)",
                where=str(path),
                next_step="look at it with: openssl x509 -in FILE -noout -text (a .p7b file has to be converted first)",
            ) from None
    return list(dict.fromkeys(found))


def _load_certificate(block: bytes) -> x509.Certificate:
    if not block.startswith(b"-----"):
        return load(block)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificate(block)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
