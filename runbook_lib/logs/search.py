"""Many rare literals in a buffer, each found wherever it stands: the part that meets every byte of a log.

One pass over a piece that the processor's cache holds costs little, and many passes add up; so
literals that share a part are looked for by that part. Where the part is not rare in a piece, its
literals are looked for one by one there. ``find`` and ``count`` are stringzilla's, or the standard
library's where its wheel is missing: the same answers, slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Buffer: TypeAlias = bytes | bytearray | memoryview


def plain_find(data: Buffer, literal: bytes, start: int, end: int) -> int:
    if not isinstance(data, memoryview):
        return data.find(literal, start, end)
    found = bytes(data[start:end]).find(literal)
    return found + start if found >= 0 else found


def plain_count(data: Buffer, literal: bytes) -> int:
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


SHARED = 8
RARE = 256
"""How long a shared part is at least, and how often in one search it may be seen before it is no help."""


@dataclass(frozen=True)
class _Group:
    """Literals that share a part, each with the places at which the part stands in it."""

    part: bytes
    members: tuple[tuple[bytes, tuple[int, ...]], ...]

    def positions(self, data: bytes | bytearray, low: int, high: int, end: int) -> Iterator[tuple[bytes, int]]:
        """Yield every literal of the group with every place in ``[low, high)`` at which it begins."""
        if len(self.members) == 1 and self.members[0][0] == self.part:
            yield from ((self.part, at) for at in _each(data, self.part, low, high, end))
            return
        longest = max(len(literal) for literal, _ in self.members)
        seen = list(_each(data, self.part, low, high + longest, end, most=RARE + 1))
        if len(seen) > RARE:
            for literal, _ in self.members:
                yield from ((literal, at) for at in _each(data, literal, low, high, end))
            return
        for at in seen:
            for literal, offsets in self.members:
                for offset in offsets:
                    begin = at - offset
                    whole = low <= begin < high and begin + len(literal) <= end
                    if whole and data[begin : begin + len(literal)] == literal:
                        yield literal, begin


class Search:
    """Finds literals: ``positions`` gives, for each that is there, where it begins, in order and each place once."""

    def __init__(self, literals: Iterable[bytes]) -> None:
        self._groups = tuple(_grouped(sorted(set(literals))))

    @property
    def passes(self) -> int:
        """How many passes over the data one search takes."""
        return len(self._groups)

    def positions(self, data: bytes | bytearray, low: int, high: int, end: int) -> dict[bytes, list[int]]:
        """Return the places in ``[low, high)`` at which a literal begins; it ends at ``end`` or before."""
        found: dict[bytes, set[int]] = {}
        for group in self._groups:
            for literal, at in group.positions(data, low, high, end):
                found.setdefault(literal, set()).add(at)
        return {literal: sorted(places) for literal, places in found.items()}


def _each(
    data: bytes | bytearray, literal: bytes, low: int, high: int, end: int, most: int | None = None
) -> Iterator[int]:
    end = min(end, high + len(literal) - 1)
    at = find(data, literal, low, end)
    while at >= 0 and (most is None or most > 0):
        yield at
        most = None if most is None else most - 1
        at = find(data, literal, at + 1, end)


def _grouped(literals: Sequence[bytes]) -> Iterator[_Group]:
    """Group the literals, most at once first, by parts of SHARED bytes or more."""
    left = list(literals)
    while left:
        part = _most_shared(left)
        members = [literal for literal in left if part and part in literal]
        if len(members) < 2:
            break
        part = _longest(part, members)
        yield _Group(part, tuple((literal, _offsets(part, literal)) for literal in members))
        left = [literal for literal in left if literal not in members]
    for literal in left:
        yield _Group(literal, ((literal, (0,)),))


def _most_shared(literals: Sequence[bytes]) -> bytes:
    parts: dict[bytes, int] = {}
    for literal in literals:
        for part in {literal[i : i + SHARED] for i in range(len(literal) - SHARED + 1)}:
            parts[part] = parts.get(part, 0) + 1
    return max(sorted(parts), key=lambda part: parts[part], default=b"")


def _longest(part: bytes, members: Sequence[bytes]) -> bytes:
    """Return the longest part of all members that holds ``part``: grown to the right, and then to the left."""
    first = members[0]
    start = first.index(part)
    end = start + len(part)
    while end < len(first) and all(first[start : end + 1] in member for member in members):
        end += 1
    while start > 0 and all(first[start - 1 : end] in member for member in members):
        start -= 1
    return first[start:end]


def _offsets(part: bytes, literal: bytes) -> tuple[int, ...]:
    return tuple(i for i in range(len(literal) - len(part) + 1) if literal.startswith(part, i))
