"""What a Prime Infrastructure server is known by, whatever a site's file calls it: its addresses and its host keys."""

from __future__ import annotations

import socket
from contextlib import suppress

import asyncssh

from runbook_lib.params import Site
from runbook_lib.params.model import PiServer


def identities(site: Site) -> tuple[str, ...]:
    """Return everything by which the site's two servers are known; two sites that share one of it share a server.

    Of each: its name and the port of its SSH service, each address that the name leads to now, and each host key that
    is pinned for it. Behind a jump host a name or address means what it means there. Asks the resolver; a name that
    it does not know stands for itself.
    """
    found = (each for server in (site.primary, site.secondary) for each in _of(server))
    return tuple(dict.fromkeys(found))


def _of(server: PiServer) -> list[str]:
    access = server.ssh
    keys = [f"host-key:{_fingerprint(pin)}" for pin in access.host_key]
    if access.jump:
        jump = f"{access.jump.address.casefold()}:{access.jump.port}"
        return [f"ssh://{jump}/{server.address.casefold()}:{access.port}", *keys]
    addresses = (server.address.casefold(), *_resolved(server.address))
    return [*(f"ssh://{address}:{access.port}" for address in addresses), *keys]


def _resolved(name: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(sorted({str(address[4][0]) for address in found}))


def _fingerprint(pin: str) -> str:
    """A pin is a fingerprint already, or an OpenSSH public key; anything else is refused where it is used."""
    with suppress(asyncssh.KeyImportError):
        pin = str(asyncssh.import_public_key(pin).get_fingerprint("sha256"))
    return pin.strip().rstrip("=")
