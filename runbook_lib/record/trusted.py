"""What whoever checks a record trusts: public keys, and certificates of time-stamping authorities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from runbook_lib.errors import ParameterRefused
from runbook_lib.record.keys import VerifyingKey, read_public, trusted_keys
from runbook_lib.record.timestamp import NoStamp, read_certificates


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """Nothing by default: then only contradictions are found."""

    keys: tuple[VerifyingKey, ...] = ()
    certificates: tuple[x509.Certificate, ...] = ()


def trusted_in(folder: Path, *, key: str = "", authority: str = "") -> Trusted:
    """Return what the key folder holds, ``*.pub.pem`` and ``*.tsa.pem``, or in its place the files that are named.

    Raises ``ParameterRefused`` for a file that holds none.
    """
    stamping = [Path(authority).expanduser()] if authority else sorted(folder.glob("*.tsa.pem"))
    try:
        certificates = tuple(each for path in stamping for each in read_certificates(path))
    except NoStamp as error:
        raise ParameterRefused(
            "The time-stamping authority cannot be checked",
            found=str(error),
            next_step="give a file with its certificate, or its issuer's, in PEM",
        ) from None
    return Trusted(
        keys=(read_public(Path(key).expanduser()),) if key else trusted_keys(folder), certificates=certificates
    )
