"""What a terminal shows of a run while it goes on: one line per stage and one per change, each with its seconds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from runbook_lib.cli.terminal import begin, out
from runbook_lib.errors import RunbookError
from runbook_lib.models import Stage
from runbook_lib.record import Kind, Record
from runbook_lib.record.lines import Line
from runbook_lib.runner import StageReport
from runbook_lib.steps.watching_ha import MILESTONES

LOOK_EVERY_S = 0.5


Change = tuple[str, str, str]


class Progress:
    """Begins a line as a stage or a change starts, and ends it with how that went; the journal tells of changes."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._told = len(record.journal.read().lines)
        self._sent_utc: dict[Change, datetime] = {}
        self._open_line = ""
        self._guard = threading.Lock()
        self._over = threading.Event()

    @contextmanager
    def following(self) -> Iterator[Progress]:
        """Follow the journal meanwhile: the stages' kernels write to it."""
        follower = threading.Thread(target=self._follow, name="progress", daemon=True)
        follower.start()
        try:
            yield self
        finally:
            self._over.set()
            follower.join()
            self._break_line()

    def stage_started(self, stage: Stage) -> None:
        with self._guard:
            self._begin(stage)

    def stage_ended(self, report: StageReport) -> None:
        with self._guard:
            self._tell_changes()
            self._end(report.stage, f"{report.state}, {report.seconds:.1f} s")

    def _follow(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            with self._guard:
                self._tell_changes()

    def _tell_changes(self) -> None:
        try:
            lines = self._record.journal.read().lines
        except RunbookError:
            return  # the stage that writes to it will say so
        new, self._told = lines[self._told :], len(lines)
        for line in new:
            self._tell(line)

    def _tell(self, line: Line) -> None:
        change = (line.stage, line.server, line.text)
        what = f"    {line.server}: {'delete ' if line.stage == Stage.DELETE else ''}{line.text}"
        if line.kind is Kind.INTENT:
            self._sent_utc[change] = line.utc
            self._begin(what)
        elif line.kind is Kind.NOTED and line.text == MILESTONES:
            self._break_line()
            out(f"    {line.server}: {line.seen}")
        elif line.kind is Kind.RESULT:
            since = self._sent_utc.pop(change, None)
            self._end(what, f"{line.seen}, {(line.utc - since).total_seconds():.1f} s" if since else line.seen)

    def _begin(self, what: str) -> None:
        self._break_line()
        begin(f"{what} … ")
        self._open_line = what

    def _end(self, what: str, how: str) -> None:
        if self._open_line != what:
            self._break_line()
            begin(f"{what}: ")
        out(how)
        self._open_line = ""

    def _break_line(self) -> None:
        if self._open_line:
            out()
            self._open_line = ""
