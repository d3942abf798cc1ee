"""What is said between a process, its warm process and a kernel: JSON over inherited sockets.

A request to the warm process is one packet that carries four descriptors and no text; so nothing of a run,
its environment least of all, ever is in the warm process. What a kernel has to know it reads by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")
_LONGEST = 1 << 16
FORK = b"fork"
READY = b"R"


def packets() -> tuple[socket.socket, socket.socket]:
    """Return a connected pair on which each message arrives whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def packet(message: dict[str, Any]) -> bytes:
    """Return a short message as one packet."""
    return json.dumps(message).encode()


def unpack(data: bytes) -> dict[str, Any]:
    """Return the message of one packet; empty where the other side has closed."""
    return dict(json.loads(data)) if data else {}


def receive_packet(connection: socket.socket) -> dict[str, Any]:
    """Return the next message; raises BlockingIOError where there is none yet, empty at the end."""
    try:
        return unpack(connection.recv(_LONGEST))
    except ConnectionResetError:
        return {}


async def send_long(line: socket.socket, message: dict[str, Any]) -> None:
    """Send a message of any length over a stream that does not block."""
    data = json.dumps(message).encode()
    await asyncio.get_running_loop().sock_sendall(line, _LENGTH.pack(len(data)) + data)


def receive_long(line: socket.socket) -> dict[str, Any]:
    """Wait for a message of any length; raises EOFError where the other side has closed."""
    (length,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    return dict(json.loads(_exactly(line, length)))


def _exactly(line: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = line.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


async def readable(source: socket.socket | int) -> None:
    """Wait until a socket or descriptor has something to read, or its end; several may wait for one."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    own = os.dup(source if isinstance(source, int) else source.fileno())
    loop.add_reader(own, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(own)
        os.close(own)
