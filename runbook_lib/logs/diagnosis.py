"""From findings to a diagnosis: whose they are and what they mean; at once, or as the logs grow."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from io import FileIO
from itertools import chain
from pathlib import Path

from runbook_lib.logs.conclusions import mismatches_of
from runbook_lib.logs.events import Findings, Tally
from runbook_lib.logs.jobs import (
    UNKNOWN,
    Job,
    Owner,
    Progress,
    Result,
    SetKey,
    Settings,
    jobs_of,
    log_set_of,
    owners_of,
    read_job,
    read_sources,
    scanner_for,
)
from runbook_lib.logs.likeness import EMPTY, FOREIGN, NO_FILE, NO_FILE_IN_IT, OWN_NAME
from runbook_lib.logs.lines import as_utc, clock_of, read_prefix
from runbook_lib.logs.rules import next_step
from runbook_lib.logs.search import PlainText
from runbook_lib.logs.sources import Identity, is_archive_file, list_logs, open_logs
from runbook_lib.logs.streams import Guarded, Notes, follows_in_series
from runbook_lib.observations import Damage, Diagnosis, LookAlike, Mismatch, NotALog

# -- Findings to a diagnosis: whose they are, what they mean, and what is not known ----------------


def diagnosis_of(
    sources: Mapping[str, Sequence[Path]], results: Iterable[Result], settings: Settings, known: dict[str, str]
) -> Diagnosis:
    """Return the diagnosis of all results; servers come in the order of the sources, ``unknown`` last."""
    every = list(results)
    by_server: dict[str, list[Findings]] = {server: [] for server in sources if server}
    by_owner: dict[tuple[Owner, str], list[Findings]] = {}
    for owner, zone, findings in _assigned(every, settings):
        by_server.setdefault(owner.server, []).append(findings)
        by_owner.setdefault((owner, zone), []).append(findings)
    if sources.get("") and not any(result.findings for result in every if not result.job.server):
        by_server.setdefault(UNKNOWN, [])
    mismatches: list[Mismatch] = []
    look_alikes: list[LookAlike] = []
    ends: dict[str, tuple[datetime, bool]] = {}
    for server in by_server:
        for (owner, zone), those in by_owner.items():
            if owner.server != server:
                continue
            groups = (item for each in those for item in each.groups.items())
            mismatches += mismatches_of(server, zone, groups, guessed=owner.guessed)
            look_alikes += _look_alikes(owner, zone, settings, those, known)
            moments = [(each.end_utc, each.end_zoneless and not zone) for each in those if each.end_utc is not None]
            if moments:
                ends[server] = max(*moments, ends.get(server, moments[0]))
    damaged = {damage.source: damage for result in every for damage in _damaged(result)}
    all_found = [each for those in by_server.values() for each in those]
    no_logs = tuple(server for server, those in by_server.items() if not _has_log(those))
    logs = [(server, each.looks) for server, those in by_server.items() if server not in no_logs for each in those]
    for server, looks in logs:
        for other in looks.others:
            if OWN_NAME.match(other.source) and other.looks_like != EMPTY:
                problem = f"it is named like a log of the product and looks like {other.looks_like}"
                damaged.setdefault(other.source, Damage(source=other.source, problem=problem, server=server))
    return Diagnosis(
        mismatches=tuple(mismatches),
        look_alikes=tuple(look_alikes),
        no_logs=no_logs,
        log_end_utc={server: end for server, (end, _) in ends.items()},
        lines_read=sum(each.lines for each in all_found),
        bytes_read=sum(each.size for each in all_found),
        damaged=tuple[Damage, ...](damaged.values()),
        zones=_zones_read(by_server, by_owner, settings),
        ends_assumed=tuple(server for server, (_, assumed) in ends.items() if assumed),
        files_read=sum(each.files for each in all_found),
        recognised_files=sum(looks.files for _, looks in logs),
        recognised_lines=sum(looks.lines for _, looks in logs),
        not_logs=(*_not_logs(by_server, damaged), *_without_files(sources, every)),
    )


def _zones_read(servers: Iterable[str], owners: Iterable[tuple[Owner, str]], settings: Settings) -> dict[str, str]:
    """Return the zone that was named for a server, where all of its logs were read in one that was named."""
    unnamed = {owner.server for owner, zone in owners if not zone}
    return {server: zone for server in servers if (zone := settings.zone_name(server)) and server not in unnamed}


def _not_logs(by_server: Mapping[str, Sequence[Findings]], damaged: Container[str]) -> Iterator[NotALog]:
    """Yield the files that look like no log; an empty or foreign one beside a log of the same server says nothing."""
    for server, findings in by_server.items():
        has_log = _has_log(findings)
        for other in chain.from_iterable(each.looks.others for each in findings):
            if other.source not in damaged and not (has_log and other.looks_like in (EMPTY, FOREIGN)):
                yield replace(other, server=server)


def _without_files(sources: Mapping[str, Sequence[Path]], results: Sequence[Result]) -> Iterator[NotALog]:
    """Yield the folders and archives of which nothing was read because no file is in them."""
    read = {file.path for result in results if result.findings for file in result.job.files}
    for result in results:
        if not result.findings and not result.damaged:
            for file in result.job.files:
                if file.path not in read:
                    yield NotALog(source=str(file.path), looks_like=NO_FILE_IN_IT, server=result.job.server or UNKNOWN)
    listed = {file.path for result in results for file in result.job.files}
    for server, paths in sources.items():
        for path in dict.fromkeys(paths):
            if path.is_dir() and not any(file.is_relative_to(path) for file in listed) and not list_logs([path]):
                yield NotALog(source=str(path), looks_like=NO_FILE, server=server or UNKNOWN)


def _has_log(those: Sequence[Findings]) -> bool:
    """Whether anything of a server's may be called free of a mismatch: the product's own log, or one that tells of it.

    A web server's log, whole and readable as it is, never reports a mismatch.
    """
    told = any(each.groups for each in those)
    look_alike = any(tally.count for each in those if each.looks.files for tally in each.tallies.values())
    return told or look_alike or any(each.looks.product for each in those)


def _damaged(result: Result) -> Iterator[Damage]:
    """Yield what a job could not read whole, with the server where that is said or its logs' paths tell one."""
    servers = {logs.server for logs in result.findings}
    server = result.job.server or (servers.pop() if len(servers) == 1 else "") or UNKNOWN
    yield from (replace(damage, server=server) for damage in result.damaged)
    cut_off = chain.from_iterable(findings.cut_off.items() for findings in result.findings.values())
    for source, (number, how) in cut_off:
        problem = f"line {number} reports a mismatch and is cut before its end"
        if how == "other":
            problem = f"line {number} reports a mismatch in words that are not known: read it there"
        elif how == "missing":
            problem = f"line {number} has lost its message: export the journal with journalctl --all --output=short-iso"
        yield Damage(source=source, problem=problem, server=server)


def _assigned(results: Sequence[Result], settings: Settings) -> Iterator[tuple[Owner, str, Findings]]:
    """Yield all findings with whose they are, and the zone in which their times were read (empty: none was named)."""
    sets: dict[SetKey, list[Findings]] = {}
    for result in results:
        for logs, findings in result.findings.items():
            sets.setdefault((result.job.origin, logs), []).append(findings)
    owners = owners_of(sets, settings.names)
    for result in results:
        for logs, findings in result.findings.items():
            yield owners[result.job.origin, logs], settings.zone_name(logs.server), findings


def _look_alikes(
    owner: Owner, zone: str, settings: Settings, findings: Sequence[Findings], known: dict[str, str]
) -> Iterator[LookAlike]:
    for rule in settings.rules:
        total = Tally(rule)
        for look_alike in findings:
            total.take(look_alike.tallies[rule.name])
        if not total.count:
            continue
        prefixes = [read_prefix(line.text).moment for line in total.evidence]
        dated = [moment for moment in prefixes if moment is not None]
        clock = clock_of(owner.server, zone)
        moments = [utc for utc in (as_utc(moment, clock) for moment in dated) if utc is not None]
        yield LookAlike(
            server=owner.server,
            rule=rule.name,
            meaning=rule.meaning,
            advice=rule.advice,
            count=total.count,
            evidence=total.evidence,
            confidence=rule.confidence,
            next_step=next_step(rule, known),
            first_utc=min(moments, default=None),
            last_utc=max(moments, default=None),
            zone_known=bool(zone) or all(moment.tzinfo for moment in dated),
            guessed=owner.guessed,
        )


# -- Logs to a diagnosis: which mismatch is reported where, of whom, since when, and what only looks like one


def diagnose_sources(
    sources: Mapping[str, Sequence[Path]],
    settings: Settings | None = None,
    known: Mapping[str, str] | None = None,
    progress: Progress = lambda *_: None,
) -> Diagnosis:
    """Return what the logs of each server say; ``sources`` maps ``primary`` and ``secondary`` to files and folders.

    Under the key ``""`` stand logs of which nobody says whose they are: a server's names on their path tell, or
    it is guessed from what they show; otherwise it is ``unknown``. Times without an offset are read in the server's
    zone, otherwise as UTC, and that is said. A server whose logs are not at hand (no path, or folders without a file)
    is named in ``no_logs``. ``known`` (``site``, ``incident``) fills in the next steps.
    Raises UsageError for a path that is not there, and where a process that reads them dies; what cannot be read, is
    damaged or unpacks to too much is read as far as it can be and named in ``damaged``.
    """
    how = settings or Settings()
    return diagnosis_of(sources, read_sources(sources, how, progress), how, dict(known or {}))


# -- Watching logs: what is written behind what was read, through growth, rotation and truncation.
#
# The findings are at every moment those of a reading that ended there. Archives and standard input are
# read once; what is appended to files on disk is taken in as often as the watcher is asked.


class LogWatcher:
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
            files = tuple(file for file in job.files if file.key not in self._seen)
            if files:
                self._begin(Job(job.server, job.origin, files))
        news = [tail.news() for tail in self._tails]
        return any(news)

    def diagnosis(self) -> Diagnosis:
        """Return what was found so far."""
        results = [*self._once, *(tail.result() for tail in self._tails)]
        return diagnosis_of(self._sources, results, self._settings, self._known)

    def close(self) -> None:
        """Close the files that are read."""
        for tail in self._tails:
            tail.close()

    def _begin(self, job: Job) -> None:
        self._seen.update(file.key for file in job.files)
        newest = job.files[-1]
        if newest.identity and not is_archive_file(newest):  # more may be written to it: it is on disk, and no archive
            try:
                self._tails.append(_Tail(job, self._settings))
            except OSError:
                pass  # it has gone since: what reads it once says so
            else:
                self._tails[-1].read()
                return
        self._once.append(read_job(job, self._settings))


class _Tail:
    """One series of logs, of which the last file grows. ``seen`` are the files that it has read."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.seen = {file.key for file in job.files}
        self._job = job
        self._notes = Notes()
        self._path = job.files[-1].path
        self._logs = log_set_of(job, self._path.as_posix(), settings)
        self._scanner = scanner_for(self._logs.server, settings)
        for log in open_logs(job.files[:-1], self._notes):
            self._scanner.begin_file(log.name, continues=log.continues)
            while self._scanner.read(log.stream):
                pass
        before = job.files[-2].path.as_posix() if len(job.files) > 1 else ""
        self._open(self._path.open("rb", buffering=0), continues=follows_in_series(before, self._path.as_posix()))
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
            status = self._path.stat()
        except OSError:
            return
        if (status.st_dev, status.st_ino) in self.seen:
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
        before, self._told = self._told, self._scanner.findings.size
        return before != self._told

    def result(self) -> Result:
        if self._found is None or self._found.size != self._scanner.findings.size:
            self._found = self._scanner.so_far()
        return Result(self._job, {self._logs: self._found}, [*self._notes.damaged, *self._unopened])

    def close(self) -> None:
        self._file.close()

    def _open(self, file: FileIO, *, continues: bool) -> None:
        self._file = file
        self._unopened = []
        status = os.fstat(self._file.fileno())
        self.seen.add((status.st_dev, status.st_ino))
        self._begin(continues=continues)

    def _begin(self, *, continues: bool) -> None:
        stream = Guarded(
            self._file, (OSError,), lambda error: self._notes.add(str(self._path), "not read to its end", error)
        )
        self._stream = PlainText(stream, grows=True)
        self._scanner.begin_file(str(self._path), continues=continues)

    def _take(self) -> None:
        while self._scanner.read(self._stream):
            pass
