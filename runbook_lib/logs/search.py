"""Many rare literals in a buffer of any encoding, the part that meets every byte of a log; and what is around a hit."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from runbook_lib.logs.lines import decode
from runbook_lib.logs.streams import CHUNK, ByteSource, Peekable

# One pass over a piece that the processor's cache holds costs little, and many passes add up; so
# literals that share a part are looked for by that part. Where one turns out not to be rare, its literals are
# looked for one by one. ``find`` and ``count`` are stringzilla's, or the standard library's where its wheel is
# missing: the same answers, slower.

if TYPE_CHECKING:
    Buffer: TypeAlias = bytes | bytearray | memoryview


def plain_find(data: Buffer, literal: bytes, start: int, end: int) -> int:
    """Return where ``literal`` begins between two positions, in bytes; -1 where it does not."""
    if not isinstance(data, memoryview):
        return data.find(literal, start, end)
    offset = bytes(data[start:end]).find(literal)
    return offset + start if offset >= 0 else offset


def plain_count(data: Buffer, literal: bytes) -> int:
    """Return how often ``literal`` occurs, without overlaps."""
    return (bytes(data) if isinstance(data, memoryview) else data).count(literal)


find: Callable[[Buffer, bytes, int, int], int]
count: Callable[[Buffer, bytes], int]
"""``find(data, literal, start, end)`` as ``bytes.find``; ``count(data, literal)`` as ``bytes.count``."""

try:
    import stringzilla
except ImportError:
    find, count = plain_find, plain_count
else:
    find, count = stringzilla.find, stringzilla.count


SHARED = 3
"""How long a shared part is at least."""
RARE = 4
"""How often one search may see a shared part for each pass that it saves: looking at each costs a part of a pass."""


@dataclass(frozen=True)
class _Group:
    """Literals that share a part, each with the places at which the part stands in it; ``longest`` of them in bytes."""

    part: bytes
    members: tuple[tuple[bytes, tuple[int, ...]], ...]
    longest: int


class Search:
    """Finds literals: ``positions`` gives, for each that is there, where it begins, in order and each place once.

    A part of which a log turns out to be full is shared no more in what is searched after that.
    """

    def __init__(self, literals: Iterable[bytes]) -> None:
        self._literals = tuple(sorted(set(literals)))
        self._frequent: frozenset[bytes] = frozenset()
        self._groups, self._alone = _grouped(self._literals, self._frequent)

    def positions(self, data: bytes | bytearray, low: int, high: int, end: int) -> dict[bytes, list[int]]:
        """Return the byte positions in ``[low, high)`` at which each literal begins; it ends at ``end`` or before."""
        hits: dict[bytes, list[int]] = {}
        for literal in self._alone:
            if places := _each(data, literal, low, high, end):
                hits[literal] = places
        frequent: set[bytes] = set()
        for group in self._groups:
            most = RARE * (len(group.members) - 1)
            seen = _each(data, group.part, low, high + group.longest, end, most=most + 1)
            if len(seen) > most:
                frequent.add(group.part)
                each = {literal: _each(data, literal, low, high, end) for literal, _ in group.members}
                hits |= {literal: places for literal, places in each.items() if places}
            elif seen:
                _look_closer(data, group, (low, high, end), seen, hits)
        if frequent:
            self._frequent |= frequent
            self._groups, self._alone = _grouped(self._literals, self._frequent)
        return hits


def _look_closer(
    data: bytes | bytearray, group: _Group, bounds: tuple[int, int, int], seen: list[int], hits: dict[bytes, list[int]]
) -> None:
    """Add to ``hits`` where the literals of the group stand; ``seen`` is where their part does."""
    low, high, end = bounds
    for literal, offsets in group.members:
        for offset in offsets:
            for at in seen:
                begin = at - offset
                if low <= begin < high and data.startswith(literal, begin, end):
                    hits.setdefault(literal, []).append(begin)
        if literal in hits:
            hits[literal] = sorted(set(hits[literal]))


def _each(data: bytes | bytearray, literal: bytes, low: int, high: int, end: int, most: int | None = None) -> list[int]:
    """Return the places in ``[low, high)`` at which the literal begins, the first ``most`` of them."""
    places: list[int] = []
    at = find(data, literal, low, end)
    while 0 <= at < high and (most is None or len(places) < most):
        places.append(at)
        at = find(data, literal, at + 1, end)
    return places


# -- which literals share what --------------------------------------------------------------------


@lru_cache(maxsize=256)
def _grouped(literals: tuple[bytes, ...], frequent: frozenset[bytes]) -> tuple[tuple[_Group, ...], tuple[bytes, ...]]:
    """Return groups of literals that share a part, none of the ``frequent`` ones, and the literals that share none."""
    groups: list[_Group] = []
    left = list(literals)
    while len(members := _most_shared(left, frequent)) > 1:
        part = _longest_shared(members, frequent)
        placed = tuple((each, tuple(i for i in range(len(each)) if each.startswith(part, i))) for each in members)
        groups.append(_Group(part, placed, max(len(literal) for literal in members)))
        left = [literal for literal in left if literal not in members]
    return tuple(groups), tuple(left)


def _is_frequent(part: bytes, frequent: frozenset[bytes]) -> bool:
    """Whether a part is a frequent one, or a piece of one, which is as frequent at least."""
    return any(part in each for each in frequent)


def _most_shared(literals: Sequence[bytes], frequent: frozenset[bytes]) -> list[bytes]:
    """Return the most literals that share a part."""
    sharing: dict[bytes, list[bytes]] = {}
    for literal in literals:
        for part in {literal[i : i + SHARED] for i in range(len(literal) - SHARED + 1)}:
            sharing.setdefault(part, []).append(literal)
    rare = (part for part in sorted(sharing) if not _is_frequent(part, frequent))
    return max((sharing[part] for part in rare), key=len, default=[])


def _longest_shared(members: Sequence[bytes], frequent: frozenset[bytes]) -> bytes:
    """Return the longest part of all members: longer ones are rarer."""
    first = min(members, key=len)
    shared = (
        first[start:end]
        for start in range(len(first))
        for end in range(start + SHARED, len(first) + 1)
        if all(first[start:end] in member for member in members)
    )
    return max((part for part in shared if not _is_frequent(part, frequent)), key=len)


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
