"""A site that lives in memory: what the pages are looked at and tested with when no lab is up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runbook_lib.lab.backend import HaForm, HaView, IseView, LoginResult, MilestoneView, ReadinessView

MILESTONES = ("Pre-HA Registration", "Database Replication", "Post HA Registration")
NOT_CONFIGURED = "HA not Configured"
TOFU_FAILED = (
    "TOFU failed. Check local trust Trust-on-first-use is configure for this connection. "
    "Current certificate of the remote host is different from what was used earlier - {subject}"
)


@dataclass(kw_only=True)
class MemoryBackend:
    """One PI server with no peers: enough of each answer to see every page in each of its states.

    ``ise_hosts`` holds the password that each reachable ISE server takes; in ``ise_stale`` are those whose certificate
    is not the one that was trusted.
    """

    server_key: str = "primary"
    host_name: str = "prime-pri"
    skin: str = "forms"
    page_delay_s: float = 0.0
    step_s: float = 0.2
    user: str = "root"
    password: str = field(default="Public123", repr=False)
    auth_key: str = field(default="hakey-1", repr=False)
    secondary_stale: bool = False
    failing_item: str = ""
    ise_hosts: dict[str, str] = field(default_factory=dict, repr=False)
    ise_stale: set[str] = field(default_factory=set)
    events: list[Mapping[str, object]] = field(default_factory=list)
    registered_with: list[HaForm] = field(default_factory=list, repr=False)
    _view: HaView = field(default=HaView(configuration_mode=NOT_CONFIGURED), repr=False)
    _ise: list[IseView] = field(default_factory=list)
    _wrong_logins: int = 0
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def check_login(self, user: str, password: str) -> LoginResult:
        if self._wrong_logins >= 5:
            return LoginResult(ok=False, message="The account is locked after too many wrong passwords.")
        if (user, password) != (self.user, self.password):
            self._wrong_logins += 1
            return LoginResult(ok=False, message="Invalid username or password.")
        self._wrong_logins = 0
        return LoginResult(ok=True)

    async def ha_state(self) -> HaView:
        return self._view

    async def check_readiness(self, form: HaForm) -> list[ReadinessView]:
        items = {
            "CPU count": "4 on both servers",
            "Memory size": "16 GB on both servers",
            "Disk size": "1,200 GB on both servers",
            "Disk speed": "320 MB/s",
            "Reachability of the secondary server": f"{form.secondary_server} answers",
            "Operating system version": "the same on both servers",
            "Database port 1522": "open",
        }
        return [ReadinessView(item=i, passed=i != self.failing_item, detail=d) for i, d in items.items()]

    async def register(self, form: HaForm) -> str | None:
        if self._view.under_way:
            return "A registration is under way."
        if form.virtual_ipv6.lower().startswith("fe80"):
            return "IPV6 Virtual IP must not be a link local address (fe80)."
        self.registered_with.append(form)
        bars = tuple(MilestoneView(name=name) for name in MILESTONES)
        kept = replace(form, auth_key="")
        self._view = HaView(configuration_mode=NOT_CONFIGURED, milestones=bars, under_way=True, form=kept)
        self._task = asyncio.get_running_loop().create_task(self._go_on(form))
        return None

    async def _go_on(self, form: HaForm) -> None:
        await asyncio.sleep(self.step_s)
        if form.auth_key != self.auth_key:
            peers = f"between primary 192.0.2.10 and secondary servers {form.secondary_server}"
            self._fail(f"Authentication key does not match {peers}")
        elif self.secondary_stale:
            self._fail(TOFU_FAILED.format(subject="CN=prime-sec"))
        else:
            for name in MILESTONES:
                for percent in range(20, 101, 20):
                    self._view = replace(self._view, milestones=self._bars(name, percent=percent))
                    await asyncio.sleep(self.step_s)
            self._view = replace(self._view, configuration_mode="Primary Active", under_way=False)

    def _fail(self, message: str) -> None:
        bars = self._bars(MILESTONES[0], failed=True)
        self._view = replace(self._view, milestones=bars, message=message, under_way=False)

    def _bars(self, name: str, *, percent: int = 0, failed: bool = False) -> tuple[MilestoneView, ...]:
        bars = self._view.milestones
        return tuple(replace(b, percent=percent or b.percent, failed=failed) if b.name == name else b for b in bars)

    async def remove_ha(self) -> str | None:
        if self._view.under_way:
            return "A registration is under way."
        self._view = HaView(configuration_mode=NOT_CONFIGURED)
        return None

    async def ise_servers(self) -> list[IseView]:
        return list(self._ise)

    async def add_ise(self, address: str, user: str, password: str, port: int | None = None) -> str | None:
        if any(s.address == address for s in self._ise):
            return f"The ISE server {address} has already been added."
        if len(self._ise) >= 2:
            return "No more than two ISE servers can be added."
        if address not in self.ise_hosts:
            return f"The ISE server {address} is unreachable."
        if address in self.ise_stale:
            return TOFU_FAILED.format(subject="CN=ISE-server")
        if password != self.ise_hosts[address]:
            return f"The ISE server {address} refused user {user} (HTTP 401 Unauthorized)."
        self._ise.append(IseView(address=address, port=port or 443, reachable=True, status="Reachable"))
        return None

    async def remove_ise(self, address: str) -> str | None:
        if all(s.address != address for s in self._ise):
            return f"There is no ISE server {address}."
        self._ise = [s for s in self._ise if s.address != address]
        return None

    def truth(self, event: Mapping[str, object]) -> None:
        self.events.append(event)
