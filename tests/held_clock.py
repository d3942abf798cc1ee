"""An event loop whose clock the test holds: an hour of silence takes no time, and a busy machine ends no deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TURNS = 50
"""So often the loop looks for what has arrived before the clock is moved."""


class HeldLoop(asyncio.SelectorEventLoop):
    """A loop that is as many seconds ahead as it was told."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as ``asyncio.run`` does, on a clock that ``pass_by`` moves."""
    with asyncio.Runner(loop_factory=HeldLoop) as runner:
        return runner.run(story)


async def turns() -> None:
    """Let everybody on the loop read what was written to them; no time passes."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def pass_by(seconds: float) -> None:
    """Let so many seconds have passed, once everybody has read what was written to them."""
    await turns()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HeldLoop)
    loop.ahead_s += seconds
    await turns()


async def silence(*_: object) -> None:
    """Say nothing for an hour, which passes at once, nor afterwards."""
    await pass_by(3600)
    await asyncio.Event().wait()
