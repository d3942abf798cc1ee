"""A record's folder as it lies there: whatever can be read and is what the journal says, and what cannot.

Nothing here raises for a record that is damaged or died half-way: a post-mortem is written of those too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Stage
from runbook_lib.record.facts import from_json_bytes
from runbook_lib.record.lines import Kind, Line, parse_whole_lines
from runbook_lib.record.vault import checked

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """A value of the record, and the journal's line that names its file."""

    value: T
    line: Line


@dataclass
class RecordFolder:
    """The whole lines of the journal up to the first damaged one, and the files that they name.

    ``raw`` are the same lines to the byte; ``rest`` the number of bytes after them. ``unread`` collects the
    files that were asked for and are missing, changed, or of another form.
    """

    folder: Path
    lines: tuple[Line, ...]
    raw: tuple[bytes, ...]
    rest: int = 0
    unread: list[str] = field(default_factory=list)

    def data(self, line: Line) -> bytes | None:
        """Return the file that a line names, or None unless it is what it was when it was written."""
        if line.artifact is None:
            return None
        try:
            data = (self.folder / checked(line.artifact.path)).read_bytes()
        except (OSError, ParameterRefused):
            data = None
        if data is None or sha256_hex(data) != line.artifact.sha256:
            self._miss(line, "is missing, or is not what the journal says")
            return None
        return data

    def value(self, line: Line, kind: type[T]) -> T | None:
        """Return what a file of the record holds, or None where it cannot be read as ``kind``."""
        data = self.data(line)
        if data is None:
            return None
        try:
            return from_json_bytes(data, kind)
        except ValueError:
            self._miss(line, f"does not hold {getattr(kind, '__name__', kind)} as this version knows it")
            return None

    def facts(self, stage: Stage, name: str, kind: type[T]) -> Iterator[Found[T]]:
        """Yield what a stage left under a name, the newest first."""
        stem = f"facts/{stage.value}/{name}"
        for line in reversed(self.lines):
            path = line.artifact.path if line.artifact else ""
            if line.text == name and path.startswith(stem) and path.endswith(".json"):
                value = self.value(line, kind)
                if value is not None:
                    yield Found(value, line)

    def newest(self, stage: Stage, name: str, kind: type[T]) -> Found[T] | None:
        return next(self.facts(stage, name, kind), None)

    def of_kind(self, *kinds: Kind) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind in kinds)

    def _miss(self, line: Line, why: str) -> None:
        said = f"{line.artifact.path if line.artifact else ''} (line {line.n}) {why}"
        if said not in self.unread:
            self.unread.append(said)


def read_folder(folder: Path) -> RecordFolder:
    """Read the journal of a record's folder as far as its chain holds."""
    path = folder / "journal.jsonl"
    try:
        data = path.read_bytes()
    except OSError:
        return RecordFolder(folder, (), ())
    text, _ = parse_whole_lines(data, path)
    raw = tuple(data.split(b"\n")[: len(text.lines)])
    return RecordFolder(folder, text.lines, raw, rest=len(data) - sum(len(each) + 1 for each in raw))
