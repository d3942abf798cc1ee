"""ISE: its own word, for which the password leaves only where its certificate is confirmed, and the list of servers."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from certificate_kit import make, seen
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from site_kit import site_with

from runbook_lib.certificates.facts import sha256_of
from runbook_lib.device.ise_api import NotAvailable, admin_certificates, parse_ise_date, parse_ise_refusal
from runbook_lib.errors import CertificateMoved, PageNotUnderstood, UsageError
from runbook_lib.models import Stage, Vantage
from runbook_lib.notebook.changing_stages import ReaddIse
from runbook_lib.observations import Check, CheckKind, ListedIseServer
from runbook_lib.record.incident import Record
from runbook_lib.repair import ise as ise_word_module
from runbook_lib.repair.context import Context
from runbook_lib.repair.ise import IseAction, IseDecision, decide_ise, ise_word, readd_ise

CERTIFICATE = make("ISE-server")
LOGIN = ("pi-user", "ise-Secret")
PRESENTED = sha256_of(CERTIFICATE.der)
PATH = "/api/v1/certs/system-certificate/ise"


def page(*admin: str, begins: str = "", following: object = None) -> bytes:
    """One page of the list, with a certificate for something else before those for Admin."""
    listed = [{"usedBy": "EAP Authentication", "sha256Fingerprint": None}]
    listed += [{"usedBy": "Admin, Portal", "sha256Fingerprint": one, "validFrom": begins} for one in admin]
    return json.dumps(
        {"response": listed, "version": "1.0.1"} | ({"nextPage": following} if following else {})
    ).encode()


class Ise:
    """A TLS server that answers every request with its own fingerprint; ``heard`` is all that came in.

    ``says`` gives a status and a body for each path instead.
    """

    says: Callable[[str], tuple[int, bytes]] = staticmethod(lambda _path: (200, page(PRESENTED)))

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
                        status, body = self.says(self.heard[-1].split()[1].decode()) if self.heard[-1] else (200, b"")
                        tls.sendall(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
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
    said = asyncio.run(admin_certificates("127.0.0.1", ise.port, ("ise",), LOGIN, pin=pin, deadline_s=10))
    return tuple(one.sha256 for one in said)


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


@pytest.mark.parametrize("shape", ["object", "text", "path"])
def test_the_list_is_read_to_its_last_page(ise: Ise, shape: str) -> None:
    """Each page comes from the pinned server anew, whatever shape the address of the next one has."""

    def following(number: int) -> object:
        path = f"{PATH}?page={number}&size=1"
        whole = f"https://ISE:{ise.port}{path}"
        return {"object": {"rel": "next", "href": whole}, "text": whole, "path": path}[shape]

    def says(path: str) -> tuple[int, bytes]:
        number = int(path.rpartition("page=")[2].partition("&")[0]) if "page=" in path else 1
        return 200, page(following=following(number + 1)) if number < 3 else page(PRESENTED)

    ise.says = says
    assert ask(ise, PRESENTED) == (PRESENTED,)
    assert ise.connections == 3


@pytest.mark.parametrize(
    "elsewhere",
    [
        f"https://198.51.100.7{PATH}?page=2",
        f"//198.51.100.7{PATH}?page=2",
        f"http://ise{PATH}?page=2",
        f"https://ise:444{PATH}?page=2",
        f"https://somebody@ise{PATH}?page=2",
        "/api/v1/certs/trusted-certificate?page=2",
        f"{PATH}/../../delete?page=2",
        "https://[",
    ],
)
def test_a_next_page_somewhere_else_is_not_asked_for(ise: Ise, elsewhere: str) -> None:
    """No other host and no other list gets a request, even where this one has told of an Admin certificate before."""
    ise.says = lambda _path: (200, page(PRESENTED, following=elsewhere))
    with pytest.raises(NotAvailable, match="somewhere else"):
        ask(ise, PRESENTED)
    assert ise.connections == 1


@pytest.mark.parametrize("grows", [True, False])
def test_a_list_without_an_end_is_left(ise: Ise, grows: bool) -> None:
    """A page that leads to itself, or ever on, ends the reading after a bounded number of pages."""
    ise.says = lambda path: (
        200,
        page(PRESENTED, following=f"{PATH}?page={len(path) if grows else 1}{path[len(PATH) :]}"),
    )
    if not grows:
        ise.says = lambda _path: (200, page(PRESENTED, following=f"{PATH}?page=1"))
    with pytest.raises(NotAvailable, match="no end"):
        ask(ise, PRESENTED)
    assert ise.connections == (50 if grows else 2)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            b'{"response":{"status":"Fail","message":"Import failed as it is used","id":null}}',
            "Import failed as it",
        ),
        (422, b'{"response":{"message":null},"version":"1.0.1"}', "answered 422 for ise$"),
        (400, b'{"error":{"message":"No <b>such</b> node"}}', "400 for ise: No such node$"),
        (500, b"<html><body><h1>Internal error</h1></body></html>", "500 for ise: Internal error$"),
        (200, b'{"error":"The service is starting"}', "not understood: The service is starting$"),
        (200, b'{"response":[{"usedBy":"Admin","sha256Fingerprint":"abc"}]}', "not understood"),
        (200, b"[" * 100_000, "not understood"),
    ],
)
def test_a_refusal_is_told_in_ises_words(ise: Ise, status: int, body: bytes, words: str) -> None:
    """From ``response`` or ``error``, JSON or HTML; one without a word is its status alone."""
    ise.says = lambda _path: (status, body)
    with pytest.raises(NotAvailable, match=words):
        ask(ise, PRESENTED)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Wed Jul 23 13:42:05 UTC 2025", datetime(2025, 7, 23, 13, 42, 5, tzinfo=UTC)),
        ("Mon Jul 24 13:42:05 CET 2023", datetime(2023, 7, 24, 13, 42, 5, tzinfo=UTC)),
        ("Thu Jan  1 00:30:00 GMT+05:30 2026", datetime(2025, 12, 31, 19, 0, tzinfo=UTC)),
        ("2027-12-31 23:59:59", datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2028-07-23T13:42:05Z", datetime(2028, 7, 23, 13, 42, 5, tzinfo=UTC)),
        ("Wed Foo 23 13:42:05 UTC 2025", None),
        ("2027-02-31 23:59:59", None),
        ("0001-01-01 00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("Mon Jan 01 00:00:00 GMT+09:00 0001", None),
        (None, None),
        (7, None),
    ],
)
def test_dates_are_read_as_they_were_captured(said: object, meant: datetime | None) -> None:
    """With their zone where it is an offset, within a day where it is letters; what is no date is none."""
    assert parse_ise_date(said) == meant


def test_the_words_of_a_refusal_are_short() -> None:
    """A page of HTML does not fill a terminal."""
    assert parse_ise_refusal(b"<p>" + b"word " * 10_000) == ("word " * 40).strip()


@pytest.fixture
def word(ise: Ise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Check]:
    """``word(known)``: the check of stage 60; ``known``: the operator has said which certificate ISE has now."""
    monkeypatch.setenv("ISE", LOGIN[1])
    site = site_with(
        addresses=("192.0.2.10", "192.0.2.20", "127.0.0.1", "192.0.2.31"), ports=(8082, 8082, ise.port, 443)
    )

    async def look(target: Any) -> Any:
        return (seen(Vantage.HERE, CERTIFICATE.der),)

    def check(*, known: bool = True) -> Check:
        expect = {"sha256": PRESENTED} if known else {}
        settings = site.ise[0].model_copy(update={"expect": type(site.ise[0].expect).model_validate(expect)})
        context = Context(
            site=site.model_copy(update={"ise": (settings, site.ise[1])}),
            record=Record.create(tmp_path / "records", "lab"),
            stage=Stage.READD_ISE,
            devices=cast("Any", SimpleNamespace(look=look)),
            operator="ada@desk",
            records_root=tmp_path / "records",
        )
        return asyncio.run(ise_word(context, settings))

    return check


@pytest.mark.parametrize("known", [True, False])
def test_ise_is_asked_only_where_its_certificate_is_confirmed(
    ise: Ise, word: Callable[..., Check], known: bool
) -> None:
    """An unconfirmed server is not even connected to, and the check says “not asked”; a confirmed one is its word."""
    check = word(known=known)
    assert (check.ok, ise.connections) == ((True, 1) if known else (None, 0))
    assert check.actual.startswith(PRESENTED if known else "not asked: ")


def test_an_ise_that_does_not_end_its_answer_is_no_failure(
    word: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check gives it the time that the site's file gives a connection, and no more; then it is not available."""
    given: list[float] = []

    async def ask(*_: object, deadline_s: float, **__: object) -> None:
        given.append(deadline_s)
        raise NotAvailable("no whole answer")

    monkeypatch.setattr(ise_word_module, "admin_certificates", ask)
    check = word()
    assert (check.ok, check.actual) == (None, "not available: no whole answer")
    assert given == [site_with().deadlines.connect_s]


@pytest.mark.parametrize(
    ("begins", "ok", "actual"),
    [
        ("2098-12-31 23:59:59", None, "imported, not yet presented: " + "a" * 64),
        ("no date", None, "imported, not yet presented: " + "a" * 64),
        ("Sun Jul 24 13:42:05 UTC 2005", False, "a" * 64),
    ],
)
def test_a_newer_admin_certificate_than_the_presented_one_waits_for_a_restart(
    ise: Ise, word: Callable[..., Check], begins: str, ok: bool | None, actual: str
) -> None:
    """It is no failure, says what to do, and leaves the repair unverified. An older one is not what ISE should use."""
    ise.says = lambda _path: (200, page("a" * 64, begins=begins))
    check = word()
    assert (check.ok, check.actual) == (ok, actual)
    assert ("restart" in check.note) == (ok is None)
    assert check.kind is (CheckKind.ISE_IMPORTED if ok is None else CheckKind.ISE_API)  # the first is part of the proof


@pytest.mark.parametrize(
    ("rows", "action"),
    [
        ((), IseAction.ADD),
        ((ListedIseServer(address="192.0.2.99", answers=True),), IseAction.ADD),
        ((ListedIseServer(address="192.0.2.30", answers=True),), IseAction.NOTHING),
        ((ListedIseServer(address="192.0.2.30", answers=None),), IseAction.LEAVE),
        ((ListedIseServer(address="192.0.2.30", answers=False),), IseAction.REPLACE),
        ((ListedIseServer(address="ISE-1.example.com", answers=False),), IseAction.REPLACE),
    ],
)
def test_a_listed_server_is_replaced_only_where_the_page_says_that_it_does_not_answer(
    rows: tuple[ListedIseServer, ...], action: IseAction, tmp_path: Path
) -> None:
    """One that answers, or of which the page says nothing, is neither removed nor added a second time."""
    site = site_with()
    waits = site.deadlines.model_copy(update={"settle_s": 0.0})

    async def ise_servers(*_sought: str) -> tuple[ListedIseServer, ...]:
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


@pytest.mark.parametrize("not_understood", ["ise", "ise2", "the list"])
def test_a_person_does_what_the_pages_have_not(not_understood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was added is not asked for again; nor is anything where only the list afterwards is not read."""
    names = ["ise", "ise2"]
    asked: list[str] = []

    def stop_at(what: str) -> None:
        if what == not_understood:
            raise PageNotUnderstood(what)

    async def change(_context: object, name: str, *_: object) -> None:
        stop_at(name)

    async def by_hand(_context: object, _pages: object, left: list[str]) -> None:
        asked.extend(left)

    shown = Mock(ise_servers=AsyncMock(side_effect=lambda **_: stop_at("the list")))
    pages = Mock(guided=False, open=AsyncMock(return_value=shown), give_up=AsyncMock())
    context = cast("Any", MagicMock(site=site_with()))
    decisions = tuple(IseDecision(name=n, address=n, listed=None, action=IseAction.ADD) for n in names)
    for name, instead in (("_change", change), ("_by_hand", by_hand), ("require_release", AsyncMock())):
        monkeypatch.setattr(ise_word_module, name, instead)
    monkeypatch.setattr(ise_word_module, "require_means", Mock())
    monkeypatch.setenv("ISE", "ise-Secret")
    assert asyncio.run(readd_ise(context, pages, decisions)) == ()
    assert asked == {"ise": names, "ise2": ["ise2"], "the list": []}[not_understood]


@pytest.mark.parametrize("guided", [True, False])
def test_a_list_that_nobody_read_is_not_called_empty(guided: bool) -> None:
    """Where a person has to look at the page, nothing is known of what it lists."""

    def run(work: Any) -> tuple[ListedIseServer, ...]:
        work.close()
        return ()

    stage = cast("Any", Mock(_decided=Mock(return_value=()), _run=run, _pages=Mock(guided=guided)))
    shown = ReaddIse.readd(stage).text()
    assert ("not read" in shown, "no ISE server" in shown) == (guided, not guided)
