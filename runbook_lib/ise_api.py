"""ISE's own word on its admin certificate: ``GET /api/v1/certs/system-certificate/{hostName}`` (ISE 3.1 and later).

Published by ISE's API: each certificate has ``usedBy`` and ``sha256Fingerprint``. The list comes in pages. The user and
the password leave only after the handshake has shown the certificate that was confirmed before, to the byte: for each
page anew.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from urllib.parse import quote, urlsplit

from runbook_lib.errors import AnswerNotUnderstood, CertificateMoved, UsageError
from runbook_lib.in_time import TooLate, in_time
from runbook_lib.parse.ise_certificates import IseCertificate, parse_ise_certificates, parse_ise_refusal

PATH = "/api/v1/certs/system-certificate/{name}"
_LARGEST = 1 << 20
_MOST_PAGES = 50
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotAvailable(Exception):
    """ISE's API does not tell, and why."""


async def admin_certificates(
    host: str, port: int, names: Iterable[str], login: tuple[str, str], *, pin: str, deadline_s: float
) -> tuple[IseCertificate, ...]:
    """Return every certificate that ISE uses for its administration, from all pages of its list.

    ``names`` are the node's possible host names, asked for in order until one is known. ``pin`` is the SHA-256 of
    the confirmed certificate: with another one CertificateMoved is raised and nothing is sent. Raises NotAvailable
    where the API is absent, does not know the node or the user, or answers something else, or not all of it within
    ``deadline_s``, which is one for all that is asked.
    """
    if not _SHA256.fullmatch(pin):  # an empty pin must never mean that every certificate is good
        raise UsageError("a pin of 64 hex digits is needed before credentials are sent", where=f"{host}:{port}")
    return await asyncio.to_thread(_ask, host, port, tuple(names), login, pin, deadline_s)


def _ask(
    host: str, port: int, names: tuple[str, ...], login: tuple[str, str], pin: str, deadline_s: float
) -> tuple[IseCertificate, ...]:
    problem, end = "no host name of the node is known", time.monotonic() + deadline_s

    def get(path: str) -> tuple[int, bytes]:
        try:
            return _get(host, port, path, login, pin, end)
        except TooLate:
            raise NotAvailable(f"no whole answer from {host}:{port} within {deadline_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise NotAvailable(f"no answer from {host}:{port}: {error or type(error).__name__}") from None

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
    found: list[IseCertificate] = []
    read = {path}
    while True:
        try:
            listing = parse_ise_certificates(body, "ISE")
        except AnswerNotUnderstood as error:
            raise NotAvailable(f"{error.what}: {parse_ise_refusal(body)}".removesuffix(": ")) from None
        found += listing.admin
        if not listing.following:
            break
        following = _same_list(listing.following, path, hosts, port)
        if following in read or len(read) >= _MOST_PAGES:
            raise NotAvailable("the list of certificates has no end")
        read.add(following)
        status, body = get(following)
        if status != 200:
            raise NotAvailable(_refusal(status, f"page {len(read)}", body))
    if not found:
        raise NotAvailable("no certificate is said to be used by Admin")
    return tuple(found)


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
        in_time(sock, end),
        _trust_nothing().wrap_socket(sock) as tls,
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


def _trust_nothing() -> ssl.SSLContext:
    """TLS that is judged by the certificate's fingerprint alone, right after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
