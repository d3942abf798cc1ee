"""What the PI servers do by themselves: Health Monitors meet their peers, the primary's task meets the ISE servers."""

from __future__ import annotations

from runbook_lib.lab.core import Core
from runbook_lib.lab.https_server import ISE_PATH, basic_authorization
from runbook_lib.lab.links import CertificateRefused, Target, exchange, ise_target, peer_target, request_bytes, trusted
from runbook_lib.lab.logbook import HEALTH_MONITOR, INFRASTRUCTURE
from runbook_lib.lab.world import IseIntegration

_NOTE_EVERY = 10


class HealthMonitor:
    """One server's Health Monitor."""

    def __init__(self, core: Core, server: str) -> None:
        self._core = core
        self._server = server
        self._rounds = 0

    async def run(self) -> None:
        """Connect to the peer until the site closes, as often and on the occasions that ``monitor_style`` says."""
        while not await self._core.pause(self._core.options.monitor_pause_s):
            if self._wanted():
                await self.check()

    async def check(self) -> bool:
        """Connect to the peer once; True if it answered with a certificate that is trusted."""
        ok = False
        try:
            async with trusted(self._core, self._server, peer_target(self._core, self._server, "monitor")):
                ok = True
        except CertificateRefused:
            pass
        except OSError as problem:  # TimeoutError is one
            self._note(f"Peer does not answer: {type(problem).__name__}", "ERROR")
        ok = ok and not self._core.faults.on("ha_broken", self._server)
        before = self._core.world.ha_state(self._server)
        self._core.world.failed_over = self._core.faults.on("failed_over", "primary") is not None
        self._core.world.link(self._server, ok)
        after = self._core.world.ha_state(self._server)
        if before != after:
            self._note(f"HA state changed from {before} to {after}")
        elif ok and self._rounds % _NOTE_EVERY == 0:
            self._note("Heartbeat exchanged with peer")
        self._rounds += 1
        return ok

    def _wanted(self) -> bool:
        if self._core.options.monitor_style != "on_registration":
            return True
        run = self._core.world.registration
        return self._core.world.pi[self._server].ha_configured or bool(run and run.under_way)

    def _note(self, text: str, level: str = "INFO") -> None:
        self._core.logs[self._server].note(HEALTH_MONITOR, "HealthMonitorThread", text, level)


class IseTask:
    """The task of the primary that talks to ISE servers."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def run(self) -> None:
        """Ask every integrated ISE server until the site closes."""
        while not await self._core.pause(self._core.options.monitor_pause_s):
            await self.check_all()

    async def check_all(self) -> None:
        """Ask every integrated ISE server once and note how it answered."""
        for ise in list(self._core.world.integrations):
            problem = await self._ask(ise, "monitor")
            self._core.world.ise_answered(ise, problem is None, problem or "Reachable")

    async def add(self, ise: IseIntegration) -> str | None:
        """Add an ISE server if it answers and accepts the login; None when done, else why not."""
        refused = self._core.world.may_add_ise(ise.address, ise.port)
        problem = refused or await self._ask(ise, "product")
        if problem is None:
            ise.reachable, ise.status = True, "Reachable"
            self._core.world.add_ise(ise)
        return problem

    async def _ask(self, ise: IseIntegration, purpose: str) -> str | None:
        target = ise_target(self._core, ise.address, ise.port, purpose)
        headers = {"Authorization": basic_authorization(ise.user, ise.password)}
        try:
            answer = await exchange(self._core, "primary", target, request_bytes("GET", target, ISE_PATH, headers))
        except CertificateRefused as refused:
            return f"Unreachable: {refused}"
        except OSError as problem:
            return self._failed(target, f"ISE server {ise.address} is unreachable: {type(problem).__name__}")
        if answer.status == 200:
            return None
        if answer.status == 401:
            return self._failed(target, f"Authentication to ISE server {ise.address} failed: check name and password.")
        return self._failed(target, f"ISE server {ise.address} answered {answer.status}.")

    def _failed(self, target: Target, text: str) -> str:
        self._core.logs["primary"].note(INFRASTRUCTURE, target.thread, text, "ERROR")
        return text
