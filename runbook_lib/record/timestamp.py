"""RFC 3161 time stamps: a third party's signed word that some bytes existed at a time.

The request holds a SHA-256 and a random number and nothing else of the record. It goes to the one address that the
site's file names, past proxies, and follows no redirection.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from runbook_lib.errors import cut
from runbook_lib.in_time import TooLate, in_time

LARGEST = 256 * 1024
DEFAULT_TIMEOUT_S = 15.0
_TYPES = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class NoStamp(Exception):
    """There is no time stamp, or it is not what it has to be; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A time-stamping authority as the site's file names it; ``certificate`` is a file of PEM certificates."""

    url: str
    certificate: Path
    timeout_s: float = DEFAULT_TIMEOUT_S

    @classmethod
    def of(cls, site: Mapping[str, Any]) -> Authority | None:
        """The one of a site's plain values; None where it names none."""
        named = site.get("timestamp")
        if not named:
            return None
        return cls(url=named["url"], certificate=Path(named["certificate"]), timeout_s=named["timeout_s"])


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a time stamp says: when, by whose clock (as it names itself; may be empty), under which serial number."""

    utc: datetime
    authority: str
    serial: int


def request_stamp(authority: Authority, data: bytes) -> bytes:
    """Return the authority's whole answer in DER, verified; raises ``NoStamp``."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    certificates = read_certificates(authority.certificate)
    request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    answer = _post(authority, request.as_bytes())
    check_stamp(answer, data, certificates, nonce=request.nonce)
    return answer


def check_stamp(answer: bytes, data: bytes, certificates: Sequence[x509.Certificate], *, nonce: Any = None) -> Stamp:
    """Return what the stamp says if it is one over ``data`` that ``certificates`` vouch for; raises ``NoStamp``.

    The authority's own certificate has to be among them, or to be issued by one of them; where its own is, no other
    one counts. Certificates have to be valid at the time of the stamp, not now.
    """
    from rfc3161_client import VerificationError, VerifierBuilder

    said = read_stamp(answer)
    own = [each for each in certificates if _stamps_times(each)]
    for one in own or (None,):
        try:
            checks = VerifierBuilder(roots=list(certificates), tsa_certificate=one, nonce=nonce).build()
            checks.verify_message(_decoded(answer), data)
        except (VerificationError, ValueError) as error:
            why = str(error)
        else:
            return said
    raise NoStamp(f"the certificates that are named do not vouch for it, or it is not about this file: {cut(why, 200)}")


def read_stamp(answer: bytes) -> Stamp:
    """Return what an answer says without checking it; raises ``NoStamp`` where it is no stamp."""
    info = _decoded(answer).tst_info
    name = getattr(info.name, "value", None)
    return Stamp(
        utc=info.gen_time,
        authority=name.rfc4514_string() if isinstance(name, x509.Name) else "",
        serial=info.serial_number,
    )


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file; raises ``NoStamp`` where there is none."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it holds no certificate in PEM"
        raise NoStamp(f"the authority's certificate cannot be used: {path}: {why}") from None


def _stamps_times(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.TIME_STAMPING in usage.value


def _decoded(answer: bytes) -> Any:
    from rfc3161_client import PKIStatus, decode_timestamp_response

    try:
        decoded = decode_timestamp_response(answer)
        if decoded.status != PKIStatus.GRANTED:
            raise NoStamp(f"the authority refused: status {decoded.status} {', '.join(decoded.status_string)}".strip())
        _ = decoded.tst_info
    except ValueError:
        raise NoStamp("the answer is not a time stamp") from None
    return decoded


def _post(authority: Authority, request: bytes) -> bytes:
    url = urlsplit(authority.url)
    end = time.monotonic() + authority.timeout_s
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port)
    try:
        with socket.create_connection((host, port), timeout=authority.timeout_s) as plain, in_time(plain, end):
            secure = url.scheme == "https"
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
            connection.request("POST", urlunsplit(("", "", url.path or "/", url.query, "")), request, _TYPES)
            with connection.getresponse() as answer:
                if answer.status != http.HTTPStatus.OK:
                    raise NoStamp(f"the authority answered with HTTP status {answer.status}")
                data = answer.read(LARGEST + 1)
    except TooLate:
        raise NoStamp(f"the authority did not answer within {authority.timeout_s:g} s") from None
    except (http.client.HTTPException, OSError) as error:
        raise NoStamp(f"the authority did not answer ({type(error).__name__})") from None
    finally:
        connection.close()
    if len(data) > LARGEST:
        raise NoStamp("the answer is too long for a time stamp")
    return data
