"""A CSR or a certificate that came as bytes, not as a file: which of the two it is, and what it says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cryptography import x509

from runbook_lib.certificates.expectation import Knowledge, read_expectation
from runbook_lib.certificates.facts import read_or
from runbook_lib.certificates.files import refuse_keys
from runbook_lib.errors import ExpectationInvalid
from runbook_lib.params import Expectation

CSR, CERTIFICATE = "csr", "certificate"


def read_uploaded(data: bytes, name: str) -> tuple[str, Knowledge]:
    """Return ``csr`` or ``certificate``, and what it says; nothing is kept.

    Raises ExpectationInvalid for a private key, before a byte of it reaches the disk, and for everything that a
    file would be refused for.
    """
    refuse_keys(data, name)
    kind = _kind(data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "uploaded"
        path.write_bytes(data)
        try:
            return kind, read_expectation(Expectation(csr=path) if kind == CSR else Expectation(certificate=path))
        except ExpectationInvalid as error:
            raise ExpectationInvalid(error.what, where=name, found=error.found, next_step=error.next_step) from None


def _kind(data: bytes) -> str:
    if b"-----BEGIN " in data:
        return CSR if b" CERTIFICATE REQUEST-----" in data else CERTIFICATE
    return CSR if read_or(None, lambda: x509.load_der_x509_csr(data)) else CERTIFICATE
