"""Where the commands speak."""

from __future__ import annotations


def out(line: str) -> None:
    """Print a line, at once."""
    print(line, flush=True)  # noqa: T201 - this is the terminal
