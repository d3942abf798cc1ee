"""Which host an entry of a TOFU list stands for: a server itself, one of the site's other hosts, or a stranger."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from runbook_lib.models import TofuEntry
from runbook_lib.params import Expectation, PiServer, Site, SshAccess

PI_SERVERS = ("primary", "secondary")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A host whose certificate a PI server pins. ``observers`` are the PI servers that do."""

    name: str
    address: str
    hosts: tuple[str, ...]
    port: int
    expect: Expectation
    ssh: SshAccess | None
    observers: tuple[str, ...]


def pi_server(site: Site, key: str) -> PiServer:
    """Return the site's ``primary`` or ``secondary``."""
    return site.primary if key == "primary" else site.secondary


def targets(site: Site) -> tuple[Target, ...]:
    """Return every host of the site that another one pins: both PI servers, then the ISE servers."""
    peers = [
        Target(
            name=key,
            address=server.address,
            hosts=(server.address, *server.names),
            port=server.health_monitor_port,
            expect=server.expect,
            ssh=server.ssh,
            observers=(other,),
        )
        for key, server, other in (("primary", site.primary, "secondary"), ("secondary", site.secondary, "primary"))
    ]
    ise = [
        Target(
            name=server.name,
            address=server.address,
            hosts=(server.address, *server.names),
            port=server.port,
            expect=server.expect,
            ssh=server.ssh,
            observers=("primary",),
        )
        for server in site.ise
    ]
    return (*peers, *ise)


def target_named(site: Site, name: str) -> Target:
    """Return the target called ``name``."""
    return next(target for target in targets(site) if target.name == name)


def target_of(site: Site, observer: str, entry: TofuEntry) -> Target | None:
    """Return the host of the site that an entry on ``observer`` stands for, or None for a stranger.

    Only host and port decide; the subject is not looked at, because it proves nothing. The
    observer itself is never returned: see ``is_own``.
    """
    if is_own(site, observer, entry):
        return None
    for target in targets(site):
        if observer in target.observers and entry.port == target.port and any_same_host(entry.host, target.hosts):
            return target
    return None


def target_of_key(site: Site, observer: str, key: str) -> Target | None:
    """Return the host of the site that the entry ``<host>_<port>`` on ``observer`` stands for, or None."""
    host, _, port = key.rpartition("_")
    if not (host and port.isascii() and port.isdecimal()):
        return None
    return target_of(site, observer, TofuEntry(key=key, host=host, port=int(port), subject="", line=""))


def is_own(site: Site, observer: str, entry: TofuEntry) -> bool:
    """Whether an entry is the server's own: its own name or address, or loopback.

    Where several servers share one address (behind port forwarding, or on one machine), the port
    tells them apart: an entry that is exactly another host of the site is that host's.
    """
    server = pi_server(site, observer)
    named = any_same_host(entry.host, (server.address, *server.names))
    if named and entry.port == server.health_monitor_port:
        return True
    if any(
        entry.port == other.port and any_same_host(entry.host, other.hosts)
        for other in targets(site)
        if other.name != observer
    ):
        return False
    return named or _is_loopback(entry.host)


def any_same_host(host: str, others: tuple[str, ...]) -> bool:
    """Whether a host is one of the others."""
    return any(same_host(host, other) for other in others)


def same_host(one: str, other: str) -> bool:
    """Whether two spellings name one host: addresses by value, names without regard to case."""
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return one.rstrip(".").casefold() == other.rstrip(".").casefold()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"
