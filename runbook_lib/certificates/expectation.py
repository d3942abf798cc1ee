"""What the operator knows of a new certificate by another way, read and checked before anything is contacted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

from runbook_lib.certificates.facts import key_sha256, sha256_of
from runbook_lib.errors import ExpectationInvalid
from runbook_lib.params import Expectation

_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
LARGEST_FILE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """An expectation after reading: digests and CA certificates, nothing left to look up.

    Empty fields are things that the operator does not know. ``spki_sha256`` holds the keys of CSRs,
    ``sha256`` fingerprints and those of certificate files; where one of them holds two different
    values, no certificate can meet both, and none does. ``ca`` holds DER certificates.
    """

    spki_sha256: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    ca: tuple[bytes, ...] = ()
    ca_names: tuple[str, ...] = ()
    self_: bool = False
    words: str = "nothing"

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all to compare with."""
        return not (self.spki_sha256 or self.sha256 or self.ca or self.self_)


def read_expectation(given: Expectation) -> Knowledge:
    """Read the files that an expectation names; raises ExpectationInvalid, contacts nothing.

    A file that holds a private key is refused and none of it is kept; so is a CSR whose own
    signature does not verify.
    """
    words: list[str] = []
    keys: list[str] = []
    fingerprints: list[str] = []
    ca: list[bytes] = []
    if given.csr is not None:
        keys.append(_csr_key(given.csr))
        words.append(f"the key of the CSR {given.csr.name}")
    if given.certificate is not None:
        fingerprints.append(_leaf_of(given.certificate))
        words.append(f"the certificate file {given.certificate.name}")
    if given.sha256:
        fingerprints.append(given.sha256)
        words.append("a SHA-256 given by the operator")
    if given.ca is not None:
        ca += [certificate.public_bytes(Encoding.DER) for certificate in _certificates(given.ca.bundle)]
        words.append(f"issued by {given.ca.bundle.name} for {' or '.join(given.ca.names)}")
    if given.self_:
        words.append("what the host shows through its own SSH server")
    return Knowledge(
        spki_sha256=tuple(keys),
        sha256=tuple(fingerprints),
        ca=tuple(ca),
        ca_names=given.ca.names if given.ca else (),
        self_=given.self_,
        words="; ".join(words) or "nothing",
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ExpectationInvalid(
            "The expectation's file cannot be read",
            where=str(path),
            found=error.strerror or "",
            next_step="check the path in the site's file",
        ) from None
    if len(data) > LARGEST_FILE:
        raise ExpectationInvalid("The expectation's file is larger than 1 MiB", where=str(path))
    if b"PRIVATE KEY-----" in data or _is_der_private_key(data):
        raise ExpectationInvalid(
            "The file holds a private key; it was not used and nothing of it is kept",
            where=str(path),
            next_step="give the CSR or the certificate alone, and keep the key where only its server can read it",
        )
    return data


def combine(one: Knowledge, other: Knowledge) -> Knowledge:
    """Return all that is known by either; everything of it has to agree."""
    if one.empty or other.empty:
        return other if one.empty else one
    return Knowledge(
        spki_sha256=tuple(dict.fromkeys((*one.spki_sha256, *other.spki_sha256))),
        sha256=tuple(dict.fromkeys((*one.sha256, *other.sha256))),
        ca=(*one.ca, *other.ca),
        ca_names=(*one.ca_names, *other.ca_names),
        self_=one.self_ or other.self_,
        words=f"{one.words}; {other.words}",
    )


def _is_der_private_key(data: bytes) -> bool:
    if data.startswith(b"-----"):
        return False
    try:
        load_der_private_key(data, None)
    except TypeError:
        return True  # an encrypted one
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _blocks(path: Path, *labels: str) -> list[bytes]:
    """Return the PEM blocks with one of the labels, or the whole file where it is not PEM."""
    data = _read(path)
    found = [(match[1].decode(), match[0]) for match in _PEM_BLOCK.finditer(data)]
    return [block for label, block in found if label in labels] if found else [data]


def _csr_key(path: Path) -> str:
    blocks = _blocks(path, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
    if len(blocks) != 1:
        raise ExpectationInvalid(f"Expected one CSR, found {len(blocks)}", where=str(path))
    try:
        pem = blocks[0].startswith(b"-----")
        request = x509.load_pem_x509_csr(blocks[0]) if pem else x509.load_der_x509_csr(blocks[0])
        valid = request.is_signature_valid
        key = key_sha256(request)
    except Exception as error:  # noqa: BLE001 - cryptography raises several kinds on hostile input
        raise ExpectationInvalid(
            "The file is not a CSR (PKCS #10, PEM or DER)", where=str(path), found=type(error).__name__
        ) from None
    if not valid:
        raise ExpectationInvalid(
            "The CSR's own signature is wrong: whoever made it did not hold its key, or it was altered",
            where=str(path),
            next_step="export the CSR from the server again",
        )
    return key


def _leaf_of(path: Path) -> str:
    # A file with a chain names the server's own certificate first, as servers send it.
    certificates = _certificates(path)
    return sha256_of(certificates[0].public_bytes(Encoding.DER))


def _certificates(path: Path) -> list[x509.Certificate]:
    blocks = _blocks(path, "CERTIFICATE", "X509 CERTIFICATE")
    try:
        loaded = [
            x509.load_pem_x509_certificate(block)
            if block.startswith(b"-----")
            else x509.load_der_x509_certificate(block)
            for block in blocks
        ]
    except ValueError:
        loaded = []
    if not loaded:
        raise ExpectationInvalid("The file holds no X.509 certificate (PEM or DER)", where=str(path))
    return loaded
