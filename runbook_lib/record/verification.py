"""What checking a record found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.record.keys import VerifyingKey
from runbook_lib.record.lines import Line
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

    ``names`` are those by which the record is called here, its folder's first. ``later`` are the lines that came after
    the newest seal: they may be true, and nobody has signed them. ``stamp``: a time stamp that was verified.
    ``notebooks``: the versions that ran, beside those that are here now.
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
    later: tuple[Line, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """What was found in a few words."""
        if self.problems:
            return "DOES NOT VERIFY"
        if self.later:
            count = "one line" if len(self.later) == 1 else f"{len(self.later)} lines"
            return f"sound up to its seal; {count} after it, from {self.later[0].n} on, NOT SIGNED BY ANYBODY"
        if self.key:
            return "sound and signed"
        return "sound in itself, and NOT SIGNED BY ANYBODY"

    def say(self, path: str, what: str) -> None:
        if Problem(path=path, what=what) not in self.problems:
            self.problems.append(Problem(path=path, what=what))
