"""Logs that are renamed, rotated, cut off, removed or that grow while they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runbook_lib.logs.conclusions import exit_code, verdict
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.sources import list_logs, open_logs
from runbook_lib.logs.streams import Notes
from runbook_lib.observations import Diagnosis

EVENT = (Path(__file__).parent.parent / "fixtures" / "logs" / "primary-health-monitor.log").read_bytes() + b"\n"
NOISE = b"2026-11-23 12:00:00 INFO nothing of interest\n" * 200_000
"""Nine megabytes: the reader tells how far it is once in them."""


def count(found: Diagnosis) -> int:
    return sum(mismatch.count for mismatch in found.mismatches)


def diagnosed(folder: Path, change: Callable[[], object]) -> Diagnosis:
    """Diagnose a folder, and do ``change`` once, when the reader first tells how far it is."""
    left = [change]

    def tell(name: str, size: int) -> None:
        if left:
            left.pop()()

    return diagnose_sources({"primary": [folder]}, progress=tell)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of which the reader has read a part when it first tells, with an event before and behind that."""
    path = tmp_path / "hm-0-0.log"
    path.write_bytes(EVENT + NOISE + NOISE + EVENT)
    return path


def test_renamed_while_it_is_read(log: Path) -> None:
    """A log that rotation renames while it is read is read to its end, once."""
    found = diagnosed(log.parent, lambda: log.rename(log.with_name("hm-0-1.log")))
    assert (count(found), found.damaged) == (2, ())


def test_rotated_while_it_is_read(log: Path) -> None:
    """What rotation begins anew while the logs are read is read as well, and nothing twice."""

    def rotate() -> None:
        log.rename(log.with_name("hm-0-1.log"))
        log.write_bytes(EVENT)

    found = diagnosed(log.parent, rotate)
    assert (count(found), found.damaged) == (3, ())


def test_a_log_that_is_rotated_before_its_turn_is_read_under_its_new_name(log: Path) -> None:
    """A log that has another name when its turn comes is found under that name, and the one in its place too."""
    late = log.with_name("ncs-0-0.log")
    late.write_bytes(EVENT)

    def rotate() -> None:
        late.rename(log.with_name("ncs-0-1.log"))
        late.write_bytes(EVENT)

    found = diagnosed(log.parent, rotate)
    assert (count(found), found.damaged) == (4, ())


@pytest.mark.parametrize("size", [0, 100])
def test_cut_off_while_it_is_read(log: Path, size: int) -> None:
    """A log that is emptied while it is read is named in the verdict; what was read before counts."""

    def empty() -> None:
        with log.open("r+b") as file:
            file.truncate(size)

    found = diagnosed(log.parent, empty)
    assert count(found) == 1
    assert [(damage.source, damage.problem) for damage in found.damaged] == [
        (str(log), "became shorter while it was read")
    ]
    assert str(log) in verdict(found)


def test_cut_off_before_anything_was_found_is_no_answer(tmp_path: Path) -> None:
    """Where nothing was found before a log was emptied, nobody can say that nothing was there."""
    log = tmp_path / "hm-0-0.log"
    log.write_bytes(NOISE + NOISE + EVENT)
    found = diagnosed(tmp_path, lambda: log.write_bytes(b""))
    assert (count(found), exit_code(found)) == (0, 2)


def test_a_log_that_is_removed_before_its_turn_is_named(log: Path) -> None:
    """A log that is gone when its turn comes is named."""
    late = log.with_name("ncs-0-0.log")
    late.write_bytes(EVENT)
    found = diagnosed(log.parent, late.unlink)
    assert [damage.source for damage in found.damaged] == [str(late)]
    assert count(found) == 2


def test_removed_while_it_is_read(log: Path) -> None:
    """A log that is removed while it is read is read to its end."""
    found = diagnosed(log.parent, log.unlink)
    assert (count(found), found.damaged) == (2, ())


def test_growing_while_it_is_read(log: Path) -> None:
    """What is written to a log while it is read is read with it."""

    def grow() -> None:
        with log.open("ab") as file:
            file.write(EVENT)

    found = diagnosed(log.parent, grow)
    assert (count(found), found.damaged) == (3, ())


def _held(folder: Path, change: Callable[[], object]) -> tuple[list[bytes], list[str]]:
    """Return what the logs hold that were listed before ``change``, and the names of those that were not read."""
    listed = list_logs([folder])
    change()
    notes = Notes()
    held = [log.stream.read(99) for log in open_logs(listed, notes)]
    return held, [damage.source for damage in notes.damaged]


def test_only_the_file_that_was_listed_is_opened(tmp_path: Path) -> None:
    """A file that has taken the place of a listed one is not read for it; the listed one is, under its new name."""
    log = tmp_path / "ncs-0-0.log"
    log.write_bytes(b"old")

    def rotate() -> None:
        log.rename(tmp_path / "ncs-0-1.log")
        log.write_bytes(b"new")

    assert _held(tmp_path, rotate) == ([b"old"], [])


@pytest.mark.parametrize("link", [False, True])
def test_what_was_put_in_the_place_of_a_listed_file_is_not_read(tmp_path: Path, link: bool) -> None:
    """Where a listed file was replaced, by a link out of the folder too, it is named and the other is not read."""
    folder, other = tmp_path / "logs", tmp_path / "other"
    folder.mkdir()
    (folder / "a.log").write_bytes(b"old")
    other.write_bytes(b"other")
    new = tmp_path / "new"
    if link:
        new.symlink_to(other)
    else:
        new.write_bytes(b"new")
    assert _held(folder, lambda: new.replace(folder / "a.log")) == ([], [str(folder / "a.log")])


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_message_goes_on_in_what_rotation_began_meanwhile(tmp_path: Path, part: float) -> None:
    """A message that rotation cuts while the logs are read is one whole event: the series is read anew."""
    log = tmp_path / "hm-0-0.log"
    cut = int(len(EVENT) * part)
    log.write_bytes(EVENT + NOISE + NOISE + EVENT[:cut])

    def rotate() -> None:
        log.rename(tmp_path / "hm-0-1.log")
        log.write_bytes(EVENT[cut:] + NOISE)

    found = diagnosed(tmp_path, rotate)
    assert [(m.count, m.subject) for m in found.mismatches] == [(2, found.mismatches[0].subject)]
    assert found.mismatches[0].subject.endswith("C=US")
    assert found.damaged == ()


def test_folder_that_is_gone_before_its_turn_is_named(log: Path) -> None:
    """A folder that is removed while others are read takes its logs with it: they are named, nothing breaks."""
    folder = log.parent / "z"
    folder.mkdir()
    (folder / "ncs-0-0.log").write_bytes(EVENT)
    found = diagnosed(log.parent, lambda: folder.rename(log.parent.parent / f"{log.parent.name}-z"))
    assert [damage.source for damage in found.damaged] == [str(folder / "ncs-0-0.log")]
    assert count(found) == 2
