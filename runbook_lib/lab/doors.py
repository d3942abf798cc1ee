"""Listening sockets that accept, and that can be told to misbehave before anything is said."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.iostream import SSLIOStream
from tornado.netutil import ssl_wrap_socket
from tornado.web import Application

from runbook_lib.lab.core import Address, Core

Handler = Callable[[socket.socket, Address], None]


class Door:
    """One listening socket of one server; every connection that is made goes to ``handle``."""

    def __init__(self, core: Core, server: str, service: str, listener: socket.socket, handle: Handler) -> None:
        self._core = core
        self._server = server
        self._service = service
        self._listener = listener
        self._handle = handle
        self._kept: list[socket.socket] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Close the listener, and the connections that were kept waiting."""
        self._loop.remove_reader(self._listener)
        for sock in (*self._kept, self._listener):
            sock.close()

    def _accept(self) -> None:
        try:
            sock, source = self._listener.accept()
        except OSError:  # whoever connected has gone already
            return
        sock.setblocking(False)
        faults = self._core.faults
        if faults.happens("silent", self._server, service=self._service):
            self._kept.append(sock)
        elif faults.happens("refuse", self._server, service=self._service):
            reset(sock)
        else:
            self._handle(sock, source)


class TlsHandler:
    """Hands connections to a web application over TLS, each with the certificate that is right for its source.

    ``close`` ends the connections that are open.
    """

    def __init__(self, core: Core, server: str, service: str, application: Application) -> None:
        self._core = core
        self._server = server
        self._service = service
        self._http = HTTPServer(application, idle_connection_timeout=60)

    def __call__(self, sock: socket.socket, source: Address) -> None:
        core = self._core
        identity = core.presented(self._server, source)
        core.remember(source, identity)
        origin = core.origins.get(source)
        if origin is None or origin.purpose == "forward":
            core.arrived(
                self._server,
                "tls",
                f"{source[0]}:{source[1]}",
                "connection",
                service=self._service,
                seen_from=core.vantage(self._server, source),
                shown_sha256=identity.sha256,
            )
        try:
            secured = ssl_wrap_socket(sock, core.context(identity), server_side=True, do_handshake_on_connect=False)
        except OSError:  # whoever connected has gone already
            sock.close()
            return
        self._http.handle_stream(SSLIOStream(secured), source)

    async def close(self) -> None:
        await self._http.close_all_connections()


def reset(sock: socket.socket) -> None:
    """Close a connection so that the other side sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
