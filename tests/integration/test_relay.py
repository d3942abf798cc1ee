"""The relay's port, which every local user can reach: it serves its own browser, and waits for nobody."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import tornado.web
from strangers import as_nobody, listening
from tls_site import Identity, serving
from waiting import awaited, wait_until_async

from runbook_lib.device.probe import seeing_context
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web import relay as module
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.relay import INTRODUCTION, PinnedRelay

_CONNECT = """
import socket
become_nobody()
port, target = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
    line.sendall(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
    print(json.dumps(line.recv(4096).decode()))
"""


class Counting(tornado.web.RequestHandler):
    def get(self) -> None:
        self.application.settings["heard"].append(self.request.uri)
        self.finish("hello")


def site() -> tuple[tornado.web.Application, list[str]]:
    heard: list[str] = []
    return tornado.web.Application([("/.*", Counting)], heard=heard), heard


async def said_by(relay: PinnedRelay, *lines: str) -> str:
    """Return what the relay says to a head of these lines, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(relay))
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    said = await reader.read()
    writer.close()
    return said.decode()


def port_of(relay: PinnedRelay) -> int:
    return urlsplit(relay.address).port or 0


def basic(user: str, password: str) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_another_user_gets_no_connection_through_the_relay(tmp_path: Path) -> None:
    """The relay carries nothing for anybody but its own browser.

    Another user who finds its port is asked for a password, and the server hears of no connection.
    """

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(tornado.web.Application(), identity.context()) as url:
            host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
            async with PinnedRelay(host, port, identity.pin, 5.0) as relay:
                said = await asyncio.to_thread(as_nobody, _CONNECT, port_of(relay), f"{host}:{port}")
                assert str(said).startswith("HTTP/1.1 407 ")
                assert (relay.problem, relay.refused) == (None, [])

    asyncio.run(go())


@pytest.mark.parametrize(
    "line", ["X: y", basic("browser", ""), basic("browser", "guessed"), "Proxy-Authorization: Basic !", "Proxy-Auth"]
)
def test_a_wrong_password_is_as_good_as_none(line: str) -> None:
    """Whatever stands in the place of the password: the relay asks for it, and names no place as refused."""

    async def go() -> None:
        async with PinnedRelay("127.0.0.1", 1, "0" * 64, 5.0) as relay:
            for head in ("CONNECT 127.0.0.1:1 HTTP/1.1", f"GET {INTRODUCTION} HTTP/1.1", "GET http://a/ HTTP/1.1"):
                assert (await said_by(relay, head, line)).startswith("HTTP/1.1 407 ")
            assert relay.refused == []

    asyncio.run(go())


def test_with_the_password_other_places_are_refused_and_named() -> None:
    """Whoever knows it gets to the one server and nowhere else; the question for the password reaches no server."""

    async def go() -> None:
        async with PinnedRelay("127.0.0.1", 1, "0" * 64, 5.0) as relay:
            own = basic(relay.user, relay.password)
            assert (await said_by(relay, f"GET {INTRODUCTION} HTTP/1.1", own)).startswith("HTTP/1.1 200 ")
            others = ["192.0.2.1:443", "127.0.0.1:2", "127.0.0.1:443"]
            for other in others:
                assert (await said_by(relay, f"CONNECT {other} HTTP/1.1", own)).startswith("HTTP/1.1 403 ")
            assert relay.refused == others
            assert relay.problem is None

    asyncio.run(go())


def test_passwords_differ_from_relay_to_relay() -> None:
    """What one browser was told opens no other relay."""
    first, second = (PinnedRelay("127.0.0.1", 1, "0" * 64, 5.0) for _ in range(2))
    assert first.password != second.password
    assert len(first.password) >= 32


def test_whoever_says_nothing_is_dropped() -> None:
    """A connection that gives no whole head within the deadline is closed, and nothing of it is left."""

    async def go() -> None:
        async with PinnedRelay("127.0.0.1", 1, "0" * 64, 0.2) as relay:
            for beginning in (b"", b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port_of(relay))
                writer.write(beginning)
                with suppress(ConnectionResetError):
                    assert await awaited(reader.read(), "the relay to close the connection", 60) == b""
                writer.close()
            await wait_until_async(lambda: not relay._tasks, "the end of the connections")

    asyncio.run(go())


def test_a_certificate_that_nobody_can_read_is_another_one_than_the_pinned(tmp_path: Path) -> None:
    """It has no key that could be compared: it counts as moved, and for good, whoever answers after that."""
    identity = Identity(tmp_path, "prime-pri")
    key, certificate = identity.pem.read_text().split("-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert("-----BEGIN CERTIFICATE-----" + certificate)
    of_version_6 = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"))
    unreadable = tmp_path / "unreadable.pem"
    unreadable.write_text(key + ssl.DER_cert_to_PEM_cert(of_version_6))

    async def go() -> None:
        context = identity.context()
        with serving(tornado.web.Application(), context) as url:
            host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
            first, second = (PinnedRelay(host, port, identity.pin, 30.0) for _ in range(2))
            context.load_cert_chain(unreadable)
            assert await first._connect() is None
            assert first.moved
            assert "no key that can be read" in first.moved.found
            context.load_cert_chain(identity.pem)
            assert await first._connect() is None
            line = await second._connect()
            assert line
            line[1].close()

    asyncio.run(go())


@pytest.mark.filterwarnings("ignore:.*TLSv1:DeprecationWarning")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_no_password_goes_over_an_old_protocol(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    """The relay talks TLS 1.2 or later; a look, which carries nothing, talks to older servers too."""
    serving_old = Identity(tmp_path, "old").context()
    serving_old.minimum_version, serving_old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
    serving_old.set_ciphers("ALL:@SECLEVEL=0")
    ours = module._trust_nothing()
    ours.set_ciphers("ALL:@SECLEVEL=0")  # so that nothing but the floor is left to refuse it

    def spoken(client: ssl.SSLContext) -> str | None:
        pipes = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = client.wrap_bio(pipes[0], pipes[1]), serving_old.wrap_bio(pipes[1], pipes[0], server_side=True)
        for end in ends * 3:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
        return ends[0].version()

    assert spoken(seeing_context()) is not None
    if newest is ssl.TLSVersion.TLSv1_2:
        assert spoken(ours) == "TLSv1.2"
    else:
        with pytest.raises(ssl.SSLError):
            spoken(ours)


def test_a_connection_that_comes_as_the_relay_ends_is_dropped() -> None:
    """One that was accepted just before, and at which nobody has looked yet, and one that is told of just after."""
    dropped: list[str] = []

    def line(name: str) -> Any:
        return SimpleNamespace(transport=SimpleNamespace(abort=lambda: dropped.append(name)))

    async def go() -> None:
        async with PinnedRelay("127.0.0.1", 9, "00" * 32, 5.0) as relay:
            relay._accept(asyncio.StreamReader(), line("before"))
        relay._accept(asyncio.StreamReader(), line("after"))
        assert not relay._tasks  # nothing begins for it

    asyncio.run(go())
    assert dropped == ["before", "after"]


def test_two_ends_that_say_nothing_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said before is carried; behind it both ways are closed, though neither end has closed its own."""
    monkeypatch.setattr(module, "_IDLE_S", 0.2)

    async def go() -> None:
        pairs = [socket.socketpair() for _ in range(2)]
        inner = [await asyncio.open_connection(sock=pair[0]) for pair in pairs]
        (browser, browser_out), (_, server_out) = [await asyncio.open_connection(sock=pair[1]) for pair in pairs]
        server_out.write(b"hello")
        await asyncio.wait_for(PinnedRelay("192.0.2.10", 443, "0" * 64, 1.0)._join(inner[0], inner[1]), 60)
        assert await browser.read() == b"hello"
        for writer in (browser_out, server_out, inner[1][1]):
            writer.close()

    asyncio.run(go())


def test_polls_are_none_of_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves again and again, with other times and counters in it: whatever else does is something sent."""
    poll, changes = b"POST /rpc?t=%d HTTP/1.1\r\n\r\n{call: alarms, id: %d}", b"{call: register, id: 7}"
    out = SimpleNamespace(write=lambda _: None, drain=lambda: asyncio.sleep(0))
    relay = PinnedRelay("192.0.2.10", 443, "0" * 64, 1.0)
    counts: list[int] = []

    async def go() -> None:
        for piece in (*(poll % (n, n) for n in range(5)), poll.partition(b"{")[0] % 9, changes):
            reader: Any = asyncio.StreamReader()
            reader.feed_data(piece)
            reader.feed_eof()
            await relay._carry((reader, out), (reader, out), [0.0], out=True)  # type: ignore[arg-type]
            counts.append(relay.sent)

    asyncio.run(go())
    assert counts == [1, 2, 3, 3, 3, 4, 5]
    monkeypatch.setattr(module, "_POLLS_S", 0.0)
    asyncio.run(go())
    assert counts[7:] == [6, 7, 8, 9, 10, 11, 12]


def test_a_connection_that_carries_nothing_is_dropped_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser's own idle connection ends as well; the next page simply comes over another."""
    monkeypatch.setattr(module, "_IDLE_S", 0.2)
    application, heard = site()

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(application, identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, Deadlines(page_s=60)) as browser:
                await browser.go("/one")
                await wait_until_async(lambda: not browser.relay._tasks, "the end of the connections")
                await browser.go("/two")

    asyncio.run(go())
    assert [uri for uri in heard if uri != "/favicon.ico"] == ["/one", "/two"]


def test_the_relay_is_the_only_port_of_a_browser(tmp_path: Path) -> None:
    """Browser and driver listen nowhere: what is opened with them is the relay's port, and closed with them."""
    application, _ = site()
    found: list[object] = []

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(application, identity.context()) as url:
            before = listening()
            async with PinnedBrowser.open(find_browser(), url, identity.pin, Deadlines(page_s=60)) as browser:
                await browser.go()
                found.extend([listening() - before, {("127.0.0.1", port_of(browser.relay))}])

    asyncio.run(go())
    assert found[0] == found[1]
