"""A scripted SSH server on loopback with a command line of its own: it takes its input in order, line after line.

It shares nothing with the lab, so that the client is tested against two independent servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from types import TracebackType
from typing import Any

import asyncssh
from held_clock import pass_by, run

from runbook_lib.device.command_line import Console
from runbook_lib.errors import RunbookError
from runbook_lib.params.model import Deadlines, SshAccess
from runbook_lib.secrets import SecretRef

PASSWORD = "Correct-Horse-9"
PASSWORD_REF = SecretRef.parse("env:FAKE_ADE_PASSWORD")
QUICK = Deadlines(connect_s=60.0, command_s=60.0, probe_s=60.0, probe_spacing_s=0.0)
"""No pause between probes, and patience: who waits for a deadline holds the clock."""

LONGER_THAN_A_PROMPT_S = 1.5

Action = Callable[["Terminal"], Awaitable[None]]


@cache
def key(kind: str = "ssh-ed25519", number: int = 0) -> asyncssh.SSHKey:
    """A host key; the same one for the same arguments."""
    del number
    return asyncssh.generate_private_key(kind)


@asynccontextmanager
async def closing(console: Console) -> AsyncIterator[Console]:
    """Leave a command line when the block ends."""
    try:
        yield console
    finally:
        await console.close()


@asynccontextmanager
async def mute_server() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Listen, let an hour pass at each connection, and say nothing; the port, and what is set once one has ended."""
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_by(3600)
        await reader.read()
        writer.close()
        closed.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], closed


class Terminal:
    """One session's terminal, as the server sees it."""

    def __init__(self, process: asyncssh.SSHServerProcess[bytes], ade: FakeAde) -> None:
        self.process = process
        self.ade = ade

    def write(self, data: bytes) -> None:
        """Send ``data``, each byte in a packet of its own where the server is made so."""
        size = 1 if self.ade.bytewise else max(1, len(data))
        for at in range(0, len(data), size):
            self.process.stdout.write(data[at : at + size])

    async def read(self, count: int = 1) -> bytes:
        return await self.process.stdin.readexactly(count)

    async def read_line(self) -> bytes:
        """Read up to the Enter key, echoing as typed."""
        line = b""
        while (char := await self.read()) not in (b"\r", b"\n"):
            line += char
        if self.ade.echo:
            self.write(self.ade.draw(line))
        return line

    def reset(self) -> None:
        """Tear the TCP connection down, as a crash or a firewall does."""
        self.process.channel.get_connection().abort()

    async def converse(self) -> None:
        if self.ade.before_prompt:
            await self.ade.before_prompt(self)
        while True:
            self.write(self.ade.prompt)
            line = (await self.read_line()).decode()
            if not line:
                continue
            self.ade.commands.append(line)
            if line == "exit":
                return
            await self.respond(line)

    async def respond(self, line: str) -> None:
        answer = self.ade.answers.get(line, b"% invalid command detected at '^' marker.\r\n")
        if isinstance(answer, bytes):
            self.write(answer)
        else:
            await answer(self)


class _Gate(asyncssh.SSHServer):
    def __init__(self, ade: FakeAde) -> None:
        self._ade = ade

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._ade.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._ade.attempts.append(("user", username))
        if self._ade.ends_before_login:
            self._ade.connections[-1].abort()
        if self._ade.banner:
            self._ade.connections[-1].send_auth_banner(self._ade.banner)  # type: ignore[arg-type]
        return True

    def session_requested(self) -> Any:
        return self._ade.session() if self._ade.session else False

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._ade.attempts.append(("publickey", key.get_fingerprint()))
        return False

    def password_auth_supported(self) -> bool:
        return self._ade.auth == "password"

    def validate_password(self, username: str, password: str) -> Any:
        self._ade.attempts.append(("password", password))
        if self._ade.waits_for_a_push:
            return asyncio.get_running_loop().create_future()
        if self._ade.ends_behind_password:
            self._ade.connections[-1].abort()
        if self._ade.expired:
            raise asyncssh.PasswordChangeRequired(self._ade.asks_anew)  # type: ignore[arg-type]
        return password == PASSWORD

    def kbdint_auth_supported(self) -> bool:
        return self._ade.auth == "keyboard-interactive"

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> tuple[str, str, str, list[Any]]:
        self._ade.challenges += 1
        return "", self._ade.welcome, "", [(words, False) for words in self._ade.challenge]

    def validate_kbdint_response(self, username: str, responses: list[str]) -> Any:
        self._ade.attempts += [("kbdint", response) for response in responses]
        if self._ade.ends_behind_password:
            self._ade.connections[-1].abort()
        if self._ade.expired:
            return "", "", "", [("New password: ", False), ("Retype new password: ", False)]
        if self._ade.second and responses == [PASSWORD]:
            return "", "", "", [(self._ade.second, False)]
        return responses == [PASSWORD]

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._ade.forwarded.append((dest_host, dest_port))
        if not self._ade.forwarding:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        return True


class FakeAde:
    """``async with FakeAde(answers={command: bytes or action}) as ade``: a server that runs until the block ends."""

    def __init__(
        self,
        answers: Mapping[str, bytes | Action] | None = None,
        *,
        host: str = "prime-pri",
        auth: str = "password",
        listen: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        self.answers = {"terminal length 0": b""} | dict(answers or {})
        self.prompt = f"{host}/admin# ".encode()
        self.auth = auth
        self.listen = listen
        self.before_prompt: Action | None = None
        self.session: Callable[[], Any] | None = None  # what asyncssh is answered when it asks for a session
        self.draw: Callable[[bytes], bytes] = lambda line: line + b"\r\n"
        self.echo = self.forwarding = True
        self.bytewise = self.expired = self.ends_before_login = self.ends_behind_password = False
        self.waits_for_a_push = False  # on a telephone, which nobody answers
        self.asks_anew: str | bytes = "Your password has expired"
        self.banner, self.welcome, self.second = b"", "Welcome", ""
        self.challenge = ["Password : "]
        self.host_key = key()
        self.signs_with = b""  # whatever was agreed
        self.algorithms: dict[str, Any] = {}  # host_key_algs, and what asyncssh.listen takes
        vars(self).update(options)
        self.challenges = 0
        self.commands: list[str] = []
        self.attempts: list[tuple[str, str]] = []
        self.forwarded: list[tuple[str, int]] = []
        self.connections: list[asyncssh.SSHServerConnection] = []

    async def __aenter__(self) -> FakeAde:
        algorithms = dict(self.algorithms)
        (pair,) = asyncssh.load_keypairs(self.host_key)
        pair.host_key_algorithms = algorithms.pop("host_key_algs", pair.host_key_algorithms)
        if self.signs_with:
            sign = self.host_key.sign
            pair.sign = lambda data: sign(data, self.signs_with)
        self._acceptor = await asyncssh.listen(
            self.listen,
            0,
            server_factory=lambda: _Gate(self),
            process_factory=None if self.session else self._serve,
            server_host_keys=[pair],
            encoding=None,
            line_editor=False,
            **algorithms,
        )
        self.port = self._acceptor.get_port()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._acceptor.close()
        for connection in self.connections:
            connection.abort()
        await asyncio.gather(*(connection.wait_closed() for connection in self.connections))
        await self._acceptor.wait_closed()

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.terminal_size = process.term_size
        try:
            await Terminal(process, self).converse()
        except (asyncio.IncompleteReadError, OSError, asyncssh.Error):
            return
        process.exit(0)

    @property
    def pin(self) -> str:
        return self.host_key.export_public_key().decode().strip()

    @property
    def passwords(self) -> list[str]:
        return [value for kind, value in self.attempts if kind != "user"]

    def access(self, *pins: str) -> SshAccess:
        """How to log in; with no ``pins`` the server's own key is pinned."""
        return SshAccess(port=self.port, user="admin", password=PASSWORD_REF, host_key=pins or (self.pin,))


async def login(ade: FakeAde, *pins: str, deadlines: Deadlines = QUICK) -> Console:
    """Log in to the server, whose own key is pinned unless others are given."""
    return await Console.open("primary", ade.listen, ade.access(*pins), deadlines=deadlines)


def ask(ade: FakeAde, *commands: str, **options: Any) -> list[str]:
    """Run commands in one session and return their texts."""

    async def talk() -> list[str]:
        async with ade, closing(await login(ade)) as console:
            return [(await console.run(command, **options)).text for command in commands]

    return run(talk())


def failing(ade: FakeAde, command: str = "", *pins: str, deadlines: Deadlines = QUICK) -> RunbookError:
    """Log in, run the command if there is one, and return the error."""

    async def talk() -> RunbookError:
        async with ade:
            try:
                async with closing(await login(ade, *pins, deadlines=deadlines)) as console:
                    await console.run(command)
            except RunbookError as error:
                return error
        raise AssertionError("no error came")

    return run(talk())
