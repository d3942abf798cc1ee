"""The one way in which tests wait: for a state, not for a time, and giving up with the name of what did not come."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

PATIENCE_S = 300.0
"""How long a busy machine may take for what an idle one does at once."""

LOOK_S, MOST_S = 0.02, 0.1
"""Between two looks: at first, and where it takes longer."""


def wait_until(holds: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """Look until ``holds()`` is true and return what it returned; AssertionError names ``what`` when it never was.

    ``what`` reads behind "waited for": ``wait_until(path.exists, "the file with the pid")``.
    """
    end = time.monotonic() + within_s
    pause_s = LOOK_S
    while not (seen := holds()):
        if time.monotonic() > end:
            raise _gave_up(what, within_s, seen)
        time.sleep(pause_s)
        pause_s = min(1.1 * pause_s, MOST_S)
    return seen


async def wait_until_async(holds: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """Do the same in an event loop that has other work meanwhile."""
    end = time.monotonic() + within_s
    while not (seen := holds()):
        if time.monotonic() > end:
            raise _gave_up(what, within_s, seen)
        await asyncio.sleep(LOOK_S)
    return seen


async def awaited(event: Awaitable[T], what: str, within_s: float = PATIENCE_S) -> T:
    """Return what an awaitable returns; AssertionError names ``what`` when it does not come."""
    try:
        async with asyncio.timeout(within_s) as clock:
            return await event
    except TimeoutError as error:
        if not clock.expired():
            raise  # its own
        raise _gave_up(what, within_s, None) from error


async def let_pass(seconds: float, why: str) -> None:
    """Let time pass where time itself is what a test gives its subject, as a server that is slow; ``why`` says so.

    Nothing may hang on it: a test that needs the time to be over, or not to be over yet, waits for a state.
    """
    del why
    await asyncio.sleep(seconds)


def forbid_waiting_opens(patch: pytest.MonkeyPatch) -> None:
    """Let whatever would wait for the other end of a pipe fail: a test that waits there tells nothing."""
    really, really_io = os.open, io.open

    def refuse_pipe(path: Any) -> None:
        is_pipe = False
        with suppress(OSError, ValueError):
            is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116 - a path of any type
        assert not is_pipe, f"opening {path} would wait for its other end for ever"

    def opened(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if not flags & os.O_NONBLOCK:
            refuse_pipe(path)
        return really(path, flags, *rest, **named)

    def io_opened(path: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(path, int):
            refuse_pipe(path)
        return really_io(path, *rest, **named)

    patch.setattr(os, "open", opened)
    patch.setattr(io, "open", io_opened)  # by which ``pathlib`` opens


def _gave_up(what: str, within_s: float, seen: object) -> AssertionError:
    last = "" if seen is None or seen is False else f"; at the end there was {seen!r}"
    return AssertionError(f"waited {within_s:g} s for {what}{last}")
