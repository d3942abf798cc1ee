"""A lab of many sites: as many simulated sites as are asked for, in one event loop of one thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from runbook_lib.lab.desk import write_whole
from runbook_lib.lab.errors import LabError, LabOptionInvalid
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.truth import read_truth

if TYPE_CHECKING:
    from runbook_lib.lab.site import SimulatedSite

T = TypeVar("T")

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


class ManyLabs:
    """``with ManyLabs(folder, 50, scenarios={"site-002": "healthy"}) as lab:``: up in the block, gone after it.

    Keyword arguments are those of ``LabOptions``, for every site; the keys are of the kind that costs no time, and
    monitors connect rarely, where nothing else is said. The verbs may be called from any thread.
    """

    def __init__(
        self, folder: str | Path, count: int, *, scenarios: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self.folder = Path(folder).resolve()
        self.count = count
        self.options = LabOptions.from_dict({"keys": "ec", "monitor_interval_s": 30.0, **options})
        self._scenarios = scenarios
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="many labs", daemon=True)
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._sites: Sites | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> ManyLabs:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._end is not None
        assert self._sites is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        broken = self._failure or next(iter(self._sites.broken), None)
        if broken is not None and error is None:
            raise LabError(f"the lab itself broke: {broken!r}") from broken

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
        assert self._sites is not None
        return self._sites.by_name[name]

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _live(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except BaseException as failure:  # noqa: BLE001 (it is raised again in the thread that entered)
            self._failure = failure
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._end = asyncio.Event()
        self._sites = await Sites.start(self.folder, self.count, self.options, self._scenarios)
        self._ready.set()
        try:
            await self._end.wait()
        finally:
            await self._sites.close()
