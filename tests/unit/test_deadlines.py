"""One deadline for a whole answer, where a limit for each read would let a slow sender go on for ever."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from certificate_kit import make
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runbook_lib.certificates.facts import sha256_of
from runbook_lib.device.ise_api import NotAvailable, admin_certificates
from runbook_lib.event_loop import TooLate, within_time
from runbook_lib.record.seal import Authority, NoStamp, _post

DEADLINE_S = 0.5
DRIPS = {
    "the head": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "many heads": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "the chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@contextmanager
def dripping(begin: bytes, drop: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that says a beginning, and then goes on for ever with a drop at a time; gives its port."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) if context else plain as line:
                line.recv(65536)
                line.sendall(begin)
                while not over.wait(0.02):
                    line.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("how", DRIPS)
def test_an_authority_that_never_ends_its_answer_gives_no_stamp(how: str, tmp_path: Path) -> None:
    """A drop at a time keeps each read short, and the whole answer does not come."""
    with dripping(*DRIPS[how]) as port:
        named = Authority(url=f"http://127.0.0.1:{port}/", certificate=tmp_path / "none", timeout_s=DEADLINE_S)
        with pytest.raises(NoStamp, match=r"within 0\.5 s"):
            _post(named, b"x")


@pytest.mark.parametrize("how", DRIPS)
def test_an_ise_that_never_ends_its_answer_is_not_available(how: str, tmp_path: Path) -> None:
    """Likewise in TLS."""
    certificate = make("ISE-server")
    key = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ise.pem").write_bytes(key + certificate.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ise.pem")
    with dripping(*DRIPS[how], context) as port, pytest.raises(NotAvailable, match=r"within 0\.5 s"):
        asyncio.run(
            admin_certificates(
                "127.0.0.1", port, ("ise",), ("u", "p"), pin=sha256_of(certificate.der), deadline_s=DEADLINE_S
            )
        )


def test_a_handshake_that_never_ends_counts_too(tmp_path: Path) -> None:
    """A server that says nothing, or half a handshake at a time, does not outlast the deadline."""
    with dripping(b"\x16\x03\x03\x40\x00", b"\x02") as port, pytest.raises(NotAvailable, match=r"within 0\.5 s"):
        asyncio.run(admin_certificates("127.0.0.1", port, ("ise",), ("u", "p"), pin="a" * 64, deadline_s=DEADLINE_S))


def test_an_exchange_in_time_is_left_alone() -> None:
    """Neither its result nor its own error is changed, and the socket stays open."""
    one, other = socket.socketpair()
    with one, other:
        with within_time(one, time.monotonic() + 60):
            other.sendall(b"x")
            assert one.recv(1) == b"x"
        with pytest.raises(ValueError, match="its own"), within_time(one, time.monotonic() + 60):
            raise ValueError("its own")
        other.sendall(b"y")
        assert one.recv(1) == b"y"


def test_what_the_cut_led_to_is_not_what_is_raised() -> None:
    """An end of the stream that looks like a whole answer is none."""
    one, other = socket.socketpair()
    with one, other, pytest.raises(TooLate), within_time(one, time.monotonic() + 0.1):
        assert one.recv(1) == b""


def test_a_limit_of_the_socket_that_comes_before_a_late_cut_is_the_deadline_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine the socket's own limit may be told first; over is over."""
    timer = threading.Timer
    monkeypatch.setattr(threading, "Timer", lambda seconds, cut: timer(3600, cut))
    one, other = socket.socketpair()
    with one, other, pytest.raises(TooLate), within_time(one, time.monotonic()):
        raise TimeoutError("timed out")
