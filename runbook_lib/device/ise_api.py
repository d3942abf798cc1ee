"""ISE's own word on its admin certificate: asking the API, and reading what it says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlsplit

from runbook_lib.decisions import is_sha256
from runbook_lib.device.answers import not_understood, without_tags
from runbook_lib.errors import AnswerNotUnderstood, CertificateMoved, UsageError, cut, step_after
from runbook_lib.event_loop import TooLate, unjudged_tls, within_time

# -- What ISE's API says of a node's certificates, page by page, and how it refuses. Pure; total.
#
# Published are ``usedBy`` and ``sha256Fingerprint``; the pages, the dates and the refusals are as others captured them.

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_NAMED = re.compile(
    rf"[a-z]{{3}} (?P<name>[a-z]{{3}}) +(?P<day>[0-9]{{1,2}}) {_CLOCK} (?:[a-z]{{1,5}})?"
    r"(?P<offset>[+-][0-9]{2}:?[0-9]{2})? ?(?P<year>[0-9]{4})",
    re.I | re.A,
)
_NUMBERED = re.compile(
    rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})[ T]{_CLOCK}(?:\.[0-9]+)?Z?", re.A
)
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class IseCertificate:
    """One certificate that ISE uses for its administration. ``sha256`` is 64 lower-case hex digits.

    A date that is not understood is None; one without a zone is taken for UTC.
    """

    sha256: str
    begins_utc: datetime | None = None
    ends_utc: datetime | None = None


def parse_ise_certificates(body: bytes, server: str) -> tuple[list[IseCertificate], str]:
    """Return the page's certificates that are used by Admin, and the address of the next page; empty on the last.

    ``usedBy`` and ``sha256Fingerprint`` are published, ``nextPage`` and dates were captured by others
    (docs/product-facts.md).
    Raises AnswerNotUnderstood for anything but a list, and for one of them without a fingerprint.
    """
    document = _json(body)
    try:
        uses = ((one, str(one.get("usedBy", "")).lower().split(",")) for one in document["response"])
        admin = [_certificate(one) for one, used in uses if "admin" in map(str.strip, used)]
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
    return admin, following


def parse_ise_refusal(body: bytes) -> str:
    """Return the words of a refusal, from ``response`` or ``error``, JSON or HTML; empty where it says nothing.

    Refusals are as others captured them (docs/product-facts.md).
    """
    document = _json(body)
    words = body.decode("utf-8", "replace") if document is None else _said(document)
    return cut(without_tags(words), _LONGEST).strip()


def parse_ise_date(text: object) -> datetime | None:
    """Return the moment in UTC: ``Wed Jul 23 13:42:05 UTC 2025`` or ``2027-12-31 23:59:59``; None for anything else.

    Dates are as others captured them (docs/product-facts.md). A zone that is no offset is taken for UTC: the letters
    of many mean several, so a date may be off by up to a day.
    """
    text = text.strip() if isinstance(text, str) else ""
    hours = 0.0
    if match := _NAMED.fullmatch(text):
        name = match["name"].lower()
        month = _MONTHS.index(name) + 1 if name in _MONTHS else 0
        if offset := match["offset"]:
            hours = (1 if offset[0] == "+" else -1) * (int(offset[1:3]) + int(offset[-2:]) / 60)
    elif match := _NUMBERED.fullmatch(text):
        month = int(match["month"])
    else:
        return None
    year, day, hour, minute, second = (int(match[part]) for part in ("year", "day", "hour", "minute", "second"))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone(timedelta(hours=hours)))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _certificate(one: Any) -> IseCertificate:
    sha256 = re.sub(r"[\s:]", "", one["sha256Fingerprint"]).lower()
    if not is_sha256(sha256):
        raise ValueError("no SHA-256")
    begins, ends = (parse_ise_date(one.get(field)) for field in ("validFrom", "expirationDate"))
    return IseCertificate(sha256=sha256, begins_utc=begins, ends_utc=ends)


def _said(document: Any) -> str:
    """Return the first text that is a message, however deep the refusal puts it: two layers are known."""
    if isinstance(document, str):
        return document
    for key in ("message", "response", "error") if isinstance(document, dict) else ():
        value = document.get(key)
        words = _said(value) if key != "message" or isinstance(value, str) else ""
        if words:
            return words
    return ""


# -- ISE's own word on its admin certificate: ``GET /api/v1/certs/system-certificate/{hostName}`` (ISE 3.1 and later).
#
# Published by ISE's API: each certificate has ``usedBy`` and ``sha256Fingerprint``. The list comes in pages. The user
# and the password leave only after the handshake has shown the certificate that was confirmed before, to the byte: for
# each page anew.

PATH = "/api/v1/certs/system-certificate/{name}"
_LARGEST = 1 << 20
_MOST_PAGES = 50


class NotAvailable(Exception):
    """ISE's API does not tell, and why."""


async def admin_certificates(
    host: str, port: int, names: Iterable[str], login: tuple[str, str], *, pin: str, deadline_s: float
) -> tuple[IseCertificate, ...]:
    """Return every certificate that ISE uses for its administration, from all pages of its list.

    ``names`` are the node's possible host names, asked for in order until one is known. ``pin`` is the SHA-256 of
    the confirmed certificate: with another one CertificateMoved is raised and nothing is sent. Raises NotAvailable
    where the API is absent, does not know the node or the user, or answers something else, or not all of it within
    ``deadline_s``, which is one, in seconds, for all that is asked.
    Raises UsageError if the pin is not a SHA-256: an empty one must never let every certificate pass.
    """
    if not is_sha256(pin):  # an empty pin must never mean that every certificate is good
        raise UsageError("a pin of 64 hex digits is needed before credentials are sent", where=f"{host}:{port}")
    return await asyncio.to_thread(_ask, host, port, tuple(names), login, pin, deadline_s)


def _ask(
    host: str, port: int, names: tuple[str, ...], login: tuple[str, str], pin: str, deadline_s: float
) -> tuple[IseCertificate, ...]:
    problem = "no host name of the node is known"
    end = time.monotonic() + deadline_s

    def get(path: str) -> tuple[int, bytes]:
        try:
            return _get(host, port, path, login, pin, end)
        except TooLate:
            raise NotAvailable(f"no whole answer from {host}:{port} within {deadline_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            words = step_after(error, str(error) or type(error).__name__)
            raise NotAvailable(f"no answer from {host}:{port}: {words}") from None

    for name in names:
        path = PATH.format(name=quote(name, safe=""))
        status, body = get(path)
        if status == 200:
            return _all_pages(body, path, get, {host.casefold(), *(each.casefold() for each in names)}, port)
        problem = _refusal(status, name, body)
        if status in (401, 403):  # asking on might lock the user
            break
    raise NotAvailable(problem)


def _all_pages(
    body: bytes, path: str, get: Callable[[str], tuple[int, bytes]], hosts: Collection[str], port: int
) -> tuple[IseCertificate, ...]:
    """Read on from the first page; what it calls the next one is only followed where it is the same list."""
    certificates: list[IseCertificate] = []
    read = {path}
    while True:
        try:
            admin, following = parse_ise_certificates(body, "ISE")
        except AnswerNotUnderstood as error:
            raise NotAvailable(f"{error.what}: {parse_ise_refusal(body)}".removesuffix(": ")) from None
        certificates += admin
        if not following:
            break
        following = _same_list(following, path, hosts, port)
        if following in read or len(read) >= _MOST_PAGES:
            raise NotAvailable("the list of certificates has no end")
        read.add(following)
        status, body = get(following)
        if status != 200:
            raise NotAvailable(_refusal(status, f"page {len(read)}", body))
    if not certificates:
        raise NotAvailable("no certificate is said to be used by Admin")
    return tuple(certificates)


def _same_list(address: str, path: str, hosts: Collection[str], port: int) -> str:
    """Return the path of the next page; raises NotAvailable where it is another list's, or another host's."""
    try:
        parts = urlsplit(address)
        here = not parts.netloc or ((parts.hostname or "") in hosts and (parts.port or 443) in (443, port))
        same = here and parts.scheme in ("", "https") and parts.path == path and parts.username is None
    except ValueError:
        same = False
    if not same:
        raise NotAvailable("the next page of the list is said to be somewhere else, and was not asked for")
    return f"{parts.path}?{parts.query}"


def _refusal(status: int, about: str, body: bytes) -> str:
    return f"answered {status} for {about}: {parse_ise_refusal(body)}".removesuffix(": ")


def _get(host: str, port: int, path: str, login: tuple[str, str], pin: str, end: float) -> tuple[int, bytes]:
    left_s = max(0.001, end - time.monotonic())
    with (
        socket.create_connection((host, port), timeout=left_s) as sock,
        within_time(sock, end),
        unjudged_tls().wrap_socket(sock) as tls,
    ):
        shown = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
        if shown != pin:
            raise CertificateMoved(
                "ISE shows another certificate than the confirmed one; no credentials were sent",
                where=f"{host}:{port}",
                found=f"confirmed {pin}\npresented {shown}",
                next_step="find out who answers there before anything else",
            )
        basic = base64.b64encode(":".join(login).encode()).decode()
        with closing(http.client.HTTPConnection(host, port)) as connection:
            connection.sock = tls
            connection.request("GET", path, headers={"Authorization": f"Basic {basic}", "Accept": "application/json"})
            with connection.getresponse() as answer:
                return answer.status, answer.read(_LARGEST)
