"""The only way from the browser to the network: a relay on loopback that holds the pin, and its own key."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import ipaddress
import os
import re
import secrets
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from playwright.async_api import CDPSession, Page

from runbook_lib.certificates.facts import read_or, spki_sha256_of
from runbook_lib.errors import CertificateMoved, DeviceUnreachable, RunbookError, step_after
from runbook_lib.event_loop import abort_connection, unjudged_tls

# -- The key with which a relay meets the browser: made anew for each relay, or for all those of a shared browser


def new_identity(path: Path) -> str:
    """Write a key and its certificate to a new file that only this user can read; return the public key's SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pinned relay")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(pem)
    return spki_sha256_of(certificate.public_bytes(Encoding.DER))


def identity_in(path: Path) -> tuple[ssl.SSLContext, str]:
    """Return TLS with the key and certificate in a file, and the public key's SHA-256."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return context, spki_sha256_of(certificate.public_bytes(Encoding.DER))


# -- The only way from the browser to the network: a relay on loopback that holds the pin. ---------
#
# Chromium's ``--ignore-certificate-errors-spki-list`` forgives the errors of one public key. It does not
# forbid other keys: a certificate that this machine's CAs vouch for is accepted with any key, on any later
# connection of the same page. So the browser does not judge the server at all. It is given this relay as
# its proxy; the relay makes each TLS connection to the server itself, compares the public key with the pin,
# and only then takes the first byte from the browser. The browser in turn accepts the relay's own key, which
# is made anew for each browser and leaves neither the process nor, for a shared browser, the user's own folder.
#
# Connections to any other place are refused and named. A port on loopback is open to every local user, so whoever
# connects has to give the password that only this relay's browser was told, and to give it soon.

_CHUNK, _MOST_HELD = 1 << 16, 1 << 20
_HEAD_LIMIT = 1 << 16
INTRODUCTION = "http://pinned-relay.invalid/"
"""What the browser asks for once to be asked for the password; no server gets it."""
_LAST_WORDS_S = 5.0
_IDLE_S = 600.0
"""How long a connection may carry nothing until it is dropped; the browser makes another when it needs one."""
_POLLS, _POLLS_S, _MOST_PIECES = 3, 120.0, 5000
_NUMBER = re.compile(rb"\d+")
_LENGTH = re.compile(rb"(?:[^\r\n]+\r\n)+?content-length: *(\d{1,9})\r\n(?:[^\r\n]+\r\n)*\r\n", re.IGNORECASE)
_AUTHORIZATION = re.compile(rb"\r\nproxy-authorization: *basic +([a-z0-9+/=]+) *\r\n", re.IGNORECASE)
_STATUS = {
    200: b"200 OK",
    403: b"403 Forbidden",
    407: b'407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="pinned relay"',
    502: b"502 Bad Gateway",
}
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def checked_pin(pin: str) -> str:
    """Return a pin in lower case. Raises ValueError unless it is 64 hex digits: an empty pin would pin nothing."""
    if len(pin) != 64 or not set(pin.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"a pin is the SHA-256 of a public key, 64 hex digits; this one has {len(pin)} characters")
    return pin.lower()


class PinnedRelay:
    """An HTTP proxy on loopback for one server (``host``, ``port``) with one public key (``pin``).

    ``problem`` is the last reason why no connection to the server was made, None after one that was.
    ``moved`` is set for good once the server has shown another key. ``refused`` names the other places
    that the browser asked for, in order, each once. ``own_key`` is the SHA-256 of the public key that it shows to the
    browser; ``identity`` is the file with that key where the browser is shared, else the key is made here. ``user``
    and ``password`` are what it asks of whoever connects. ``sent`` counts the pieces that have left for the server, but
    those of polls, which the page sends again and again. ``objects`` says why a request must not leave: that is
    ``kept_back`` then, and nothing more leaves.
    """

    user = "browser"

    def __init__(self, host: str, port: int, pin: str, connect_s: float, identity: Path | None = None) -> None:
        self.host = host
        self.port = port
        self.pin = checked_pin(pin)
        self.connect_s = connect_s
        self.problem: RunbookError | None = None
        self.moved: CertificateMoved | None = None
        self.refused: list[str] = []
        self.own_key = ""
        self.sent = 0
        self.objects: Callable[[bytes], Awaitable[str]] | None = None
        self.kept_back = ""
        self._shut = False
        self._pieces: dict[int, list[float]] = {}  # when each last left, without the numbers in it
        self.password = secrets.token_urlsafe(32)
        self._identity = identity
        self._inside: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    @property
    def address(self) -> str:
        """The proxy's URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> PinnedRelay:
        self._inside, self.own_key = _identity(self._identity)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_LIMIT)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._over = True  # what was accepted a moment ago is told of later
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def raise_problem(self) -> None:
        """Raise what the relay knows of a failed connection, if anything."""
        problem = self.moved or self.problem
        if problem is not None:
            raise problem

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._over:
            abort_connection(writer)
            return
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: abort_connection(writer))  # one that is cancelled at once has not begun

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, ssl.SSLError):
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self.connect_s):
                    head = await reader.readuntil(b"\r\n\r\n")
                if not self._is_known(head):
                    await _say(writer, 407)
                    return
                target = head.split(b" ", 2)[1].decode("ascii", "replace")
                if target == INTRODUCTION:
                    await _say(writer, 200)
                    return
                if not head.startswith(b"CONNECT ") or not self._is_server(target):
                    if target not in self.refused:
                        self.refused.append(target)
                    await _say(writer, 403)
                    return
                outside = await self._connect()
                if outside is None:
                    await _say(writer, 502)
                    return
                stack.callback(abort_connection, outside[1])
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                assert self._inside is not None
                await writer.start_tls(self._inside, ssl_handshake_timeout=self.connect_s)
                await self._join((reader, writer), outside)

    def sent_nothing_since(self, sent: int) -> bool:
        """Whether nothing but polls has left for the server since the count was that; if so, nothing can any more."""
        self._shut = self._shut or self.sent == sent
        return self.sent == sent

    def _is_known(self, head: bytes) -> bool:
        given = _AUTHORIZATION.search(head)
        own = base64.b64encode(f"{self.user}:{self.password}".encode())
        return given is not None and hmac.compare_digest(given[1], own)

    def _is_server(self, target: str) -> bool:
        host, _, port = target.rpartition(":")
        return host.strip("[]").lower() == self.host.strip("[]").lower() and port == str(self.port)

    async def _connect(self) -> _Connection | None:
        """Return a connection to the server whose key is the pinned one; otherwise note why there is none."""
        where = f"{self.host}:{self.port}"
        if self.moved is not None:
            return None
        try:
            async with asyncio.timeout(self.connect_s):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=_trust_nothing())
        except (OSError, TimeoutError) as error:
            found = str(error) or f"no answer within {self.connect_s:g} s"
            then = "Check that the server runs (ncs status), and that this machine can reach its web port."
            self.problem = DeviceUnreachable(
                "the web pages cannot be reached", where=where, found=found, next_step=step_after(error, then)
            )
            return None
        leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        key = read_or("no key that can be read", lambda: spki_sha256_of(leaf))
        if key == self.pin:
            self.problem = None
            return reader, writer
        abort_connection(writer)
        what = "the web pages are served with another key than the confirmed one; nothing was typed into them"
        found = f"public key SHA-256: {key}, confirmed was {self.pin}"
        then = "Confirm the certificate again (20_list_certificates); if it was not renewed, somebody else answers."
        self.moved = CertificateMoved(what, where=where, found=found, next_step=then)
        return None

    async def _join(self, one: _Connection, other: _Connection) -> None:
        """Carry bytes both ways until either side ends, or nothing was carried for too long."""
        last = [time.monotonic()]
        out, back = self._carry(one, other, last, out=True), self._carry(other, one, last)
        ways = {asyncio.ensure_future(out), asyncio.ensure_future(back)}
        try:
            while (left := last[0] + _IDLE_S - time.monotonic()) > 0:
                done, _ = await asyncio.wait(ways, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    break
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        # An answer that has just been read is still on its way to the browser.
        with contextlib.suppress(OSError, TimeoutError):
            one[1].close()
            async with asyncio.timeout(_LAST_WORDS_S):
                await one[1].wait_closed()

    async def _carry(self, one: _Connection, other: _Connection, last: list[float], *, out: bool = False) -> None:
        """Carry bytes one way, ``out`` to the server or in; ``last`` holds when any were carried."""
        while chunk := await one[0].read(_CHUNK):
            if out:
                chunk = await _with_body(one[0], chunk)
                self.kept_back = self.kept_back or (await self.objects(chunk) if self.objects else "")
                if self._shut or self.kept_back:
                    return
            self.sent += out and not self._is_poll(chunk)
            last[0] = time.monotonic()
            other[1].write(chunk)
            await other[1].drain()

    def _is_poll(self, piece: bytes) -> bool:
        """Whether the same has left several times of late, with other times and counters in it."""
        key, now = hash(_NUMBER.sub(b"", piece)), time.monotonic()
        before = [at for at in self._pieces.pop(key, ()) if now - at < _POLLS_S]
        self._pieces[key] = [*before[-_POLLS:], now]
        if len(self._pieces) > _MOST_PIECES:
            del self._pieces[next(iter(self._pieces))]  # what has not left for longest
        return len(before) >= _POLLS


async def _with_body(reader: asyncio.StreamReader, request: bytes) -> bytes:
    """Return a request whose head has come with its body, which may come in pieces; one that is long in part."""
    if length := _LENGTH.match(request):
        whole = min(length.end() + int(length[1]), _MOST_HELD)
        while len(request) < whole and (more := await reader.read(_CHUNK)):
            request += more
    return request


def _trust_nothing() -> ssl.SSLContext:
    """TLS for a connection that is judged by its public key alone, right after the handshake."""
    context = unjudged_tls()
    context.set_ciphers("DEFAULT:@SECLEVEL=1")
    return context


async def _say(writer: asyncio.StreamWriter, status: int) -> None:
    writer.write(b"HTTP/1.1 " + _STATUS[status] + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()


def _identity(shared: Path | None) -> tuple[ssl.SSLContext, str]:
    """Return TLS with the key of the shared browser's relays, or with one made now, which is on disk for a moment."""
    if shared is not None:
        return identity_in(shared)
    with tempfile.TemporaryDirectory() as folder:
        new_identity(Path(folder) / "relay.pem")
        return identity_in(Path(folder) / "relay.pem")


# -- Telling a browser context the password of its relay, once. ------------------------------------
#
# The driver could answer each question for it, and would stop every request of every page for that, and turn the cache
# off. A browser remembers what it told a proxy, though, so one request is enough, which the relay answers itself.

_ASK = "(url) => fetch(url, {mode: 'no-cors', credentials: 'include', cache: 'no-store'})"


async def authorize_context(page: Page, session: CDPSession, relay: PinnedRelay) -> None:
    """Let the context of an empty ``page`` know the relay's password. Raises the driver's Error where it does not."""
    answers: set[asyncio.Task[Any]] = set()

    def answering(method: str, **more: object) -> Any:
        def answer(event: dict[str, Any]) -> None:
            task = asyncio.ensure_future(session.send(method, {"requestId": event["requestId"], **more}))
            answers.add(task)
            task.add_done_callback(answers.discard)

        return answer

    known = {"response": "ProvideCredentials", "username": relay.user, "password": relay.password}
    given = answering("Fetch.continueWithAuth", authChallengeResponse=known)
    passed = answering("Fetch.continueRequest")
    session.on("Fetch.authRequired", given)
    session.on("Fetch.requestPaused", passed)
    try:
        await session.send("Fetch.enable", {"patterns": [{"urlPattern": INTRODUCTION}], "handleAuthRequests": True})
        await page.evaluate(_ASK, INTRODUCTION)
        await session.send("Fetch.disable")
    finally:
        session.remove_listener("Fetch.authRequired", given)
        session.remove_listener("Fetch.requestPaused", passed)
        await asyncio.gather(*answers, return_exceptions=True)
