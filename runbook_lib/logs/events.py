"""Messages to events, and events to mismatches: each event counted once, whatever it printed.

One event may print the message twice: with its thread and subject, and again in the exception below,
where the subject may be the CN alone. The two belong together where the subjects fit, they stand on
one line or within NEAR bytes, and the exception has no record of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from runbook_lib.logs.message import Hit
from runbook_lib.logs.prefix import kind_of_thread
from runbook_lib.models import LogLine, Mismatch
from runbook_lib.parse.names import Name, common_name, fits, fold_value, lone_common_name, name_key

NEAR = 65536
EVIDENCE_EVENTS = 3
EVIDENCE_LINES = 8
MOST_SUBJECTS = 1000
MOST_THREADS = 20
_OPEN_EVENTS = 8
_SAME_RECORD = timedelta(seconds=5)

PLACES = {
    ("primary", "health_monitor"): "primary_health_monitor",
    ("primary", "infrastructure"): "primary_infrastructure",
    ("secondary", "health_monitor"): "secondary_health_monitor",
}
"""Server and kind of thread → the place, as published; every other pair is ``unknown``."""

Subject = tuple[object, ...]


@dataclass
class Event:
    """One event: its first message, and what was printed with it. ``lines`` are its evidence."""

    hit: Hit
    last_start: int
    last_end: int
    exceptions: int
    lines: list[LogLine] = field(default_factory=list)

    def takes(self, hit: Hit) -> bool:
        """Whether ``hit`` is this event's exception printed again."""
        if not hit.exception or hit.at - self.last_end > NEAR or not _may_be_same(hit, self.hit):
            return False
        if hit.cause or hit.start == self.last_start:
            return True
        if self.exceptions:
            return False
        return not hit.own_prefix or (_agree(hit.thread, self.hit.thread) and _close(hit.moment, self.hit.moment))

    def add(self, hit: Hit, lines: Iterable[LogLine]) -> None:
        self.last_start, self.last_end = hit.start, hit.end
        self.exceptions += not hit.cause
        known = {(line.source, line.number) for line in self.lines}
        self.lines += [line for line in lines if (line.source, line.number) not in known]
        if not self.hit.thread and hit.thread:
            self.hit = replace(self.hit, thread=hit.thread)
        if self.hit.moment is None and hit.moment is not None:
            self.hit = replace(self.hit, moment=hit.moment)


@dataclass
class Group:
    """All events of one server, place and subject."""

    subject: str
    name: Name | None
    place: str
    cut: bool
    threads: dict[str, None] = field(default_factory=dict)
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    early: list[LogLine] = field(default_factory=list)
    late: list[list[LogLine]] = field(default_factory=list)

    def add(self, lines: list[LogLine], threads: Iterable[str], moments: Sequence[datetime | None], count: int) -> None:
        self.count += count
        for thread in threads:
            if thread and len(self.threads) < MOST_THREADS:
                self.threads[thread] = None
        known = [m for m in (*moments, self.first, self.last) if m is not None]
        self.first, self.last = min(known, default=None), max(known, default=None)
        if len(self.early) < EVIDENCE_EVENTS * EVIDENCE_LINES:
            self.early += lines
        elif lines:
            self.late = [*self.late[1 - EVIDENCE_EVENTS :], lines]

    def take(self, other: Group) -> None:
        """Take in a group that means the same subject."""
        self.add(other.early, other.threads, (other.first, other.last), other.count)
        for lines in other.late:
            self.add(lines, (), (), 0)


class Mismatches:
    """Collects the hits of one server, in the order of its logs. Memory does not grow with the logs."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._open: list[Event] = []
        self._groups: dict[Subject, Group] = {}

    def add(self, hit: Hit, lines: list[LogLine], moment: datetime | None) -> None:
        """Take in a hit with its evidence and its time in UTC."""
        hit = replace(hit, moment=moment)
        for event in reversed(self._open):
            if event.takes(hit):
                event.add(hit, lines)
                return
        if hit.quoted:
            return
        if len(self._open) >= _OPEN_EVENTS:
            self._close(self._open.pop(0))
        self._open.append(Event(hit, hit.start, hit.end, int(hit.exception), list(lines)))

    def end_of_series(self) -> None:
        """Nothing that follows belongs to an event that is open now."""
        for event in self._open:
            self._close(event)
        self._open.clear()

    def result(self) -> tuple[Mismatch, ...]:
        """Return the mismatches, those that mean one subject as one."""
        self.end_of_series()
        groups = _merged(list(self._groups.values()))
        return tuple(
            Mismatch(
                server=self._server,
                place=g.place,
                subject=g.subject,
                threads=tuple(g.threads),
                count=g.count,
                first_utc=g.first,
                last_utc=g.last,
                evidence=(*g.early, *(line for lines in g.late for line in lines)),
            )
            for g in groups
        )

    def _close(self, event: Event) -> None:
        hit = event.hit
        place = PLACES.get((self._server, kind_of_thread(hit.thread)), "unknown")
        subject: object = name_key(hit.name) if hit.name else hit.subject
        key: Subject = (place, subject, hit.cut)
        if key not in self._groups and len(self._groups) >= MOST_SUBJECTS:
            key = (place, None)
            hit = replace(hit, subject="", name=None, cut=False)
        group = self._groups.setdefault(key, Group(hit.subject, hit.name, place, hit.cut))
        group.add(event.lines[:EVIDENCE_LINES], (hit.thread,), (hit.moment,), 1)


def _may_be_same(a: Hit, b: Hit) -> bool:
    if a.name is None or b.name is None:
        return a.subject == b.subject or _is_cut_from(a, b.subject)
    return bool(fits(a.name, b.name) or fits(b.name, a.name)) or _is_cut_from(a, b.subject)


def _is_cut_from(hit: Hit, subject: str) -> bool:
    return hit.cut and subject.startswith(hit.subject)


def _agree(a: str, b: str) -> bool:
    return not a or not b or a == b


def _close(a: datetime | None, b: datetime | None) -> bool:
    return a is None or b is None or abs(a - b) <= _SAME_RECORD


def _merged(groups: list[Group]) -> list[Group]:
    """Merge what means one subject: a subject cut off, or a CN alone, with the one full subject that it fits."""
    kept = [g for g in groups if not g.cut and not _lone(g)]
    for rest in ([g for g in groups if not g.cut and _lone(g)], [g for g in groups if g.cut]):
        full = list(kept)
        for group in rest:
            means = [g for g in full if _means(group, g)]
            same_place = [g for g in means if g.place == group.place]
            home = same_place if group.place != "unknown" or same_place else means
            if len(home) == 1:
                home[0].take(group)
            else:
                kept.append(group)
    return kept


def _lone(group: Group) -> str:
    return lone_common_name(group.name) if group.name else ""


def _means(group: Group, full: Group) -> bool:
    if group.cut:
        return full.subject.startswith(group.subject)
    return full.name is not None and fold_value(common_name(full.name)) == _lone(group)
