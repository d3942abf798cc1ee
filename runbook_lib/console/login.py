"""What an SSH connection asks of its client: whether the host key is right, and the password, once."""

# ruff: noqa: ARG002 - asyncssh names the arguments of these calls

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import asyncssh

from runbook_lib.console.host_key import HostKeyPins
from runbook_lib.errors import SecretUnavailable
from runbook_lib.secrets import SecretRef


class Login(asyncssh.SSHClient):
    """Answers for one connection. The password is resolved when it is asked for, and given at most once."""

    def __init__(self, pins: HostKeyPins, password: SecretRef, patience: asyncio.Timeout) -> None:
        self.connected = False
        self.failure: SecretUnavailable | None = None
        self.said: list[str] = []
        self.password_sent = False
        self._pins = pins
        self._password = password
        self._patience = patience

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._pins.accepts(key)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said.append(msg)

    async def password_auth_requested(self) -> str | None:
        return await self._once()

    def password_change_requested(self, prompt: str, lang: str) -> object:  # type: ignore[override]
        self.said.append(prompt or "the password has expired")
        return NotImplemented

    def kbdint_auth_requested(self) -> str | None:
        return None if self.password_sent or self.failure else ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self.said += [text for text in (name, instructions) if text]
        if not prompts:
            return []
        if len(prompts) > 1 or prompts[0][1] or self.password_sent:
            self.said += [text for text, _ in prompts]
            return None
        password = await self._once()
        return None if password is None else [password]

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
