"""The way of a fleet through its waves, with workers that only pretend."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace

import pytest
from fleet_kit import Pretend, task

from runbook_lib.batch import rollout
from runbook_lib.batch.rollout import (
    CANARY_FAILED,
    CONTRADICTED,
    DRAINED,
    TOO_MANY,
    Rollout,
    RolloutDiary,
    Rules,
    parse_share,
    parse_waves,
    waves,
)
from runbook_lib.batch.site_run import SiteResult, SiteState, SiteTask
from runbook_lib.errors import ParameterRefused, RecordNotWritable


class Diary(RolloutDiary):
    """Keeps the order in which things happened."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def wave_begins(self, number: int, sites: Sequence[str]) -> None:
        self.lines.append(f"wave {number}: {len(sites)}")

    def site_starts(self, task: SiteTask, wave: int) -> None:
        self.lines.append(f"start {task.site} in {wave}")

    def site_ended(self, result: SiteResult) -> None:
        self.lines.append(f"end {result.site}")

    def stopped(self, why: str) -> None:
        self.lines.append(f"stopped: {why}")


def go(
    executor: Pretend, numbers: Iterable[int], *, sizes: str = "1,5,20%", failures: str = "1", at_once: int = 4
) -> tuple[Rollout, Diary]:
    """Send so many sites on their way and return it when it has ended."""
    diary = Diary()
    rules = Rules(waves=parse_waves(sizes), failures=parse_share(failures, "failures"), at_once=at_once)
    way = Rollout(executor, rules, diary)
    asyncio.run(way.go([task(number) for number in numbers]))
    return way, diary


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        ("1,5,20%", 50, [1, 5, 10, 10, 10, 10, 4]),
        ("1,5,20%", 3, [1, 2]),
        ("1", 3, [1, 1, 1]),
        ("100%", 7, [7]),
        ("1%", 5, [1, 1, 1, 1, 1]),
        ("1,5,20%", 0, []),
    ],
)
def test_waves_grow_and_the_last_one_is_repeated(sizes: str, total: int, expected: list[int]) -> None:
    """Each wave has its size, a share is one of all sites rounded up, and every site is in one wave."""
    found = [list(wave) for wave in waves(range(total), parse_waves(sizes))]
    assert [len(wave) for wave in found] == expected
    assert [site for wave in found for site in wave] == list(range(total))


@pytest.mark.parametrize("text", ["", "0", "-1", "1,,5", "1.5", "101%", "5 %", "all", "%", "1e3", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Only whole numbers above nothing and shares up to all are sizes of waves."""
    with pytest.raises(ParameterRefused):
        parse_waves(text)


def test_the_canary_goes_alone() -> None:
    """No second site starts before the first has ended."""
    _, diary = go(Pretend(), range(3))
    assert diary.lines[:4] == ["wave 1: 1", "start site-0000 in 1", "end site-0000", "wave 2: 2"]


@pytest.mark.parametrize("state", [SiteState.FAILED, SiteState.UNKNOWN, SiteState.STOPPED])
def test_a_canary_that_does_not_end_well_ends_the_evening(monkeypatch: pytest.MonkeyPatch, state: SiteState) -> None:
    """After a first wave that failed, was stopped or is unknown no other site starts, whatever the budget.

    It has taken its time, also where whoever ran it died and could not say how long.
    """
    executor = Pretend({"site-0000": state})
    monkeypatch.setattr(rollout, "time", SimpleNamespace(monotonic=iter((5.0, 47.5)).__next__))
    way, _ = go(executor, range(9), failures="9")
    assert executor.started == ["site-0000"]
    assert way.why_stopped == CANARY_FAILED
    assert executor.halted
    assert way.results["site-0000"].seconds == 42.5


def test_so_many_failures_end_the_evening() -> None:
    """With the second failure no other site starts; an unknown result counts like a failed one."""
    executor = Pretend({"site-0002": SiteState.FAILED, "site-0004": SiteState.UNKNOWN})
    way, _ = go(executor, range(20), sizes="1", failures="2")
    assert executor.started == [f"site-{number:04}" for number in range(5)]
    assert way.why_stopped == f"{TOO_MANY}: 2"


def test_failures_may_be_a_share_of_the_sites() -> None:
    """Five of a hundred of forty sites are two."""
    executor = Pretend({f"site-{number:04}": SiteState.FAILED for number in range(1, 40)})
    go(executor, range(40), sizes="1", failures="5%")
    assert len(executor.started) == 3


def test_one_contradiction_ends_the_evening_at_once() -> None:
    """After one contradicted certificate no other site of the wave starts, and those in flight hear of it."""
    executor = Pretend(contradicted=["site-0003"])
    way, diary = go(executor, range(50), sizes="1,49", failures="50", at_once=1)
    assert executor.started == ["site-0000", "site-0001", "site-0002", "site-0003"]
    assert way.why_stopped == f"site-0003: {CONTRADICTED}"
    assert executor.halted
    assert diary.lines[-1].startswith("stopped: ")


def test_told_to_end_it_finishes_what_is_in_flight() -> None:
    """After a request to end nothing starts; what was in flight has its result."""
    executor = Pretend()
    rules = Rules(waves=parse_waves("100%"), failures=parse_share("1", "failures"), at_once=2)
    way = Rollout(executor, rules, Diary())
    executor.during = lambda task: way.stop(DRAINED)
    asyncio.run(way.go([task(number) for number in range(10)]))
    assert executor.started == ["site-0000"]
    assert set(way.results) == {"site-0000"}
    assert executor.halted


def test_no_more_sites_at_a_time_than_asked_for() -> None:
    """A wave larger than the limit keeps to the limit."""
    executor = Pretend()
    go(executor, range(40), sizes="40", at_once=3)
    assert executor.most == 3


def test_a_round_that_cannot_be_written_ends_and_finishes_what_is_in_flight() -> None:
    """Where the round's record takes no more, no other site starts; the ones in flight have ended before it is told."""

    class Full(Diary):
        def site_starts(self, task: SiteTask, wave: int) -> None:
            if task.site == "site-0002":
                raise RecordNotWritable("the disk is full")
            super().site_starts(task, wave)

    executor = Pretend()
    rules = Rules(waves=parse_waves("9"), failures=parse_share("9", "failures"), at_once=2)
    way = Rollout(executor, rules, Full())
    with pytest.raises(RecordNotWritable):
        asyncio.run(way.go([task(number) for number in range(9)]))
    assert executor.started == ["site-0000", "site-0001"]
    assert set(way.results) == {"site-0000", "site-0001"}
    assert executor.halted


def test_five_thousand_sites_go_their_way() -> None:
    """Each of five thousand sites is run, once."""
    executor = Pretend()
    way, _ = go(executor, range(5000), at_once=50)
    assert len(executor.started) == len(set(executor.started)) == len(way.results) == 5000


def test_no_sites_are_no_waves() -> None:
    """A fleet without sites ends at once, and well."""
    way, diary = go(Pretend(), [])
    assert (way.results, way.why_stopped, diary.lines) == ({}, "", [])
