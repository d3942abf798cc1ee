"""A time axis: where a moment stands between two edges, and round moments to write on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
        *(3600 * hours for hours in (1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 2160, 8760)),
    )
)
_MOST = 6
_DAY = timedelta(days=1)
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday, so that steps of a week begin on one


@dataclass(frozen=True)
class Axis:
    """The time from ``first`` to ``last`` (UTC), drawn from ``left`` to ``right`` (pixels)."""

    first: datetime
    last: datetime
    left: float
    right: float

    def at(self, moment: datetime) -> float:
        """Return where a moment stands; the middle where the axis is a single moment."""
        whole = (self.last - self.first).total_seconds()
        share = (moment - self.first).total_seconds() / whole if whole else 0.5
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[tuple[datetime, str]]:
        """Return round moments on the axis, at most seven, and how they are written."""
        whole = self.last - self.first
        step = next((step for step in _STEPS if whole / step <= _MOST), whole / _MOST)
        moment = _EPOCH + -((_EPOCH - self.first) // step) * step
        found = []
        while moment <= self.last and step:
            if moment >= self.first:
                found.append((moment, self._words(moment, step)))
            moment += step
        return found or [(self.first, self._words(self.first, timedelta(seconds=1)))]

    def day(self) -> str:
        """Return the day, or the days, that the axis covers."""
        first, last = self.first.astimezone(UTC), self.last.astimezone(UTC)
        return f"{first:%Y-%m-%d} UTC" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d} UTC"

    def _words(self, moment: datetime, step: timedelta) -> str:
        moment = moment.astimezone(UTC)
        if step >= _DAY:
            return f"{moment:%Y-%m-%d}" if self.last - self.first > 300 * _DAY else f"{moment:%m-%d}"
        if self.last.astimezone(UTC).date() != self.first.astimezone(UTC).date():
            return f"{moment:%m-%d %H:%M}"
        return f"{moment:%H:%M}" if step >= timedelta(minutes=1) else f"{moment:%H:%M:%S}"


def span(time: timedelta) -> str:
    """Return a length of time in its two largest units: ``3 d 4 h``, ``12 min 5 s``."""
    seconds = round(time.total_seconds())
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    place = next((place for place, (_, size) in enumerate(units) if seconds >= size), len(units) - 1)
    words: list[str] = []
    for unit, size in units[place : place + 2]:
        amount, seconds = divmod(seconds, size)
        if amount or not words:
            words.append(f"{amount} {unit}")
    return " ".join(words)
