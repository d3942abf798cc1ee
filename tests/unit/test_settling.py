"""Waiting until what the devices show has settled."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from runbook_lib.steps import settling


def watched(seen: list[str], settle_s: float, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[tuple[str, float]]]:
    """What is seen in the end, and what was told with its fraction, where the last of ``seen`` stays for good."""
    monkeypatch.setattr(settling, "POLL_S", 0.01)
    told: list[tuple[str, float]] = []
    site = SimpleNamespace(deadlines=SimpleNamespace(settle_s=settle_s))
    context: Any = SimpleNamespace(site=site, tell=lambda sentence, fraction: told.append((sentence, fraction)))

    async def look() -> str:
        return seen.pop(0) if len(seen) > 1 else seen[0]

    return asyncio.run(settling.settled(context, look, lambda state: "" if state == "up" else f"it is {state}")), told


def test_what_is_waited_for_is_told_until_it_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look tells what it saw, and the one that shows it settled ends the waiting."""
    last, told = watched(["down", "starting", "up"], 10, monkeypatch)
    assert last == "up"
    assert told == [("it is down", 0.0), ("it is starting", pytest.approx(0.001))]


@pytest.mark.parametrize("settle_s", [0, 0.015])
def test_waiting_ends_at_the_sites_deadline(settle_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never settles is returned as it was last seen, after a last look at the deadline itself."""
    last, told = watched(["down"], settle_s, monkeypatch)
    assert last == "down"
    assert len(told) == (2 if settle_s else 0)
