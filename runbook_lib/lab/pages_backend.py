"""The site behind the web pages of one PI server; implements ``backend.PagesBackend``."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

from runbook_lib.lab.backend import HaForm, HaView, IseView, LoginResult, MilestoneView, ReadinessView
from runbook_lib.lab.core import Core
from runbook_lib.lab.links import TIMEOUT_S
from runbook_lib.lab.monitors import IseTask
from runbook_lib.lab.registration import Registrar, form_problem
from runbook_lib.lab.world import PEER, IseIntegration

USER = "root"
_NOT_HERE = "This is done on the primary server."
_ALWAYS_READY = (
    ("CPU", "4 virtual CPUs on both servers"),
    ("RAM", "24 GB on both servers"),
    ("Disk Size", "1.2 TB on both servers"),
    ("Disk Speed", "260 MB/s"),
    ("Operating System", "the same on both servers"),
    ("Database Port 1522", "not in use by anything else"),
)


class SiteBackend:
    """What one server's pages see of the site."""

    def __init__(self, core: Core, server: str, registrar: Registrar, ise_task: IseTask) -> None:
        self._core = core
        self._server = server
        self._registrar = registrar
        self._ise_task = ise_task
        self._form = HaForm()
        self._wrong_logins = 0

    @property
    def server_key(self) -> str:
        return self._server

    @property
    def host_name(self) -> str:
        return self._core.world.pi[self._server].host_name

    @property
    def skin(self) -> str:
        return self._core.options.skin

    @property
    def page_delay_s(self) -> float:
        return self._core.options.page_delay_s

    async def check_login(self, user: str, password: str) -> LoginResult:
        faults = self._core.faults
        if self._wrong_logins >= self._core.options.lock_after or faults.on("web_locked", self._server):
            return LoginResult(ok=False, message="Your account is locked. Contact your administrator.")
        if user != USER or password != self._core.passwords.web[self._server]:
            self._wrong_logins += 1
            return LoginResult(ok=False, message="Invalid username or password.")
        if faults.on("web_password_expired", self._server):
            return LoginResult(ok=False, message="Your password has expired. Change it before you log in.")
        self._wrong_logins = 0
        return LoginResult(ok=True)

    async def ha_state(self) -> HaView:
        world = self._core.world
        mode, run = world.ha_state(self._server), world.registration
        if run is None or self._server != "primary":
            return HaView(configuration_mode=mode, form=self._form)
        bars = [
            MilestoneView(name=name, percent=percent, failed=name == run.failed)
            for name, percent in run.percent.items()
        ]
        return HaView(
            configuration_mode=mode,
            milestones=tuple(bars),
            message=run.message,
            under_way=run.under_way,
            form=self._form,
        )

    async def check_readiness(self, form: HaForm) -> list[ReadinessView]:
        problem = form_problem(self._core, form)
        reached = problem is None and await self._reaches_peer(form)
        first = ReadinessView(item="Configuration", passed=problem is None, detail=problem or "all fields are valid")
        detail = f"secondary server {'answers' if reached else 'does not answer'} on the Health Monitor port"
        rest = [ReadinessView(item=item, passed=True, detail=text) for item, text in _ALWAYS_READY]
        return [first, ReadinessView(item="Reachability", passed=reached, detail=detail), *rest]

    async def _reaches_peer(self, form: HaForm) -> bool:
        peer = self._core.world.pi[PEER[self._server]]
        if form.secondary_server.strip() not in (peer.address, peer.host_name):
            return False
        sock = self._core.outgoing(self._server, "product")
        name = sock.getsockname()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(sock, (peer.address, peer.ports["hm"]))
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
        else:
            return True
        finally:
            sock.close()
            self._core.forget(name)

    async def register(self, form: HaForm) -> str | None:
        if self._server != "primary":
            return _NOT_HERE
        self._form = HaForm(**{**form.__dict__, "auth_key": ""})
        return await self._registrar.start(form)

    async def remove_ha(self) -> str | None:
        return self._core.world.remove_ha(self._server)

    async def ise_servers(self) -> list[IseView]:
        if self._server != "primary":
            return []
        return [
            IseView(address=i.address, port=i.port, reachable=i.reachable, status=i.status)
            for i in self._core.world.integrations
        ]

    async def add_ise(self, address: str, user: str, password: str, port: int | None = None) -> str | None:
        if self._server != "primary":
            return _NOT_HERE
        if not address.startswith("127."):
            return f"ISE server {address} is unreachable."
        number = port or self._core.world.ise_port(address)
        problem = await self._ise_task.add(IseIntegration(address, number, user, password))
        self._core.truth.write(self._server, "world", "lab", f"add ISE {address}", effect=problem or "added")
        return problem

    async def remove_ise(self, address: str) -> str | None:
        if self._server != "primary":
            return _NOT_HERE
        problem = self._core.world.remove_ise(address)
        self._core.truth.write(self._server, "world", "lab", f"remove ISE {address}", effect=problem or "removed")
        return problem

    def truth(self, event: Mapping[str, object]) -> None:
        about = dict(event)
        source, what = str(about.pop("from", "")), str(about.pop("what", ""))
        self._core.arrived(self._server, "web", source, what, **{str(name): value for name, value in about.items()})
