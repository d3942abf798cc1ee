"""Where the simulated servers listen: a free block of loopback addresses, or one address and free ports."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack

from runbook_lib.lab.errors import LabError

Door = tuple[str, str]  # (server, service), as ("primary", "ssh")

PORTS = {"ssh": 2222, "hm": 8082, "web": 8443, "ise": 9443}
_LAST = {"primary": 11, "secondary": 12}
_TRIES = 64


def doors(ise_names: list[str]) -> list[Door]:
    """Every service that listens in a site with these ISE servers."""
    services = [(server, service) for server in _LAST for service in ("ssh", "hm", "web")]
    return services + [(name, "ise") for name in ise_names]


def claim(mode: str, wanted: list[Door], seed: int | None) -> dict[Door, socket.socket]:
    """Listen on every wanted door and return the sockets; nobody else can take them from then on.

    ``block``: addresses ``127.<a>.<b>.<n>`` with the usual ports; where 64 blocks in a row are taken, the same
    with ports that the system chooses. ``single``: 127.0.0.1 for all, ports chosen by the system.
    """
    if mode == "single" or (mode == "auto" and not _any_loopback_address()):
        return _listen(dict.fromkeys(wanted, ("127.0.0.1", 0)))
    chance = random.Random(seed)  # noqa: S311 (a choice of addresses, no secret)
    for attempt in range(_TRIES + 1):
        block = f"127.{chance.randint(1, 254)}.{chance.randint(0, 255)}"
        ports = PORTS if attempt < _TRIES else dict.fromkeys(PORTS, 0)
        try:
            return _listen({door: (f"{block}.{_last_byte(door, wanted)}", ports[door[1]]) for door in wanted})
        except OSError as problem:
            last = problem
    raise LabError(f"no free loopback addresses for the lab: {last}; try the option addresses=single")


def _last_byte(door: Door, wanted: list[Door]) -> int:
    ise_names = [server for server, service in wanted if service == "ise"]
    return _LAST[door[0]] if door[0] in _LAST else 21 + ise_names.index(door[0])


def _listen(places: Mapping[Door, tuple[str, int]]) -> dict[Door, socket.socket]:
    with ExitStack() as undo:
        sockets = {}
        for door, place in places.items():
            sockets[door] = listener = undo.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(128)
            listener.setblocking(False)
        undo.pop_all()
        return sockets


def _any_loopback_address() -> bool:
    try:
        with socket.socket() as probe:
            probe.bind(("127.77.77.77", 0))
    except OSError:
        return False
    return True
