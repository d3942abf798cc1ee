"""The clock of a server, as its web server tells it: shown to people, decided by nobody."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from left_open import nothing_left
from tls_fakes import Chain
from waiting import PATIENCE_S, awaited

from runbook_lib.device.probe import seeing_context
from runbook_lib.event_loop import abort_connection
from runbook_lib.lab import Lab
from runbook_lib.observations import Check
from runbook_lib.repair.preflight import clock_check


def test_a_server_that_says_the_right_time_agrees(stale: Lab) -> None:
    """The lab's Health Monitor answers any request with the date."""
    server = stale.world["servers"]["primary"]
    check = asyncio.run(clock_check("primary", server["address"], server["ports"]["hm"], 10.0))
    assert (check.ok, check.actual) == (True, "agrees")


@pytest.mark.parametrize(
    ("answer", "ok", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 2015 00:00:00 GMT\r\n\r\n", False, "minutes behind"),
        (b"HTTP/1.1 200 OK\r\ndate: Tue, 01 Jan 2126 00:00:00 GMT\r\n\r\n", False, "minutes ahead"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", None, "not reported"),
        (b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n", None, "not reported"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", None, "not reported"),
        (b"", None, "not reported"),
    ],
    ids=["behind", "ahead", "no date", "no time", "endless", "closed"],
)
def test_what_a_clock_says_is_told_and_raises_nothing(
    answer: bytes, ok: bool | None, says: str, tmp_path: Path
) -> None:
    """A clock that is wrong is named with how much; a server that does not say is no failure."""
    check = asyncio.run(_asked(answer, Chain(tmp_path, "primary").pem))
    assert check.ok is ok
    assert says in check.actual


def test_nothing_is_left_open_where_the_server_says_no_goodbye(tmp_path: Path) -> None:
    """A connection that is closed with TLS waits for the other side, longer than whoever asked is there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Chain(tmp_path, "primary").pem)
    asked = threading.Event()

    def serve(listening: socket.socket) -> None:
        with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
            while b"\r\n\r\n" not in connection.recv(4096):
                pass
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            asked.wait(PATIENCE_S)

    with nothing_left(), socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening])
        thread.start()
        check = asyncio.run(clock_check("primary", "127.0.0.1", listening.getsockname()[1], PATIENCE_S))
        gc.collect()  # warns of what nobody has closed
        asked.set()
        thread.join()
    assert check.ok is None


def test_a_connection_that_was_closed_twice_is_cut_off_without_an_error(tmp_path: Path) -> None:
    """As one is whose other side has gone meanwhile; Python before 3.11.4 raises AttributeError for it."""

    async def go() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Chain(tmp_path, "primary").pem)
        async with await asyncio.start_server(
            lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context
        ) as server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=seeing_context())
            writer.close()
            writer.close()
            abort_connection(writer)

    with nothing_left():
        asyncio.run(go())


async def _asked(answer: bytes, certificate: Path) -> Check:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        with suppress(OSError):  # whoever asked may have gone before
            await writer.wait_closed()
        served.set()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        check = await clock_check("primary", "127.0.0.1", port, PATIENCE_S)
        await awaited(served.wait(), "the end of the answer")
        return check
