"""Times, durations and counts as a report says them."""

from __future__ import annotations

from datetime import datetime, timedelta

from runbook_lib.times import to_the_second

NOT_RECORDED = "not recorded"


def stamp(utc: datetime | None, otherwise: str = "not known") -> str:
    """Return a time in UTC, which the report's headings say."""
    return to_the_second(utc) if utc else otherwise


def duration(length: timedelta | None, otherwise: str = "not known") -> str:
    """Return a length of time in full, to the second; below a minute to the tenth of one."""
    if length is None:
        return otherwise
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = ((whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first:])


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
