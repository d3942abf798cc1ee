"""What ISE's API says of a node's certificates, page by page, and how it refuses. Pure; total.

Published are ``usedBy`` and ``sha256Fingerprint``; the pages, the dates and the refusals are as others captured them.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from runbook_lib.errors import cut
from runbook_lib.parse._answers import not_understood

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_NAMED = re.compile(
    rf"[a-z]{{3}} (?P<name>[a-z]{{3}}) +(?P<day>[0-9]{{1,2}}) {_CLOCK} (?P<zone>[a-z]{{1,5}})?"
    r"(?P<offset>[+-][0-9]{2}:?[0-9]{2})? ?(?P<year>[0-9]{4})",
    re.I | re.A,
)
_NUMBERED = re.compile(
    rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})[ T]{_CLOCK}(?:\.[0-9]+)?Z?", re.A
)
_ZONES = {
    0: ("", "UTC", "GMT", "Z", "WET"),
    1: ("CET", "WEST", "BST"),
    2: ("CEST", "EET"),
    3: ("EEST", "MSK"),
    5.5: ("IST",),
    8: ("SGT", "HKT"),
    9: ("JST", "KST"),
    10: ("AEST",),
    11: ("AEDT",),
    12: ("NZST",),
    13: ("NZDT",),
    -4: ("EDT",),
    -5: ("EST", "CDT"),
    -6: ("CST", "MDT"),
    -7: ("MST", "PDT"),
    -8: ("PST",),
}
_HOURS = {name: hours for hours, names in _ZONES.items() for name in names}
"""Hours ahead of UTC. Some names mean several zones, so a date may be off by up to a day."""
_TAG = re.compile(r"<[^<>]*>")
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class IseCertificate:
    """One certificate that ISE uses for its administration. ``sha256`` is 64 lower-case hex digits.

    A date that is not understood is None; one without a zone is taken for UTC.
    """

    sha256: str
    begins_utc: datetime | None = None
    ends_utc: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One page of the list. ``following`` is the address of the next page as ISE wrote it, empty on the last."""

    admin: tuple[IseCertificate, ...]
    following: str = ""


def parse_ise_certificates(body: bytes, server: str) -> Listing:
    """Return the page's certificates that are used by Admin; of the others nothing is read.

    Raises AnswerNotUnderstood for anything but a list, and for one of them without a fingerprint.
    """
    document = _json(body)
    try:
        admin = tuple(_certificate(one) for one in document["response"] if _is_admin(one))
        following = document.get("nextPage") or ""
        following = following if isinstance(following, str) else following["href"]
        if not isinstance(following, str):
            raise TypeError("an address is a text")
    except (AttributeError, KeyError, TypeError, ValueError):
        raise not_understood(
            "the list of certificates is not understood",
            body.decode("utf-8", "replace"),
            server=server,
            next_step="look at its certificates yourself: Administration > System > Certificates",
        ) from None
    return Listing(admin=admin, following=following)


def parse_ise_refusal(body: bytes) -> str:
    """Return the words of a refusal, from ``response`` or ``error``, JSON or HTML; empty where it says nothing."""
    document = _json(body)
    if document is None:
        return _plain(body.decode("utf-8", "replace"))
    return _plain(_said(document))


def parse_ise_date(text: object) -> datetime | None:
    """Return the moment in UTC: ``Wed Jul 23 13:42:05 UTC 2025`` or ``2027-12-31 23:59:59``; None for anything else."""
    text = text.strip() if isinstance(text, str) else ""
    if found := _NAMED.fullmatch(text):
        name = found["name"].lower()
        month = _MONTHS.index(name) + 1 if name in _MONTHS else 0
        hours = _HOURS.get((found["zone"] or "").upper())
        if offset := found["offset"]:
            hours = (1 if offset[0] == "+" else -1) * (int(offset[1:3]) + int(offset[-2:]) / 60)
    elif found := _NUMBERED.fullmatch(text):
        month, hours = int(found["month"]), 0.0
    if found is None or hours is None:
        return None
    year, day, hour, minute, second = (int(found[part]) for part in ("year", "day", "hour", "minute", "second"))
    try:
        said = datetime(year, month, day, hour, minute, second, tzinfo=timezone(timedelta(hours=hours)))
        return said.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_admin(one: Any) -> bool:
    return "admin" in {use.strip().lower() for use in str(one.get("usedBy", "")).split(",")}


def _certificate(one: Any) -> IseCertificate:
    sha256 = re.sub(r"[\s:]", "", one["sha256Fingerprint"]).lower()
    if not _SHA256.fullmatch(sha256):
        raise ValueError("no SHA-256")
    begins, ends = (parse_ise_date(one.get(field)) for field in ("validFrom", "expirationDate"))
    return IseCertificate(sha256=sha256, begins_utc=begins, ends_utc=ends)


def _said(document: Any) -> str:
    """Return the first text that is a message, however deep the refusal puts it: two layers are known."""
    if isinstance(document, str):
        return document
    for key in ("message", "response", "error") if isinstance(document, dict) else ():
        value = document.get(key)
        words = value if isinstance(value, str) else _said(value) if key != "message" else ""
        if words:
            return words
    return ""


def _plain(text: str) -> str:
    words = html.unescape(_TAG.sub(" ", text))
    return cut(" ".join(words.split()), _LONGEST).strip()
