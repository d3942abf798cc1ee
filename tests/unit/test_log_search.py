"""Literals are found wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import stringzilla
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.logs.mismatch import LITERAL
from runbook_lib.logs.rules import RULES
from runbook_lib.logs.search import AT_ONCE, Search

LITERALS = tuple(sorted({LITERAL, *(literal for rule in RULES for literal in rule.literals)}))
TEXT = st.lists(
    st.one_of(
        st.sampled_from(LITERALS), st.sampled_from([b"ertificat", b" timed out", b"\n", b"x"]), st.binary(max_size=4)
    ),
    max_size=20,
).map(b"".join)


def simply(literals: Iterable[bytes], data: bytes, low: int, high: int, end: int) -> dict[bytes, list[int]]:
    """Return the same as a search, by looking at every place."""
    places = {x: [at for at in range(low, high) if data.startswith(x, at) and at + len(x) <= end] for x in literals}
    return {literal: found for literal, found in places.items() if found}


def assert_all_are_found(literals: Sequence[bytes], data: bytes, low: int, high: int, end: int) -> None:
    """One search finds what is there."""
    expected = simply(literals, data, low, high, end)
    assert Search(literals).positions(bytearray(data), low, high, end) == expected


@given(TEXT, st.integers(0, 50), st.integers(0, 200))
def test_search_finds_what_stands_there(data: bytes, low: int, more: int) -> None:
    """Whatever the text, every literal is found at all its places, and none outside of the bounds."""
    low = min(low, len(data))
    high = min(low + more, len(data))
    for end in (high, len(data)):
        assert_all_are_found(LITERALS, data, low, high, end)


@given(st.sets(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=8), st.text("abc", max_size=40))
def test_literals_that_overlap_are_found_each(literals: set[str], text: str) -> None:
    """One that begins within another, contains it or begins at the same place hides nothing."""
    looked_for = [each.encode() for each in sorted(literals)]
    assert_all_are_found(looked_for, text.encode(), 0, len(text), len(text))


def test_literals_of_several_passes_are_found_each() -> None:
    """A site's own rules may add any number of literals."""
    literals = [b"word %03d " % number for number in range(2 * AT_ONCE + 1)]
    data = b"".join(reversed(literals)) * 2
    assert_all_are_found(literals, data, 0, len(data), len(data))


@given(TEXT, st.sampled_from(LITERALS), st.integers(0, 30), st.integers(0, 200))
def test_the_library_finds_and_counts_as_bytes_do(data: bytes, literal: bytes, start: int, end: int) -> None:
    """A literal that reaches over the end is not found; lines are counted in views, too."""
    for kind in (bytes, bytearray, memoryview):
        buffer = kind(data)
        if not isinstance(buffer, memoryview):
            assert stringzilla.find(buffer, literal, start, end) == data.find(literal, start, end)
        assert stringzilla.count(buffer, b"\n") == data.count(b"\n")
