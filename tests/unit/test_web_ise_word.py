"""ISE: its own word, for which the password leaves only where its certificate is confirmed, and the list of servers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from certificate_kit import make, seen
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from site_kit import site_with

from runbook_lib.certificates import sha256_of
from runbook_lib.errors import CertificateMoved, UsageError
from runbook_lib.ise_api import admin_fingerprints
from runbook_lib.models import IseServer, Stage, Vantage
from runbook_lib.record import Record
from runbook_lib.steps.context import Context
from runbook_lib.steps.ise_word import ise_word
from runbook_lib.steps.readd_ise import IseAction, decide_ise

CERTIFICATE = make("ISE-server")
LOGIN = ("pi-user", "ise-Secret")
ANSWER = b'{"response": [{"usedBy": "Admin, Portal", "sha256Fingerprint": "%s"}]}'


class Ise:
    """A TLS server that answers every request with its own fingerprint; ``heard`` is all that came in."""

    def __init__(self, folder: Path) -> None:
        key = CERTIFICATE.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem = folder / "ise.pem"
        pem.write_bytes(key + CERTIFICATE.pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.heard: list[bytes] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            plain, _ = self._socket.accept()
            with plain:
                if plain.recv(1, socket.MSG_PEEK) == b"":
                    return  # closed without a word: that is how close() ends this
                self.connections += 1
                try:
                    with self._context.wrap_socket(plain, server_side=True) as tls:
                        self.heard.append(tls.recv(65536))
                        body = ANSWER % sha256_of(CERTIFICATE.der).encode() if self.heard[-1] else b""
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                except OSError:
                    continue

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def ise(tmp_path: Path) -> Iterator[Ise]:
    server = Ise(tmp_path)
    yield server
    server.close()


def ask(ise: Ise, pin: str) -> tuple[str, ...]:
    return asyncio.run(admin_fingerprints("127.0.0.1", ise.port, ("ise",), LOGIN, pin=pin, deadline_s=10))


def test_the_fingerprint_of_the_admin_certificate_comes_from_the_pinned_server(ise: Ise) -> None:
    """With the right pin ISE is asked, and says what it uses."""
    assert ask(ise, sha256_of(CERTIFICATE.der)) == (sha256_of(CERTIFICATE.der),)
    assert b"Authorization: Basic" in ise.heard[0]


def test_another_certificate_than_the_pinned_one_hears_nothing(ise: Ise) -> None:
    """The handshake ends it: no request, and so no password, is sent."""
    with pytest.raises(CertificateMoved):
        ask(ise, "a" * 64)
    ise.close()
    assert b"".join(ise.heard) == b""


@pytest.mark.parametrize("pin", ["", "a" * 40, "A" * 64, "a" * 63 + "\n"])
def test_a_pin_that_is_no_sha256_is_refused_before_anything_is_contacted(ise: Ise, pin: str) -> None:
    """An empty one must never mean that every certificate is good."""
    with pytest.raises(UsageError):
        ask(ise, pin)
    assert ise.connections == 0


@pytest.mark.parametrize("known", [True, False])
def test_ise_is_asked_only_where_its_certificate_is_confirmed(
    ise: Ise, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unconfirmed server is not even connected to, and the check says «not asked»; a confirmed one is its word."""
    monkeypatch.setenv("ISE", LOGIN[1])
    site = site_with(
        addresses=("192.0.2.10", "192.0.2.20", "127.0.0.1", "192.0.2.31"), ports=(8082, 8082, ise.port, 443)
    )
    expect = {"sha256": sha256_of(CERTIFICATE.der)} if known else {}
    settings = site.ise[0].model_copy(update={"expect": type(site.ise[0].expect).model_validate(expect)})
    site = site.model_copy(update={"ise": (settings, site.ise[1])})

    async def look(target: Any) -> Any:
        return (seen(Vantage.HERE, CERTIFICATE.der),)

    context = Context(
        site=site,
        record=Record.create(tmp_path / "records", "lab"),
        stage=Stage.READD_ISE,
        devices=cast("Any", SimpleNamespace(look=look)),
        operator="ada@desk",
        records_root=tmp_path / "records",
    )
    check = asyncio.run(ise_word(context, settings))
    assert (check.ok, ise.connections) == ((True, 1) if known else (None, 0))
    assert check.actual.startswith(sha256_of(CERTIFICATE.der) if known else "not asked: ")


@pytest.mark.parametrize(
    ("rows", "action"),
    [
        ((), IseAction.ADD),
        ((IseServer(address="192.0.2.99", answers=True),), IseAction.ADD),
        ((IseServer(address="192.0.2.30", answers=True),), IseAction.NOTHING),
        ((IseServer(address="192.0.2.30", answers=None),), IseAction.LEAVE),
        ((IseServer(address="192.0.2.30", answers=False),), IseAction.REPLACE),
        ((IseServer(address="ISE-1.example.com", answers=False),), IseAction.REPLACE),
    ],
)
def test_a_listed_server_is_replaced_only_where_the_page_says_that_it_does_not_answer(
    rows: tuple[IseServer, ...], action: IseAction, tmp_path: Path
) -> None:
    """One that answers, or of which the page says nothing, is neither removed nor added a second time."""
    site = site_with()
    waits = site.deadlines.model_copy(update={"settle_s": 0.0})

    async def ise_servers() -> tuple[IseServer, ...]:
        return rows

    async def opened() -> Any:
        return SimpleNamespace(ise_servers=ise_servers)

    context = Context(
        site=site.model_copy(update={"ise": site.ise[:1], "deadlines": waits}),
        record=Record.create(tmp_path / "records", "lab"),
        stage=Stage.READD_ISE,
        devices=cast("Any", None),  # the page alone decides
        operator="ada@desk",
        records_root=tmp_path / "records",
    )
    (decision,) = asyncio.run(decide_ise(context, cast("Any", SimpleNamespace(guided=False, open=opened))))
    assert decision.action is action
