"""What a terminal shows of a run while it goes on: one line per stage and one per change, each with its seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from runbook_lib.errors import RunbookError, printable
from runbook_lib.models import Stage
from runbook_lib.record import Kind, Record
from runbook_lib.record.lines import Line
from runbook_lib.runner import StageReport

LOOK_EVERY_S = 0.5


class Progress:
    """Prints a stage's line as it starts and ends; the changes between, read from the journal, stand below it."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._told = len(record.journal.read().lines)
        self._sent_utc: dict[tuple[str, str, str], datetime] = {}
        self._open_line = False
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
            with self._guard:
                self._end_line()

    def stage_started(self, stage: Stage) -> None:
        with self._guard:
            self._end_line()
            sys.stdout.write(f"{stage} … ")
            sys.stdout.flush()
            self._open_line = True

    def stage_ended(self, report: StageReport) -> None:
        with self._guard:
            self._tell_changes()
            words = f"{report.state}, {report.seconds:.1f} s"
            sys.stdout.write(f"{words}\n" if self._open_line else f"{report.stage} {words}\n")
            sys.stdout.flush()
            self._open_line = False

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
        if line.kind is Kind.INTENT:
            self._sent_utc[change] = line.utc
            self._say(f"  change  {line.server}: {line.text}")
        elif line.kind is Kind.RESULT:
            since = self._sent_utc.pop(change, None)
            seconds = f", {(line.utc - since).total_seconds():.1f} s" if since else ""
            self._say(f"  result  {line.server}: {line.text}: {line.seen}{seconds}")

    def _say(self, text: str) -> None:
        self._end_line()
        sys.stdout.write(f"{printable(text)}\n")
        sys.stdout.flush()

    def _end_line(self) -> None:
        if self._open_line:
            sys.stdout.write("\n")
            self._open_line = False
