"""Connections that Prime Infrastructure opens: TLS to a peer or an ISE server, trusted on first use."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache

from runbook_lib.lab.core import Core
from runbook_lib.lab.logbook import HEALTH_MONITOR, INFRASTRUCTURE
from runbook_lib.lab.pki import common_name, sha256
from runbook_lib.lab.world import PEER, Trust

TIMEOUT_S = 15.0
_LARGEST_ANSWER = 1_000_000


class CertificateRefused(Exception):
    """The remote host presents another certificate than the one that was stored first."""

    def __init__(self, der: bytes) -> None:
        super().__init__(
            "javax.net.ssl.SSLHandshakeException: java.security.cert.CertificateException: Trust-on-first-use is "
            "configure for this connection. Current certificate of the remote host is different from what was used "
            f"earlier - CN={common_name(der)}"
        )


@dataclass(frozen=True)
class Target:
    """Where to, and which log tells of it: ``thread`` is the name in its lines."""

    host: str
    port: int
    log: str
    thread: str
    purpose: str = "product"

    @property
    def entry(self) -> str:
        return f"{self.host}_{self.port}"


@dataclass(frozen=True)
class Answer:
    """The status and body of an HTTP answer."""

    status: int
    body: bytes


def peer_target(core: Core, server: str, purpose: str = "product") -> Target:
    """The Health Monitor of a server's peer."""
    peer = core.world.pi[PEER[server]]
    return Target(peer.address, peer.ports["hm"], HEALTH_MONITOR, "HealthMonitorThread", purpose)


def ise_target(core: Core, host: str, port: int, purpose: str = "product") -> Target:
    """An ISE server as the primary's next task sees it."""
    return Target(host, port, INFRASTRUCTURE, f"seqtaskexecutor-{next(core.world.task_numbers)}", purpose)


@asynccontextmanager
async def trusted(
    core: Core, server: str, target: Target
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a TLS connection from a server and hold the certificate against its store.

    Raises CertificateRefused (with the published lines in the log by then) and OSError or TimeoutError where
    nobody answers.
    """
    sock = core.outgoing(server, target.purpose)
    name = sock.getsockname()
    writer: asyncio.StreamWriter | None = None
    handed_over = False
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.get_running_loop().sock_connect(sock, (target.host, target.port))
            handed_over = True
            reader, writer = await asyncio.open_connection(sock=sock, ssl=_context(), server_hostname="")
        _hold_against_store(core, server, target, writer)
        yield reader, writer
    finally:
        if writer is not None:
            writer.transport.abort()
        elif handed_over:
            # The socket belongs to a transport by now: were it closed here, another connection would get its number.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        else:
            sock.close()
        core.forget(name)


async def exchange(core: Core, server: str, target: Target, request: bytes) -> Answer:
    """Send one HTTP request over a trusted connection and read the whole answer; errors as ``trusted`` has them."""
    async with trusted(core, server, target) as (reader, writer):
        writer.write(request)
        async with asyncio.timeout(TIMEOUT_S):
            answer = await reader.read(_LARGEST_ANSWER)
            while chunk := await reader.read(_LARGEST_ANSWER):
                answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionResetError("the connection ended before an answer came")
    return Answer(int(words[1]), body)


def request_bytes(method: str, target: Target, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One HTTP/1.1 request that asks for the connection to be closed after the answer."""
    fields = {"Host": f"{target.host}:{target.port}", "Connection": "close", "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def _hold_against_store(core: Core, server: str, target: Target, writer: asyncio.StreamWriter) -> None:
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    trust = core.world.meet(server, target.entry, der, core.clock())
    if trust is Trust.FIRST_SEEN:
        core.truth.write(server, "world", "lab", f"stored {target.entry}", sha256=sha256(der), thread=target.thread)
        core.logs[server].note(target.log, target.thread, f"Certificate of {target.entry} added to the trusted list")
    elif trust is Trust.DIFFERENT:
        core.logs[server].mismatch(target.log, target.thread, der)
        raise CertificateRefused(der)


@cache  # making one takes as long as a handshake, and monitors open many connections a second
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is trusted is what was seen first
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # however weak
    return context
