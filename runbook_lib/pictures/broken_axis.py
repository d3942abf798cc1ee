"""A time axis on which long times without any event are cut short, so that what happened around them can be seen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

CUT = 44.0
"""The pixels that stand for a time that is cut short."""


@dataclass(frozen=True)
class BrokenAxis:
    """Moments in order, the pixel at which each stands, and between which neighbours time is cut short."""

    moments: tuple[datetime, ...]
    pixels: tuple[float, ...]
    cuts: tuple[int, ...]

    def at(self, moment: datetime) -> float:
        """Return where a moment stands; one outside stands at the nearer edge."""
        if moment <= self.moments[0]:
            return self.pixels[0]
        if moment >= self.moments[-1]:
            return self.pixels[-1]
        place = bisect_right(self.moments, moment) - 1
        whole = (self.moments[place + 1] - self.moments[place]).total_seconds()
        share = (moment - self.moments[place]).total_seconds() / whole
        return self.pixels[place] + share * (self.pixels[place + 1] - self.pixels[place])


def broken_axis(events: Iterable[datetime], left: float, right: float) -> BrokenAxis:
    """Return the axis from the first event to the last. A time longer than all others together is cut short."""
    moments = tuple(sorted(set(events)))
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    cuts = _cuts(gaps)
    drawn = sum(gap for number, gap in enumerate(gaps) if number not in cuts)
    room = right - left - CUT * len(cuts)
    pixels = [left]
    for number, gap in enumerate(gaps):
        pixels.append(pixels[-1] + (CUT if number in cuts else room * gap / drawn if drawn else room))
    return BrokenAxis(moments, tuple(pixels), cuts)


def _cuts(gaps: list[float], most: int = 4) -> tuple[int, ...]:
    left = dict(enumerate(gaps))
    cuts: list[int] = []
    while len(left) > 1 and len(cuts) < most:
        longest = max(left, key=lambda number: left[number])
        if left[longest] <= sum(left.values()) - left[longest]:
            break
        cuts.append(longest)
        del left[longest]
    return tuple(sorted(cuts))
