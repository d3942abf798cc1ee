"""The kinds of certificates that servers can be given: the product's own, and those that a client looks at twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from runbook_lib.lab.errors import LabOptionInvalid
from runbook_lib.lab.pki import KeyMaker, ec_p256, ed25519_key, rsa_1024, rsa_2048

_SOON, _LONG = timedelta(minutes=5), timedelta(days=730)


@dataclass(frozen=True)
class Kind:
    """What is unusual about a certificate. ``new_key`` None: as the lab's option ``keys`` says.

    ``common_name`` may hold ``{name}`` and ``{address}`` of the server. ``alternatives``: with name and address
    as alternative names; None: as the option ``subject_alt_names`` says. ``starts`` and ``ends`` count from now.
    ``sha1``: the server's own key has signed it, with SHA-1.
    """

    new_key: KeyMaker | None = None
    common_name: str = "{name}"
    alternatives: bool | None = None
    starts: timedelta = field(default=-_SOON)
    ends: timedelta = field(default=_LONG)
    sha1: bool = False


KINDS: Mapping[str, Kind] = {
    "usual": Kind(),
    "expired": Kind(starts=-_LONG, ends=-_SOON),
    "not_yet_valid": Kind(starts=_LONG, ends=2 * _LONG),
    "sha1": Kind(new_key=rsa_2048, sha1=True),
    "rsa_1024": Kind(new_key=rsa_1024),
    "ec": Kind(new_key=ec_p256),
    "ed25519": Kind(new_key=ed25519_key),
    "cn_only": Kind(alternatives=False),
    "wildcard": Kind(common_name="*.example.com", alternatives=False),
    "address_in_cn": Kind(common_name="{address}", alternatives=False),
}


def kind_named(name: str) -> Kind:
    """Return one of ``KINDS``; LabOptionInvalid where there is none of that name."""
    if name not in KINDS:
        raise LabOptionInvalid(f"the lab has no certificates of kind {name!r}; it has {', '.join(KINDS)}")
    return KINDS[name]
