"""The subject at the end of a mismatch message: where it ends, on one line or wrapped over several."""

from __future__ import annotations

import re

from runbook_lib.logs.prefix import LONGEST, read_prefix
from runbook_lib.logs.window import Window

DN_START = rb"(?=(?:[A-Za-z][A-Za-z0-9-]{0,40}|[0-9]{1,9}(?:\.[0-9]{1,20}){1,32})(?:[ \t]|\xc2?\xa0)*=)"

_LONGEST_LINE = 16384
_MOST_LINES = 12
_AFTER = re.compile(
    r"[ \t](?:Caused by:|at [\w$.<>]{1,200}\(|\.\.\. \d{1,6} (?:more|common)"
    r"|(?:[a-z][\w$]{0,60}\.){1,12}[\w$]{0,60}(?:Exception|Error)\b|;[ \t]{0,8}nested)"
    r"|TOFU failed|Trust-on-first-use|\r|(?:\]\]>\s{0,8})?(?:</[A-Za-z][\w:.-]{0,60}>\s{0,8}){1,4}\Z|\]\]>\Z"
)
_KNOWN_TYPE = re.compile(
    r"(?:[^=\n]{0,200}[\]>:|-][ \t]{1,8}|(?:[\w.-]{1,60}[ \t]{1,4}){1,4})(?=(?:CN|OU|O|L|ST|S|C|DC|UID|STREET)\s{0,8}=)"
)
_GOES_ON = re.compile(r"[^=,\n]{0,64},\s{0,8}(?:CN|OU|O|L|ST|S|C|DC|UID|E|EMAILADDRESS|STREET)\s{0,8}=", re.I)
_NEXT_TYPE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,40}|[0-9]{1,9}(?:\.[0-9]{1,20}){1,32})\s{0,8}=")
_NO_BREAK = re.compile("(?<=[,+=; ])[\u00a0\u202f]|[\u00a0\u202f](?=[ ,+=])")
"""Spaces that do not break, beside a separator: there they are spaces, in a value they are the value's."""

_OPEN_END = re.compile(r"(?<!\\)[,+]\s*\Z")


def read_subject(window: Window, start: int) -> tuple[str, int, bool]:
    """Return the subject that begins at ``start``, where it ends, and whether the log ends within it.

    It goes on in the next line where this one ends with an open comma, or where the next line has
    no prefix and finishes a value before another attribute.
    """
    parts: list[str] = []
    position = start
    for _ in range(_MOST_LINES):
        end = min(window.line_end(position), position + _LONGEST_LINE)
        text, whole = _own_part(_NO_BREAK.sub(" ", window.text(position, end)))
        parts.append(text.strip())
        if not whole or end >= window.high:
            return " ".join(parts), end, whole and end >= window.high and window.at_end
        following = _continuation(window, end + 1, text)
        if following is None:
            return " ".join(parts), end, False
        position = following
    return " ".join(parts), position, False


def _own_part(line: str) -> tuple[str, bool]:
    """Return what of the line belongs to the subject, and whether that is all of it."""
    after = _AFTER.search(line)
    return (line[: after.start()], False) if after else (line, True)


def _continuation(window: Window, start: int, line: str) -> int | None:
    """Return where the subject goes on in the line that begins at ``start``."""
    head = window.data[start : min(window.line_end(start), start + LONGEST)].decode("latin-1")
    prefix = read_prefix(head)
    body = head[prefix.length :].lstrip(" \t")
    offset = len(head) - len(body)
    if _OPEN_END.search(line):
        if not _NEXT_TYPE.match(body) and (unknown := _KNOWN_TYPE.match(body)):
            offset += unknown.end()
            body = body[unknown.end() :]
        return start + offset if _NEXT_TYPE.match(body) else None
    goes_on = not prefix.length and _GOES_ON.match(body) and not _NEXT_TYPE.match(body)
    return start + offset if goes_on else None
