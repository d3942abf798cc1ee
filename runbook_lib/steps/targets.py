"""Which host an entry of a TOFU list stands for: a server itself, one of the site's other hosts, or a stranger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from runbook_lib.models import TofuEntry
from runbook_lib.params import Expectation, PiServer, Site, SshAccess

PI_SERVERS = ("primary", "secondary")

_KEY = re.compile(r"(?P<host>.+)_(?P<port>[0-9]{1,9})", re.DOTALL)
_LOCALHOST = (ip_address("127.0.0.1"), ip_address("::1"))
_LOCALHOST_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}
)


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


def old_algorithms(site: Site) -> dict[str, tuple[str, ...]]:
    """Return the old SSH algorithms that the site's file allows, by the host that may use them."""
    hosts = {each.name: each.ssh for each in targets(site) if each.ssh}
    jumps = {f"jump host of {name}": ssh.jump for name, ssh in hosts.items() if ssh.jump}
    return {name: ssh.legacy for name, ssh in {**hosts, **jumps}.items() if ssh.legacy}


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
    found = _KEY.fullmatch(key)
    if not found:
        return None
    return target_of(
        site, observer, TofuEntry(key=key, host=found["host"], port=int(found["port"]), subject="", line="")
    )


def is_own(site: Site, observer: str, entry: TofuEntry) -> bool:
    """Whether an entry is the server's own: its own name or address, or loopback.

    Where several servers share one address, or live on loopback (behind port forwarding, or on one
    machine), the port tells them apart: an entry that is exactly another host of the site is that
    host's. With the server's own port its own name, ``localhost``, ``127.0.0.1`` and ``::1`` are its own.
    """
    server = pi_server(site, observer)
    named = any_same_host(entry.host, (server.address, *server.names)) or _is_localhost(entry.host)
    if named and entry.port == server.health_monitor_port:
        return True
    return (named or _is_loopback(entry.host)) and not any(
        entry.port == other.port and any_same_host(entry.host, other.hosts)
        for other in targets(site)
        if other.name != observer
    )


def any_same_host(host: str, others: tuple[str, ...]) -> bool:
    """Whether a host is one of the others."""
    return any(same_host(host, other) for other in others)


def same_host(one: str, other: str) -> bool:
    """Whether two spellings name one host: addresses by value, names of ASCII without regard to case.

    Other characters that look or fold alike make another host.
    """
    here, there = _address(one), _address(other)
    if here or there:
        return here == there
    return one.isascii() and other.isascii() and _name(one) == _name(other)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is, None for a name; brackets and an IPv4 address written as IPv6 are read too."""
    try:
        address = ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _name(host: str) -> str:
    return host.lower().rstrip(".")


def _is_localhost(host: str) -> bool:
    address = _address(host)
    if address:
        return address in _LOCALHOST or address.is_unspecified
    name = _name(host)
    return name in _LOCALHOST_NAMES or name.endswith(".localhost")


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return bool(address and address.is_loopback)
