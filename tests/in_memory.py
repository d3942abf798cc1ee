"""Where tests write: in memory where there is plenty of it.

Records are synced to disk line by line, and tests write thousands of them: a tenth of their processor time, and most of
their waiting on a busy disk. Whoever names a folder (``TMPDIR``) gets that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = Path("/dev/shm")
PLENTY = 4 << 30
PREFIX = "runbook-tests-"


def folder_in_memory() -> tempfile.TemporaryDirectory[str] | None:
    """Return a new folder in memory, which goes with this process; None where there is not enough room for it.

    What runs that were killed have left there is removed.
    """
    if not MEMORY.is_dir():
        return None
    room = os.statvfs(MEMORY)
    if room.f_bavail * room.f_frsize < PLENTY or room.f_flag & os.ST_NOEXEC:
        return None
    with _locked(MEMORY):  # no other run takes the new folder for one that was left
        for left in MEMORY.glob(f"{PREFIX}*"):
            with suppress(OSError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=MEMORY, ignore_cleanup_errors=True)
        Path(folder.name).chmod(0o711)  # some tests become another user, who has to get to his own folder
        fcntl.flock(os.open(folder.name, os.O_RDONLY), fcntl.LOCK_EX)  # until this process ends
    return folder


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(held)
