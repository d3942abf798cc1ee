"""What an archive may unpack to, counted while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from runbook_lib.errors import UsageError
from runbook_lib.logs.inflate import CutOff
from runbook_lib.logs.streams import Again, Notes, Readable, Stream

DAMAGE_WORDS = "damaged: read up to the damage"
CUT_WORDS = "cut off: read up to where it ends"


@dataclass(frozen=True)
class Limits:
    """What one archive on disk may unpack to. ``ratio`` counts from ``ratio_from`` unpacked bytes on."""

    unpacked: int = 64 << 30
    ratio: int = 400
    ratio_from: int = 64 << 20
    entries: int = 20_000
    depth: int = 3
    inner_zip: int = 64 << 20


LIMITS = Limits()

Content = tuple[str, Stream]
"""A log in an archive: its name with the archive's before it, and its bytes."""

Inside = Callable[[str, Readable, Again | None], Iterator[Content]]
"""What yields the logs in an entry, maybe an archive itself: by its name, its bytes, and what opens them again."""


class Meter:
    """Counts what one archive on disk has unpacked to, and knows where to note damage."""

    def __init__(self, name: str, size: int | None, limits: Limits, notes: Notes) -> None:
        self.limits = limits
        self.notes = notes
        self._name = name
        self._size = size
        self._unpacked = 0
        self._entries = 0

    def add_bytes(self, count: int) -> None:
        self._unpacked += count
        if self._unpacked > self.limits.unpacked:
            raise self._too_much(f"more than {self.limits.unpacked} bytes")
        over = self._size is not None and self._unpacked > self.limits.ratio * max(self._size, 1)
        if over and self._unpacked > self.limits.ratio_from:
            raise self._too_much(f"more than {self.limits.ratio} times its size")

    def add_entry(self) -> None:
        self._entries += 1
        if self._entries > self.limits.entries:
            raise self._too_much(f"more than {self.limits.entries} entries")

    def failed(self, name: str) -> Callable[[Exception], None]:
        """Return what notes that ``name`` could not be read to its end."""

        def note(error: Exception) -> None:
            self.notes.add(name, CUT_WORDS if isinstance(error, (CutOff, EOFError)) else DAMAGE_WORDS, error)

        return note

    def _too_much(self, what: str) -> UsageError:
        return UsageError(
            "This archive unpacks to too much.",
            where=self._name,
            found=what,
            next_step="Unpack it yourself where there is room, and name the folder.",
        )


class Metered:
    """Something readable whose bytes are counted."""

    def __init__(self, file: Readable | IO[bytes], meter: Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, count: int = -1) -> bytes:
        chunk = self._file.read(count)
        self._meter.add_bytes(len(chunk))
        return chunk
