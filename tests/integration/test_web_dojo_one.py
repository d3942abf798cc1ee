"""Every pair of ways to build the pages of real widgets, one half: one worker runs a whole file."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from dojo_sites import ALL, SOME, TURNED, assert_sets_up, needs_dojo, skin
from pairs import pairs_of


@needs_dojo
@pytest.mark.usefixtures("one_browser")
@pytest.mark.parametrize("choice", SOME[::2], ids=skin)
def test_sets_up_high_availability_and_an_ise_server(choice: dict[str, str], tmp_path: Path) -> None:
    """Whatever the pages are made of, each change is sent once, with what was typed where it belongs."""
    assert_sets_up(choice, tmp_path)


def test_each_pair_of_ways_is_tried() -> None:
    """Each two values of two knobs stand together in one combination at least."""
    held = set().union(*(pairs_of(choice) for choice in ALL))
    for one, other in itertools.combinations(TURNED, 2):
        assert {((one, a), (other, b)) for a in TURNED[one] for b in TURNED[other]} <= held


def test_each_day_has_what_was_misread_once() -> None:
    """A menu that stays open over a frame covers *Go* until the pointer has left it; drawn lists have arrows."""
    open_over_frame = {"opens": "pointer", "closes": "left", "content": "frame"}.items()
    for day in (ALL[::3], ALL[1::3], ALL[2::3]):
        assert any(open_over_frame <= choice.items() for choice in day)
        assert {choice["choice"] for choice in day} >= {"select", "filtering"}
