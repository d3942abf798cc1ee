"""Texts of a login that are not UTF-8: a challenge or a request for a new password in another encoding.

SSH says that they are UTF-8, and asyncssh ends the connection where they are not. Servers are set up by people, so here
such bytes are escaped before asyncssh reads them. For banners and messages it has an option of its own
(``utf8_decode_errors``); for these two it has none, so the handler of one login is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncssh.packet import Boolean, PacketDecodeError, SSHPacket, String, UInt32

Rewrite = Callable[[SSHPacket], bytes]


def accept_any_text(connection: Any, rewrite: Rewrite, succeeded: Callable[[], None]) -> None:
    """Let the login method that is under way read texts in any encoding; ``succeeded`` is called where it was enough.

    Enough for this method: a server may ask for another one after it.
    """
    method = connection._auth
    process, done = method.process_packet, method.auth_succeeded

    def process_packet(kind: int, number: int, packet: SSHPacket) -> Any:
        return process(kind, number, SSHPacket(_rewritten(packet, rewrite)))

    def auth_succeeded() -> None:
        succeeded()
        done()

    method.process_packet = process_packet
    method.auth_succeeded = auth_succeeded


def challenge(packet: SSHPacket) -> bytes:
    """The content of a keyboard-interactive challenge, its texts in UTF-8."""
    texts = [_text(packet) for _ in range(3)]
    count = packet.get_uint32()
    prompts = [_text(packet) + Boolean(packet.get_boolean()) for _ in range(count)]
    return b"".join((*texts, UInt32(count), *prompts))


def new_password(packet: SSHPacket) -> bytes:
    """The content of a request for a new password, its texts in UTF-8."""
    return _text(packet) + _text(packet)


def _text(packet: SSHPacket) -> bytes:
    return String(packet.get_string().decode("utf-8", "backslashreplace"))


def _rewritten(packet: SSHPacket, rewrite: Rewrite) -> bytes:
    content = packet.get_remaining_payload()
    try:
        return rewrite(SSHPacket(content))
    except PacketDecodeError:
        return content  # asyncssh says what is wrong with it
