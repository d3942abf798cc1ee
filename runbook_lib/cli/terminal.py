"""Where the commands speak."""

from __future__ import annotations

import sys
from contextlib import suppress


def out(line: str) -> None:
    """Print a line, at once."""
    print(line, flush=True)  # noqa: T201 - this is the terminal


def err(text: str) -> None:
    """Print to standard error, as far as there is one: a terminal that was closed takes nothing."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal
