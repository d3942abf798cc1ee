"""The manifest of a record: every file with its size and SHA-256; and the walk that finds them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from runbook_lib.digest import canonical_json, sha256_hex
from runbook_lib.record.journal import JournalText

# ``journal.jsonl`` grows after a seal, so it is not among the files: the manifest says how many lines of it there
# were, how many bytes, their SHA-256 and the last line's hash. The files of the seal itself are not in it either;
# the journal names those.

FORMAT = "runbook-manifest-v1"
JOURNAL = "journal.jsonl"
EMPTY = "added: it is an empty folder"


T = TypeVar("T", "JournalPart", "FileEntry")


class PackedFile(Protocol):
    """A file in an archive; both raise ``OSError`` where it is damaged."""

    def read_bytes(self) -> bytes:
        """Return its content."""

    def measured(self) -> tuple[str, int]:
        """Return its SHA-256 in hex and its bytes in number."""


ReadableFile = Path | PackedFile
"""A file of a record, on disk or in an archive."""


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
    """What a seal covers: the journal up to it, and every file."""

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
        manifest = Manifest(
            incident=value["incident"],
            journal=_typed(JournalPart(**value["journal"])),
            files=tuple(_typed(FileEntry(**entry)) for entry in value["files"]),
        )
        same = isinstance(manifest.incident, str) and manifest.to_bytes() == data
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("it is not a manifest") from None
    if not same:
        raise ValueError("it is not spelled as a manifest is written")
    return manifest


def _typed(part: T) -> T:
    """Return a part of a manifest whose values are of their types and no number is below 0; else ``TypeError``."""
    for field in fields(part):
        value = getattr(part, field.name)
        if type(value).__name__ != field.type or (isinstance(value, int) and value < 0):
            raise TypeError(field.name)
    return part


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
                entries = sorted(entries_here, key=lambda entry: entry.name)
        except OSError as error:
            others[here] = f"it cannot be entered: {error.strerror}"
            continue
        if not entries and parent != folder:
            others[here] = EMPTY
        for entry in entries:
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


def measured(file: ReadableFile) -> tuple[str, int]:
    """Return a file's SHA-256 in hex and its size in bytes, read piece by piece; raises ``OSError``."""
    if not isinstance(file, Path):
        return file.measured()
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return digest.hexdigest(), stream.tell()


def entries(files: Iterable[tuple[str, Path]], name: Callable[[str], str]) -> tuple[FileEntry, ...]:
    """Read each file; ``name`` spells its path. One that goes meanwhile was never the record's, and is left out."""
    files_there = []
    for relative, path in sorted(files):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        files_there.append(FileEntry(path=name(relative), sha256=sha256_hex(data), size=len(data)))
    return tuple(files_there)
