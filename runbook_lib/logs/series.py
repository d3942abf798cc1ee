"""Rotated series of logs: which names belong together, and in which order they were written. Pure."""

from __future__ import annotations

import re

_GENERATIONS = re.compile(
    r"(?P<stem>.*?)(?P<inner>(?:[-_.]\d{1,6}){0,3})(?P<ending>\.(?:log|txt|out))(?P<outer>\.\d{1,6})?"
)
_YEAR = re.compile(r"(?:19|20)\d\d[-_.]?\d\d")
_PACKED = re.compile(r"\.(?:gz|zip|tgz)\Z", re.I)


def follows(before: str, name: str) -> bool:
    """Return whether the log ``name`` is the next younger of the same series as ``before``."""
    one, other = _rotation(before), _rotation(name)
    steps = [a - b for a, b in zip(one[2], other[2], strict=True) if a != b]
    return bool(before) and one[:2] == other[:2] and steps == [1]


def oldest_first(name: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the key that sorts logs by series, and in a series the highest numbers first."""
    folder, series, numbers = _rotation(name)
    return folder, series, tuple(-number for number in numbers)


def _rotation(name: str) -> tuple[str, str, tuple[int, int, int, int]]:
    """Return folder, series and the numbers of a log's name: ``hm-0-1.log.2.gz`` → ``hm.log`` and (2, 0, 1, …)."""
    folder, _, base = name.rpartition("/")
    found = _GENERATIONS.fullmatch(_PACKED.sub("", base))
    if found is None or _YEAR.search(found["stem"] + found["inner"]):  # a date's order is that of its digits
        return folder, base, (0, 0, 0, 0)
    inner = [int(number) for number in re.findall(r"\d+", found["inner"])]
    outer = int(found["outer"][1:]) if found["outer"] else 0
    first, second, third = (*inner, 0, 0, 0)[:3]
    return folder, f"{found['stem']}{len(inner)}{found['ending']}", (outer, first, second, third)
