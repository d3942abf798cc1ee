"""A lab for tests: the simulated site in a thread of its own, as a context manager."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from runbook_lib.lab.backend import PagesBackend
from runbook_lib.lab.errors import LabError
from runbook_lib.lab.life import LivesInThread
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.truth import read_truth

if TYPE_CHECKING:
    from runbook_lib.lab.site import SimulatedSite

T = TypeVar("T")


class Lab(LivesInThread["SimulatedSite"]):
    """``with Lab(folder, scenario="renewed") as lab:`` (or ``async with``): up in the block, gone after it.

    Keyword arguments are those of ``LabOptions``. The verbs block until what they do is done, and may be called
    from any thread.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__("lab")
        self.folder = Path(folder).resolve()
        self.options = LabOptions.from_dict(options)

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    # -- looking ------------------------------------------------------------------------------------

    @property
    def site_file(self) -> Path:
        return self.folder / "site.yaml"

    @property
    def world(self) -> dict[str, Any]:
        """What ``state.json`` holds, as of now."""

        async def view() -> dict[str, Any]:
            return dict(self._simulation.state_file.view())

        return self._do(view())

    def truth(self) -> list[dict[str, Any]]:
        """The lines of the truth log so far."""
        return read_truth(self.folder / "truth.jsonl")

    def happened(self, fault: str, server: str) -> int:
        """How often a fault happened at a server so far, where it happens to one connection or command at a time."""
        return self._simulation.core.faults.happened[(fault, server)]

    def log(self, server: str, name: str = "hm-0-0.log") -> str:
        """The text of one log file of a PI server."""
        return (self.folder / server / "logs" / name).read_text(encoding="utf-8")

    def secret(self, name: str) -> str:
        """A password from ``secrets/``: ``primary_ssh``, ``primary_web``, ``ise``, ``auth_key``."""
        return (self.folder / "secrets" / name).read_text(encoding="utf-8").removesuffix("\n")

    def wait_for(self, holds: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Wait until something holds; LabError if it still does not after so many seconds."""
        end = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > end:
                raise LabError(f"waited {timeout_s} seconds in vain; the site is now: {self.world}")
            time.sleep(0.02)

    # -- doing -------------------------------------------------------------------------------------

    def renew(self, who: str, kind: str = "usual", *, common_name: str = "") -> None:
        """Give a server a new key and certificate; ``kind`` is one of ``kinds.KINDS``, ``common_name`` any text."""
        self._do(self._simulation.history.renew(who, kind, common_name))

    def plant(self, server: str, *entries: str, common_name: str = "planted") -> None:
        """Put entries into a PI server's store under any keys at all, of one certificate."""
        self._do(self._simulation.history.plant(server, entries, common_name))

    def redeploy(self, who: str) -> None:
        """Deploy a PI server anew."""
        self._do(self._simulation.history.redeploy(who))

    def on_pages(self, server: str, act: Callable[[PagesBackend], Coroutine[Any, Any, T]]) -> T:
        """Do what a PI server's web pages can do, as ``lab.on_pages("primary", lambda p: p.remove_ha())``."""
        return self._do(act(self._simulation.backends[server]))

    def set_fault(self, name: str, server: str = "*", *, times: int | None = None, **settings: Any) -> None:
        """Switch a fault on; ``faults.KNOWN`` lists them."""
        self._do(self._simulation.set_fault(name, server, times=times, **settings))

    def clear_fault(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self._do(self._simulation.clear_fault(name))

    async def _start(self) -> SimulatedSite:
        from runbook_lib.lab.site import SimulatedSite  # heavy; only those pay who start one

        return await SimulatedSite.start(self.folder, self.options)
