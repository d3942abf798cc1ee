"""Plain SSH and TLS clients with which the tests drive the lab; they share nothing with the runbook's own."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import asyncssh
from waiting import PATIENCE_S

from runbook_lib.lab import Lab

HOSTS = {"primary": "prime-pri", "secondary": "prime-sec"}
LIST = "ncs certvalidation tofu-certs listcerts"
DELETE = "ncs certvalidation tofu-certs deletecert host {}"


def place(lab: Lab, server: str, service: str) -> tuple[str, int]:
    """Where a service of a server listens."""
    about = lab.world["servers"][server]
    return about["address"], about["ports"][service]


def connected(lab: Lab, server: str, **more: Any) -> Any:
    """An asyncssh connection with the right password and the pinned host key, for ``async with``."""
    address, port = place(lab, server, "ssh")
    key = asyncssh.import_public_key(lab.world["host_keys"][server])
    return asyncssh.connect(
        address,
        port,
        username="admin",
        password=lab.secret(f"{server}_ssh"),
        known_hosts=([key], [], []),
        client_keys=None,
        agent_path=None,
        config=None,
        **more,
    )


async def terminal(connection: Any, **more: Any) -> Any:
    """A session with a terminal, as bytes."""
    return await connection.create_process(term_type="xterm", encoding=None, **more)


async def until(process: Any, words: str, timeout_s: float = PATIENCE_S) -> str:
    """Read until the output ends with ``words``."""
    seen = b""
    async with asyncio.timeout(timeout_s):
        while not seen.decode().endswith(words):
            chunk = await process.stdout.read(4096)
            if not chunk:
                raise ConnectionResetError(f"the session ended after {seen!r}")
            seen += chunk
    return seen.decode()


async def talk(lab: Lab, server: str, commands: Sequence[str]) -> list[str]:
    """Give commands one after the other and return what each printed, without echo and prompt, lines ended by LF."""
    prompt = f"{HOSTS[server]}/admin# "
    answers = []
    async with connected(lab, server) as connection:
        process = await terminal(connection)
        await until(process, prompt)
        for command in commands:
            process.stdin.write(command.encode() + b"\r")
            text = await until(process, prompt)
            assert text.startswith(command + "\r\n")
            answers.append(text[len(command) + 2 : -len(prompt)].replace("\r\n", "\n"))
        process.stdin.write(b"exit\r")
        await process.wait_closed()
    return answers


def say(lab: Lab, server: str, *commands: str) -> list[str]:
    """``talk`` for tests that are not asynchronous."""
    return asyncio.run(talk(lab, server, commands))


def listed(lab: Lab, server: str) -> list[str]:
    """The keys of a server's TOFU list, as its command line shows them."""
    (text,) = say(lab, server, LIST)
    return [line.split(";")[0].removeprefix("host=") for line in text.splitlines() if line.startswith("host=")]


def shown(where: tuple[str, int]) -> str:
    """The SHA-256 of the certificate that a port shows to this process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(where, timeout=PATIENCE_S) as plain, context.wrap_socket(plain) as secured:
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return hashlib.sha256(der).hexdigest()


async def shown_through(connection: Any, where: tuple[str, int]) -> str:
    """The same as seen through an SSH connection's forwarding."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    reader, writer = await connection.open_connection(*where)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            data = await reader.read(65536)
            assert data, "the host closed the connection"
            incoming.write(data)
        else:
            break
    writer.write(outgoing.read())
    writer.close()
    der = tls.getpeercert(binary_form=True)
    assert der is not None
    return hashlib.sha256(der).hexdigest()
