"""Many rare literals in a buffer, each found wherever it stands: the part that meets every byte of a log.

One pass over a piece that the processor's cache holds costs little, and many passes add up; so
literals that share a part are looked for by that part. Where the part is not rare in a piece, its
literals are looked for one by one there. ``find`` and ``count`` are stringzilla's, or the standard
library's where its wheel is missing: the same answers, slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
"""How long a shared part is at least."""
RARE = 3
REST = 31
"""How often one search may see a shared part, as looking at each costs what a pass costs, and for how many searches
after one that saw more the part is not tried."""


@dataclass(frozen=True)
class _Group:
    """Literals that share a part, each with the places at which the part stands in it; ``longest`` of them in bytes."""

    part: bytes
    members: tuple[tuple[bytes, tuple[int, ...]], ...]
    longest: int


class Search:
    """Finds literals: ``positions`` gives, for each that is there, where it begins, in order and each place once."""

    def __init__(self, literals: Iterable[bytes]) -> None:
        groups, self._alone = _grouped(sorted(set(literals)))
        self._groups = tuple(groups)
        self._rests = [0] * len(groups)

    @property
    def passes(self) -> int:
        """How many passes over the data one search takes where nothing is found."""
        return len(self._groups) + len(self._alone)

    def positions(self, data: bytes | bytearray, low: int, high: int, end: int) -> dict[bytes, list[int]]:
        """Return the places in ``[low, high)`` at which a literal begins; it ends at ``end`` or before."""
        found: dict[bytes, list[int]] = {}
        for literal in self._alone:
            at = find(data, literal, low, end)
            if 0 <= at < high:
                found[literal] = _each(data, literal, at, high, end)
        for number, group in enumerate(self._groups):
            if self._rests[number]:
                self._rests[number] -= 1
                seen = None
            else:
                seen = _each(data, group.part, low, high + group.longest, end, most=RARE + 1)
                if len(seen) > RARE:
                    self._rests[number] = REST
                    seen = None
            if seen is None or seen:
                _look_closer(data, group, (low, high, end), seen, found)
        return found


def _look_closer(
    data: bytes | bytearray,
    group: _Group,
    bounds: tuple[int, int, int],
    seen: list[int] | None,
    found: dict[bytes, list[int]],
) -> None:
    """Add to ``found`` where the literals stand; ``seen`` is where their part does, None where it is not rare."""
    low, high, end = bounds
    for literal, offsets in group.members:
        if seen is None:
            places = _each(data, literal, low, high, end)
        else:
            begins = sorted({at - offset for at in seen for offset in offsets})
            whole = [begin for begin in begins if low <= begin < high and begin + len(literal) <= end]
            places = [begin for begin in whole if data[begin : begin + len(literal)] == literal]
        if places:
            found[literal] = places


def _each(data: bytes | bytearray, literal: bytes, low: int, high: int, end: int, most: int | None = None) -> list[int]:
    """Return the places in ``[low, high)`` at which the literal begins, the first ``most`` of them."""
    places: list[int] = []
    at = find(data, literal, low, end)
    while 0 <= at < high and (most is None or len(places) < most):
        places.append(at)
        at = find(data, literal, at + 1, end)
    return places


def _grouped(literals: Sequence[bytes]) -> tuple[list[_Group], tuple[bytes, ...]]:
    """Return groups of literals that share SHARED bytes or more, largest first, and the literals that share none."""
    groups: list[_Group] = []
    left = list(literals)
    while part := _most_shared(left):
        members = [literal for literal in left if part in literal]
        if len(members) < 2:
            break
        part = _longest(part, members)
        placed = tuple((literal, _offsets(part, literal)) for literal in members)
        groups.append(_Group(part, placed, max(len(literal) for literal in members)))
        left = [literal for literal in left if literal not in members]
    return groups, tuple(left)


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
