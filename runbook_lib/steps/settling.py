"""Waiting until what the devices show has settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from runbook_lib.steps.context import Context

T = TypeVar("T")

POLL_S = 2.0


async def settled(context: Context, look: Callable[[], Awaitable[T]], waited_for: Callable[[T], str]) -> T:
    """Look until nothing is waited for any more, at most for the site's ``settle_s``; return what was seen last.

    ``waited_for`` is given what was seen and returns a sentence, which is told, or "" where it has settled. The time
    that the looks take counts: at most one of them ends after the deadline. Raises what ``look`` raises, and nothing
    of its own.
    """
    clock = asyncio.get_running_loop().time
    start, limit = clock(), context.site.deadlines.settle_s
    while True:
        seen = await look()
        sentence = waited_for(seen)
        waited = clock() - start
        if not sentence or waited >= limit:
            return seen
        context.tell(sentence, waited / limit)
        await asyncio.sleep(min(POLL_S, limit - waited))
