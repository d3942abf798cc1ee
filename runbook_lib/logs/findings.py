"""What one series of logs holds, before anybody says whose log it is: bounded, and joined in the series' order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from runbook_lib.logs.events import Events
from runbook_lib.logs.groups import Group, Key
from runbook_lib.logs.likeness import Likeness
from runbook_lib.logs.rules import Rule
from runbook_lib.models import LogLine, NotALog

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
        return tuple(line for lines in (*self.early, *self.late) for line in lines)


@dataclass
class Looks:
    """How much of what was read looks like a log; of the files that do not, the first NAMED are named."""

    files: int = 0
    lines: int = 0
    others: list[NotALog] = field(default_factory=list)

    def add(self, source: str, lines: int, likeness: Likeness) -> None:
        """Take note of a file that was read to its end."""
        if likeness.is_log:
            self.files += 1
            self.lines += lines
        elif len(self.others) < NAMED:
            self.others.append(NotALog(source=source, looks_like=likeness.named()))


@dataclass
class Findings:
    """``roles`` are the servers that the logs themselves name; ``size`` is in bytes.

    ``end_zoneless`` says that no zone stands where ``end_utc`` was read.
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

    @property
    def groups(self) -> dict[Key, Group]:
        return self.events.groups
