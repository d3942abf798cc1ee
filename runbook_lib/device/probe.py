"""The certificate that a host presents, seen from a vantage: a TLS handshake and nothing else.

No credentials, no data of ours and no trust decision: every certificate is taken and shown to those who decide
(``certificates``). The handshake is brought to its end, so the host has proven that it holds the
certificate's key; a certificate from a handshake that failed is not reported, since anybody can send a copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

import asyncssh

from runbook_lib.device.command_line import Console
from runbook_lib.errors import ConnectionLost, DeviceError, VantageUnavailable, step_after, system_words
from runbook_lib.event_loop import abort_connection, unjudged_tls
from runbook_lib.models import Presented, Vantage
from runbook_lib.params.model import Deadlines
from runbook_lib.params.values import is_address, is_loopback

_CHUNK = 65536
_LOOPBACK = "127.0.0.1"
_LONGEST_PAGE = 1 << 18
_ANY_KEY, _RSA, _ECDSA = "ALL", "aRSA:ALL", "aECDSA:ALL"  # the keys that a server proves itself with, the best first
# Alerts by which a server may mean that it was shown no certificate of ours.
_NONE_OF_OURS = re.compile("ALERT_(HANDSHAKE_FAILURE|BAD_CERTIFICATE|CERTIFICATE_REQUIRED)")
_RSA_KEY = bytes.fromhex("06092a864886f70d010101")  # rsaEncryption: how a certificate names the kind of its own key


class _TlsWriter(Protocol):
    def write(self, data: bytes) -> Any: ...
    async def drain(self) -> None: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


class _TlsReader(Protocol):
    async def read(self, n: int, /) -> bytes: ...


async def present(
    host: str,
    port: int,
    *,
    vantage: Vantage,
    deadlines: Deadlines,
    via: Console | None = None,
    names: Sequence[str] = (),
    times: int = 2,
) -> Presented:
    """Make ``times`` handshakes, ``deadlines.probe_spacing_s`` apart, and return what the host presented.

    ``via`` carries them (SSH forwarding); without it they leave from here. A host is seen by its own server on the
    loopback there: a name might lead elsewhere, and an address be one that is translated on the way; where nothing
    answers on the loopback, an address is called as it is. Nothing that a device does is raised:
    a host that did not answer every time has a ``problem``, a server that does not
    forward makes the vantage not ``available``, and leaves that differ make it not ``stable``. What was seen before a
    look that failed is kept beside the ``problem``: it may contradict, and confirms nothing. A host that is a name is
    asked for by it (SNI) at the first look only; one that is an address, by the first full name of ``names`` at others.
    In the end it is asked once, up to TLS 1.2, with another kind of key before all others: it may hold an RSA and an
    ECDSA certificate, and PI be shown the other one. A server with one of them need not refuse that: no log of its
    gains an error by our looks. One that goes by its own order shows the same one again.
    """
    called = [name for name in names if "." in name and not is_address(name)][:1] if is_address(host) else [""]
    chains: list[tuple[bytes, ...]] = []
    other = b""
    problem = ""
    available = resolved = True
    own = vantage is Vantage.SELF and not is_loopback(host)
    for number in range(times):
        if number:
            await asyncio.sleep(deadlines.probe_spacing_s)
        names_asked = [host]
        if number:  # PI may call the host otherwise: what it is shown counts too
            names_asked = [*called, host]
        try:
            chains.append(await _look(names_asked, host, port, via, deadlines.probe_s, own=own))
        except (VantageUnavailable, ConnectionLost, asyncssh.Error) as error:
            problem = str(error)
            available = False
        except (DeviceError, OSError, EOFError, ValueError) as error:
            problem = _words(error, deadlines.probe_s)
            resolved = not isinstance(error, socket.gaierror)
        if problem:
            break
    if chains and not problem:  # last, so that two certificates in turn are still seen as such
        keys = _ECDSA if _RSA_KEY in chains[-1][0] else _RSA
        with contextlib.suppress(DeviceError, asyncssh.Error, OSError, EOFError):
            other, *_ = await _look([host], host, port, via, deadlines.probe_s, own=own, keys=keys)
    return Presented(
        host=host,
        port=port,
        vantage=vantage,
        via=via.server if via else "",
        chain=chains[-1] if chains else (),
        others=(other,) if other and other != chains[-1][0] else (),
        available=available,
        resolved=resolved,
        stable=len({chain[0] for chain in chains}) <= 1,
        problem=problem,
        seen_utc=datetime.now(UTC),
    )


async def read_page(host: str, port: int, path: str, *, shown: bytes, probe_s: float) -> str:
    """Return the answer to one GET, head and all, from the host that presents the certificate ``shown`` (DER).

    Nothing of ours is in the request, and no answer proves who gave it. Raises OSError, EOFError, ValueError or
    TimeoutError where there is none within ``probe_s``, it is too long, or another certificate is presented.
    """
    answer = bytearray()
    async with asyncio.timeout(probe_s), asked(f"GET {path}", host, port, shown=shown) as reader:
        while data := await reader.read(_CHUNK):
            answer += data
            if len(answer) > _LONGEST_PAGE:
                raise ValueError("an answer without an end")
    return answer.decode("utf-8", "replace")


@asynccontextmanager
async def asked(request: str, host: str, port: int, *, shown: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """Send one HTTP request, such as ``HEAD /``, to whoever answers, and yield what the answer is read from.

    The connection is closed without waiting for their goodbye. Raises OSError, and ValueError with nothing sent where
    another certificate than ``shown`` (DER) is presented.
    """
    reader, writer = await asyncio.open_connection(host, port, ssl=seeing_context())
    try:
        if shown and writer.get_extra_info("ssl_object").getpeercert(binary_form=True) != shown:
            raise ValueError("a different certificate than a moment ago")
        name = f"[{host}]" if ":" in host else host
        writer.write(f"{request} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        yield reader
    finally:
        abort_connection(writer)
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def not_available(host: str, port: int, vantage: Vantage, *, via: str, problem: str) -> Presented:
    """Return what is to be said of a vantage that could not be used at all."""
    return Presented(
        host=host, port=port, vantage=vantage, via=via, available=False, problem=problem, seen_utc=datetime.now(UTC)
    )


async def _look(
    names: Sequence[str], host: str, port: int, via: Console | None, probe_s: float, *, own: bool, keys: str = _ANY_KEY
) -> tuple[bytes, ...]:
    """Make one handshake, in the first of several ways that shows something; ``own``: the host's loopback comes first.

    ``names`` are asked for in turn (SNI): none where one is an address or empty.
    """
    place = host
    if own:
        place = "::1" if ":" in host else _LOOPBACK
    ways = [(name, place) for name in names]
    if own and is_address(host):
        ways.append((host, host))
    for name, place in ways[:-1]:
        with contextlib.suppress(DeviceError, OSError, EOFError):
            return await _probe(name, place, port, via, probe_s, keys)
    return await _probe(*ways[-1], port, via, probe_s, keys)


async def _probe(host: str, place: str, port: int, via: Console | None, probe_s: float, keys: str) -> tuple[bytes, ...]:
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is not a port")
    async with asyncio.timeout(probe_s), _stream(place, port, via) as (reader, writer):
        return await _handshake(host, reader, writer, keys)


@asynccontextmanager
async def _stream(host: str, port: int, via: Console | None) -> AsyncIterator[tuple[_TlsReader, _TlsWriter]]:
    reader: _TlsReader
    writer: _TlsWriter
    if via is None:
        reader, writer = await asyncio.open_connection(host, port)
    else:
        reader, writer = await via.open_channel(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, asyncssh.Error):
            await writer.wait_closed()


async def _handshake(host: str, reader: _TlsReader, writer: _TlsWriter, keys: str) -> tuple[bytes, ...]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = None if is_address(host) else host or None
    tls = seeing_context(keys).wrap_bio(incoming, outgoing, server_hostname=name)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            await _flush(outgoing, writer)
            data = await reader.read(_CHUNK)
            if not data:
                raise EOFError("the connection was closed in the middle of the TLS handshake") from None
            incoming.write(data)
    chain = _chain(tls)
    with contextlib.suppress(ssl.SSLError):  # says goodbye, and does not wait for the answer
        tls.unwrap()
    await _flush(outgoing, writer)
    return chain


async def _flush(outgoing: ssl.MemoryBIO, writer: _TlsWriter) -> None:
    data = outgoing.read()
    if data:
        writer.write(data)
        await writer.drain()


@cache
def seeing_context(keys: str = _ANY_KEY) -> ssl.SSLContext:
    """Return settings that talk to old servers too: the certificate is to be seen, whatever protects the connection."""
    context = unjudged_tls(ssl.TLSVersion.MINIMUM_SUPPORTED)
    context.set_ciphers(f"{keys}:!aNULL:@SECLEVEL=0")  # anonymous ones show no certificate
    if keys != _ANY_KEY:  # of TLS 1.3 Python cannot choose the kind
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    return context


def _chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return all certificates that were sent, leaf first; the leaf alone where this Python cannot say more."""
    leaf = tls.getpeercert(binary_form=True)
    if not leaf:
        raise EOFError("the host presented no certificate")
    return _sent(tls) or (leaf,)


def _sent(tls: Any) -> tuple[bytes, ...]:
    if hasattr(tls, "get_unverified_chain"):  # from Python 3.13 on
        return tuple(tls.get_unverified_chain())
    with contextlib.suppress(AttributeError, ImportError):
        from _ssl import ENCODING_DER

        return tuple(one.public_bytes(ENCODING_DER) for one in tls._sslobj.get_unverified_chain() or ())
    return ()


def _words(error: Exception, probe_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no TLS handshake within {probe_s:g} s"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve on this machine ({error})"
    if isinstance(error, ssl.SSLError):
        ended = f"the TLS handshake failed: {error.reason or error}"
        if error.reason == "WRONG_VERSION_NUMBER":
            return f"{ended}; what answers there speaks no TLS, or not at once: is it the right port?"
        if _NONE_OF_OURS.search(ended):
            return f"{ended}; does the server demand a client certificate? A look has none"
        return ended
    words = system_words(error) or type(error).__name__
    advice = step_after(error, "")
    return f"{words}: {advice}" if advice else words
