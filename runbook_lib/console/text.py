"""Raw terminal output → text. Pure; linear in its input; nothing visible is taken out but echo and paging."""

from __future__ import annotations

import re
from collections.abc import Iterable

from runbook_lib.ade_os.tables import ERASED, PROMPT

_CONTROL = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # colours, cursor, erasing
    r"|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"  # window titles; never over a line's end, or a hostile name could hide lines
    r"|[()][0-9A-Za-z]"
    r"|[=>78cDEHMNOZ]"
    r")"
)
_PROMPT = re.sub(r"\?P<\w+>", "?:", PROMPT)
LEAST_SEEN = 8
"""Of a command that scrolled sideways, so many characters have to be seen at its end."""
_LINE_END = re.compile(r"\r*\n\r*|\r+")


def plain(raw: bytes) -> str:
    r"""Decode (UTF-8; other bytes as ``\xff``), take control sequences out, make every line end a line feed."""
    return _LINE_END.sub("\n", _CONTROL.sub("", raw.decode("utf-8", "backslashreplace")))


def without_pagers(raw: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """Cut the pager lines at ``spans`` out, together with what took them off the screen."""
    kept, at = [], 0
    for start, end in spans:
        kept.append(raw[at:start])
        erased = ERASED.match(raw, end)
        at = erased.end() if erased else end
    return b"".join(kept) + raw[at:]


def typed(line: str) -> str:
    """Return what a terminal shows of one line in which backspaces move the cursor."""
    if "\b" not in line:
        return line
    cells: list[str] = []
    column = 0
    for char in line:
        if char == "\b":
            column = max(0, column - 1)
        else:
            cells[column : column + 1] = [char]
            column += 1
    return "".join(cells)


def scrolled_echo_end(raw: bytes, command: str) -> int | None:
    """Return where the first line is over that a narrow terminal scrolled sideways under ``command``; else None.

    Such a terminal draws the line anew with every few characters; what it shows in the end is the command's end.
    """
    end = raw.find(b"\n") + 1
    *drawn, last = raw[:end].rstrip(b"\r\n").split(b"\r")
    shown = typed(plain(last)).strip().strip("<>").strip()
    long_enough = len(shown) > LEAST_SEEN and command.endswith(shown)
    return end if drawn and long_enough else None


def echo_end(text: str, command: str, prompt: str) -> int | None:
    """Return where the echo of ``command``, its line's end included, is over in ``text``; None: not (yet) seen.

    The echo begins a line, or follows the prompt drawn once more; a terminal narrower than asked
    for may have broken it into several lines.
    """
    if not command:
        return None
    head = text[: 4 * len(command) + 4096]
    shown = re.escape(prompt.rstrip()) if prompt else _PROMPT
    begin = rf"(?:^|\n)(?:{shown}[ ]*)?"
    exact = re.search(rf"{begin}{re.escape(command)}[ ]*\n", head)
    if exact is None:
        broken = r"\s*".join(re.escape(char) for char in command if not char.isspace())
        exact = re.search(rf"{begin}{broken}[ ]*\n", head)
    return exact.end() if exact else None
