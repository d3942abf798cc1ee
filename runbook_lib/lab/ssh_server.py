"""The SSH service of a simulated PI server: password login, one terminal session per channel, TCP forwarding."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Iterator

import asyncssh

from runbook_lib.lab.ade_cli import AdeCli, Arrived, Bye, Event, Ran, Say
from runbook_lib.lab.core import Address, Core
from runbook_lib.lab.device import PiDevice
from runbook_lib.lab.doors import reset

USER = "admin"
_KEX = ["curve25519-sha256", "ecdh-sha2-nistp256", "diffie-hellman-group14-sha256"]
_CIPHERS = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes128-ctr"]
_MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"]


class SshHandler:
    """Runs the SSH protocol on accepted connections. ``host_key`` may be replaced while it runs."""

    def __init__(self, core: Core, server: str) -> None:
        self.core = core
        self.server = server
        self.device = PiDevice(core, server)
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.sessions = 0
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def host_key_line(self) -> str:
        """The public host key as an OpenSSH line, ``ssh-ed25519 AAAA…``."""
        return " ".join(self.host_key.export_public_key().decode().split()[:2])

    def redeployed(self) -> None:
        """Take a new host key, as a server does that is deployed anew."""
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")

    def __call__(self, sock: socket.socket, source: Address) -> None:
        task = asyncio.create_task(self._run(sock, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all connections and wait for them, those included that are still being made."""
        while self._tasks:
            for connection in list(self.connections):
                connection.abort()
            await asyncio.wait(self._tasks, timeout=0.05)

    async def _run(self, sock: socket.socket, source: Address) -> None:
        with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
            connection = await asyncssh.run_server(
                sock,
                server_factory=lambda: _Login(self, f"{source[0]}:{source[1]}"),
                process_factory=self._session,
                server_host_keys=[self.host_key],
                encoding=None,
                line_editor=False,
                kex_algs=_KEX,
                encryption_algs=_CIPHERS,
                mac_algs=_MACS,
                compression_algs=["none"],
                agent_forwarding=False,
                x11_forwarding=False,
                login_timeout=120,
            )
            await connection.wait_closed()

    async def _session(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.sessions += 1
        try:
            await Session(self, process).run()
        finally:
            self.sessions -= 1


class Session:
    """One terminal: input is taken in order, and each command is finished before the next begins."""

    def __init__(self, ssh: SshHandler, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self._core = ssh.core
        self._server = ssh.server
        self._ssh = ssh
        self._process = process
        self._source = "{}:{}".format(*process.get_extra_info("peername")[:2])
        self._pace = self._core.faults.on("slow_bytes", self._server)
        options = self._core.options
        self._cli = AdeCli(
            ssh.device,
            str(process.get_extra_info("username")),
            echo=process.term_type is not None,
            columns=process.term_size[0],
            length=options.terminal_length,
            deaf=options.pages_always,
            resume=options.resume_question,
            login_question=options.login_question,
        )

    async def run(self) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            if self._process.command is not None:
                self._process.stderr.write(b"% Commands are taken in an interactive session only\n")
                self._process.exit(1)
                return
            limit = self._core.faults.on("session_limit", self._server)
            if limit and self._ssh.sessions > int(limit.get("limit", 0)):
                await self._say("% Maximum number of sessions reached\n")
                self._process.exit(1)
                return
            if await self._do(self._cli.start(self._core.options.login_banner)):
                await self._listen()
            self._process.exit(0)

    async def _listen(self) -> None:
        while True:
            try:
                data = await self._process.stdin.read(4096)
            except (asyncssh.TerminalSizeChanged, asyncssh.BreakReceived):
                continue
            if not data or not await self._do(self._cli.feed(data.decode("utf-8", "replace"))):
                return

    async def _do(self, events: Iterator[Event]) -> bool:
        """Carry out what the command line wants; False when the session is over."""
        for event in events:
            match event:
                case Say(text):
                    await self._say(text)
                case Arrived(line):
                    self._core.arrived(self._server, "ssh", self._source, line)
                    await self._before(line)
                case Ran(line, effect):
                    if effect:
                        self._core.truth.write(self._server, "ssh", self._source, line, effect=effect)
                    self._reset_if("reset_after", line)
                case Bye():
                    return False
        return True

    async def _before(self, line: str) -> None:
        self._reset_if("reset_before", line)
        if self._core.faults.happens("silent_command", self._server, command=line):
            await self._process.channel.wait_closed()
            raise ConnectionResetError
        if late := self._core.faults.happens("late_command", self._server, command=line):
            await asyncio.sleep(float(late.get("seconds", 30)))
        if held := self._core.faults.happens("held_command", self._server, command=line):
            await held.over.wait()
        await asyncio.sleep(self._core.options.command_delay_s)

    def _reset_if(self, fault: str, line: str) -> None:
        if self._core.faults.happens(fault, self._server, command=line):
            connection = self._process.channel.get_connection()
            reset(socket.socket(fileno=socket.dup(connection.get_extra_info("socket").fileno())))
            connection.abort()
            raise ConnectionResetError

    async def _say(self, text: str) -> None:
        data = text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
        if self._pace is None:
            self._process.stdout.write(data)
        else:
            for byte in data:
                self._process.stdout.write(bytes([byte]))
                await asyncio.sleep(1 / float(self._pace.get("bytes_per_s", 100)))
        await self._process.stdout.drain()


class _Login(asyncssh.SSHServer):
    """One connection: who may log in, and where it may forward to."""

    def __init__(self, ssh: SshHandler, source: str) -> None:
        self._core = ssh.core
        self._server = ssh.server
        self._source = source
        self._connections = ssh.connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncssh's signature)
        if self._connection is not None:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 (asyncssh's signature)
        if self._connection is not None and self._core.options.ssh_banner:
            banner = self._core.options.ssh_banner.encode("utf-8", "surrogateescape")
            self._connection.send_auth_banner(banner)  # type: ignore[arg-type]  # any bytes, as servers send them
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        ok = username == USER and password == self._core.passwords.ssh[self._server]
        self._core.arrived(self._server, "ssh", self._source, "login", user=username, accepted=ok)
        if ok and self._core.faults.on("password_expired", self._server):
            raise asyncssh.PasswordChangeRequired("Your password has expired. New password :")
        return ok

    def connection_requested(
        self,
        dest_host: str,
        dest_port: int,
        orig_host: str,  # noqa: ARG002 (asyncssh's signature)
        orig_port: int,  # noqa: ARG002
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]]:
        return self._forward(dest_host, dest_port)

    async def _forward(self, host: str, port: int) -> asyncssh.SSHTCPSession[bytes]:
        allowed = not self._core.faults.on("forwarding_off", self._server)
        self._core.arrived(self._server, "ssh", self._source, f"forward to {host}:{port}", accepted=allowed)
        if not allowed:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "Port forwarding not permitted")
        pi = self._core.world.pi[self._server]
        place = (pi.address if host in ("localhost", "127.0.0.1") else host, port)
        if not place[0].startswith("127."):
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "No route to host")
        sock = self._core.outgoing(self._server, "forward")
        bridge = _Bridge(self._core, sock.getsockname())
        try:
            await asyncio.get_running_loop().sock_connect(sock, place)
            await asyncio.get_running_loop().create_connection(lambda: bridge.far, sock=sock)
        except OSError as problem:
            sock.close()
            self._core.forget(bridge.name)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(problem)) from None
        return bridge


class _Bridge(asyncssh.SSHTCPSession[bytes]):
    """The SSH side of a forwarded connection; ``far`` is the TCP side."""

    def __init__(self, core: Core, name: Address) -> None:
        self.name = name
        self.far = _Far(self)
        self._core = core
        self.channel: asyncssh.SSHTCPChannel[bytes] | None = None
        self.early = b""

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self.channel = chan
        if self.early:
            chan.write(self.early)

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002 (asyncssh's signature)
        self.far.write(data)

    def eof_received(self) -> bool:
        self.far.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncssh's signature)
        self.far.abort()
        self._core.forget(self.name)

    def from_far(self, data: bytes) -> None:
        if self.channel is None:
            self.early += data
        else:
            self.channel.write(data)


class _Far(asyncio.Protocol):
    """The TCP side of a forwarded connection."""

    def __init__(self, bridge: _Bridge) -> None:
        self._bridge = bridge
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bridge.from_far(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        if self._bridge.channel is not None:
            self._bridge.channel.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
