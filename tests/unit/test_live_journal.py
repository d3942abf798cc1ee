"""The newest lines of a journal: shown now, and as they come; by one thread at a time, which says when it ends."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from waiting import wait_until

from runbook_lib.models import Stage, StageState
from runbook_lib.record.incident import Record
from runbook_lib.record.journal_file import Journal
from runbook_lib.show import progress
from runbook_lib.show.progress import FOLLOWS, SHOWN, Followed, newest

STAGE = Stage.DIAGNOSE


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setattr(progress, "LOOK_S", 0.02)
    return Record.create(tmp_path / "records", "paris")


def wait_for(view: Followed, words: str) -> None:
    """Wait until the widget shows these words."""
    wait_until(lambda: words in re.sub(r"<style>.*?</style>|<[^>]+>", " ", view.widget.value), repr(words))


def test_what_another_process_writes_appears(record: Record) -> None:
    """A line that is appended through another object is shown without any cell being run."""
    view = Followed(Journal(record.folder))
    assert "stage_ended" not in view.widget.value
    record.start_stage(STAGE, text="ada")
    record.end_stage(STAGE, StageState.DONE)
    wait_for(view, "stage_ended")


def test_only_what_follows_says_so(record: Record) -> None:
    """Where the widget cannot be shown, the lines stand as they were, without the promise that others come."""
    view = Followed(Journal(record.folder))
    assert FOLLOWS in unescape(view.widget.value)
    stored = view._repr_mimebundle_()
    assert "incident_opened" in stored["text/html"]
    assert FOLLOWS not in unescape(stored["text/html"]) + stored["text/plain"]


def test_the_newest_lines_are_shown_and_no_more(record: Record) -> None:
    """Of a long journal the last lines, in their order, text of devices as text."""
    for number in range(SHOWN + 3):
        record.start_stage(STAGE, text=f"<b>{number}</b>")
    table = newest(record.journal.read().lines)
    assert len(table.rows) == SHOWN
    assert table.rows[-1].cells[-1] == f"<b>{SHOWN + 2}</b>"
    assert table.rows[-1].cells[2] == STAGE[:2]  # the whole name leaves no room in a window of 1024 pixels


def test_the_cell_that_is_run_again_follows_alone(record: Record) -> None:
    """The view of before is left as it was."""
    first, second = Followed(Journal(record.folder)), Followed(Journal(record.folder))
    record.start_stage(STAGE, text="ada")
    wait_for(second, "stage_started")
    assert "stage_started" not in first.widget.value


def test_a_damaged_journal_is_followed_no_more_and_says_so(record: Record) -> None:
    """The lines that were seen stay, with the reason why no others come."""
    view = Followed(Journal(record.folder))
    record.journal.path.write_text("{}\n")
    wait_for(view, "New lines no longer appear")
    assert "incident_opened" in view.widget.value
