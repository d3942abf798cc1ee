"""What an SSH connection asks of its client: whether the host key is right, and the password, once."""

# ruff: noqa: ARG002 - asyncssh names the arguments of these calls

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import asyncssh

from runbook_lib.ade_os import reading
from runbook_lib.console.any_text import accept_any_text, challenge, new_password
from runbook_lib.console.host_key import HostKeyPins
from runbook_lib.errors import SecretUnavailable
from runbook_lib.secrets import SecretRef


class Login(asyncssh.SSHClient):
    """Answers for one connection. The password is resolved when it is asked for, and given at most once.

    How far the login came: ``connected``, ``password_sent``, ``password_taken`` (it was right, whatever followed).
    ``said`` is what the server said, ``asked`` what it asked for behind the password.
    """

    def __init__(self, pins: HostKeyPins, password: SecretRef, patience: asyncio.Timeout) -> None:
        self.connected = False
        self.failure: SecretUnavailable | None = None
        self.said: list[str] = []
        self.asked: list[str] = []
        self.password_sent = False
        self.password_taken = False
        self._pins = pins
        self._password = password
        self._patience = patience
        self._connection: asyncssh.SSHClientConnection | None = None

    @property
    def greeted(self) -> bool:
        """Whether an SSH server answered at all."""
        return bool(self._connection and self._connection.get_extra_info("server_version"))

    @property
    def wants_new_password(self) -> bool:
        """Whether the password was right and is no longer good."""
        return any(map(reading.is_expired, self.asked))

    @property
    def wants_second_factor(self) -> bool:
        """Whether something beside the password was asked for."""
        return bool(self.asked) and not self.wants_new_password

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True
        self._connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._pins.accepts(key)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said.append(msg)

    async def password_auth_requested(self) -> str | None:
        if self.password_taken:
            self.asked.append("the server takes the password, and asks for it once more")
            return None
        accept_any_text(self._connection, new_password, self._taken)
        return await self._once()

    def password_change_requested(self, prompt: str, lang: str) -> object:  # type: ignore[override]
        self._taken()
        self.asked.append("the password has expired")
        self.said.append(prompt or "the password has expired")
        return NotImplemented

    def kbdint_auth_requested(self) -> str | None:
        if self.failure or (self.password_sent and not self.password_taken):
            return None
        accept_any_text(self._connection, challenge, self._taken)
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self.said += [text for text in (name, instructions) if text]
        if not prompts:
            return []
        words = [text for text, _ in prompts]
        if self.password_sent:
            # The same question once more is the server's no; another one is asked of those whose password was right.
            if not all(_is_password(text) and not reading.is_expired(text) for text in words):
                self._taken()
                self.asked += [*self.said[-2:], *words]
            self.said += words
            return None
        if len(prompts) > 1 or prompts[0][1] or reading.is_second_factor(words[0]):
            self.asked += words
            self.said += words
            return None
        password = await self._once()
        return None if password is None else [password]

    def _taken(self) -> None:
        self.password_taken = self.password_sent

    async def _once(self) -> str | None:
        if self.password_sent or self.failure:
            return None
        clock = asyncio.get_running_loop().time
        left_s = (self._patience.when() or clock()) - clock()
        self._patience.reschedule(None)  # a person may be typing
        try:
            password = await asyncio.to_thread(self._password.resolve)
        except SecretUnavailable as error:
            self.failure = error
            return None
        finally:
            with contextlib.suppress(RuntimeError):  # given up meanwhile
                self._patience.reschedule(clock() + left_s)
        self.password_sent = True
        return password


def _is_password(prompt: str) -> bool:
    return "assword" in prompt
