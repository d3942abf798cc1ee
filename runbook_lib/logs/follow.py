"""Watching logs: what is written behind what was read, through growth, rotation and truncation.

The findings are at every moment those of a reading that ended there. Archives and standard input are
read once; what is appended to files on disk is taken in as often as the watcher is asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path

from runbook_lib.logs.diagnosing import diagnosis_of
from runbook_lib.logs.encodings import PlainText
from runbook_lib.logs.findings import Findings
from runbook_lib.logs.reading import Job, Result, Settings, jobs_of, read_job, scanner_for, server_of
from runbook_lib.logs.series import follows
from runbook_lib.logs.sources import Identity, Listed, read_logs
from runbook_lib.logs.streams import HEAD, Filling, Guarded, Notes, is_archive
from runbook_lib.models import Damage, Diagnosis


class Watcher:
    """Logs that are read as they grow: ``poll`` takes in what is new, ``diagnosis`` says what was found so far."""

    def __init__(self, sources: Mapping[str, Sequence[Path]], settings: Settings, known: Mapping[str, str]) -> None:
        self._sources = sources
        self._settings = settings
        self._known = dict(known)
        self._tails: list[_Tail] = []
        self._once: list[Result] = []
        self._seen: set[Identity | Path] = set()

    def poll(self) -> bool:
        """Take in what is new; return whether anything was. Raises UsageError as a reading does."""
        for tail in self._tails:
            tail.read()
            self._seen |= tail.seen
        for job in jobs_of(self._sources):
            files = tuple(file for file in job.files if (file.identity or file.path) not in self._seen)
            if files:
                self._begin(Job(job.server, job.origin, files))
        news = [tail.news() for tail in self._tails]
        return any(news)

    def diagnosis(self) -> Diagnosis:
        """Return what was found so far."""
        results = [*self._once, *(tail.result() for tail in self._tails)]
        return diagnosis_of(self._sources, results, self._settings, self._known)

    def close(self) -> None:
        for tail in self._tails:
            tail.close()

    def _begin(self, job: Job) -> None:
        self._seen.update(file.identity or file.path for file in job.files)
        if _grows(job.files[-1]):
            try:
                self._tails.append(_Tail(job, self._settings))
            except OSError:
                pass  # it has gone since: what reads it once says so
            else:
                self._tails[-1].read()
                return
        self._once.append(read_job(job, self._settings))


def _grows(listed: Listed) -> bool:
    """Return whether a file is one to which more may be written: on disk, and no archive."""
    if listed.identity is None:
        return False
    try:
        with listed.path.open("rb") as file:
            return not is_archive(file.read(HEAD))
    except OSError:
        return False


class _Tail:
    """One series of logs, of which the last file grows. ``seen`` are the files that it has read."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.seen = {file.identity or file.path for file in job.files}
        self._job = job
        self._notes = Notes()
        self._path = job.files[-1].path
        self._server = server_of(job, self._path.as_posix(), settings)
        self._scanner = scanner_for(self._server, settings)
        for log in read_logs(job.files[:-1], self._notes):
            self._scanner.begin_file(log.name, continues=log.continues)
            while self._scanner.read(log.stream):
                pass
        before = job.files[-2].path.as_posix() if len(job.files) > 1 else ""
        self._open(self._path.open("rb", buffering=0), continues=follows(before, self._path.as_posix()))
        self._told = -1
        self._found: Findings | None = None

    def read(self) -> None:
        """Take in what was written, and go over to the file that has taken this one's place."""
        self._take()
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._begin(continues=False)
            self._take()
        try:
            found = self._path.stat()
        except OSError:
            return
        if (found.st_dev, found.st_ino) in self.seen:
            return
        try:
            file = self._path.open("rb", buffering=0)
        except OSError as error:
            self._unopened = [Damage(source=str(self._path), problem=f"cannot be opened ({error.strerror})")]
            return
        self._take()  # what was written to the old file after it was read above
        self._file.close()
        self._open(file, continues=True)
        self._take()

    def news(self) -> bool:
        """Return whether anything was taken in since this was asked last."""
        told, self._told = self._told, self._scanner.findings.size
        return told != self._told

    def result(self) -> Result:
        if self._found is None or self._found.size != self._scanner.findings.size:
            self._found = self._scanner.so_far()
        return Result(self._job, {self._server: self._found}, [*self._notes.damaged, *self._unopened])

    def close(self) -> None:
        self._file.close()

    def _open(self, file: FileIO, *, continues: bool) -> None:
        self._file, self._unopened = file, []
        found = os.fstat(self._file.fileno())
        self.seen.add((found.st_dev, found.st_ino))
        self._begin(continues=continues)

    def _begin(self, *, continues: bool) -> None:
        stream = Guarded(
            Filling(self._file),
            (OSError,),
            lambda error: self._notes.add(str(self._path), "not read to its end", error),
        )
        self._stream = PlainText(stream, grows=True)
        self._scanner.begin_file(str(self._path), continues=continues)

    def _take(self) -> None:
        while self._scanner.read(self._stream):
            pass
