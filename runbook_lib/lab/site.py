"""One whole simulated site in one event loop: built, served, closed."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from runbook_lib.lab import addresses
from runbook_lib.lab.core import Core, Passwords, new_password, utc_now
from runbook_lib.lab.desk import Desk
from runbook_lib.lab.doors import Door, TlsHandler
from runbook_lib.lab.errors import LabError, LabOptionInvalid
from runbook_lib.lab.history import History
from runbook_lib.lab.https_server import health_monitor_application, ise_application, web_application
from runbook_lib.lab.kinds import kind_named
from runbook_lib.lab.logbook import Logbook
from runbook_lib.lab.monitors import HealthMonitor, IseTask
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.pages_backend import USER as WEB_USER
from runbook_lib.lab.pages_backend import SiteBackend
from runbook_lib.lab.pki import Authority, ec_p256, rsa_2048
from runbook_lib.lab.registration import Registrar
from runbook_lib.lab.scenarios import SCENARIOS
from runbook_lib.lab.ssh_server import USER as SSH_USER
from runbook_lib.lab.ssh_server import SshHandler
from runbook_lib.lab.state_file import StateFile
from runbook_lib.lab.truth import Truth
from runbook_lib.lab.world import Ise, Pi, World

HOST_NAMES = {"primary": "prime-pri", "secondary": "prime-sec"}
_OURS = ("primary", "secondary", "desk", "secrets", "truth.jsonl", "state.json", "site.yaml")
_MARK = ".runbook-lab"
_ROUNDS = 5  # of the event loop, in which connections that were aborted close their sockets


class SimulatedSite:
    """Use ``start``; all methods belong on its event loop. ``broken`` holds the errors that should never happen."""

    def __init__(self, core: Core, sockets: dict[addresses.Door, socket.socket], authority: Authority) -> None:
        self.core = core
        self.broken: list[BaseException] = []
        self._sockets = sockets
        self._tasks: list[asyncio.Task[None]] = []
        self._ssh = {key: SshHandler(core, key) for key in core.world.pi}
        self._doors: list[Door] = []
        self._tls: list[TlsHandler] = []
        self._monitors = {key: HealthMonitor(core, key) for key in core.world.pi}
        self._ise_task = IseTask(core)
        self._registrar = Registrar(core, self._monitors)
        self.backends = {key: SiteBackend(core, key, self._registrar, self._ise_task) for key in core.world.pi}
        self.desk = Desk(core, SSH_USER, WEB_USER)
        self.history = History(core, authority, self.desk, self._monitors, self._registrar, self._new_host_key)
        self.state_file = StateFile(core, self._ssh)

    @classmethod
    async def start(cls, folder: Path, options: LabOptions) -> SimulatedSite:
        """Build the site in ``folder``, let the scenario happen, and return when everything answers."""
        if options.scenario not in SCENARIOS:
            raise LabOptionInvalid(f"no scenario {options.scenario!r}; there are {', '.join(SCENARIOS)}")
        _clear(folder)
        ise_names = ["ise", "ise2"][: options.ise_servers]
        sockets = addresses.claim(options.addresses, addresses.doors(ise_names), options.seed)
        authority = Authority()
        world = await _world(options, authority, sockets, ise_names)
        core = _core(folder, options, world)
        if not options.forwarding:
            core.faults.set("forwarding_off")
        site = cls(core, sockets, authority)
        site.desk.file_authority(authority.pem)
        try:
            await site._open()
        except BaseException:
            await site.close()
            raise
        return site

    async def close(self) -> None:
        """End every listener, task and connection."""
        for door in self._doors:
            door.close()
        self.core.closing.set()
        await self._registrar.finished()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ssh in self._ssh.values():
            await ssh.close()
        for tls in self._tls:
            await tls.close()
        for listener in self._sockets.values():
            listener.close()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        self.core.world.changed = lambda: None
        self.state_file.write(running=False)
        self.core.truth.close()

    async def set_fault(self, name: str, server: str = "*", *, times: int | None = None, **settings: Any) -> None:
        """Switch a fault on; see ``faults.KNOWN``."""
        if name in ("impostor", "alternating"):
            self.core.impostors[server] = await self.history.new_identity(server, kind_named("usual"))
        self.core.faults.set(name, server, times=times, **settings)
        self.core.truth.write(server, "world", "lab", f"fault {name}", settings=settings)
        self.core.world.changed()

    async def clear_fault(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self.core.faults.clear(name)
        self.core.truth.write("*", "world", "lab", f"fault {name or 'of any kind'} cleared")
        self.core.world.changed()

    # -- building ------------------------------------------------------------------------------

    async def _open(self) -> None:
        core = self.core
        for key in core.world.pi:
            core.world.list_own(key, core.clock())
            self.desk.pinned[key] = self._ssh[key].host_key_line
        for server in (*core.world.pi.values(), *core.world.ise.values()):
            self.desk.receive(server.key, server.identity)
        self.desk.file_secrets()
        self.desk.write_site()
        self._serve()
        await self.history.tell(SCENARIOS[core.options.scenario])
        for monitor in self._monitors.values():
            self._spawn(monitor.run())
        self._spawn(self._ise_task.run())
        core.world.changed = self.state_file.soon
        core.truth.begin()
        self.state_file.write()

    def _serve(self) -> None:
        core = self.core
        for (server, service), listener in self._sockets.items():
            if service == "ssh":
                self._doors.append(Door(core, server, service, listener, self._ssh[server]))
                continue
            if service == "web":
                application = web_application(self.backends[server])
            elif service == "hm":
                application = health_monitor_application(core, server, self._monitors[server].check)
            else:
                application = ise_application(core, server)
            handler = TlsHandler(core, server, service, application)
            self._tls.append(handler)
            self._doors.append(Door(core, server, service, listener, handler))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (problem := task.exception()):
            self.broken.append(problem)
            asyncio.get_running_loop().call_exception_handler(
                {"message": "part of the lab ended", "exception": problem}
            )

    def _new_host_key(self, key: str) -> str:
        self._ssh[key].redeployed()
        return self._ssh[key].host_key_line


async def _world(
    options: LabOptions, authority: Authority, sockets: dict[addresses.Door, socket.socket], ise_names: list[str]
) -> World:
    places: dict[str, dict[str, tuple[str, int]]] = {}
    for (server, service), listener in sockets.items():
        places.setdefault(server, {})[service] = listener.getsockname()
    names = HOST_NAMES | {key: "ISE-server" if key == "ise" else "ISE-server-2" for key in ise_names}

    async def made(kind: type[Pi] | type[Ise], key: str) -> Any:
        address = next(iter(places[key].values()))[0]
        new_key = ec_p256 if options.keys == "ec" else rsa_2048
        identity = await asyncio.to_thread(
            authority.new_identity, names[key], address, names=options.subject_alt_names, new_key=new_key
        )
        return kind(key, names[key], address, {service: place[1] for service, place in places[key].items()}, identity)

    servers = await asyncio.gather(*(made(Pi, key) for key in HOST_NAMES), *(made(Ise, key) for key in ise_names))
    return World(servers[:2], servers[2:])


def _core(folder: Path, options: LabOptions, world: World) -> Core:
    (folder / "secrets").mkdir(mode=0o700)
    draw = random.Random(options.seed) if options.seed is not None else random.SystemRandom()  # noqa: S311
    passwords = Passwords(
        ssh={key: new_password(draw) for key in world.pi},
        web={key: new_password(draw) for key in world.pi},
        ise={key: new_password(draw) for key in world.ise},
        auth_key=new_password(draw),
    )
    for pi in world.pi.values():
        pi.auth_key = passwords.auth_key
    for key, ise in world.ise.items():
        ise.password = passwords.ise[key]
    logs = {
        key: Logbook(
            folder / key / "logs", time_format=options.log_time, one_line=options.log_lines == "one_line", clock=utc_now
        )
        for key in world.pi
    }
    return Core(folder, options, world, passwords, Truth(folder / "truth.jsonl", passwords.all), logs)


def _clear(folder: Path) -> None:
    """Make room for a new lab; what another program left in the folder is never touched."""
    folder.mkdir(parents=True, exist_ok=True)
    present = [folder / name for name in _OURS if (folder / name).exists()]
    if present and not (folder / _MARK).exists():
        raise LabError(f"{folder} holds {present[0].name}, and no lab made it; choose an empty folder for the lab")
    (folder / _MARK).touch()
    for path in present:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
