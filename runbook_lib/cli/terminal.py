"""Where the commands speak. Nothing else prints: ``tests/unit/test_terminal.py`` walks the code for it."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress

from runbook_lib.errors import one_line, printable

LONGEST_LINE = 20_000
_UNBOUNDED = sys.maxsize


def out(line: str = "") -> None:
    """Print one line, at once: what a record, a plan or a device put into it stays on it and controls nothing."""
    print(one_line(line, LONGEST_LINE), flush=True)  # noqa: T201 - this is the terminal


def prose(line: str) -> None:
    """The same for a sentence: on a terminal it is broken between words, and its further lines are indented."""
    from textwrap import wrap

    shown = one_line(line, LONGEST_LINE)  # redacted before it is broken
    width = shutil.get_terminal_size().columns
    if len(shown) > width and sys.stdout is not None and sys.stdout.isatty():
        indent = " " * (len(shown) - len(shown.lstrip()) + 2)
        shown = "\n".join(wrap(shown, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))
    print(shown, flush=True)  # noqa: T201 - this is the terminal


def out_lines(text: str) -> None:
    """Print a text that was laid out in lines already: a table, JSON, a sentence of ours. Never foreign text."""
    print(printable(text, _UNBOUNDED), flush=True)  # noqa: T201 - this is the terminal


def err(line: str) -> None:
    """Print one line to standard error, as far as there is one: a terminal that was closed takes nothing."""
    _err(one_line(line, LONGEST_LINE))


def err_lines(text: str) -> None:
    """The same for a text that was laid out in lines already, as an error is."""
    _err(printable(text, _UNBOUNDED))


def _err(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal


def begin(text: str) -> None:
    """Print a part of a line, which a later ``out`` ends."""
    print(one_line(text, LONGEST_LINE), end="", flush=True)  # noqa: T201 - this is the terminal


def renews() -> bool:
    """Whether a line can take the place of the one before it: on a terminal that moves its cursor."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def renew(text: str) -> None:
    """Put a text in the place of the line in which the cursor is, cut to the width of the terminal."""
    from rich.cells import set_cell_size

    line = one_line(text, LONGEST_LINE)
    shown = set_cell_size(line, min(len(line), shutil.get_terminal_size().columns - 1))
    print(f"\r\x1b[K{shown}", end="", flush=True)  # noqa: T201 - this is the terminal


def asks() -> bool:
    """Whether somebody at a terminal can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def answer_to(question: str) -> str:
    """Ask at the terminal and return the answer; the end of the input is an empty one."""
    begin(f"{question} ")
    return (sys.stdin.readline() if sys.stdin else "").strip()
