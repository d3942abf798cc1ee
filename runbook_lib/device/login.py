"""What an SSH connection asks of its client (host key, password, texts in any encoding), and what a server offers."""
# ruff: noqa: ARG002 - asyncssh names the arguments of these calls

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import asyncssh
from asyncssh.packet import Boolean, PacketDecodeError, SSHPacket, String, UInt32

from runbook_lib.device.transcript import is_expired, is_second_factor
from runbook_lib.errors import HostKeyChanged, HostKeyUnknown, SecretUnavailable, SiteFileInvalid
from runbook_lib.secrets import SecretRef

# -- The SSH host key: which one is pinned for a server, and whether the one it shows is that one

ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Type of key → the signatures with it that are accepted: none that rests on SHA-1."""

HOST_KEY = "show crypto host_key"
"""Typed at the server's own console; prints the fingerprints, so that a person can compare them. Recalled, unproven."""

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def host_key_in_shell(kind: str) -> str:
    """Return what prints the same below ``shell``, where a release shows MD5 or none; ``kind`` as ``ssh-ed25519``.

    Recalled, unproven, as ``HOST_KEY`` is: a console that knows neither is asked by whoever installed the server.
    """
    return f"ssh-keygen -lf /etc/ssh/ssh_host_{kind.removeprefix('ssh-').partition('-')[0]}_key.pub"


class HostKeyPins:
    """The pins of one server: OpenSSH public key lines, ``SHA256:…`` fingerprints, or both.

    Raises ``SiteFileInvalid`` for anything else. ``presented`` are the keys that the server showed, ``met`` says
    whether one of them was pinned. With ``sha1`` signatures on RSA keys that rest on SHA-1 are taken, too.
    """

    def __init__(self, server: str, pins: Sequence[str], *, sha1: bool = False) -> None:
        self.server = server
        self.presented: list[asyncssh.SSHKey] = []
        self.met = False
        self._signatures = ALGORITHMS | ({"ssh-rsa": (*ALGORITHMS["ssh-rsa"], "ssh-rsa")} if sha1 else {})
        self._keys: list[asyncssh.SSHKey] = []
        self._fingerprints: list[str] = []
        for pin in pins:
            self._add(pin.strip())

    def _add(self, pin: str) -> None:
        if _FINGERPRINT.fullmatch(pin.rstrip("=")):
            self._fingerprints.append(pin.rstrip("="))
            return
        try:
            key = asyncssh.import_public_key(pin)
        except asyncssh.KeyImportError:
            key = None
        if key is None or _kind(key) not in ALGORITHMS:
            raise SiteFileInvalid(
                "a pinned SSH host key is neither an OpenSSH public key nor a SHA256: fingerprint",
                where=f"{self.server}, ssh: host_key:",
                found=pin,
                next_step="write it as 'ssh-ed25519 AAAA…' or as 'SHA256:…'; neither MD5 nor DSA is accepted",
            )
        self._keys.append(key)

    @property
    def algorithms(self) -> list[str]:
        """Signature algorithms to offer; those of pinned keys first, so that the server shows one of these.

        Types of which the server has shown a key that is not pinned are left out.
        """
        pinned = [_kind(key) for key in self._keys]
        shown = [_kind(key) for key in self.presented]
        kinds = sorted(self._signatures, key=lambda kind: kind not in pinned)
        return [algorithm for kind in kinds if kind not in shown for algorithm in self._signatures[kind]]

    @property
    def may_be_another(self) -> bool:
        """Whether a pin may be that of a key that the server has not shown: a fingerprint does not tell its type.

        One that shows a type again, which it was not asked for, has no other: it would be asked for ever.
        """
        shown = [_kind(key) for key in self.presented]
        return bool(self._fingerprints and shown and len(set(shown)) == len(shown) and self.algorithms)

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """Remember the key that the server shows, and say whether it is pinned.

        Its signature has to be one of those that were asked for: asyncssh would take any that such a key can make.
        """
        self.presented.append(key)
        key.all_sig_algorithms = {name.encode() for name in self._signatures.get(_kind(key), ())}
        pinned = {known.public_data for known in self._keys}
        self.met = key.public_data in pinned or key.get_fingerprint() in self._fingerprints
        return self.met

    def refusal(self, where: str) -> HostKeyUnknown | HostKeyChanged:
        """The error for a key that was presented and is not pinned."""
        shown = ", ".join(map(_words, self.presented)) or "a key that cannot be read"
        pinned = [_words(key) for key in self._keys] + self._fingerprints
        if not pinned:
            return HostKeyUnknown(
                "no SSH host key is pinned for this server; no password was sent",
                where=where,
                found=f"the server presents {shown}",
                next_step="compare this fingerprint with one that you get by another way than this connection, on the"
                " server's own (VM) console or from whoever installed it; only if they are equal, write it into the"
                f" site's file, {self.server}: ssh: host_key:",
            )
        return HostKeyChanged(
            "the server shows another SSH host key than the pinned one; no password was sent",
            where=where,
            found=f"pinned: {', '.join(pinned)}\npresented: {shown}",
            next_step="somebody else may be answering. If the server was redeployed, or shows a key of another type,"
            " confirm the presented fingerprint on the server's own (VM) console, then replace the pin in the site's"
            f" file, {self.server}: ssh: host_key:",
        )


def _kind(key: asyncssh.SSHKey) -> str:
    return key.get_algorithm()


def _words(key: asyncssh.SSHKey) -> str:
    return f"{key.get_fingerprint()} ({_kind(key)})"


# -- Texts of a login that are not UTF-8: a challenge or a request for a new password in another encoding.
#
# SSH says that they are UTF-8, and asyncssh ends the connection where they are not. Servers are set up by people, so
# here such bytes are escaped before asyncssh reads them. For banners and messages it has an option of its own
# (``utf8_decode_errors``); for these two it has none, so the handler of one login is wrapped.

Rewrite = Callable[[SSHPacket], bytes]


def accept_any_text(connection: Any, rewrite: Rewrite, succeeded: Callable[[], None]) -> None:
    """Let the login method that is under way read texts in any encoding; ``succeeded`` is called where it was enough.

    Enough for this method: a server may ask for another one after it.
    """
    method = connection._auth
    process, done = method.process_packet, method.auth_succeeded

    def process_packet(kind: int, number: int, packet: SSHPacket) -> Any:
        content = packet.get_remaining_payload()
        with contextlib.suppress(PacketDecodeError):  # asyncssh says what is wrong with it
            content = rewrite(SSHPacket(content))
        return process(kind, number, SSHPacket(content))

    def auth_succeeded() -> None:
        succeeded()
        done()

    method.process_packet = process_packet
    method.auth_succeeded = auth_succeeded


def challenge_in_utf8(packet: SSHPacket) -> bytes:
    """The content of a keyboard-interactive challenge, its texts in UTF-8."""
    texts = [_text(packet) for _ in range(3)]
    count = packet.get_uint32()
    prompts = [_text(packet) + Boolean(packet.get_boolean()) for _ in range(count)]
    return b"".join((*texts, UInt32(count), *prompts))


def new_password_in_utf8(packet: SSHPacket) -> bytes:
    """The content of a request for a new password, its texts in UTF-8."""
    return _text(packet) + _text(packet)


def _text(packet: SSHPacket) -> bytes:
    return String(packet.get_string().decode("utf-8", "backslashreplace"))


# -- What an SSH connection asks of its client: whether the host key is right, and the password, once


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
        return any(map(is_expired, self.asked))

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True
        self._connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._pins.accepts(key)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said.append(msg)

    async def password_auth_requested(self) -> str | None:
        if self.password_taken:
            self.asked.append("the server accepts the password and asks for it again")
            return None
        accept_any_text(self._connection, new_password_in_utf8, self._taken)
        return await self._once()

    def password_change_requested(self, prompt: str, lang: str) -> object:  # type: ignore[override]
        self._taken()
        self.asked.append("the password has expired")
        self.said.append(prompt or "the password has expired")
        return NotImplemented

    def kbdint_auth_requested(self) -> str | None:
        if self.failure or (self.password_sent and not self.password_taken):
            return None
        accept_any_text(self._connection, challenge_in_utf8, self._taken)
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
            if not all("assword" in text and not is_expired(text) for text in words):
                self._taken()
                self.asked += [*self.said[-2:], *words]
            self.said += words
            return None
        if len(prompts) > 1 or prompts[0][1] or is_second_factor(words[0]):
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


# -- What a server offers to use: its first packet says so before anything is agreed ----------------

_LARGEST = 65536
_KEXINIT = 20
_LISTS = ("key exchange", "host key", "encryption", "encryption back", "integrity", "integrity back")


async def read_offers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, list[str]]:
    """Return what a server offers, from the first packet that it sends; nothing is negotiated.

    Raises ``OSError``, ``ValueError`` or ``asyncio.IncompleteReadError`` where that is not what SSH servers send.
    """
    writer.write(b"SSH-2.0-runbook\r\n")
    for _ in range(100):
        if (await reader.readuntil(b"\n")).startswith(b"SSH-"):
            break
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > _LARGEST:
        raise ValueError("not a packet")
    packet = SSHPacket(await reader.readexactly(length))
    packet.get_byte()  # the padding's length
    if packet.get_byte() != _KEXINIT:
        raise ValueError("not the packet that begins a key exchange")
    packet.get_bytes(16)  # random ones
    return {name: [each.decode("ascii", "replace") for each in packet.get_namelist()] for name in _LISTS}
