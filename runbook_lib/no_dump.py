"""No process that holds a secret leaves its memory on a disk, or lets another process of its user read it."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import cache

_PR_SET_DUMPABLE = 4  # of linux/prctl.h


def no_core() -> None:
    """Turn core dumps off for this process and all that it starts from now on."""
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@cache
def forbid_dumps() -> None:
    """Do so, and on Linux let no other process of this user attach to this one either; done once in a process.

    Where the system does not let it, nothing is said: the secret is needed all the same.
    """
    no_core()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
