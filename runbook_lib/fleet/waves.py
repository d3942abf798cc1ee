"""How a fleet is gone through: a canary first, then waves that grow; and how many failures end it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from runbook_lib.errors import ParameterRefused

T = TypeVar("T")

DEFAULT_WAVES = "1,5,20%"
DEFAULT_FAILURES = "1"
_SHARE = re.compile(r"(?P<number>[1-9][0-9]{0,5})(?P<percent>%?)")


@dataclass(frozen=True)
class Share:
    """So many sites, or so many of a hundred, rounded up: at least one."""

    number: int
    percent: bool

    def of(self, total: int) -> int:
        return max(1, math.ceil(total * self.number / 100)) if self.percent else self.number


def parse_share(text: str, what: str) -> Share:
    """Read ``2`` or ``5%``; raises ParameterRefused that names ``what`` for anything else."""
    match = _SHARE.fullmatch(text.strip())
    number = int(match["number"]) if match else 0
    if match is None or (match["percent"] and number > 100):
        raise ParameterRefused(f"{what} is a number of sites or a share of them", found=text, next_step="as 2 or 5%")
    return Share(number, bool(match["percent"]))


def parse_waves(text: str) -> tuple[Share, ...]:
    """Read ``1,5,20%``: the sizes of the waves in their order, the last one as often as there are sites left."""
    return tuple(parse_share(part, "--waves: each wave") for part in text.split(","))


def waves(sites: Sequence[T], shares: Sequence[Share]) -> Iterator[Sequence[T]]:
    """Yield the sites in waves; a share is one of all sites."""
    left, number = list(sites), 0
    while left:
        size = shares[min(number, len(shares) - 1)].of(len(sites))
        yield left[:size]
        left, number = left[size:], number + 1
