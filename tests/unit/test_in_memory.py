"""Where tests write in memory, nothing stays of a run that was killed, and nothing goes of one that lives."""

from __future__ import annotations

import sys
from pathlib import Path

import in_memory
import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="there is memory to write to on Linux alone")
def test_what_a_killed_run_left_goes_and_what_a_living_one_writes_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that nobody holds is removed by whoever makes the next one."""
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path)
    monkeypatch.setattr(in_memory, "PLENTY", 0)
    left, other = tmp_path / f"{in_memory.PREFIX}left", tmp_path / "of-others"
    (left / "records").mkdir(parents=True)
    other.mkdir()
    first = in_memory.folder_in_memory()
    second = in_memory.folder_in_memory()
    assert first is not None
    assert second is not None
    assert sorted(tmp_path.iterdir()) == sorted([other, Path(first.name), Path(second.name)])
    first.cleanup()
    second.cleanup()


def test_without_enough_room_nothing_is_written_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container gives 64 MB by default."""
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path)
    monkeypatch.setattr(in_memory, "PLENTY", 1 << 62)
    assert in_memory.folder_in_memory() is None
    assert list(tmp_path.iterdir()) == []
