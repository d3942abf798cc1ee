"""The event loop in a thread of its own: answers, errors, deadlines and Ctrl-C reach the caller after the clean-up."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest
from held_clock import turns

from runbook_lib import event_loop


async def _where() -> tuple[int, asyncio.AbstractEventLoop]:
    return threading.get_ident(), asyncio.get_running_loop()


def test_calls_share_one_loop_in_another_thread() -> None:
    """Two calls run on the same loop, which is not in the caller's thread."""
    first, second = event_loop.run(_where()), event_loop.run(_where())
    assert first == second
    assert first[0] != threading.get_ident()
    assert first[1] is event_loop.loop()


def test_an_error_of_the_coroutine_reaches_the_caller() -> None:
    """What the coroutine raises is what the caller sees."""

    async def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        event_loop.run(fail())


def test_works_where_a_loop_is_running_already() -> None:
    """A caller inside another running event loop, as every notebook cell is, can call it."""

    async def cell() -> int:
        return event_loop.run(asyncio.sleep(0, 7))

    assert asyncio.run(cell()) == 7


def test_ctrl_c_cancels_waits_for_the_clean_up_and_is_raised_again() -> None:
    """On Ctrl-C the coroutine's clean-up is finished before KeyboardInterrupt reaches the caller."""
    seen: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await turns()
            seen.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        event_loop.run(work())
    assert seen == ["cleaned up"]


def test_a_timeout_cancels_and_waits_for_the_clean_up() -> None:
    """After the time limit the clean-up runs, then TimeoutError is raised."""
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await turns()
            seen.append("cleaned up")

    with pytest.raises(TimeoutError, match="not finished"):
        event_loop.run(work(), timeout_s=1)
    assert seen == ["cleaned up"]


def test_an_error_during_the_clean_up_is_not_hidden_by_the_timeout() -> None:
    """What a cancelled coroutine has to say about its end is raised instead of TimeoutError."""

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError("sent, and not seen") from None

    with pytest.raises(LookupError, match="sent, and not seen"):
        event_loop.run(work(), timeout_s=1)


def test_a_call_on_the_loop_itself_is_refused() -> None:
    """A call that would wait for itself for ever is an error at once."""

    async def outer() -> None:
        event_loop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="await the coroutine"):
        event_loop.run(outer())


def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    """After a fork the child can call it too, although the thread stayed with the parent."""
    event_loop.run(asyncio.sleep(0))
    child = os.fork()
    if child == 0:
        os._exit(event_loop.run(asyncio.sleep(0, 42)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_no_work_goes_on_once_the_error_of_another_is_told() -> None:
    """Works beside each other have all ended when the first error in their order is raised."""
    ended: list[str] = []

    async def work(name: str, turns: int) -> str:
        try:
            for _ in range(turns):
                await asyncio.sleep(0)
            if name == "works":
                return name
            raise ValueError(name)
        finally:
            ended.append(name)

    assert event_loop.run(event_loop.side_by_side(work("works", 1), work("works", 0))) == ("works", "works")
    ended.clear()
    with pytest.raises(ValueError, match="slow"):
        event_loop.run(event_loop.side_by_side(work("slow", 9), work("quick", 0), work("works", 20)))
    assert ended == ["quick", "slow", "works"]
