"""The lab's web pages on loopback for the tests: the real handlers, a site in memory, a plain HTTP client."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from waiting import PATIENCE_S

from runbook_lib.lab.pages import handlers
from runbook_lib.lab.pages.__main__ import serve
from runbook_lib.lab.pages.memory import MemoryBackend

SECONDARY = "192.0.2.20"
ISE = "192.0.2.30"
ISE_PASSWORD = "isepass"
TOKEN = re.compile(r'name="_?xsrf" (?:value|content)="([^"]+)"')


def site(**options: Any) -> MemoryBackend:
    """Return a site in memory whose registration goes on without waiting."""
    hosts = dict.fromkeys([ISE, "192.0.2.31", "192.0.2.32", "192.0.2.33"], ISE_PASSWORD)
    return MemoryBackend(**{"step_s": 0.0, "ise_hosts": hosts, "ise_stale": {"192.0.2.33"}, **options})


def serve_tls(backend: MemoryBackend, tls: ssl.SSLContext) -> tuple[HTTPServer, int]:
    """Mount the pages on an HTTPS port, as the lab does."""
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application(handlers(backend, backend.server_key)), ssl_options=tls)
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])


@contextmanager
def served(backend: MemoryBackend, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve the pages from a thread of their own; the value is the port of 127.0.0.1."""
    ready: list[int] = []
    is_up = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        server, port = serve_tls(backend, tls) if tls else serve(backend)
        ready.append(port)
        is_up.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    assert is_up.wait(PATIENCE_S)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass
class Reply:
    """One answer; ``text`` is its body."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Client:
    """A client that keeps its cookie and token as a browser does, and follows redirects."""

    port: int
    as_json: bool = False
    cookie: str = ""
    token: str = ""
    path: str = ""
    cookies_set: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, fields: list[tuple[str, str]] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        if self.as_json:
            headers["Accept"] = "application/json"
        try:
            connection.request(method, path, urlencode(fields) if fields is not None else None, headers)
            answer = connection.getresponse()
            reply = Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()
        for line in reply.headers.get_all("Set-Cookie", []):
            self.cookies_set.append(line)
            self.cookie = line.split(";")[0]
        found = TOKEN.search(reply.text)
        self.token = found.group(1) if found else self.token
        self.path = path
        return reply

    def get(self, path: str) -> Reply:
        reply = self.send("GET", path)
        while reply.status in (302, 303):
            reply = self.send("GET", reply.headers["Location"])
        return reply

    def post(self, path: str, *fields: tuple[str, str]) -> Reply:
        reply = self.send("POST", path, [*fields, ("_xsrf", self.token)])
        return self.get(reply.headers["Location"]) if reply.status in (302, 303) else reply

    def log_in(self, password: str = "Public123") -> Reply:
        self.send("GET", "/webacs/login") if not self.as_json else self._read_token()
        reply = self.post("/webacs/login", ("username", "root"), ("password", password))
        if self.as_json and reply.status == 200:
            self._read_token()
        return reply

    def _read_token(self) -> None:
        """Load a page as HTML, as the single page does before it asks for JSON."""
        self.as_json = False
        self.get("/webacs/home")
        self.as_json = True
