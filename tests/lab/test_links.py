"""Connections that the lab's servers open to each other, also where they come to nothing."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runbook_lib.lab import links
from runbook_lib.lab.core import Core


def test_a_connection_that_is_given_up_at_its_last_moment_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is left to the transport: a connection made right afterwards must not get one that is still watched.

    The time of a handshake runs out as it ends: the transport is there, and nobody has it.
    """
    opened = asyncio.open_connection
    sock = socket.socket()
    sock.setblocking(False)
    core = SimpleNamespace(outgoing=lambda _server, _purpose: sock, forget=lambda _name: None)

    async def too_late(*, sock: socket.socket, **_tls: Any) -> None:
        transports.append(await opened(sock=sock))
        raise TimeoutError

    async def give_up() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as mute:
            target = links.Target("127.0.0.1", mute.getsockname()[1], "a.log", "thread")
            with pytest.raises(TimeoutError):
                async with links.trusted(cast("Core", core), "primary", target):
                    raise AssertionError("nobody shakes hands there")
            with socket.socket() as after:
                loop.add_reader(after, print)
                loop.remove_reader(after)
        transports[0][1].close()

    transports: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    monkeypatch.setattr(asyncio, "open_connection", too_late)
    asyncio.run(give_up())
