"""Facts of an X.509 certificate, what the operator expects of it, and the verdict. Pure: nothing is contacted."""

from runbook_lib.certificates.expectation import Issuer, Knowledge, combine, read_expectation
from runbook_lib.certificates.facts import facts_of, sha256_of, spki_sha256_of
from runbook_lib.certificates.uploaded import read_uploaded
from runbook_lib.certificates.verdict import judge

__all__ = [
    "Issuer",
    "Knowledge",
    "combine",
    "facts_of",
    "judge",
    "read_expectation",
    "read_uploaded",
    "sha256_of",
    "spki_sha256_of",
]
