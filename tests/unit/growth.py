"""How work grows with its input, told by the processor's time, to which other programs add little.

They take its caches and slow its memory down, which larger input feels more: what takes its share may seem to take
three times as much. So the sizes lie far apart.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

TIMES_LARGER = 8
TIMES_LONGER = 32
"""Work of one pass takes 8 times as long, work that looks at every pair 64 times."""
TOO_SHORT_S = 0.002
TRIES = 5


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Do ``work`` with half of ``size`` and 8 times that; AssertionError where the second always takes too much."""
    seen = []
    for _ in range(TRIES):
        small, large = _seconds(work, size // 2), _seconds(work, TIMES_LARGER * (size // 2))
        if large <= TIMES_LONGER * max(small, TOO_SHORT_S):
            return
        seen.append((round(small, 4), round(large, 4)))
    raise AssertionError(f"{TIMES_LARGER} times the input took more than {TIMES_LONGER} times the time: {seen}")


def _seconds(work: Callable[[int], object], size: int) -> float:
    gc.disable()  # it looks at all that other tests left, the more often the more is made
    try:
        began = time.thread_time()
        work(size)
        return time.thread_time() - began
    finally:
        gc.enable()
