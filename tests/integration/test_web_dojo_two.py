"""Every pair of ways to build the pages of real widgets, the other half: one worker runs a whole file."""

from __future__ import annotations

from pathlib import Path

import pytest
from dojo_sites import SOME, assert_sets_up, needs_dojo, skin


@needs_dojo
@pytest.mark.usefixtures("one_browser")
@pytest.mark.parametrize("choice", SOME[1::2], ids=skin)
def test_sets_up_high_availability_and_an_ise_server(choice: dict[str, str], tmp_path: Path) -> None:
    """Whatever the pages are made of, each change is sent once, with what was typed where it belongs."""
    assert_sets_up(choice, tmp_path)
