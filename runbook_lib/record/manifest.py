"""The manifest of a record: every file with its size and SHA-256, one a line; and the walk that finds them.

``journal.jsonl`` grows after a seal, so it is not among the files: the manifest says how many lines of it there
were, how many bytes, their SHA-256 and the last line's hash. The files of the seal itself are not in it either;
the journal names those.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from runbook_lib.canonical import canonical_json, sha256_hex
from runbook_lib.record.lines import JournalText
from runbook_lib.record.members import Member

FORMAT = "runbook-manifest-v1"
JOURNAL = "journal.jsonl"
EMPTY = "added: it is an empty folder"


class Readable(Protocol):
    """A file of a record, on disk or in an archive."""

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file: its path in the record with ``/``, its size in bytes, the SHA-256 of its content."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class JournalPart:
    """The part of the journal that a seal covers: whole lines from the first on, their bytes, the last one's hash."""

    lines: int
    bytes: int
    sha256: str
    head: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    incident: str
    journal: JournalPart
    files: tuple[FileEntry, ...]

    def to_bytes(self) -> bytes:
        """JSON, each file on a line of its own, so that ``sed`` can read it too."""
        head = {"format": FORMAT, "incident": self.incident, "journal": asdict(self.journal)}
        rows = b",\n".join(canonical_json(asdict(entry)) for entry in self.files)
        return canonical_json(head)[:-1] + b',"files":[\n' + rows + b"\n]}\n"


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest; ``ValueError`` if it is none, or not spelled as this software spells it."""
    try:
        value: dict[str, Any] = json.loads(data)
        if value["format"] != FORMAT:
            raise ValueError("it is not a manifest of this form")
        found = Manifest(
            incident=value["incident"],
            journal=JournalPart(**value["journal"]),
            files=tuple(FileEntry(**entry) for entry in value["files"]),
        )
        same = found.to_bytes() == data
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("it is not a manifest") from None
    if not same:
        raise ValueError("it is not spelled as a manifest is written")
    return found


def journal_part(data: bytes, journal: JournalText) -> JournalPart:
    """The whole lines of a journal's bytes."""
    whole = data[: len(data) - len(journal.torn)]
    return JournalPart(lines=len(journal.lines), bytes=len(whole), sha256=sha256_hex(whole), head=journal.head)


def list_files(folder: Path) -> tuple[dict[str, Path], tuple[tuple[str, str], ...]]:
    """Return every plain file under ``folder`` but the journal, by its path there, and what else there is, and why.

    Nothing is passed over: a link or a device, an empty folder, one that cannot be entered, a name that is not UTF-8.
    """
    files: dict[str, Path] = {}
    others: dict[str, str] = {}
    waiting = [folder]  # not by recursion, of which a folder that is deep enough would run out
    while waiting:
        parent = waiting.pop()
        here = _spelled(parent.relative_to(folder))
        try:
            with os.scandir(parent) as entries_here:
                found = sorted(entries_here, key=lambda entry: entry.name)
        except OSError as error:
            others[here] = f"it cannot be entered: {error.strerror}"
            continue
        if not found and parent != folder:
            others[here] = EMPTY
        for entry in found:
            path = parent / entry.name
            relative = _spelled(path.relative_to(folder))
            if relative != path.relative_to(folder).as_posix():
                others[relative] = "added: its name is not UTF-8"
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif not entry.is_file(follow_symlinks=False):
                others[relative] = "added: it is a link or a device, and a record holds plain files only"
            elif relative != JOURNAL:
                files[relative] = path
    return files, tuple(sorted(others.items()))


def _spelled(path: Path) -> str:
    """A path in words, also where its bytes are no text."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")


def measured(file: Readable) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file, read piece by piece; raises ``OSError``."""
    if isinstance(file, Member):
        return file.measured()
    if isinstance(file, Path):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            return digest.hexdigest(), stream.tell()
    data = file.read_bytes()
    return sha256_hex(data), len(data)


def entries(files: Iterable[tuple[str, Path]], name: Callable[[str], str]) -> tuple[FileEntry, ...]:
    """Read each file; ``name`` spells its path. One that goes meanwhile was never the record's, and is left out."""
    found = []
    for relative, path in sorted(files):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        found.append(FileEntry(path=name(relative), sha256=sha256_hex(data), size=len(data)))
    return tuple(found)
