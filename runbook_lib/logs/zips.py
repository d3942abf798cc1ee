"""Logs in zip files. One whose directory at the end is missing is read from its beginning, entry by entry."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from runbook_lib.logs.inflate import DAMAGE, RAW, Ahead, CutOff, Inflated
from runbook_lib.logs.limits import CUT_WORDS, DAMAGE_WORDS, Content, Meter
from runbook_lib.logs.series import oldest_first
from runbook_lib.logs.streams import CHUNK, At, Readable

_LARGE = 4 << 20
_HEADER = struct.Struct("<4s5H3L2H")
_HEADER_MARK = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_BEHIND, _UTF_8 = 1, 8, 1 << 11
_REFUSALS = (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError, zlib.error, struct.error)
_UNREAD = "damaged, encrypted or packed in an unknown way: not read"

Inside = Callable[[str, Readable], Iterator[Content]]
"""What yields the logs in an entry, which may be an archive itself, by the entry's name and bytes."""


@dataclass(frozen=True)
class _Header:
    """What stands before an entry's bytes. ``size`` is that of the packed bytes; 0 where it stands behind them."""

    name: str
    flags: int
    method: int
    checksum: int
    size: int

    @property
    def readable(self) -> bool:
        sized = self.method == _DEFLATED or (self.method == _STORED and not self.flags & _SIZES_BEHIND)
        return sized and not self.flags & _ENCRYPTED


def from_zip(name: str, file: IO[bytes], meter: Meter, inside: Inside) -> Iterator[Content]:
    """Yield the logs of a zip file that can be sought in, rotated series oldest first."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = sorted(archive.infolist(), key=lambda m: oldest_first(m.filename))
    except _REFUSALS as error:
        meter.notes.add(name, CUT_WORDS, error)
        file.seek(0)
        yield from _without_directory(name, file, meter, inside)
        return
    for member in members:
        meter.add_entry()
        if member.is_dir():
            continue
        inner = f"{name}/{member.filename}"
        file.seek(max(member.header_offset, 0))
        header = _header(file)
        if header is None or member.flag_bits & _ENCRYPTED or member.compress_type not in (_STORED, _DEFLATED):
            meter.notes.add(inner, _UNREAD)
            continue
        whole = _Header(member.filename, 0, member.compress_type, member.CRC, member.compress_size)
        yield from _logs(inner, _Entry(file, whole, meter), member.file_size, inside)


def _logs(name: str, entry: _Entry, size: int, inside: Inside) -> Iterator[Content]:
    if size < _LARGE:
        yield from inside(name, entry)
        return
    ahead = Ahead(entry)
    try:
        yield from inside(name, ahead)
    finally:
        ahead.close()


def _without_directory(name: str, file: IO[bytes], meter: Meter, inside: Inside) -> Iterator[Content]:
    """Yield the logs of the entries in the order in which they are stored, up to one that cannot be read."""
    while header := _header(file):
        meter.add_entry()
        inner = f"{name}/{header.name}"
        if not header.readable:
            meter.notes.add(inner, DAMAGE_WORDS)
            return
        entry = _Entry(file, header, meter)
        yield from inside(inner, entry)
        try:
            while entry.read(CHUNK):
                pass
        except DAMAGE:
            return
        file.seek(-entry.unused, io.SEEK_CUR)
        if header.flags & _SIZES_BEHIND:
            marked = file.read(4) == b"PK\x07\x08"
            file.seek(12 if marked else 8, io.SEEK_CUR)


def _header(file: IO[bytes]) -> _Header | None:
    """Return the header at the file's position, which then is that of the entry's bytes; None where there is none."""
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_HEADER_MARK):
        return None
    _, _, flags, method, _, _, checksum, size, _, name_length, extra_length = _HEADER.unpack(head)
    name = file.read(name_length).decode("utf-8" if flags & _UTF_8 else "cp437", "replace")
    file.seek(extra_length, io.SEEK_CUR)
    return _Header(name, flags, method, checksum, size)


def _again(file: IO[bytes]) -> Callable[[], Readable] | None:
    """Return what reads a file on disk once more from where it stands now; None for one in memory."""
    if isinstance(file, io.BytesIO):
        return None
    descriptor, position = file.fileno(), file.tell()
    return lambda: At(descriptor, position)


class _Entry:
    """One entry's bytes. Raises one of ERRORS where they are not what was packed, CutOff where they end early."""

    def __init__(self, file: IO[bytes], header: _Header, meter: Meter) -> None:
        self._header = header
        self._file = file
        self._inflated = Inflated(file, meter, RAW, _again(file)) if header.method == _DEFLATED else None
        self._meter = meter
        self._left = header.size
        self._checksum = 0
        self._over = False

    @property
    def unused(self) -> int:
        """How many bytes were read behind the entry's end."""
        return self._inflated.unused if self._inflated else 0

    def read(self, count: int = -1) -> bytes:
        count = CHUNK if count < 0 else count
        chunk = self._inflated.read(count) if self._inflated else self._stored(count)
        self._checksum = zlib.crc32(chunk, self._checksum)
        if not chunk and not self._over:
            self._over = True
            if self._checksum != self._header.checksum and not self._header.flags & _SIZES_BEHIND:
                raise zlib.error("the checksum is another one")
        return chunk

    def _stored(self, count: int) -> bytes:
        chunk = self._file.read(min(self._left, count))
        if not chunk and self._left:
            raise CutOff("the entry ends too early")
        self._left -= len(chunk)
        self._meter.add_bytes(len(chunk))
        return chunk
