"""What checking a record found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.record.keys import VerifyingKey
from runbook_lib.record.templates import Drift
from runbook_lib.record.timestamp import Stamp


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A file of the record and what is wrong with it: edited, added, removed or cut short, or what else."""

    path: str
    what: str


@dataclass(kw_only=True)
class Verification:
    """What was found. ``problems`` empty: the record verifies, as far as ``seal``, ``key`` and ``notes`` say.

    ``stamp``: a time stamp that was verified. ``notebooks``: the versions that ran, beside those that are here now.
    """

    folder: Path
    incident: str = ""
    files: int = 0
    lines: int = 0
    covered_lines: int = 0
    seal: str = ""
    key: VerifyingKey | None = None
    stamp: Stamp | None = None
    notebooks: tuple[Drift, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, path: str, what: str) -> None:
        if Problem(path=path, what=what) not in self.problems:
            self.problems.append(Problem(path=path, what=what))
