"""ISE's own word on its admin certificate: ``GET /api/v1/certs/system-certificate/{hostName}`` (ISE 3.1 and later).

Published by ISE's API: each certificate has ``usedBy`` and ``sha256Fingerprint``. The user and the password leave only
after the handshake has shown the certificate that was confirmed before, to the byte.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any
from urllib.parse import quote

from runbook_lib.errors import CertificateMoved, UsageError
from runbook_lib.in_time import TooLate, in_time
from runbook_lib.params import canonical_sha256

PATH = "/api/v1/certs/system-certificate/{name}"
_LARGEST = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotAvailable(Exception):
    """ISE's API does not tell, and why."""


async def admin_fingerprints(
    host: str, port: int, names: Iterable[str], login: tuple[str, str], *, pin: str, deadline_s: float
) -> tuple[str, ...]:
    """Return the SHA-256 of every certificate that ISE uses for its administration, 64 hex digits each.

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
) -> tuple[str, ...]:
    problem, end = "no host name of the node is known", time.monotonic() + deadline_s
    for name in names:
        try:
            status, body = _get(host, port, PATH.format(name=quote(name, safe="")), login, pin, end)
        except TooLate:
            raise NotAvailable(f"no whole answer from {host}:{port} within {deadline_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise NotAvailable(f"no answer from {host}:{port}: {error or type(error).__name__}") from None
        if status == 200:
            return _read(body)
        problem = f"answered {status} for {name}"
        if status in (401, 403):  # asking on might lock the user
            break
    raise NotAvailable(problem)


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


def _read(body: bytes) -> tuple[str, ...]:
    try:
        listed = json.loads(body)["response"]
        admin = [one for one in listed if _is_admin(one)]
        found = tuple(canonical_sha256(str(one["sha256Fingerprint"])) for one in admin)
    except (ValueError, KeyError, TypeError):
        raise NotAvailable("the answer is not understood") from None
    if not found:
        raise NotAvailable("no certificate is said to be used by Admin")
    return found


def _is_admin(certificate: Any) -> bool:
    return "admin" in {use.strip().lower() for use in str(certificate.get("usedBy", "")).split(",")}
