"""What operators and time do to a site: the verbs that scenarios are told in, and that tests and people use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from runbook_lib.lab.backend import HaForm
from runbook_lib.lab.core import Core
from runbook_lib.lab.desk import Desk
from runbook_lib.lab.errors import LabError, LabOptionInvalid
from runbook_lib.lab.kinds import Kind, kind_named
from runbook_lib.lab.monitors import HealthMonitor, IseTask
from runbook_lib.lab.pki import Authority, Identity, ec_p256, rsa_2048
from runbook_lib.lab.registration import Registrar
from runbook_lib.lab.scenarios import EVERY_ISE, Step
from runbook_lib.lab.world import Ise, IseIntegration, Stored

_BRISK_S = 0.03  # how long a registration takes that belongs to a scenario's past


class History:
    """Carries out one verb after the other; ``new_host_key`` makes a server take one and returns its line."""

    def __init__(
        self,
        core: Core,
        authority: Authority,
        desk: Desk,
        monitors: dict[str, HealthMonitor],
        registrar: Registrar,
        new_host_key: Callable[[str], str],
    ) -> None:
        self._core = core
        self._authority = authority
        self._desk = desk
        self._monitors = monitors
        self._registrar = registrar
        self._new_host_key = new_host_key
        self._ise_task = IseTask(core)

    async def tell(self, steps: Sequence[Step]) -> None:
        """Let the steps of a scenario happen."""
        self._core.registration_s = _BRISK_S
        for verb, *about in steps:
            for subject in [[key] for key in self._core.world.ise] if about == [EVERY_ISE] else [about]:
                await getattr(self, verb)(*subject)
        self._core.registration_s = self._core.options.registration_s

    async def meet_peer(self, server: str) -> None:
        await self._monitors[server].check()

    async def meet_ise(self) -> None:
        await self._ise_task.check_all()

    async def register_ha(self) -> None:
        """Register HA; LabError if it fails."""
        await self.try_register_ha()
        run = self._core.world.registration
        if run is None or run.failed:
            raise LabError(f"the lab could not register HA: {run.message if run else 'not started'}")

    async def try_register_ha(self) -> None:
        """Attempt to register HA with the right key, and wait for how it ends."""
        secondary = self._core.world.pi["secondary"]
        await self._registrar.start(HaForm(secondary_server=secondary.address, auth_key=secondary.auth_key))
        await self._registrar.finished()

    async def remove_ha(self) -> None:
        self._core.world.remove_ha("primary")

    async def add_ise(self, key: str) -> None:
        """Add an ISE server; LabError if it fails."""
        if problem := await self._ise_task.add(self._login_of(key)):
            raise LabError(f"the lab could not add {key}: {problem}")

    async def try_add_ise(self, key: str) -> None:
        """Attempt to add an ISE server with the right password."""
        await self._ise_task.add(self._login_of(key))

    async def remove_ise(self, key: str) -> None:
        login = self._login_of(key)
        self._core.world.remove_ise(login.address, login.port)

    async def renew(self, key: str, kind: str = "usual", common_name: str = "") -> None:
        """Give a server a new key and certificate, which it presents from now on; the operator's desk has both.

        ``kind`` is one of ``kinds.KINDS``; ``common_name`` is any text at all, in the place of the kind's.
        """
        wanted = kind_named(kind)
        if common_name:
            wanted = replace(wanted, common_name=common_name, alternatives=False)
        identity = await self.new_identity(key, wanted)
        self._core.world.present(key, identity, self._core.clock())
        self._desk.receive(key, identity)
        self._desk.write_site()
        self._core.truth.write(key, "world", "lab", "certificate renewed", sha256=identity.sha256)

    async def redeploy(self, key: str) -> None:
        """Deploy a PI server anew on its VM: new SSH host key and certificate, an empty store, no HA."""
        if key not in self._core.world.pi:
            raise LabOptionInvalid(f"primary or secondary can be deployed anew, not {key}")
        pi = self._core.world.pi[key]
        pi.tofu.clear()
        pi.ha_configured = pi.link_ok = False
        self._desk.note_host_key(key, self._new_host_key(key))
        await self.renew(key)

    async def plant(self, server: str, entries: Sequence[str], common_name: str = "planted") -> None:
        """Put entries into a PI server's store under any keys at all, of one certificate."""
        identity = await asyncio.to_thread(
            self._authority.new_identity, common_name, "192.0.2.1", names=False, new_key=ec_p256
        )
        now = self._core.clock()
        self._core.world.pi[server].tofu |= {entry: Stored(identity.der, now) for entry in entries}
        self._core.world.changed()
        self._core.truth.write(server, "world", "lab", f"{len(entries)} entries planted")

    async def new_identity(self, key: str, kind: Kind) -> Identity:
        """A new key and certificate of a server, not in service yet."""
        world = self._core.world
        if key not in world.pi and key not in world.ise:
            raise LabOptionInvalid(f"the lab has no server {key!r}; it has {', '.join((*world.pi, *world.ise))}")
        server, options = world.server(key), self._core.options
        return await asyncio.to_thread(
            self._authority.new_identity,
            kind.common_name.replace("{name}", server.host_name).replace("{address}", server.address),
            server.address,
            names=options.subject_alt_names if kind.alternatives is None else kind.alternatives,
            new_key=kind.new_key or (ec_p256 if options.keys == "ec" else rsa_2048),
            starts=kind.starts,
            ends=kind.ends,
            sha1=kind.sha1,
        )

    def _login_of(self, key: str) -> IseIntegration:
        ise: Ise = self._core.world.ise[key]
        return IseIntegration(ise.address, ise.ports["ise"], ise.user, ise.password)
