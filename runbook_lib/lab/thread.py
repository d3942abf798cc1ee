"""A lab for tests: the simulated site in a thread of its own, as a context manager."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from runbook_lib.lab.backend import PagesBackend
from runbook_lib.lab.errors import LabError
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.truth import read_truth

T = TypeVar("T")


class Lab:
    """``with Lab(folder, scenario="renewed") as lab:`` (or ``async with``): up in the block, gone after it.

    Keyword arguments are those of ``LabOptions``. The verbs block until what they do is done, and may be called
    from any thread.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        self.folder = Path(folder).resolve()
        self.options = LabOptions.from_dict(options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="lab", daemon=True)
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._site: Any = None
        self._failure: BaseException | None = None

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
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
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        broken = self._failure or next(iter(self._site.broken), None)
        if broken is not None and error is None:
            raise LabError(f"the lab itself broke: {broken!r}") from broken

    async def __aenter__(self) -> Lab:
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
            return dict(self._site.state_file.view())

        return self._do(view())

    def truth(self) -> list[dict[str, Any]]:
        """The lines of the truth log so far."""
        return read_truth(self.folder / "truth.jsonl")

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
        self._do(self._site.history.renew(who, kind, common_name))

    def plant(self, server: str, *entries: str, common_name: str = "planted") -> None:
        """Put entries into a PI server's store under any keys at all, of one certificate."""
        self._do(self._site.history.plant(server, entries, common_name))

    def redeploy(self, who: str) -> None:
        """Deploy a PI server anew."""
        self._do(self._site.history.redeploy(who))

    def on_pages(self, server: str, act: Callable[[PagesBackend], Coroutine[Any, Any, T]]) -> T:
        """Do what a PI server's web pages can do, as ``lab.on_pages("primary", lambda p: p.remove_ha())``."""
        return self._do(act(self._site.backends[server]))

    def set_fault(self, name: str, server: str = "*", *, times: int | None = None, **settings: Any) -> None:
        """Switch a fault on; ``faults.KNOWN`` lists them."""
        self._do(self._site.set_fault(name, server, times=times, **settings))

    def clear_fault(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self._do(self._site.clear_fault(name))

    # -- the thread ---------------------------------------------------------------------------------

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
        from runbook_lib.lab.site import SimulatedSite  # heavy; only those pay who start one

        self._end = asyncio.Event()
        self._site = await SimulatedSite.start(self.folder, self.options)
        self._ready.set()
        try:
            await self._end.wait()
        finally:
            await self._site.close()
