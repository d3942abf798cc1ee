"""Which SSH algorithms are used, which of the old ones a site may allow by name, and which a server would need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from runbook_lib.console.host_key import ALGORITHMS

KEY_EXCHANGE = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
]
ENCRYPTION = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"]
INTEGRITY = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"]
SIGNATURES = [signature for signatures in ALGORITHMS.values() for signature in signatures]

OLD_KEY_EXCHANGE, OLD_INTEGRITY, OLD_SIGNATURE = "diffie-hellman-group14-sha1", "hmac-sha1", "ssh-rsa"

MEANING = (
    "they rest on SHA-1: whoever can forge its collisions, with effort and money, may stand in between without being"
    " noticed. The host key stays pinned"
)
"""What it means to allow the old ones; an operator reads this before doing so."""

_LARGEST = 65536
_KEXINIT = 20
_LISTS = ("key exchange", "host key", "encryption", "encryption back", "integrity", "integrity back")

Offers = Mapping[str, Sequence[str]]


def missing(offers: Offers) -> list[str] | None:
    """Return the old algorithms that a site would have to allow for a server; None where these are not enough."""
    needed: list[str] = []
    for kind, used, old in (
        ("key exchange", KEY_EXCHANGE, OLD_KEY_EXCHANGE),
        ("host key", SIGNATURES, OLD_SIGNATURE),
        ("integrity", INTEGRITY, OLD_INTEGRITY),
    ):
        offered = offers.get(kind, ())
        if kind == "integrity" and any("gcm" in name for name in offers.get("encryption", ()) if name in ENCRYPTION):
            continue
        if not set(used) & set(offered):
            if old not in offered:
                return None
            needed.append(old)
    return needed if set(ENCRYPTION) & set(offers.get("encryption", ())) else None


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
    packet = await reader.readexactly(length)
    if packet[1] != _KEXINIT:
        raise ValueError("not the packet that begins a key exchange")
    offers, at = {}, 18  # behind the padding's length, the kind of packet and 16 random bytes
    for name in _LISTS:
        size = int.from_bytes(packet[at : at + 4], "big")
        offers[name] = packet[at + 4 : at + 4 + size].decode("ascii", "replace").split(",")
        at += 4 + size
    return offers
