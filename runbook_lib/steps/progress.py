"""How a long step tells what it is doing: one sentence, and how much of the whole is done where it is known."""

from __future__ import annotations

from typing import Protocol


class Tell(Protocol):
    """Called at each change; ``fraction`` is from 0 to 1, or None where the end is not known.

    ``steady`` says that the work goes on at one pace, so that what is left can be told from what is done.
    """

    def __call__(self, sentence: str, fraction: float | None = None, *, steady: bool = False) -> None: ...


def say_nothing(sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
    """The listener that nobody asked for."""
