"""A stretch of a log around one position, with everything outside its bounds out of reach.

Whatever is read through a window depends on the log's bytes alone, never on how they arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

BEFORE = 4096
BEFORE_WRAPPED = 16384
"""What collectors put before the log's own text in one object: labels, addresses, and more of the kind."""

AFTER = 65536


@dataclass(frozen=True)
class Window:
    """``data`` from ``low`` to ``high``; ``at_start`` and ``at_end`` say that the log does so, too."""

    data: bytes | bytearray
    low: int
    high: int
    at_end: bool = False
    at_start: bool = False

    def line_start(self, position: int) -> int:
        """Return where the line of ``position`` begins, as far as the window reaches."""
        return max(self.data.rfind(b"\n", self.low, position) + 1, self.low)

    def line_end(self, position: int) -> int:
        """Return where the line of ``position`` ends: at its line feed, or where the window ends."""
        end = self.data.find(b"\n", position, self.high)
        return self.high if end < 0 else end

    def text(self, start: int, end: int) -> str:
        """Return the bytes as text: UTF-8, or Latin-1 where they are no UTF-8; carriage returns at the end off."""
        return decode(self.data[max(start, self.low) : min(end, self.high)])


def decode(raw: bytes | bytearray) -> str:
    """Return a line's bytes as text: UTF-8, or Latin-1 where they are no UTF-8."""
    raw = raw.rstrip(b"\r")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
