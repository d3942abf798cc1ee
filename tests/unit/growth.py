"""How work grows with its input, told by the processor's time, to which other programs add nothing."""

from __future__ import annotations

import gc
import math
import random
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from runbook_lib.redactor import Redactor
from runbook_lib.secrets import REDACTOR

TIMES_LARGER = 4
TIMES_LONGER = 8
"""Work of one pass takes 4 times as long, work that looks at every pair 16 times."""
TOO_SHORT_S = 0.002
TRIES = 5
SECRETS = 3


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Do ``work(size)`` and ``work(4 * size)``; AssertionError where the second always takes more than its share.

    Of each the shortest counts: what shares a core with other work takes up to twice as long.
    """
    small = large = math.inf
    with _secrets_known():
        for _ in range(TRIES):
            large = min(large, _seconds(work, TIMES_LARGER * size))
            if large <= TIMES_LONGER * TOO_SHORT_S:
                return
            small = min(small, _seconds(work, size))
            if large <= TIMES_LONGER * small:
                return
    raise AssertionError(f"{TIMES_LARGER} times the input took {large / small:.1f} times the time: {large:.3f} s")


@contextmanager
def _secrets_known() -> Iterator[None]:
    """Know a few secrets, always the same, and none of earlier tests: each is looked for in all that is shown."""
    known = REDACTOR._known
    REDACTOR._take(_some_secrets()._known)
    try:
        yield
    finally:
        REDACTOR._take(known)


@cache
def _some_secrets() -> Redactor:
    redactor, source = Redactor(), random.Random(8)
    for number in range(SECRETS):
        redactor.know(f"env:GROWTH_{number}", "".join(source.choices(string.ascii_letters + string.digits, k=19)))
    return redactor


def _seconds(work: Callable[[int], object], size: int) -> float:
    gc.disable()  # it looks at all that other tests left, the more often the more is made
    try:
        began = time.thread_time()
        work(size)
        return time.thread_time() - began
    finally:
        gc.enable()
