"""What runs below a process, as others start and end there meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psutil

T = TypeVar("T")


def each_descendant(look: Callable[[psutil.Process], T], of: int | None = None) -> list[T]:
    """Return what ``look`` finds at each descendant of this process, or of the one with the pid ``of``.

    One that ends while it is looked at is left out: a browser's parts and its driver come and go as they like.
    """
    found = []
    for process in psutil.Process(of).children(recursive=True):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):  # a zombie is none either
            found.append(look(process))
    return found
