"""Standard output and standard error behind the gate: a process that has typed a password prints none."""

from __future__ import annotations

import io
import sys
import threading
from typing import TextIO

from runbook_lib.errors import redacted


class Gated(io.TextIOBase):
    """A text stream behind the gate: known secrets are replaced in what is written to it, tracebacks included.

    Whole lines are passed on, and what was written since at a ``flush``: a secret in two writes is found. There is no
    ``buffer`` on purpose, since bytes that are written there would go past the gate.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._guard = threading.RLock()

    def write(self, text: str) -> int:
        with self._guard:
            whole, feed, rest = (self._held + text).rpartition("\n")
            self._held = rest
            if feed:
                self._stream.write(redacted(whole + feed))
        return len(text)

    def flush(self) -> None:
        with self._guard:
            held, self._held = self._held, ""
            if held:
                self._stream.write(redacted(held))
            self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def reconfigure(self, *, encoding: str, errors: str) -> None:
        """Change how the stream underneath writes characters down, where it is one that can."""
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(encoding=encoding, errors=errors)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors


def gate_streams() -> None:
    """Put standard output and standard error behind the gate, until the process ends: its last words included."""
    if sys.stdout is not None and not isinstance(sys.stdout, Gated):
        sys.stdout = Gated(sys.stdout)
    if sys.stderr is not None and not isinstance(sys.stderr, Gated):
        sys.stderr = Gated(sys.stderr)
