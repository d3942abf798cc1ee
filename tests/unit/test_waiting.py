"""Waiting for a state: what is returned, and what is said when it does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from long_way import LONG
from waiting import awaited, wait_until, wait_until_async


def blocking(holds: Callable[[], Any], what: str, within_s: float) -> Any:
    return wait_until(holds, what, within_s)


def in_a_loop(holds: Callable[[], Any], what: str, within_s: float) -> Any:
    return asyncio.run(wait_until_async(holds, what, within_s))


@pytest.mark.parametrize("wait", [blocking, in_a_loop])
def test_what_was_waited_for_is_returned(wait: Callable[..., Any]) -> None:
    """The first value that is true comes back, however often one had to look."""
    seen = iter(["", None, 0, "there", "later"])
    assert wait(lambda: next(seen), "a word", 60) == "there"


@pytest.mark.parametrize("wait", [blocking, in_a_loop])
def test_giving_up_names_what_did_not_come(wait: Callable[..., Any]) -> None:
    """A state that never holds is an error with its name, how long one waited, and what was there instead."""
    with pytest.raises(AssertionError, match=r"^waited 0 s for the lock's file; at the end there was \[\]$"):
        wait(list, "the lock's file", 0)


def test_an_event_that_does_not_come_is_named() -> None:
    """An awaitable is waited for as long, and named; what it raises itself is not hidden."""

    async def story() -> None:
        with pytest.raises(AssertionError, match=r"^waited 0 s for the client's word$"):
            await awaited(asyncio.Event().wait(), "the client's word", 0)
        with pytest.raises(TimeoutError, match="its own"):
            await awaited(_fails(), "the client's word")
        assert await awaited(asyncio.sleep(0, 7), "seven") == 7

    asyncio.run(story())


async def _fails() -> None:
    raise TimeoutError("its own")


def test_no_example_has_a_deadline() -> None:
    """One profile holds for every property: no deadline, the same examples each time, slow data is no failure."""
    assert (settings().deadline, settings().derandomize) == (None, not LONG)
    assert HealthCheck.too_slow in settings().suppress_health_check
