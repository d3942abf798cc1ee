"""Combinations of options in which each pair of values stands together once at least, and more up to a number."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

Choice = dict[str, str]


def covering(options: Mapping[str, Sequence[str]], least: int) -> list[Choice]:
    """Return the same combinations at every call, those that hold the most new pairs first; ``least`` at least."""
    dice = random.Random(16)
    missing = {pair for one, other in itertools.combinations(options, 2) for pair in _pairs(options, one, other)}
    found: list[Choice] = []
    while missing or len(found) < least:
        tries = [{name: dice.choice(values) for name, values in options.items()} for _ in range(60)]
        best = max(tries, key=lambda choice: len(missing & pairs_of(choice)))
        if missing and not missing & pairs_of(best):
            (one, value), (other, second) = min(missing)
            best = {**best, one: value, other: second}
        if best not in found:
            found.append(best)
        missing -= pairs_of(best)
    return found


Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(choice: Mapping[str, str]) -> set[Pair]:
    """Return every pair of values that a combination holds."""
    return set(itertools.combinations(choice.items(), 2))


def _pairs(options: Mapping[str, Sequence[str]], one: str, other: str) -> set[Pair]:
    return {((one, a), (other, b)) for a in options[one] for b in options[other]}
