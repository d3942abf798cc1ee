"""Log lines that a collector has wrapped in JSON: one object a line, the log's own line in one of its fields.

Filebeat, Fluentd, Docker, Logstash and their like put a line (or several, with ``\\n`` between them) into a
field of a known name, beside others of their own. The field decides what a text is: in one of MESSAGES or
STACKS it is the log's, anywhere else (a query, an audit trail's command) it only quotes. What is the log's
is then read as if it stood in the log itself, so that a quotation within it stays one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from runbook_lib.errors import cut
from runbook_lib.logs.lines import LONGEST, match_time, read_prefix
from runbook_lib.logs.mismatch import ANYHOW, LITERAL, MessageHit, is_quoted, read_message
from runbook_lib.logs.search import Window, decode

MESSAGES = ("message", "msg", "log", "MESSAGE", "event.original", "log.original", "full_message", "_raw")
"""Fields that hold a log's own line: the first of them that is a text is read. ``a.b`` is ``b`` in ``a``, or a key."""

STACKS = ("stack_trace", "exception", "error.stack_trace", "exception.stacktrace")
"""Fields that hold what was printed below it."""

THREADS = ("thread", "thread_name", "threadName", "process.thread.name")
TIMES = ("@timestamp", "timestamp", "time", "ts")
AROUND = ("_source", "result")
"""Fields in which an export puts the whole object."""

_WORTH = re.compile(LITERAL + rb"[^\w\n]*(?:is[^\w\n]*(?:configure|\n|\Z)|\n|\Z)")
"""What the message begins like, as far as one line shows it: other lines are not looked at for less."""

_SAYS = tuple(b'"MESSAGE"' + colon for colon in (b":", b": ", b" : "))
LISTS = tuple(field + b"[" for field in _SAYS)
"""What journalctl writes as numbers where it is no plain text (coloured text is not), or holds more than once."""

LEFT_OUT = tuple(field + b"null" for field in _SAYS)
"""What it leaves out without ``--all``: more than 4,096 bytes, as one with its stack trace may have."""

JOURNAL = b'"__REALTIME_TIMESTAMP"'
_NUMBERS = re.compile(r'(?<="MESSAGE":)\[(?:\d{1,3},)*\d{1,3}\]')
_RAREST = LITERAL.decode()
_OBJECT = re.compile(r'\{\s{0,8}"')
_MEMBER = re.compile(rf'\s*"(?:{"|".join(map(re.escape, MESSAGES))})"\s{{0,8}}:\s{{0,8}}(?=["[])')
"""A line of an object that is laid out over several."""

_DECODER = json.JSONDecoder()
_DEPTH = 3
_LINES_ABOVE, _LINES_BELOW = 8, 40


@dataclass(frozen=True)
class _Piece:
    """A line and what it held: where both begin, the held text in what was put together."""

    start: int
    end: int
    begin: int
    text: bytes


def read_wrapped(window: Window, at: int) -> tuple[list[MessageHit], int, bool] | None:
    """Return the messages in the wrapped line of ``at``, that line's end, and whether it tells one that is not read.

    None where it is no such line. Positions are in the window's data. Where no field of the line is the log's own,
    what the line itself reads like only quotes.
    """
    start, end = window.line_start(at), window.line_end(at)
    wrapped = _wrapped(window, start, end)
    if wrapped is None:
        return None
    held = wrapped.encode("utf-8", "replace")
    if not _WORTH.search(held):
        return [], end, False
    pieces = [*_above(window, start), _Piece(start, end, 0, held), *_below(window, end)]
    hits = list(_messages(pieces, start))
    return hits, end, not hits and bool(ANYHOW.search(b"\n".join(piece.text for piece in pieces)))


def readable_line(line: str) -> str:
    """Return a line with a message that stands in it as numbers written as text: for people, and for the redaction."""

    def text(match: re.Match[str]) -> str:
        numbers = [int(number) for number in match[0][1:-1].split(",")]
        return json.dumps(_string(numbers), ensure_ascii=False) if _is_bytes(numbers) else match[0]

    return _NUMBERS.sub(text, line)


def wrapped_time(window: Window, start: int) -> datetime | None:
    """Return the time that the wrapped line tells which begins at ``start``, if it is one and tells any."""
    wrapped = _wrapped(window, start, window.line_end(start))
    return read_prefix(wrapped[:LONGEST]).moment if wrapped else None


def _messages(pieces: list[_Piece], start: int) -> Iterator[MessageHit]:
    """Yield the messages whose rarest words stand in the line that begins at ``start``."""
    placed: list[_Piece] = []
    size = 0
    for piece in pieces:
        placed.append(_Piece(piece.start, piece.end, size, piece.text))
        size += len(piece.text) + 1
    data = b"".join(piece.text + b"\n" for piece in placed)
    inner = Window(data, 0, len(data))
    own = next(piece for piece in placed if piece.start == start)
    stop = own.begin + len(own.text)
    at = data.find(LITERAL, own.begin, stop)
    while at >= 0:
        if hit := read_message(inner, at):
            yield _moved(hit, placed)
        at = data.find(LITERAL, at + 1, stop)


def _moved(hit: MessageHit, placed: list[_Piece]) -> MessageHit:
    """Return the message with its positions in the lines that it was unwrapped from."""

    def outer(position: int) -> int:
        piece = next(piece for piece in reversed(placed) if piece.begin <= position)
        return min(piece.start + position - piece.begin, piece.end)

    return replace(hit, start=outer(hit.start), at=outer(hit.at), end=outer(hit.end))


# -- lines ------------------------------------------------------------------------------------------


def _above(window: Window, start: int) -> list[_Piece]:
    """Return the wrapped lines right above, where a message that is one object a line may begin."""
    pieces: list[_Piece] = []
    while start > window.low and len(pieces) < _LINES_ABOVE:
        end = start - 1
        start = window.line_start(end)
        piece = _piece(window, start, end)
        if piece is None:
            break
        pieces.insert(0, piece)
    return pieces


def _below(window: Window, end: int) -> Iterator[_Piece]:
    """Yield the wrapped lines right below, where it may go on."""
    for _ in range(_LINES_BELOW):
        start = end + 1
        end = window.line_end(start)
        piece = _piece(window, start, end) if start < window.high else None
        if piece is None:
            return
        yield piece


def _piece(window: Window, start: int, end: int) -> _Piece | None:
    wrapped = _wrapped(window, start, end)
    return _Piece(start, end, 0, wrapped.encode("utf-8", "replace")) if wrapped else None


def _wrapped(window: Window, start: int, end: int) -> str | None:
    """Return what a line holds that stands in the window as a whole, as ``unwrap`` does."""
    begun = window.data[start - 1] == 10 if start > window.low else window.at_start
    head = window.data[start : min(end, start + LONGEST)]
    if not begun or (b"{" not in head and not head.lstrip().startswith(b'"')):
        return None
    if head.rstrip().endswith(b"["):  # a number a line
        end = window.data.find(b"]", end, window.high) + 1
    return unwrap(bytes(window.data[start:end]))


# -- objects ----------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def unwrap(line: bytes) -> str | None:
    """Return the log's own text in a line that is a JSON object, behind a prefix or not; None for every other line.

    It is empty where none of the object's fields is the log's. It has its time and its thread before it where only the
    object, or the prefix, tells them.
    """
    text = decode(line)
    if member := _MEMBER.match(text):
        text = f'{{"message":{text[member.end() :].rstrip(", ")}}}'
    begin = _OBJECT.search(text)
    if begin is None:
        return None
    before = text[: begin.start()]
    rest = text[begin.start() :]
    prefix = read_prefix(before[:LONGEST])
    for _ in range(_DEPTH):
        fields, end = _object(rest)
        if fields is None or _RAREST in before or _RAREST in rest[end:]:
            return None
        if rest[end:].strip(" \t\r\n,") or is_quoted(before, before[prefix.length :], sentence=True):
            return ""
        held = _text(fields, prefix.said)
        if not held.startswith("{"):
            return held
        rest = held
    return ""


def _object(text: str) -> tuple[dict[str, Any] | None, int]:
    """Return the object with which the text begins, and where it ends."""
    try:
        fields, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0
    for name in AROUND:
        if isinstance(fields.get(name), dict):
            fields = fields[name]
    return fields, end


def _text(fields: dict[str, Any], stamp: str) -> str:
    message = _first(fields, MESSAGES)
    stack = _first(fields, STACKS)
    if not message and not stack:
        return ""
    text = message if stack in message else f"{message}\n{stack}"
    text = text.strip("\r\n")
    return text if text.startswith("{") else _told(fields, text, stamp) + text


def _told(fields: dict[str, Any], text: str, stamp: str) -> str:
    """Return time and thread as they stand before a log's line, as far as it does not tell them itself."""
    own = read_prefix(text[:LONGEST])
    time = "" if own.said else _first(fields, TIMES) or stamp
    ends = match_time(time)
    thread = _first(fields, THREADS) if not own.thread else ""
    thread = "" if set("[]\n") & set(thread) else thread
    told = f"{time[: ends[0]]} " if ends else ""
    return f"{told}[{cut(thread, 80)}] " if thread else told


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of the fields that is a text, empty where none is."""
    for name in names:
        value: Any = fields.get(name)
        if value is None:
            value = fields
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if (text := _string(value)).strip():
            return text
    return ""


def _string(value: Any) -> str:
    """Return a field's text: as it is, or as journalctl writes bytes (as numbers) and a field that occurs again."""
    values = value if isinstance(value, list) and not _is_bytes(value) else [value]
    texts = (decode(bytes(each)) if _is_bytes(each) else each for each in values)
    return "\n".join(text for text in texts if isinstance(text, str))


def _is_bytes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int and 0 <= each < 256 for each in value)
