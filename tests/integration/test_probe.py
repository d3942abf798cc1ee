"""The TLS probe, with real handshakes: the whole chain as it is sent, from here or through SSH, and no credentials."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest
from closed_port import closed_port
from held_clock import run
from ssh_fakes import QUICK, FakeAde, closing, mute_server
from tls_fakes import Chain, TlsServer, small_rsa_key
from waiting import awaited

from runbook_lib.device import probe
from runbook_lib.device.command_line import Console
from runbook_lib.device.probe import present
from runbook_lib.models import Presented, Vantage
from runbook_lib.params.model import Deadlines


async def look(host: str, port: int, deadlines: Deadlines = QUICK, names: tuple[str, ...] = ()) -> Presented:
    return await present(host, port, vantage=Vantage.HERE, deadlines=deadlines, names=names)


def look_at(server: TlsServer, host: str = "127.0.0.1", names: tuple[str, ...] = ()) -> Presented:
    async def talk() -> Presented:
        async with server:
            return await look(host, server.port, names=names)

    return asyncio.run(talk())


def test_the_whole_chain_is_seen_as_sent(tmp_path: Path) -> None:
    """Leaf and CA come back in DER and in order, although expired and issued by nobody known."""
    chain = Chain(tmp_path, "prime-sec")
    server = TlsServer(chain)
    seen = look_at(server)
    assert seen.chain == chain.der
    assert (seen.available, seen.stable, seen.problem, seen.via, seen.vantage) == (True, True, "", "", Vantage.HERE)
    assert (seen.host, seen.port) == ("127.0.0.1", server.port)


def test_handshakes_without_a_byte_of_data_and_without_an_addresss_name(tmp_path: Path) -> None:
    """A probe makes two handshakes and one for another kind of key, sends nothing, and asks for no address's name."""
    server = TlsServer(Chain(tmp_path, "a"))
    look_at(server)
    assert server.handshakes == [None, None, None]
    assert server.received == b""


def test_a_name_is_asked_for_where_there_is_one(tmp_path: Path) -> None:
    """A host that is known by name is asked for by that name (SNI), and once by none, as PI may do."""
    server = TlsServer(Chain(tmp_path, "a"))
    assert look_at(server, "localhost").seen_each_time
    assert server.handshakes == ["localhost", None, "localhost"]


def test_another_certificate_for_whoever_asks_for_no_name_is_seen(tmp_path: Path) -> None:
    """Somebody in between could tell our looks from PI's by that; a server that needs a name is asked by it again.

    So is one that the site's file calls by its address, and by a full name beside it, which PI's entry may hold.
    """
    named, other = Chain(tmp_path, "a"), Chain(tmp_path, "a")
    seen = look_at(TlsServer(named, of_no_name=other), "localhost")
    assert (seen.stable, seen.chain) == (False, other.der)
    needs_one = TlsServer(named, of_no_name=None)
    assert look_at(needs_one, "localhost").seen_each_time
    assert needs_one.handshakes == ["localhost", None, "localhost", "localhost"]
    known_as = TlsServer(named, of_no_name=other)
    seen = look_at(known_as, "127.0.0.1", ("127.0.0.1", "prime-sec", "prime-sec.example.com"))
    assert (seen.stable, known_as.handshakes) == (False, [None, "prime-sec.example.com", None])


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_for_another_kind_of_key_is_seen_too(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    """A server may hold an RSA and an ECDSA certificate: which of them PI is shown depends on what PI takes."""
    ecdsa, rsa = Chain(tmp_path, "a"), Chain(tmp_path, "a", small_rsa_key())

    def both(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.maximum_version = newest
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        context.load_cert_chain(rsa.pem)

    seen = look_at(TlsServer(ecdsa, tune=both))
    assert set(seen.served) == {ecdsa.der[0], rsa.der[0]}
    assert (seen.stable, seen.problem) == (True, "")


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_a_server_with_one_certificate_has_no_look_to_refuse(tmp_path: Path, kind: str) -> None:
    """Errors in a server's log would be of our making, and the diagnosis would read them."""
    server = TlsServer(Chain(tmp_path, "a", *([small_rsa_key()] if kind == "RSA" else [])), tune=takes_all)
    assert look_at(server).others == ()
    assert len(server.handshakes) == 3
    assert not [error for error in server.failed if isinstance(error, ssl.SSLError)]


def takes_all(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")


def test_a_server_that_would_show_no_certificate_is_given_no_occasion(tmp_path: Path) -> None:
    """One that takes anonymous key exchange as well shows a certificate to whoever does not offer that."""

    def anonymous(context: ssl.SSLContext) -> None:
        context.set_ciphers("AECDH-AES256-SHA:AES256-SHA:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    chain = Chain(tmp_path, "a", small_rsa_key())
    seen = look_at(TlsServer(chain, tune=anonymous))
    assert (seen.chain, seen.problem) == (chain.der, "")


def test_two_certificates_in_turn_are_not_stable(tmp_path: Path) -> None:
    """Where two probes see different leaves this is said, and the last chain is shown."""
    first, second = Chain(tmp_path, "a"), Chain(tmp_path, "a")
    seen = look_at(TlsServer(first, second))
    assert not seen.stable
    assert seen.chain == second.der


def test_old_tls_and_weak_keys_are_seen(tmp_path: Path) -> None:
    """A server that speaks TLS 1.0 with an RSA-1024 key shows its certificate all the same."""

    def old(context: ssl.SSLContext) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = ssl.TLSVersion.TLSv1

    def weak(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")

    chain = Chain(tmp_path, "old")
    assert look_at(TlsServer(chain, tune=old)).chain == chain.der
    weak_chain = Chain(tmp_path, "weak", small_rsa_key())
    assert look_at(TlsServer(weak_chain, tune=weak)).chain == weak_chain.der


def test_a_failed_handshake_shows_no_certificate(tmp_path: Path) -> None:
    """Where the handshake fails the certificate is not reported: the host has not proven that it holds the key."""

    def demand(context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    seen = look_at(TlsServer(Chain(tmp_path, "a"), tune=demand))
    assert (seen.chain, seen.available) == ((), True)
    assert "handshake" in seen.problem


def test_a_server_that_demands_a_client_certificate_is_asked_about_it(tmp_path: Path) -> None:
    """Up to TLS 1.2 it shows nothing to whoever has none, and its alert says no more than that something failed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Chain(tmp_path, "a").pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ssl.SSLError):  # unlike asyncio this sends the alert
                context.wrap_socket(connection, server_side=True)

        server = threading.Thread(target=refuse)
        server.start()
        seen = asyncio.run(look("127.0.0.1", listener.getsockname()[1]))
        server.join()
    assert (seen.chain, seen.available) == ((), True)
    assert "does the server demand a client certificate?" in seen.problem


@pytest.mark.parametrize("alert", [70, 80])
def test_an_alert_of_something_else_asks_about_no_client_certificate(alert: int) -> None:
    """Such as another release of TLS (70), or an error of the server's own (80)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(bytes((21, 3, 3, 0, 2, 2, alert)))

        server = threading.Thread(target=refuse)
        server.start()
        seen = asyncio.run(look("127.0.0.1", listener.getsockname()[1]))
        server.join()
    assert "the TLS handshake failed" in seen.problem
    assert "client certificate" not in seen.problem


def test_what_was_seen_before_a_look_that_failed_is_kept(tmp_path: Path) -> None:
    """An impostor that is met once and then answers no more was met: its certificate stands beside the problem."""
    asked: list[ssl.SSLContext] = []

    def demand_later(context: ssl.SSLContext) -> None:
        asked.append(context)
        if len(asked) > 1:
            context.verify_mode = ssl.CERT_REQUIRED
            context.maximum_version = ssl.TLSVersion.TLSv1_2

    chain = Chain(tmp_path, "a")
    seen = look_at(TlsServer(chain, tune=demand_later))
    assert (seen.chain, len(asked)) == (chain.der, 2)
    assert "handshake" in seen.problem


def test_a_host_that_is_down_is_reported_and_nothing_is_raised() -> None:
    """Refused connections, hosts without an address and ports that cannot be are a problem in words."""

    async def talk() -> None:
        with closed_port() as port:
            places = (("127.0.0.1", port), ("no such host", 443), ("127.0.0.1", 99999), ("a" * 70 + ".b", 443))
            for host, number in places:
                seen = await look(host, number)
                assert (seen.chain, seen.available) == ((), True)
                assert seen.problem

    asyncio.run(talk())


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
def test_a_host_that_speaks_no_tls_is_reported(says: bytes) -> None:
    """A host that hangs up or speaks something else presents nothing."""

    async def talk() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(says)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            seen = await look("127.0.0.1", server.sockets[0].getsockname()[1])
        assert seen.chain == ()
        assert "TLS handshake" in seen.problem
        assert ("is it the right port?" in seen.problem) is bool(says)

    asyncio.run(talk())


def test_silence_ends_at_the_deadline() -> None:
    """A host that takes the connection and says nothing is given up, and the connection closed."""

    async def talk() -> None:
        async with mute_server() as (port, closed):
            seen = await look("127.0.0.1", port)
            assert "60 s" in seen.problem
            await awaited(closed.wait(), "the end of the connection")

    run(talk())


def test_the_ssh_server_carries_a_probe(tmp_path: Path) -> None:
    """Through a console the certificate is seen as its server sees it, and the server is named."""
    chain = Chain(tmp_path, "prime-sec")

    async def talk() -> None:
        async with TlsServer(chain) as server, FakeAde() as ade:
            async with closing(await Console.open("primary", "127.0.0.1", ade.access(), deadlines=QUICK)) as console:
                seen = await present("127.0.0.1", server.port, vantage=Vantage.PEER, deadlines=QUICK, via=console)
            assert seen.chain == chain.der
            assert (seen.via, seen.vantage, seen.problem) == ("primary", Vantage.PEER, "")
            assert ade.forwarded == [("127.0.0.1", server.port)] * 3
            assert server.received == b""

    asyncio.run(talk())


def test_a_host_shows_itself_on_its_own_loopback_whatever_its_name_leads_to(tmp_path: Path) -> None:
    """Vantage ``self`` looks up no name: who answers for the host's name in between would else be seen as the host."""
    chain = Chain(tmp_path, "prime-sec")

    async def talk() -> None:
        async with TlsServer(chain) as server, FakeAde() as ade:
            async with closing(await Console.open("secondary", "127.0.0.1", ade.access(), deadlines=QUICK)) as console:
                seen = await present("prime.invalid", server.port, vantage=Vantage.SELF, deadlines=QUICK, via=console)
                given = await present("127.0.0.2", server.port, vantage=Vantage.SELF, deadlines=QUICK, via=console)
            assert (seen.chain, seen.problem, seen.host) == (chain.der, "", "prime.invalid")
            assert server.handshakes == ["prime.invalid", None, "prime.invalid"]
            assert ade.forwarded == [("127.0.0.1", server.port)] * 3 + [("127.0.0.2", server.port)]
            assert given.chain == ()

    asyncio.run(talk())


def test_an_address_that_is_translated_on_the_way_is_seen_on_the_hosts_own_loopback(tmp_path: Path) -> None:
    """Whoever answers for it in between would else be seen as the host; where nothing answers there it is called."""
    chain = Chain(tmp_path, "prime-sec")

    async def talk() -> None:
        async with TlsServer(chain) as server, FakeAde() as ade:
            console = await Console.open("secondary", "127.0.0.1", ade.access(), deadlines=QUICK)

            async def look(host: str, port: int) -> tuple[list[str], Presented]:
                ade.forwarded.clear()
                seen = await present(host, port, vantage=Vantage.SELF, deadlines=QUICK, via=console, times=1)
                return [place for place, _ in ade.forwarded], seen

            async with closing(console):
                called, seen = await look("192.0.2.20", server.port)
                assert (called, seen.chain, seen.problem, seen.host) == (["127.0.0.1"] * 2, chain.der, "", "192.0.2.20")
                with closed_port() as port:
                    assert (await look("192.0.2.20", port))[0] == ["127.0.0.1", "192.0.2.20"]
                    assert (await look("2001:db8::1", port))[0] == ["::1", "2001:db8::1"]
                    assert (await look("127.1.2.3", port))[0] == ["127.1.2.3"]
                    assert (await look("prime.invalid", port))[0] == ["127.0.0.1"]

    asyncio.run(talk())


def test_the_other_certificate_is_asked_for_where_the_first_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vantage that saw one of two would contradict those that saw both."""
    called: list[str] = []

    async def handshake(_host: str, place: str, *_given: object) -> tuple[bytes, ...]:
        called.append(place)
        if place == "127.0.0.1":
            raise ConnectionRefusedError
        return (b"the first" if len(called) <= 2 else b"the other",)

    monkeypatch.setattr(probe, "_probe", handshake)
    seen = asyncio.run(present("192.0.2.20", 443, vantage=Vantage.SELF, deadlines=QUICK, times=1))
    assert called == ["127.0.0.1", "192.0.2.20"] * 2
    assert seen.served == (b"the first", b"the other")


def test_a_server_that_does_not_forward_makes_the_vantage_unavailable(tmp_path: Path) -> None:
    """Refused forwarding says nothing of the host, and is told from a host that is down behind the server."""

    async def talk() -> None:
        async with FakeAde() as ade:
            console = await Console.open("primary", "127.0.0.1", ade.access(), deadlines=QUICK)
            async with closing(console):
                with closed_port() as port:
                    down = await present("127.0.0.1", port, vantage=Vantage.PEER, deadlines=QUICK, via=console)
                    ade.forwarding = False
                    refused = await present("127.0.0.1", port, vantage=Vantage.PEER, deadlines=QUICK, via=console)
                    ade.connections[0].abort()
                    lost = await present("127.0.0.1", port, vantage=Vantage.PEER, deadlines=QUICK, via=console)
        assert [seen.available for seen in (down, refused, lost)] == [True, False, False]
        assert all(seen.chain == () and seen.problem for seen in (down, refused, lost))

    asyncio.run(talk())


def test_a_connection_lost_in_the_middle_of_a_carried_handshake_is_reported() -> None:
    """Where the SSH connection ends under the probe the vantage is gone, and nothing is raised."""

    async def talk() -> None:
        async with FakeAde() as ade:

            async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1)
                ade.connections[0].abort()
                writer.close()

            async with (
                await asyncio.start_server(cut, "127.0.0.1", 0) as server,
                closing(await Console.open("primary", "127.0.0.1", ade.access(), deadlines=QUICK)) as console,
            ):
                port = server.sockets[0].getsockname()[1]
                seen = await present("127.0.0.1", port, vantage=Vantage.PEER, deadlines=QUICK, via=console)
        assert seen.chain == ()
        assert seen.problem

    asyncio.run(talk())
