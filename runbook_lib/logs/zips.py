"""Logs in zip files. One whose directory at the end is missing is read from its beginning, entry by entry."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from runbook_lib.logs.ahead import WORTH, Ahead
from runbook_lib.logs.inflate import DAMAGE, RAW, CutOff, Exact, framed, inflated
from runbook_lib.logs.limits import CUT_WORDS, DAMAGE_WORDS, Content, Inside, Meter, Metered
from runbook_lib.logs.series import oldest_first
from runbook_lib.logs.streams import CHUNK, Again, At, Part, Readable

_HEADER = struct.Struct("<4s5H3L2H")
_HEADER_MARK = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_BEHIND, _UTF_8 = 1, 8, 1 << 11
_REFUSALS = (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError, zlib.error, struct.error)
_UNREAD = "damaged, encrypted or packed in an unknown way: not read"


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
        yield from _logs(inner, member, _packed(file, member.compress_size), meter, inside)


def _logs(name: str, member: zipfile.ZipInfo, packed: Again, meter: Meter, inside: Inside) -> Iterator[Content]:
    def again() -> Readable:
        return _unpacked(member, packed, None)

    entry = Metered(_unpacked(member, packed, packed), meter)
    if member.file_size < WORTH:
        yield from inside(name, entry, again)
        return
    ahead = Ahead(entry)
    try:
        yield from inside(name, ahead, again)
    finally:
        ahead.close()


def _unpacked(member: zipfile.ZipInfo, packed: Again, again: Again | None) -> Readable:
    """Return an entry's bytes, inflated the quick way where ``again`` opens the packed ones once more."""
    if member.compress_type == _STORED:
        return _Stored(packed(), member.compress_size, member.CRC)

    def member_of_gzip() -> Readable:
        return framed(packed(), member.CRC, member.file_size)

    return inflated(member_of_gzip(), again and member_of_gzip)


def _packed(file: IO[bytes], size: int) -> Again:
    """Return what opens the ``size`` bytes at the file's position, which stays where it is."""
    position = file.tell()
    if isinstance(file, io.BytesIO):
        held = file.getvalue()  # not copied
        return lambda: io.BytesIO(held[position : position + size])
    descriptor = file.fileno()
    return lambda: Part(At(descriptor, position), 0, size)


class _Stored:
    """An entry that is not packed. Raises one of DAMAGE where its bytes are not what they were."""

    def __init__(self, file: Readable, size: int, checksum: int) -> None:
        self._file = file
        self._left = size
        self._expected = checksum
        self._checksum = 0

    def read(self, count: int = -1) -> bytes:
        chunk = self._file.read(CHUNK if count < 0 else count)
        self._left -= len(chunk)
        self._checksum = zlib.crc32(chunk, self._checksum)
        if not chunk and self._left > 0:
            raise CutOff("the entry ends too early")
        if not chunk and self._checksum != self._expected:
            self._expected = self._checksum  # said once
            raise zlib.error("the checksum is another one")
        return chunk


# -- without a directory ----------------------------------------------------------------------


def _without_directory(name: str, file: IO[bytes], meter: Meter, inside: Inside) -> Iterator[Content]:
    """Yield the logs of the entries in the order in which they are stored, up to one that cannot be read."""
    while header := _header(file):
        meter.add_entry()
        inner = f"{name}/{header.name}"
        if not header.readable:
            meter.notes.add(inner, DAMAGE_WORDS)
            return
        entry = _Entry(file, header)
        yield from inside(inner, Metered(entry, meter), None)
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


class _Entry:
    """The entry at the file's position. Raises one of DAMAGE where its bytes are not what was packed."""

    def __init__(self, file: IO[bytes], header: _Header) -> None:
        self._header = header
        self._exact = Exact(file, RAW) if header.method == _DEFLATED else None
        self._stored = _Stored(Part(file, 0, header.size), header.size, header.checksum)
        self._checksum = 0
        self._over = False

    @property
    def unused(self) -> int:
        """How many bytes were read behind the entry's end."""
        return self._exact.unused if self._exact else 0

    def read(self, count: int = -1) -> bytes:
        if self._exact is None:
            return self._stored.read(count)
        chunk = self._exact.read(count)
        self._checksum = zlib.crc32(chunk, self._checksum)
        if not chunk and not self._over:
            self._over = True
            if self._checksum != self._header.checksum and not self._header.flags & _SIZES_BEHIND:
                raise zlib.error("the checksum is another one")
        return chunk
