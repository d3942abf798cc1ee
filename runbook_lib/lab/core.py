"""What the parts of one running site share: state, options, faults, logs, the truth, and who dialled whom."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.lab.faults import Faults
from runbook_lib.lab.logbook import Logbook
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.pki import Identity
from runbook_lib.lab.truth import Truth
from runbook_lib.lab.world import World

Address = tuple[str, int]
_REMEMBERED = 2000


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Origin:
    """Which simulated server opened a connection, and what for: ``monitor``, ``product`` or ``forward``."""

    server: str
    purpose: str


@dataclass
class Passwords:
    """The secrets of the site, made anew for each lab; the operator finds them in ``secrets/``."""

    ssh: dict[str, str]
    web: dict[str, str]
    ise: dict[str, str]
    auth_key: str

    def all(self) -> set[str]:
        return {*self.ssh.values(), *self.web.values(), *self.ise.values(), self.auth_key}


def new_password(chance: random.Random) -> str:
    """A password that passes the product's rules: letters of both kinds, digits, no blanks."""
    return f"Lab{chance.getrandbits(64):016x}x"


@dataclass
class Core:
    """One running site."""

    folder: Path
    options: LabOptions
    world: World
    passwords: Passwords
    truth: Truth
    logs: dict[str, Logbook]
    faults: Faults = field(default_factory=Faults)
    clock: Callable[[], datetime] = utc_now
    impostors: dict[str, Identity] = field(default_factory=dict)
    touched_utc: datetime = field(default_factory=utc_now)
    registration_s: float = 0.0
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    origins: dict[Address, Origin] = field(default_factory=dict)
    shown: OrderedDict[str, Identity] = field(default_factory=OrderedDict)
    _contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    _turn: int = 0

    async def pause(self, seconds: float) -> bool:
        """Wait; True, and at once, when the site closes: its work ends between two connections, never within one."""
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def arrived(self, server: str, channel: str, source: str, what: str, **more: Any) -> None:
        """Write to the truth log what came from outside; it keeps the lab awake too."""
        self.touched_utc = self.clock()
        identity = self.shown.get(source)
        if identity is not None and channel == "web":
            more["over_sha256"] = identity.sha256
            if identity in self.impostors.values():
                more["impostor"] = True
        self.truth.write(server, channel, source, what, **more)

    def presented(self, server: str, source: Address) -> Identity:
        """The identity that a server shows to whoever connects from ``source``; faults decide with it."""
        genuine, other = self.world.server(server).identity, self.impostors.get(server)
        if other is None:
            return genuine
        if self.faults.on("alternating", server):
            self._turn += 1
            return other if self._turn % 2 else genuine
        impostor = self.faults.on("impostor", server)
        seen_from = impostor.get("seen_from", ("here", "peer")) if impostor else ()
        return other if self.vantage(server, source) in seen_from else genuine

    def vantage(self, server: str, source: Address) -> str:
        """``self``, ``peer`` (another simulated server) or ``here`` (anybody else)."""
        origin = self.origins.get(source)
        if origin is None:
            return "here"
        return "self" if origin.server == server else "peer"

    def remember(self, source: Address, identity: Identity) -> None:
        """Note which certificate a connection was answered with."""
        self.shown[f"{source[0]}:{source[1]}"] = identity
        while len(self.shown) > _REMEMBERED:
            self.shown.popitem(last=False)

    def context(self, identity: Identity) -> ssl.SSLContext:
        """The server-side TLS context of an identity."""
        if identity.sha256 not in self._contexts:
            self._contexts[identity.sha256] = identity.context(self.folder / "secrets")
        return self._contexts[identity.sha256]

    def outgoing(self, server: str, purpose: str) -> socket.socket:
        """A socket bound to a server's own address, so that the other side sees who connects; ``forget`` it later."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((self.world.pi[server].address, 0))
        self.origins[sock.getsockname()] = Origin(server, purpose)
        return sock

    def forget(self, name: Address) -> None:
        """The connection from that address is over."""
        self.origins.pop(name, None)
