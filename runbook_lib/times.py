"""A time as people read it."""

from __future__ import annotations

from datetime import UTC, datetime


def to_the_second(time: datetime) -> str:
    """Return a time in UTC where the words around it say that it is: ``2026-11-23 12:00:00``."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def stamp(time: datetime | None, otherwise: str = "not known") -> str:
    """Return a time in UTC that says so itself, ``2026-11-23 12:00:00Z``; ``otherwise`` where there is none."""
    return f"{to_the_second(time)}Z" if time else otherwise
