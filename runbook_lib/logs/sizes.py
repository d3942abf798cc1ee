"""How much there is to read, where that is known before it is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runbook_lib.logs.sources import Listed, list_logs
from runbook_lib.logs.streams import HEAD, is_archive


def size_to_read(paths: Iterable[Path]) -> int | None:
    """Return the bytes of all files under ``paths``; None where one is an archive, or no file on disk.

    What an archive holds is known only when it has been read. Raises UsageError as ``list_logs`` does.
    """
    total = 0
    for file in list_logs(paths):
        if file.problem:
            continue
        if file.identity is None or _is_archive(file):
            return None
        total += file.size
    return total


def _is_archive(file: Listed) -> bool:
    try:
        with file.path.open("rb") as opened:
            return is_archive(opened.read(HEAD))
    except OSError:
        return True  # whoever reads it says what is wrong
