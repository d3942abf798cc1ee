"""A lab of many sites: as many simulated sites as are asked for, in one event loop of one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from runbook_lib.lab.desk import write_whole
from runbook_lib.lab.errors import LabOptionInvalid
from runbook_lib.lab.life import LivesInThread
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.truth import read_truth

if TYPE_CHECKING:
    from runbook_lib.lab.site import SimulatedSite

FLEET_FILE = "fleet.yaml"
MOST_SITES = 5000
_AT_ONCE = 8


def site_names(count: int) -> list[str]:
    """The names of so many sites, in their order: ``site-001``, …"""
    width = max(3, len(str(count)))
    return [f"site-{number:0{width}}" for number in range(1, count + 1)]


class Sites:
    """Many sites on one event loop; all methods belong on it. ``by_name`` holds them in the order of their names."""

    def __init__(self, folder: Path, by_name: Mapping[str, SimulatedSite]) -> None:
        self.folder = folder
        self.by_name = by_name

    @classmethod
    async def start(
        cls, folder: Path, count: int, options: LabOptions, scenarios: Mapping[str, str] | None = None
    ) -> Sites:
        """Build the sites in folders of their own and write ``fleet.yaml``, which names them all.

        ``options`` hold for each; ``scenarios`` gives some, by name, another one. Where one cannot be started
        none is left.
        """
        from runbook_lib.lab.site import SimulatedSite  # heavy; only those pay who start one

        if not 0 <= count <= MOST_SITES:
            raise LabOptionInvalid(f"a lab has 0 to {MOST_SITES} sites, not {count}")
        gate = asyncio.Semaphore(_AT_ONCE)

        async def started(name: str) -> SimulatedSite:
            async with gate:
                scenario = (scenarios or {}).get(name, options.scenario)
                return await SimulatedSite.start(folder / name, replace(options, name=name, scenario=scenario))

        names = site_names(count)
        found = await asyncio.gather(*map(started, names), return_exceptions=True)
        sites = {name: site for name, site in zip(names, found, strict=True) if isinstance(site, SimulatedSite)}
        lab = cls(folder, sites)
        problem = next((each for each in found if isinstance(each, BaseException)), None)
        if problem is not None:
            await lab.close()
            raise problem
        _write_fleet_file(folder, names)
        return lab

    @property
    def broken(self) -> list[BaseException]:
        """Errors that should never happen, of all sites."""
        return [problem for site in self.by_name.values() for problem in site.broken]

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(*(site.close() for site in self.by_name.values()))


def _write_fleet_file(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    head = "# Written by the lab; it names the simulated sites beside it.\n"
    content = {"name": "lab-fleet", "sites": [{"file": f"{name}/site.yaml"} for name in names]}
    write_whole(folder / FLEET_FILE, (head + yaml.safe_dump(content, sort_keys=False)).encode())


class ManyLabs(LivesInThread[Sites]):
    """``with ManyLabs(folder, 50, scenarios={"site-002": "healthy"}) as lab:``: up in the block, gone after it.

    Keyword arguments are those of ``LabOptions``, for every site; the keys are of the kind that costs no time, and
    monitors connect rarely, where nothing else is said. The verbs may be called from any thread.
    """

    def __init__(
        self, folder: str | Path, count: int, *, scenarios: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__("many labs")
        self.folder = Path(folder).resolve()
        self.count = count
        self.options = LabOptions.from_dict({"keys": "ec", "monitor_interval_s": 30.0, **options})
        self._scenarios = scenarios

    @property
    def fleet_file(self) -> Path:
        """The fleet's file that names every site."""
        return self.folder / FLEET_FILE

    @property
    def names(self) -> list[str]:
        return site_names(self.count)

    def site_file(self, name: str) -> Path:
        return self.folder / name / "site.yaml"

    def truth(self, name: str) -> list[dict[str, Any]]:
        """The lines of one site's truth log so far."""
        return read_truth(self.folder / name / "truth.jsonl")

    def renew(self, name: str, who: str) -> None:
        """Give a server of one site a new key and certificate."""
        self._do(self._site(name).history.renew(who))

    def set_fault(self, name: str, fault: str, server: str = "*", *, times: int | None = None, **settings: Any) -> None:
        """Switch a fault of one site on; ``faults.KNOWN`` lists them."""
        self._do(self._site(name).set_fault(fault, server, times=times, **settings))

    def clear_faults(self) -> None:
        """Switch every fault of every site off."""
        for name in self.names:
            self._do(self._site(name).clear_fault())

    def _site(self, name: str) -> SimulatedSite:
        return self._simulation.by_name[name]

    async def _start(self) -> Sites:
        return await Sites.start(self.folder, self.count, self.options, self._scenarios)
