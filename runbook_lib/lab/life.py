"""The life of a lab in a thread of its own: up when the block begins, gone after it."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from runbook_lib.lab.errors import LabError

T = TypeVar("T")


class Simulation(Protocol):
    """What lives on the loop: one simulated site, or many."""

    @property
    def broken(self) -> Sequence[BaseException]:
        """Errors that should never happen."""

    async def close(self) -> None: ...


S = TypeVar("S", bound=Simulation)


class LivesInThread(ABC, Generic[S]):
    """A context manager around what ``_start`` starts; ``_do`` carries work over to its event loop.

    What goes wrong while it starts is raised by the block's beginning; ``LabError`` at its end if the lab itself broke.
    """

    def __init__(self, thread_name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=thread_name, daemon=True)
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._running: S | None = None
        self._failure: BaseException | None = None

    @abstractmethod
    async def _start(self) -> S:
        """Start what is simulated, on the loop."""

    def __enter__(self) -> Self:
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
        broken = self._failure or next(iter(self._simulation.broken), None)
        if broken is not None and error is None:
            raise LabError(f"the lab itself broke: {broken!r}") from broken

    @property
    def _simulation(self) -> S:
        assert self._running is not None
        return self._running

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
        self._running = await self._start()
        self._ready.set()
        try:
            await self._end.wait()
        finally:
            await self._running.close()
