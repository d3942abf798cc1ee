"""The state of one simulated site and the verbs that change it. No sockets, no clock, no files.

What a Health Monitor or the ISE task learns on a connection comes in through ``meet``; what it means for high
availability follows from it. Times are UTC and passed in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from runbook_lib.lab.pki import Identity, openssl_subject, sha256

PEER = {"primary": "secondary", "secondary": "primary"}
MILESTONES = ("Pre-HA Registration", "Database Replication", "Post HA Registration")
MOST_ISE_SERVERS = 2


class Trust(StrEnum):
    """What a store says to a certificate that a remote host just presented."""

    FIRST_SEEN = "first_seen"
    SAME = "same"
    DIFFERENT = "different"


@dataclass
class Stored:
    """One entry of a TOFU store: the certificate that was seen first."""

    der: bytes
    stored_utc: datetime


@dataclass
class IseIntegration:
    """An ISE server as PI knows it; ``reachable`` is None until the task has tried."""

    address: str
    port: int
    user: str
    password: str
    reachable: bool | None = None
    status: str = "Not contacted yet"


@dataclass
class Registration:
    """The last HA registration: its progress survives the pages that show it."""

    failover: str
    percent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MILESTONES, 0))
    failed: str = ""
    message: str = ""
    under_way: bool = True


@dataclass
class Server:
    """One machine of the site. ``identity`` is the certificate that it presents."""

    key: str
    host_name: str
    address: str
    ports: dict[str, int]
    identity: Identity


@dataclass
class Pi(Server):
    """A Prime Infrastructure server. ``link_ok`` is whether its last connection to its peer worked."""

    auth_key: str = ""
    tofu: dict[str, Stored] = field(default_factory=dict)
    ha_configured: bool = False
    link_ok: bool = False

    @property
    def entry_key(self) -> str:
        """Under which a store lists this server."""
        return f"{self.address}_{self.ports['hm']}"

    @property
    def own_entries(self) -> tuple[str, ...]:
        """The entries by which the server lists itself."""
        own = (self.entry_key,)
        return own if self.key == "primary" else (*dict.fromkeys((*own, f"127.0.0.1_{self.ports['hm']}")),)


@dataclass
class Ise(Server):
    """An ISE server with the one administrator that PI may use."""

    user: str = "piadmin"
    password: str = ""


class World:
    """The whole site. ``changed`` is called after every change."""

    def __init__(self, servers: list[Pi], ises: list[Ise], failover: str = "Manual") -> None:
        self.pi = {server.key: server for server in servers}
        self.ise = {server.key: server for server in ises}
        self.integrations: list[IseIntegration] = []
        self.registration: Registration | None = None
        self.failover = failover
        self.failed_over = False
        self.changed: Callable[[], None] = lambda: None
        self.task_numbers = itertools.count(3069)

    def server(self, key: str) -> Server:
        """Any server by its key; KeyError where there is none."""
        return self.pi[key] if key in self.pi else self.ise[key]

    # -- trust -------------------------------------------------------------------------------

    def meet(self, server: str, entry: str, der: bytes, now: datetime) -> Trust:
        """Hold a presented certificate against the store: trusted and kept at first, then only the same."""
        store = self.pi[server].tofu
        if entry in store:
            return Trust.SAME if store[entry].der == der else Trust.DIFFERENT
        store[entry] = Stored(der, now)
        self.changed()
        return Trust.FIRST_SEEN

    def list_own(self, server: str, now: datetime) -> None:
        """Enter the server's own certificate, as its services do when they start."""
        pi = self.pi[server]
        pi.tofu = {entry: Stored(pi.identity.der, now) for entry in pi.own_entries} | {
            entry: stored for entry, stored in pi.tofu.items() if entry not in pi.own_entries
        }
        self.changed()

    def delete_entry(self, server: str, entry: str) -> bool:
        """Delete one entry by its exact key; False where there is none."""
        found = self.pi[server].tofu.pop(entry, None) is not None
        self.changed()
        return found

    def present(self, key: str, identity: Identity, now: datetime) -> None:
        """Put another certificate into service; a PI server's services restart and list it as their own."""
        self.server(key).identity = identity
        if key in self.pi:
            self.list_own(key, now)
        self.changed()

    # -- high availability ----------------------------------------------------------------

    def link(self, server: str, ok: bool) -> None:
        """Note whether the server's last connection to its peer worked."""
        if self.pi[server].link_ok != ok:
            self.pi[server].link_ok = ok
            self.changed()

    def ha_state(self, server: str) -> str:
        """The server's HA state in the product's words; both directions must work for the good ones."""
        role, peer = server.capitalize(), self.pi[PEER[server]]
        if self.failed_over:
            return "Primary Failover" if server == "primary" else "Secondary Active"
        if self.registration and self.registration.under_way:
            return "HA Initializing"
        if not self.pi[server].ha_configured:
            return "HA not Configured"
        if self.pi[server].link_ok and peer.link_ok and peer.ha_configured:
            return "Primary Active" if server == "primary" else "Secondary Syncing"
        return f"{role} Lost {PEER[server].capitalize()}"

    def start_registration(self, failover: str) -> Registration:
        """Begin a registration in place of the last one."""
        self.registration = Registration(failover)
        self.changed()
        return self.registration

    def progress(self, milestone: str, percent: int) -> None:
        """Move one milestone of the registration that is under way."""
        assert self.registration is not None
        self.registration.percent[milestone] = percent
        self.changed()

    def fail_registration(self, milestone: str, message: str) -> None:
        """End the registration that is under way at a milestone."""
        assert self.registration is not None
        self.registration.failed, self.registration.message = milestone, message
        self.registration.under_way = False
        self.changed()

    def finish_registration(self) -> None:
        """Both servers are a pair from now on."""
        assert self.registration is not None
        self.registration.under_way = False
        self.registration.message = "HA registration completed successfully."
        self.failover = self.registration.failover
        for pi in self.pi.values():
            pi.ha_configured = pi.link_ok = True
        self.changed()

    def remove_ha(self, server: str) -> str | None:
        """Take the HA configuration away from both servers; None when done, else why not."""
        if self.registration and self.registration.under_way:
            return "HA registration is in progress."
        if not self.pi[server].ha_configured:
            return "HA is not configured."
        for pi in self.pi.values():
            pi.ha_configured = False
        self.registration = None
        self.changed()
        return None

    # -- ISE servers ----------------------------------------------------------------------------

    def integration(self, address: str, port: int | None = None) -> IseIntegration | None:
        """The ISE server of that address (and port, if given), if PI lists it."""
        return next((i for i in self.integrations if i.address == address and port in (None, i.port)), None)

    def may_add_ise(self, address: str, port: int) -> str | None:
        """Why the ISE server cannot be added whatever it answers; None if it can."""
        if self.integration(address, port):
            return f"ISE server {address} already exists."
        if len(self.integrations) >= MOST_ISE_SERVERS:
            return f"No more than {MOST_ISE_SERVERS} ISE servers can be added."
        return None

    def ise_port(self, address: str) -> int:
        """The port of the ISE server at an address, rather of one that is not added yet; 443 if there is none."""
        ports = [ise.ports["ise"] for ise in self.ise.values() if ise.address == address]
        return next((p for p in ports if not self.integration(address, p)), ports[0] if ports else 443)

    def add_ise(self, ise: IseIntegration) -> None:
        """Take an ISE server into PI's list."""
        self.integrations.append(ise)
        self.changed()

    def remove_ise(self, address: str, port: int | None = None) -> str | None:
        """Take an ISE server off PI's list; None when done, else why not."""
        ise = self.integration(address, port)
        if ise is None:
            return f"ISE server {address} does not exist."
        self.integrations.remove(ise)
        self.changed()
        return None

    def ise_answered(self, ise: IseIntegration, reachable: bool, status: str) -> None:
        """Note how the last connection to an ISE server went."""
        if (ise.reachable, ise.status) != (reachable, status):
            ise.reachable, ise.status = reachable, status
            self.changed()

    # -- looking ----------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain values, without secrets: what ``state.json`` holds of the site."""
        return {
            "servers": {server.key: self._server_view(server) for server in (*self.pi.values(), *self.ise.values())},
            "ise_servers": [
                {"address": i.address, "port": i.port, "user": i.user, "reachable": i.reachable, "status": i.status}
                for i in self.integrations
            ],
            "registration": self._registration_view(),
        }

    def _server_view(self, server: Server) -> dict[str, Any]:
        view: dict[str, Any] = {
            "host_name": server.host_name,
            "address": server.address,
            "ports": server.ports,
            "presents_sha256": server.identity.sha256,
            "subject": openssl_subject(server.identity.der),
        }
        if isinstance(server, Pi):
            view["ha_state"] = self.ha_state(server.key)
            view["tofu"] = {
                entry: {"sha256": sha256(stored.der), "stored_utc": stored.stored_utc.isoformat()}
                for entry, stored in server.tofu.items()
            }
        return view

    def _registration_view(self) -> dict[str, Any] | None:
        run = self.registration
        if run is None:
            return None
        return {"percent": run.percent, "failed": run.failed, "message": run.message, "under_way": run.under_way}
