"""HA registration: it needs trust in both directions over real connections, and the right authentication key."""

from __future__ import annotations

import asyncio
import ipaddress
import json

from runbook_lib.lab.backend import HaForm
from runbook_lib.lab.core import Core
from runbook_lib.lab.https_server import REGISTRATION_PATH
from runbook_lib.lab.links import CertificateRefused, exchange, peer_target, request_bytes
from runbook_lib.lab.logbook import HEALTH_MONITOR
from runbook_lib.lab.monitors import HealthMonitor
from runbook_lib.lab.world import MILESTONES

_STEPS = 10
_FAILOVER_TYPES = ("Manual", "Automatic")


class RegistrationFailed(Exception):
    """Why a registration ended before its time; the text is for the page."""


def form_problem(core: Core, form: HaForm) -> str | None:
    """What is wrong with a form before anything is contacted; None if nothing is."""
    if not form.secondary_server.strip() or not form.auth_key:
        return "Secondary Server and Authentication Key are required."
    if form.failover not in _FAILOVER_TYPES:
        return f"Failover Type is one of {', '.join(_FAILOVER_TYPES)}."
    return _virtual_ip_problem(core, form) if form.virtual_ip else None


def _virtual_ip_problem(core: Core, form: HaForm) -> str | None:
    try:
        ipv4 = ipaddress.IPv4Address(form.virtual_ipv4.strip())
        ipv6 = ipaddress.IPv6Address(form.virtual_ipv6.strip()) if form.virtual_ipv6.strip() else None
    except ValueError:
        return "Enter a valid IPV4 Virtual IP; an IPV6 Virtual IP is optional."
    if ipv6 is not None and ipv6.is_link_local:
        return "IPV6 Virtual IP must not be in fe80, which is reserved for link-local addresses."
    if any(ipv4 not in ipaddress.ip_network(f"{pi.address}/24", strict=False) for pi in core.world.pi.values()):
        return "IPV4 Virtual IP must be in the subnet of both servers."
    return None


class Registrar:
    """Starts registrations and sees them through, one at a time."""

    def __init__(self, core: Core, monitors: dict[str, HealthMonitor]) -> None:
        self._core = core
        self._monitors = monitors
        self._task: asyncio.Task[None] | None = None

    async def start(self, form: HaForm) -> str | None:
        """Begin a registration; None once it is under way, else why it was not started."""
        world = self._core.world
        if world.registration and world.registration.under_way:
            return "HA registration is in progress."
        if world.pi["primary"].ha_configured:
            return "HA is configured already."
        if problem := form_problem(self._core, form):
            return problem
        world.start_registration(form.failover)
        self._task = asyncio.create_task(self._run(form))
        return None

    async def finished(self) -> None:
        """Wait until the last registration has ended, well or badly."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, form: HaForm) -> None:
        milestone = MILESTONES[0]
        try:
            for milestone in MILESTONES:
                if milestone != "Database Replication":
                    await self._both_trust(form)
                await self._fill(milestone)
        except RegistrationFailed as failure:
            self._core.world.fail_registration(milestone, str(failure))
            self._ended(f"HA registration failed at {milestone}", "ERROR", effect=str(failure))
        else:
            self._core.world.finish_registration()
            self._ended("HA registration completed")

    async def _both_trust(self, form: HaForm) -> None:
        """The primary brings the key to the secondary, which for its part connects back."""
        primary, secondary = self._core.world.pi["primary"], self._core.world.pi["secondary"]
        if form.secondary_server.strip() not in (secondary.address, secondary.host_name):
            raise RegistrationFailed(f"Secondary server {form.secondary_server.strip()} is not reachable.")
        target = peer_target(self._core, "primary")
        body = json.dumps({"auth_key": form.auth_key}).encode()
        request = request_bytes("POST", target, REGISTRATION_PATH, {"Content-Type": "application/json"}, body)
        try:
            answer = await exchange(self._core, "primary", target, request)
            said = json.loads(answer.body)
        except CertificateRefused as refused:
            await self._monitors["secondary"].check()  # the peer is told to connect, whatever we think of it
            raise RegistrationFailed(f"HA registration failed: {refused}") from None
        except (OSError, ValueError):
            raise RegistrationFailed(f"Secondary server {secondary.address} is not reachable.") from None
        if not said.get("trusts_primary"):
            raise RegistrationFailed(
                f"HA registration failed: secondary server {secondary.address} could not connect to "
                f"primary server {primary.address}."
            )
        if not said.get("key_right"):
            raise RegistrationFailed(
                f"Authentication key does not match between primary {primary.address} "
                f"and secondary servers {secondary.address}"
            )

    async def _fill(self, milestone: str) -> None:
        for step in range(1, _STEPS + 1):
            if await self._core.pause(self._core.registration_s / len(MILESTONES) / _STEPS):
                raise RegistrationFailed("The server was stopped.")
            if self._core.world.failed_over:
                raise RegistrationFailed("HA registration failed: the primary fails over to the secondary server.")
            self._core.world.progress(milestone, step * 100 // _STEPS)
            half = (milestone, step) == (MILESTONES[len(MILESTONES) // 2], _STEPS // 2)
            if half and (held := self._core.faults.happens("held_registration", "primary")):
                ends = [asyncio.create_task(each.wait()) for each in (held.over, self._core.closing)]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for each in ends:
                    each.cancel()

    def _ended(self, text: str, level: str = "INFO", effect: str = "registered") -> None:
        self._core.logs["primary"].note(HEALTH_MONITOR, "HealthMonitorThread", text, level)
        self._core.truth.write("primary", "world", "lab", text, effect=effect)
