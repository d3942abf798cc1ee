"""The same servers under two names: two repairs of one site at the same time, which no lock by name would stop."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator

from runbook_lib.fleet.problems import Problems
from runbook_lib.fleet.sites import FleetSite
from runbook_lib.params import PiServer
from runbook_lib.steps.targets import PI_SERVERS, pi_server


def refuse_duplicates(sites: Iterable[FleetSite], problems: Problems) -> None:
    """Add a problem for each site whose name, or one of whose PI servers, another site has already.

    A server is another's where both are reached at one address and port (through the same jump host, if
    any), or where both pin one SSH host key. ISE servers may serve many sites, and are not compared.
    """
    names: dict[str, FleetSite] = {}
    servers: dict[str, tuple[FleetSite, str]] = {}
    for each in sites:
        first = names.setdefault(each.name, each)
        if first is not each:
            problems.take_lines([f"{each.where}: {each.name}: is the name of two sites (the other: {first.where})"])
            continue
        for key in PI_SERVERS:
            for how, identity in _identities(pi_server(each.site, key)):
                other, its_key = servers.setdefault(identity, (each, key))
                if other is not each:
                    what = f"its {key} is the {its_key} of {other.name} ({other.where}): {how}; keep one, or correct it"
                    problems.take_lines([f"{each.where}: {each.name}: {what}"])
                    break


def _identities(server: PiServer) -> Iterator[tuple[str, str]]:
    """Yield how one would tell that two servers are one, and the value that is the same then."""
    jump = server.ssh.jump
    network = f"{jump.address}:{jump.port}>" if jump else ""
    address = server.address.casefold().rstrip(".")
    for port in (server.ssh.port, server.health_monitor_port):
        yield f"both at {server.address} port {port}", f"{network}{address} {port}"
    for pin in server.ssh.host_key:
        yield "both have the same SSH host key", fingerprint(pin)


def fingerprint(pin: str) -> str:
    """Return a pinned host key, whichever way it is written, as ``SHA256:…``."""
    if pin.startswith("SHA256:"):
        return pin
    digest = b64encode(hashlib.sha256(b64decode(pin.split()[1])).digest())
    return "SHA256:" + digest.decode("ascii").rstrip("=")
