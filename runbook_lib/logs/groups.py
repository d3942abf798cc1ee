"""Events of one subject, together: how many, since when, on whose evidence. Bounded, whatever the logs hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from runbook_lib.logs.message import Hit
from runbook_lib.models import LogLine
from runbook_lib.parse.names import Name

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

    def add(self, hit: Hit) -> None:
        """Take in an event; its hit's ``moment`` is in UTC."""
        utc = hit.moment
        self.unsaid += not hit.said
        self.undated += bool(hit.said) and utc is None
        self.zoneless += hit.zoneless
        if utc is None:
            if self.first is None:
                self.first_said, self.last_said = self.first_said or hit.said, hit.said or self.last_said
            return
        self.backwards |= self.latest is not None and self.latest - utc > _BACKWARDS
        self.latest = utc
        if self.first is None or utc < self.first:
            self.first, self.first_said = utc, hit.said
        if self.last is None or utc >= self.last:
            self.last, self.last_said = utc, hit.said

    def take(self, other: Times) -> None:
        """Take in the times of events that stand behind these."""
        if other.first is not None:
            if self.first is None or other.first < self.first:
                self.first, self.first_said = other.first, other.first_said
            if self.last is None or (other.last is not None and other.last >= self.last):
                self.last, self.last_said = other.last, other.last_said
        elif self.first is None:
            self.first_said, self.last_said = self.first_said or other.first_said, other.last_said or self.last_said
        self.latest = other.latest or self.latest
        self.unsaid += other.unsaid
        self.undated += other.undated
        self.zoneless += other.zoneless
        self.backwards |= other.backwards

    def notes(self, zone: str) -> tuple[str, ...]:
        """Say what is not known of these times; ``zone`` is the one that was named for the server, or empty."""
        found = []
        if self.unsaid:
            found.append(f"{self.unsaid} of its events hold no time")
        if self.undated:
            found.append(f"{self.undated} of its times hold no year or are no date: first and last do not count them")
        if self.zoneless and not zone:
            found.append("the log does not say in which time zone it was written: its times are read as UTC")
        if self.backwards:
            found.append("time goes backwards between its events: first and last are by time, not by their order")
        return tuple(found)


@dataclass
class Group:
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
        self.count += count
        for thread in threads:
            if thread and len(self.threads) < MOST_THREADS:
                self.threads[thread] = None
        if len(self.early) < EVIDENCE_EVENTS * EVIDENCE_LINES:
            self.early += lines
        elif lines:
            self.late = [*self.late[1 - EVIDENCE_EVENTS :], lines]

    def take(self, other: Group) -> None:
        """Take in a group that means the same subject."""
        self.add(other.early, other.threads, other.count)
        for lines in other.late:
            self.add(lines, (), 0)
        self.times.take(other.times)


def group_at(groups: dict[Key, Group], key: Key, new: Group) -> Group:
    """Return the group at ``key``, ``new`` where there is none; subjects beyond MOST_SUBJECTS are one group."""
    if key not in groups and len(groups) >= MOST_SUBJECTS:
        key = (new.kind, None)
        new = replace(new, subject="", name=None, cut=False)
    return groups.setdefault(key, new)
