"""Where the commands speak. Nothing else prints: ``tests/unit/test_terminal.py`` walks the code for it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import TextIO

from runbook_lib.errors import RunbookError, one_line, printable

LONGEST_LINE = 20_000
_UNBOUNDED = sys.maxsize
_COMMAND = re.compile(
    r"(?<![\w-])(?:runbook|pip|ncs|chmod|openssl|keyring|read -rs) [^;,()]+|rb\.\w+\([^)]*\)|`[^`]+`|(?<!\w)'[^']+'"
)
_LABEL = re.compile(r" *\w{2,9}: +| +")
_UNBROKEN = "\xa0"  # printable text holds none


def out(line: str = "") -> None:
    """Print one line at once; text of a record, a plan or a device stays on that line and controls nothing."""
    print(one_line(line, LONGEST_LINE), flush=True)  # noqa: T201 - this is the terminal


def prose(line: str) -> None:
    """Print one sentence at once, as ``out`` does a line; a terminal breaks it between words, and breaks no command."""
    print(_fitted(one_line(line, LONGEST_LINE), sys.stdout, 0), flush=True)  # noqa: T201 - this is the terminal


def _fitted(text: str, stream: TextIO | None, hang: int) -> str:
    """Return redacted text, its long lines broken where it goes to a terminal; further ones stand ``hang`` in."""
    if stream is None or not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line, width, hang))


def _pieces(line: str, width: int, hang: int) -> Iterator[str]:
    if len(line) <= width:
        yield line
        return
    from textwrap import wrap

    label = match[0] if (match := _LABEL.match(line)) else ""
    indent = " " * (len(label) if ":" in label else len(label) + hang)
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", _UNBROKEN), line.removeprefix(label))
    broken = wrap(
        whole, width, initial_indent=label, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    yield from (piece.replace(_UNBROKEN, " ") for piece in broken)


def out_lines(text: str) -> None:
    """Print a text that was laid out in lines already: a table, JSON, a sentence of ours. Never foreign text."""
    print(printable(text, _UNBOUNDED), flush=True)  # noqa: T201 - this is the terminal


def require_printed(kind: type[RunbookError]) -> None:
    """Raise an error of this ``kind`` where standard output did not take all; a reader who has seen enough is none."""
    lost = getattr(sys.stdout, "lost", None)
    if lost and lost.errno != errno.EPIPE:
        then = "Make room there, or print it elsewhere."
        raise kind("The answer cannot be written.", where="standard output", found=str(lost), next_step=then)


def err(line: str) -> None:
    """Print one line to standard error; a terminal that was closed takes nothing, which is no error here."""
    print(one_line(line, LONGEST_LINE), file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal


def err_lines(text: str) -> None:
    """Print to standard error a text that has its lines already, as an error has; a terminal breaks them like prose."""
    # What goes on is set in by 4, not as the parts of an error are.
    print(_fitted(printable(text, _UNBOUNDED), sys.stderr, 4), file=sys.stderr, flush=True)  # noqa: T201 - as above


def begin_line(text: str) -> None:
    """Print a part of a line, which a later ``out`` ends."""
    print(one_line(text, LONGEST_LINE), end="", flush=True)  # noqa: T201 - this is the terminal


def can_renew_line() -> bool:
    """Whether a line can take the place of the one before it: on a terminal that moves its cursor."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def renew_line(text: str) -> None:
    """Put a text in the place of the line in which the cursor is, cut to the width of the terminal."""
    from rich.cells import set_cell_size

    line = one_line(text, LONGEST_LINE)
    shown = set_cell_size(line, min(len(line), shutil.get_terminal_size().columns - 1))
    print(f"\r\x1b[K{shown}", end="", flush=True)  # noqa: T201 - this is the terminal


def can_ask() -> bool:
    """Whether somebody at a terminal can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def answer_to(question: str) -> str:
    """Ask at the terminal and return the answer; the end of the input is an empty one."""
    begin_line(f"{question} ")
    return (sys.stdin.readline() if sys.stdin else "").strip()
