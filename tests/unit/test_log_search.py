"""Literals are found wherever they stand, by whichever way they are looked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.logs import search
from runbook_lib.logs.mismatch import LITERAL
from runbook_lib.logs.rules import RULES
from runbook_lib.logs.search import Search, plain_count, plain_find

LITERALS = tuple(sorted({LITERAL, *(literal for rule in RULES for literal in rule.literals)}))
TEXT = st.lists(
    st.one_of(
        st.sampled_from(LITERALS), st.sampled_from([b"ertificat", b" timed out", b"\n", b"x"]), st.binary(max_size=4)
    ),
    max_size=20,
).map(b"".join)


def simply(data: bytes, low: int, high: int, end: int) -> dict[bytes, list[int]]:
    """Return the same as a search, by looking at every place."""
    places = {x: [at for at in range(low, high) if data.startswith(x, at) and at + len(x) <= end] for x in LITERALS}
    return {literal: found for literal, found in places.items() if found}


@given(st.lists(st.tuples(TEXT, st.integers(0, 50), st.integers(0, 200)), min_size=1, max_size=4))
def test_search_finds_what_stands_there(pieces: list[tuple[bytes, int, int]]) -> None:
    """Whatever the text, and however often it was searched before, every literal is found at all its places."""
    looked_for = Search(LITERALS)
    for data, low, more in pieces:
        low = min(low, len(data))
        high = min(low + more, len(data))
        for end in (high, len(data)):
            assert looked_for.positions(bytearray(data), low, high, end) == simply(data, low, high, end)


def test_shared_part_that_is_not_rare_hides_nothing() -> None:
    """Where the part that literals share stands everywhere, they are found all the same, and after that too."""
    looked_for = Search(LITERALS)
    dense = b"certificate " * 100 + b"certificate expired"
    for data in [dense, b"CertificateExpiredException"] * 40:
        assert looked_for.positions(bytearray(data), 0, len(data), len(data)) == simply(data, 0, len(data), len(data))


@given(TEXT, st.sampled_from(LITERALS), st.integers(0, 30))
def test_without_the_wheel_the_answers_are_the_same(data: bytes, literal: bytes, start: int) -> None:
    """The standard library finds and counts what the wheel does, in every kind of buffer."""
    for kind in (bytes, bytearray, memoryview):
        buffer = kind(data)
        assert plain_find(buffer, literal, start, len(data)) == search.find(buffer, literal, start, len(data))
        assert plain_count(buffer, b"\n") == search.count(buffer, b"\n")


@pytest.mark.parametrize("function", [search.find, plain_find])
def test_find_stays_within_its_bounds(function: object) -> None:
    """A literal that reaches over the end is not found."""
    assert callable(function)
    assert [function(bytearray(b"xabcx"), b"abc", 0, end) for end in (3, 4)] == [-1, 1]
