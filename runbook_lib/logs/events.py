"""Messages to events, events to groups of one subject: each counted once, bounded whatever the logs hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from runbook_lib.device.names import Name, fits, name_key
from runbook_lib.logs.likeness import FOREIGN, Likeness
from runbook_lib.logs.lines import kind_of_thread
from runbook_lib.logs.mismatch import MessageHit
from runbook_lib.logs.search import Rule
from runbook_lib.observations import LogLine, NotALog

# -- Events of one subject, together: how many, since when, on whose evidence. Bounded, whatever the logs hold

EVIDENCE_EVENTS = 3
EVIDENCE_LINES = 8
MOST_SUBJECTS = 1000
MOST_THREADS = 20
_BACKWARDS = timedelta(seconds=2)

Key = tuple[object, ...]


@dataclass
class Times:
    """When the events of a group were: by the times that are known, and as the first and the last one say it."""

    first: datetime | None = None
    last: datetime | None = None
    first_said: str = ""
    last_said: str = ""
    latest: datetime | None = None
    unsaid: int = 0
    undated: int = 0
    zoneless: int = 0
    backwards: bool = False

    def add(self, hit: MessageHit) -> None:
        """Take in an event; its hit's ``moment`` is in UTC."""
        utc, said = hit.moment, hit.said
        self.backwards |= bool(self.latest and utc and self.latest - utc > _BACKWARDS)
        undated = bool(said) and utc is None
        self.take(Times(utc, utc, said, said, utc, not said, undated, hit.zoneless))

    def take(self, other: Times) -> None:
        """Take in the times of events that stand behind these."""
        if other.first is not None:
            if self.first is None or other.first < self.first:
                self.first, self.first_said = other.first, other.first_said
            if self.last is None or (other.last is not None and other.last >= self.last):
                self.last, self.last_said = other.last, other.last_said
        elif self.first is None:
            self.first_said = self.first_said or other.first_said
            self.last_said = other.last_said or self.last_said
        self.latest = other.latest or self.latest
        self.unsaid += other.unsaid
        self.undated += other.undated
        self.zoneless += other.zoneless
        self.backwards |= other.backwards

    def notes(self, zone: str) -> Iterator[str]:
        """Yield what is not known of these times; ``zone`` is the one that was named for the server, or empty."""
        if self.unsaid:
            yield f"{self.unsaid} of its events have no time"
        if self.undated:
            yield (
                f"{self.undated} of its times have no year, or fall into an hour that a clock skips or repeats:"
                " first and last leave them out"
            )
        if self.zoneless and not zone:
            yield "the log does not say in which time zone it was written: its times are read as UTC"
        if self.backwards:
            yield "time goes backwards between its events: first and last are by time, not by their order"


@dataclass
class EventGroup:
    """All events of one kind of thread and one subject."""

    subject: str
    name: Name | None
    kind: str
    cut: bool
    threads: dict[str, None] = field(default_factory=dict)
    count: int = 0
    times: Times = field(default_factory=Times)
    early: list[LogLine] = field(default_factory=list)
    late: list[list[LogLine]] = field(default_factory=list)

    def add(self, lines: list[LogLine], threads: Iterable[str], count: int) -> None:
        """Count events of the group; their lines are kept as evidence while there is room."""
        self.count += count
        for thread in threads:
            if thread and len(self.threads) < MOST_THREADS:
                self.threads[thread] = None
        if len(self.early) < EVIDENCE_EVENTS * EVIDENCE_LINES:
            self.early += lines
        elif lines:
            self.late = [*self.late[1 - EVIDENCE_EVENTS :], lines]

    def take(self, other: EventGroup) -> None:
        """Take in a group that means the same subject."""
        self.add(other.early, other.threads, other.count)
        for lines in other.late:
            self.add(lines, (), 0)
        self.times.take(other.times)


def group_at(groups: dict[Key, EventGroup], key: Key, new: EventGroup) -> EventGroup:
    """Return the group at ``key``, ``new`` where there is none; subjects beyond MOST_SUBJECTS are one group."""
    if key not in groups and len(groups) >= MOST_SUBJECTS:
        key = (new.kind, None)
        new = replace(new, subject="", name=None, cut=False)
    return groups.setdefault(key, new)


# One event may print the message twice: with its thread and subject, and again in the exception below,
# where the subject may be the CN alone. The two belong together where the subjects fit, they stand on
# one line or within NEAR bytes, and the exception has no record of its own.

NEAR = 65536
_OPEN_EVENTS = 8
_SAME_RECORD = timedelta(seconds=5)


@dataclass
class Event:
    """One event: its first message, and what was printed with it. ``lines`` are its evidence."""

    hit: MessageHit
    last_start: int
    last_end: int
    exceptions: int
    lines: list[LogLine] = field(default_factory=list)

    def takes(self, hit: MessageHit) -> bool:
        """Whether ``hit`` is this event's exception printed again."""
        if not hit.exception or hit.at - self.last_end > NEAR or not _may_be_same(hit, self.hit):
            return False
        if hit.cause or hit.start == self.last_start:
            return True
        if self.exceptions:
            return False
        same_thread = hit.thread == self.hit.thread or not (hit.thread and self.hit.thread)
        return not hit.own_prefix or (same_thread and _close(hit.moment, self.hit.moment))

    def add(self, hit: MessageHit, lines: Iterable[LogLine]) -> None:
        """Take in another message of the same event; what it knows more is kept."""
        self.last_start, self.last_end = hit.start, hit.end
        self.exceptions += not hit.cause
        known = {(line.source, line.number) for line in self.lines}
        more = [line for line in lines if (line.source, line.number) not in known]
        self.lines += more[: EVIDENCE_LINES - len(self.lines)]
        if not self.hit.thread and hit.thread:
            self.hit = replace(self.hit, thread=hit.thread)
        if self.hit.moment is None and hit.moment is not None:
            self.hit = replace(self.hit, moment=hit.moment, said=hit.said, zoneless=hit.zoneless)


class Events:
    """Collects the hits of one series of logs, in their order. Memory does not grow with the logs."""

    def __init__(self) -> None:
        self.groups: dict[Key, EventGroup] = {}
        self._open: list[Event] = []

    def add(self, hit: MessageHit, lines: list[LogLine]) -> bool:
        """Take in a hit, its ``moment`` in UTC, with its evidence; return whether it only quotes, and is left out."""
        for event in reversed(self._open):
            if event.takes(hit):
                event.add(hit, lines)
                return False
        if hit.quoted:
            return True
        if len(self._open) >= _OPEN_EVENTS:
            self._close(self._open.pop(0))
        self._open.append(Event(hit, hit.start, hit.end, int(hit.exception), lines[:EVIDENCE_LINES]))
        return False

    def end_of_series(self) -> None:
        """Nothing that follows belongs to an event that is open now."""
        for event in self._open:
            self._close(event)
        self._open.clear()

    def _close(self, event: Event) -> None:
        hit = event.hit
        subject: object = name_key(hit.name) if hit.name else hit.subject
        key: Key = (kind_of_thread(hit.thread), subject, hit.cut)
        group = group_at(self.groups, key, EventGroup(hit.subject, hit.name, str(key[0]), hit.cut))
        group.add(event.lines, (hit.thread,), 1)
        group.times.add(hit)


def _may_be_same(a: MessageHit, b: MessageHit) -> bool:
    if a.name is None or b.name is None:
        return a.subject == b.subject or _is_cut_from(a, b.subject)
    return bool(fits(a.name, b.name) or fits(b.name, a.name)) or _is_cut_from(a, b.subject)


def _is_cut_from(hit: MessageHit, subject: str) -> bool:
    return hit.cut and subject.startswith(hit.subject)


def _close(a: datetime | None, b: datetime | None) -> bool:
    return a is None or b is None or abs(a - b) <= _SAME_RECORD


# -- What one series of logs holds, before anybody says whose log it is: bounded, and joined in the series' order

CutOff = Literal["cut", "missing", "other"]
EVIDENCE = 5
NAMED = 50


@dataclass
class Tally:
    """What one rule has found; hits before ``skip_to`` have been dealt with. Evidence is the first and the last."""

    rule: Rule
    count: int = 0
    skip_to: int = 0
    early: list[list[LogLine]] = field(default_factory=list)
    late: list[list[LogLine]] = field(default_factory=list)

    def add(self, lines: list[LogLine], count: int = 1) -> None:
        """Count hits; their lines are kept as evidence while there is room."""
        self.count += count
        if len(self.early) < EVIDENCE:
            self.early.append(lines)
        else:
            self.late = [*self.late[1 - EVIDENCE :], lines]

    def take(self, other: Tally) -> None:
        """Take in what the same rule has found in logs that stand behind these."""
        for lines in (*other.early, *other.late):
            self.add(lines, 0)
        self.count += other.count

    @property
    def evidence(self) -> tuple[LogLine, ...]:
        """The lines that are kept, in their order."""
        return tuple(line for lines in (*self.early, *self.late) for line in lines)


@dataclass
class Looks:
    """How much of what was read looks like a log, and whether any of it is the ``product``'s.

    Of the files that do not look like one, or have nothing of the product's in them, the first NAMED are named.
    """

    files: int = 0
    lines: int = 0
    product: bool = False
    others: list[NotALog] = field(default_factory=list)

    def add(self, source: str, lines: int, likeness: Likeness, *, product: bool) -> None:
        """Take note of a file that was read to its end; ``product``: its name or a word in it is the product's."""
        if likeness.is_log:
            self.files += 1
            self.lines += lines
            self.product |= product
        if not (likeness.is_log and product) and len(self.others) < NAMED:
            looks_like = FOREIGN if likeness.is_log else likeness.named()
            self.others.append(NotALog(source=source, looks_like=looks_like))


@dataclass
class Findings:
    """``roles`` are the servers that the logs themselves name; ``size`` is in bytes.

    ``end_zoneless`` says that no zone stands where ``end_utc`` was read; ``cut_off`` holds, by log, the first line
    that reports a mismatch and was cut, is in other words, or whose message was left out when it was exported.
    """

    tallies: dict[str, Tally]
    events: Events = field(default_factory=Events)
    roles: set[str] = field(default_factory=set)
    looks: Looks = field(default_factory=Looks)
    files: int = 0
    lines: int = 0
    size: int = 0
    end_utc: datetime | None = None
    end_zoneless: bool = False
    cut_off: dict[str, tuple[int, CutOff]] = field(default_factory=dict)

    @property
    def groups(self) -> dict[Key, EventGroup]:
        """The events that were found, by kind and subject."""
        return self.events.groups
