"""Many rare literals in a buffer of any encoding, the part that meets every byte of a log; and what is around a hit."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from ahocorasick_rs import MATCHKIND_LEFTMOST_FIRST, BytesAhoCorasick

from runbook_lib.logs.streams import CHUNK, ByteSource, Peekable

Positions: TypeAlias = dict[bytes, list[int]]
"""Where each literal that is there begins, in order and each place once."""

AT_ONCE = 40
"""How many literals one pass looks for: the more there are, the more often the library has to look closer, and beyond
64 it looks at each byte in turn. Passes get equal shares, since it is slow for two or three literals, too."""


class Search:
    """Finds literals in bytes, in as few passes as ``AT_ONCE`` allows."""

    def __init__(self, literals: Iterable[bytes]) -> None:
        self._passes = _passes(tuple(sorted(set(literals))))

    def positions(self, data: bytes | bytearray, low: int, high: int, end: int) -> Positions:
        """Return the byte positions in ``[low, high)`` at which each literal begins; it ends at ``end`` or before."""
        hits: Positions = {}
        for each in self._passes:
            each.add_positions(hits, data, low, high, end)
        return hits


class _Pass:
    """One pass over the bytes for some literals."""

    def __init__(self, literals: Sequence[bytes]) -> None:
        self._automaton = BytesAhoCorasick(literals, matchkind=MATCHKIND_LEFTMOST_FIRST)
        self._begin_in = [_beginning_in(literal, literals) for literal in literals]
        self._reach = max(len(literal) for literal in literals) - 1

    def add_positions(self, hits: Positions, data: bytes | bytearray, low: int, high: int, end: int) -> None:
        """Add to ``hits`` where the literals begin.

        The automaton goes on behind each literal that it finds: those that begin within it are looked for here.
        """
        with memoryview(data)[low : min(high + self._reach, end)] as piece:
            for number, start, _ in self._automaton.find_matches_as_indexes(piece):
                for offset, literal in self._begin_in[number]:
                    begin = low + start + offset
                    if begin < high and data.startswith(literal, begin, end):
                        hits.setdefault(literal, []).append(begin)


@lru_cache(maxsize=64)
def _passes(literals: tuple[bytes, ...]) -> tuple[_Pass, ...]:
    """Return the passes for some literals."""
    number = -(-len(literals) // AT_ONCE)
    return tuple(_Pass(literals[share::number]) for share in range(number))


def _beginning_in(literal: bytes, others: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Return which of the others can begin within the literal, itself included, each with its offset there."""
    return [
        (offset, other)
        for offset in range(len(literal))
        for other in others
        if literal.startswith(other[: len(literal) - offset], offset)
    ]


# -- Log bytes of any encoding → bytes in which ASCII stands as ASCII ------------------------------

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LONGEST_MARK = len(codecs.BOM_UTF8)
_GROWTH = 4
"""How many bytes of UTF-8 two bytes of UTF-16 can become, with what an earlier piece left to be decoded."""

_HOLE = bytes(CHUNK)


class PlainText:
    """Bytes of UTF-16 with a byte order mark as UTF-8, everything else as it is; NULs and the UTF-8 mark go.

    Without its mark, UTF-16 of ASCII text is left as ASCII by taking the NULs out. ``grows``: the end is not for
    good, and what comes later is read on.
    """

    def __init__(self, file: ByteSource, *, grows: bool = False) -> None:
        self._file = file
        self._grows = grows
        self._decoder: codecs.IncrementalDecoder | None = None
        self._left = b""  # what was read and not yet handed on, free of NULs
        self._begun = False

    def read(self, count: int) -> bytes:
        if not self._begun:
            self._begin()
        while not self._left:
            if self._decoder is None:
                data = self._file.read(count)
                if b"\0" not in data:
                    return data
                self._left = _without_nul(data)
            elif not self._decode(count):
                break
        data, self._left = self._left[:count], self._left[count:]
        return data

    def _begin(self) -> None:
        head = Peekable(self._file).peek(_LONGEST_MARK)
        self._begun = bool(head) or not self._grows
        encoding = _UTF_16.get(head[:2])
        if encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
            self._left = _without_nul(self._decoder.decode(head[2:]).encode("utf-8", "replace"))
        else:
            self._left = _without_nul(head.removeprefix(codecs.BOM_UTF8))

    def _decode(self, room: int) -> bool:
        """Decode the next piece into what is handed on; return whether there may be more."""
        assert self._decoder is not None
        piece = self._file.read(max(room // _GROWTH, 64))
        text = self._decoder.decode(piece, not piece and not self._grows)
        self._left = _without_nul(text.encode("utf-8", "replace"))
        return bool(piece)


_JOURNAL_SIZE = re.compile(rb"(?<=\nMESSAGE\n)...\0{5}", re.S)
"""Before a text that is not plain ``journalctl --output=export`` writes its size, in eight bytes, lowest first."""


def _without_nul(data: bytes) -> bytes:
    """Return ``data`` without NULs, and without the sizes of a journal's messages.

    A hole in a sparse file is nothing but NULs, so that is looked at first.
    """
    if data == _HOLE[: len(data)]:
        return b""
    return _JOURNAL_SIZE.sub(b"", data).translate(None, b"\0") if b"\0" in data else data


# -- A stretch of a log around one position, with everything outside its bounds out of reach. ------
#
# Whatever is read through a window depends on the log's bytes alone, never on how they arrived.

BEFORE = 4096
BEFORE_WRAPPED = 16384
"""What collectors put before the log's own text in one object: labels, addresses, and more of the kind."""

AFTER = 65536

COLOUR = re.compile(r"\x1b\[[0-9;]{0,40}[mK]")
"""As grep and pagers put it around what was looked for, in what was copied or redirected from a terminal."""


def decode(raw: bytes | bytearray) -> str:
    """Return a line's bytes as text: UTF-8, or Latin-1 where they are no UTF-8."""
    raw = raw.rstrip(b"\r")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@dataclass(frozen=True)
class Window:
    """``data`` from ``low`` to ``high``; ``at_start`` and ``at_end`` say that the log does so, too."""

    data: bytes | bytearray
    low: int
    high: int
    at_end: bool = False
    at_start: bool = False

    def line_start(self, position: int) -> int:
        """Return the byte at which the line of ``position`` begins, as far as the window reaches."""
        return max(self.data.rfind(b"\n", self.low, position) + 1, self.low)

    def line_end(self, position: int) -> int:
        """Return the byte at which the line of ``position`` ends: at its line feed, or where the window ends."""
        end = self.data.find(b"\n", position, self.high)
        return self.high if end < 0 else end

    def text(self, start: int, end: int) -> str:
        """Return the bytes as text: UTF-8, or Latin-1 where they are no UTF-8.

        Carriage returns at the end are off, and what a terminal shows as colour.
        """
        return COLOUR.sub("", decode(self.data[max(start, self.low) : min(end, self.high)]))


# -- What is searched for: the messages of which a rule knows the words -----------------------------

Confidence = Literal["certain", "likely", "possible"]
SITE_PARAMETERS = (("site", "{site}"), ("incident", "{incident}"))
"""What the notebooks take; a value that is not known is left out."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of message: how to find it, what it means and how surely, and the next step.

    ``notebook`` is the stage that goes on from here, empty where none does; its ``parameters`` are filled in from
    what is known. ``quoted`` marks the rule for texts that only quote the mismatch, which the scanner tells apart.
    """

    name: str
    literals: tuple[bytes, ...]
    patterns: tuple[re.Pattern[str], ...]
    meaning: str
    advice: str
    confidence: Confidence = "likely"
    notebook: str = ""
    parameters: tuple[tuple[str, str], ...] = SITE_PARAMETERS
    lines_before: int = 0
    quoted: bool = False
