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


def asks() -> bool:
    """Whether somebody at a terminal can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def answer_to(question: str) -> str:
    """Ask at the terminal and return the answer; the end of the input is an empty one."""
    print(question, end=" ", flush=True)  # noqa: T201 - this is the terminal
    return (sys.stdin.readline() if sys.stdin else "").strip()
