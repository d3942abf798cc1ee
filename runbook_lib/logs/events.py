"""Messages to events: each event counted once, whatever it printed.

One event may print the message twice: with its thread and subject, and again in the exception below,
where the subject may be the CN alone. The two belong together where the subjects fit, they stand on
one line or within NEAR bytes, and the exception has no record of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from runbook_lib.logs.groups import EVIDENCE_LINES, Group, Key, group_at
from runbook_lib.logs.message import Hit
from runbook_lib.logs.prefix import kind_of_thread
from runbook_lib.models import LogLine
from runbook_lib.parse.names import fits, name_key

NEAR = 65536
_OPEN_EVENTS = 8
_SAME_RECORD = timedelta(seconds=5)


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
        more = [line for line in lines if (line.source, line.number) not in known]
        self.lines += more[: EVIDENCE_LINES - len(self.lines)]
        if not self.hit.thread and hit.thread:
            self.hit = replace(self.hit, thread=hit.thread)
        if self.hit.moment is None and hit.moment is not None:
            self.hit = replace(self.hit, moment=hit.moment, said=hit.said, zoneless=hit.zoneless)


class Events:
    """Collects the hits of one series of logs, in their order. Memory does not grow with the logs."""

    def __init__(self) -> None:
        self.groups: dict[Key, Group] = {}
        self._open: list[Event] = []

    def add(self, hit: Hit, lines: list[LogLine]) -> bool:
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
        group = group_at(self.groups, key, Group(hit.subject, hit.name, str(key[0]), hit.cut))
        group.add(event.lines, (hit.thread,), 1)
        group.times.add(hit)


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
