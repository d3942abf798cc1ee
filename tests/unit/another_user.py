"""Another user of this machine, for tests that root runs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from runbook_lib.record.lock import TOKEN_VARIABLE

STRANGER = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def as_stranger(what: Callable[[], object]) -> str:
    """Do something as another user in a process of its own, and return what came of it, in words."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            os.environ[TOKEN_VARIABLE] = ""
            told = repr(what())
        except BaseException as error:  # noqa: BLE001 - it is told, whatever it was
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told
