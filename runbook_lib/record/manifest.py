"""The manifest of a record, and the files in an archive of one: what is there, and nothing else."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from runbook_lib.digest import canonical_json, sha256_hex
from runbook_lib.record.journal import JournalText

# -- The files in an archive of a record: nothing but them is in it, and reading them takes little memory.
#
# An archive is what ``archive.packed`` writes: the files' headers and data one after the other from the first byte on,
# then the table of contents, then the end record. A byte before, behind or between them, or inside a file's data after
# its end, is no part of a record, and could be another file to another program.

LARGEST = 4 << 30
LARGEST_READ = 64 << 20
"""The most that is taken into memory of one file: a journal, a manifest. Others are measured piece by piece."""
TIME = (1980, 1, 1, 0, 0, 0)
MODE = (stat.S_IFREG | 0o600) << 16
_PIECE = 1 << 20
_END = struct.Struct("<4s4H2LH")
_ENTRY = 46
_VERSION = 20
_UTF8 = 0x800


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of an archive, read when it is asked for: where its data begins, how long they are, what comes out."""

    archive: Path
    start: int
    packed: int
    size: int
    crc: int

    def read_bytes(self) -> bytes:
        """Raises ``OSError`` where the archive is damaged there, or the file too large to be taken into memory."""
        if self.size > LARGEST_READ:
            raise OSError(errno.EFBIG, f"it unpacks to {self.size} bytes")
        return b"".join(self._pieces())

    def measured(self) -> tuple[str, int]:
        """Return the file's SHA-256 in hex and its bytes in number; raises ``OSError`` where it is damaged."""
        digest = hashlib.sha256()
        for piece in self._pieces():
            digest.update(piece)
        return digest.hexdigest(), self.size

    def _pieces(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        left = self.packed
        size = crc = 0
        with self.archive.open("rb") as file:
            file.seek(self.start)
            while not inflate.eof:
                data = inflate.unconsumed_tail
                if not data:
                    data = file.read(min(left, _PIECE))
                    left -= len(data)
                try:
                    piece = inflate.decompress(data, _PIECE)
                except zlib.error as error:
                    raise _damaged(str(error)) from error
                size += len(piece)
                crc = zlib.crc32(piece, crc)
                if size > self.size or not (data or piece):
                    break
                yield piece
        rest = left or inflate.unconsumed_tail or inflate.unused_data
        if rest or not inflate.eof or (size, crc) != (self.size, self.crc):
            raise _damaged("its data are not what its header says")


def read_members(path: Path) -> tuple[str, dict[str, Member]]:
    """Return the folder in an archive and its files by their paths there; ``ValueError`` says why it is none of ours.

    Also raises ``OSError`` and ``zipfile.BadZipFile``.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        _check_layout(file, infos, archive.start_dir)
    folders = {info.filename.partition("/")[0] for info in infos}
    if len(folders) != 1:
        raise ValueError("it does not hold one folder alone")
    if sum(info.file_size for info in infos) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST} bytes")
    members: dict[str, Member] = {}
    for info in infos:
        name = info.filename.partition("/")[2]
        if not _is_plain(info, name) or name in members:
            raise ValueError(f"a member that no record has: {info.filename!r}")
        start = info.header_offset + len(info.FileHeader(zip64=False))
        members[name] = Member(archive=path, start=start, packed=info.compress_size, size=info.file_size, crc=info.CRC)
    return folders.pop(), members


def _check_layout(file: BinaryIO, infos: list[zipfile.ZipInfo], contents: int) -> None:
    """Every byte of the file belongs to a member, to the table of contents, or to the end record."""
    at = 0
    for info in infos:
        if info.flag_bits & ~_UTF8 or info.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"a member that no record has: {info.filename!r}")
        header = info.FileHeader(zip64=False)
        file.seek(at)
        if info.header_offset != at or file.read(len(header)) != header:
            raise ValueError(f"there is something before {info.filename!r}, or its headers differ")
        at += len(header) + info.compress_size
    length = sum(_ENTRY + len(info.filename.encode("utf-8")) for info in infos)
    end = _END.pack(b"PK\5\6", 0, 0, len(infos), len(infos), length, contents, 0)
    file.seek(contents + length)
    if at != contents or file.read(len(end) + 1) != end:
        raise ValueError("there is data between its files and its end, or after it")


def _is_plain(info: zipfile.ZipInfo, name: str) -> bool:
    """Whether a member is a file as it is packed, below the folder, by a name that leads nowhere else."""
    parts = name.split("/")
    safe = all(part and part not in (".", "..") and "\\" not in part for part in parts)
    written = (info.date_time, info.external_attr, info.create_system, info.extra, info.comment)
    versions = (info.create_version, info.extract_version, info.reserved, info.volume, info.internal_attr)
    usual = written == (TIME, MODE, 3, b"", b"") and versions == (_VERSION, _VERSION, 0, 0, 0)
    return safe and info.orig_filename == info.filename and usual


def _damaged(why: str) -> OSError:
    return OSError(errno.EIO, f"damaged in the archive ({why})")


# -- The manifest of a record: every file with its size and SHA-256, one a line; and the walk that finds them.
#
# ``journal.jsonl`` grows after a seal, so it is not among the files: the manifest says how many lines of it there
# were, how many bytes, their SHA-256 and the last line's hash. The files of the seal itself are not in it either;
# the journal names those.

FORMAT = "runbook-manifest-v1"
JOURNAL = "journal.jsonl"
EMPTY = "added: it is an empty folder"


T = TypeVar("T", "JournalPart", "FileEntry")


ReadableFile = Path | Member
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
    if isinstance(file, Member):
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
