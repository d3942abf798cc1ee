"""Logs in archives: ``.gz``, ``.tar``, ``.tar.gz`` and ``.zip``, inside each other to a depth.

``zipfile`` reads a zip file's directory; the entries are read here, because it inflates by ``zlib`` only, loses with
damage what it had inflated before, and reads nothing of a file whose directory is cut off.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, BinaryIO

from runbook_lib.logs.inflate import (
    CUT_WORDS,
    DAMAGE,
    DAMAGE_WORDS,
    ERRORS,
    LIMITS,
    RAW,
    Content,
    CutOff,
    Exact,
    Inside,
    Meter,
    Metered,
    UnpackLimits,
    as_gzip_member,
    inflated,
)
from runbook_lib.logs.streams import (
    CHUNK,
    GZIP_MARK,
    HEAD,
    WORTH,
    ZIP_MARKS,
    ByteRange,
    ByteSource,
    Guarded,
    Notes,
    Peekable,
    PositionedFile,
    ReadAhead,
    Reopen,
    is_archive,
    is_tar,
    oldest_first,
    unread_kind,
    unreadable,
)
from runbook_lib.logs.tar import from_tar

# -- Logs in zip files. One whose directory at the end is missing is read from its beginning, entry by entry

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


def _logs(name: str, member: zipfile.ZipInfo, packed: Reopen, meter: Meter, inside: Inside) -> Iterator[Content]:
    def again() -> ByteSource:
        return _unpacked(member, packed, None)

    entry = Metered(_unpacked(member, packed, packed), meter)
    if member.file_size < WORTH:
        yield from inside(name, entry, again)
        return
    with closing(ReadAhead(entry)) as ahead:
        yield from inside(name, ahead, again)


def _unpacked(member: zipfile.ZipInfo, packed: Reopen, again: Reopen | None) -> ByteSource:
    """Return an entry's bytes, inflated the quick way where ``again`` opens the packed ones once more."""
    if member.compress_type == _STORED:
        return _Checked(packed(), member.CRC, member.compress_size)

    def member_of_gzip() -> ByteSource:
        return as_gzip_member(packed(), member.CRC, member.file_size)

    return inflated(member_of_gzip(), again and member_of_gzip)


def _packed(file: IO[bytes], size: int) -> Reopen:
    """Return what opens the ``size`` bytes at the file's position, which stays where it is."""
    position = file.tell()
    if isinstance(file, io.BytesIO):
        held = file.getvalue()  # not copied
        return lambda: io.BytesIO(held[position : position + size])
    descriptor = file.fileno()
    return lambda: ByteRange(PositionedFile(descriptor, position), 0, size)


class _Checked:
    """What an entry unpacks to. Raises one of DAMAGE at its end where that is not what was packed.

    ``checksum`` and ``size`` are what it should have; None and 0 where that is not known before.
    """

    def __init__(self, file: ByteSource, checksum: int | None, size: int = 0) -> None:
        self._file = file
        self._left = size
        self._expected = checksum
        self._checksum = 0

    def read(self, count: int) -> bytes:
        chunk = self._file.read(count)
        self._left -= len(chunk)
        self._checksum = zlib.crc32(chunk, self._checksum)
        if not chunk and self._left > 0:
            raise CutOff("the entry ends too early")
        if not chunk and self._expected not in (None, self._checksum):
            self._expected = None  # said once
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
        deflated = Exact(file, RAW) if header.method == _DEFLATED else None
        if deflated is None:
            entry = _Checked(ByteRange(file, 0, header.size), header.checksum, header.size)
        else:
            entry = _Checked(deflated, None if header.flags & _SIZES_BEHIND else header.checksum)
        yield from inside(inner, Metered(entry, meter), None)
        try:
            while entry.read(CHUNK):
                pass
        except DAMAGE:
            return
        if deflated is not None:
            file.seek(-deflated.unused, io.SEEK_CUR)
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


# -- Logs in archives: ``.gz``, ``.tar``, ``.tar.gz`` and ``.zip``, inside each other to a depth.
#
# Read as streams; no name in an archive is ever used as a path. What an archive may unpack to is
# limited, and going over a limit is refused. A damaged archive is read up to the damage, and noted.

_DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    struct.error,
    CutOff,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
    MemoryError,
    *ERRORS,
)


def unpack(
    name: str, file: BinaryIO, size: int | None, notes: Notes, limits: UnpackLimits = LIMITS
) -> Iterator[Content]:
    """Yield every log in the archive: its name with the archive's before it, and its bytes.

    ``size`` is the archive's, in bytes, None where it is not known. Read each before asking for the next.
    Raises UsageError where it is over the limits; damage is noted.
    """
    meter = Meter(name, size, limits, notes)
    if isinstance(file, io.BytesIO):
        yield from _layers(name, file, lambda: io.BytesIO(file.getvalue()), 0, meter)
    elif file.seekable():
        yield from _layers(name, file, lambda: PositionedFile(file.fileno()), 0, meter)
    else:
        yield from _layers(name, file, None, 0, meter)


def _layers(name: str, file: ByteSource, again: Reopen | None, depth: int, meter: Meter) -> Iterator[Content]:
    """Yield the logs in a stream that may be an archive itself."""
    stream = file if isinstance(file, Peekable) else Peekable(file)
    try:
        head = stream.peek(HEAD)
    except _DAMAGE as error:
        meter.failed(name)(error)
        return
    if not is_archive(head):
        yield name, Guarded(stream, _DAMAGE, meter.failed(name))
        return
    if kind := unread_kind(head):
        meter.notes.add(name, f"packed by {kind}, which is not read here: unpack it yourself")
        return
    if depth > meter.limits.depth:
        raise unreadable("Archives are packed into each other too deeply.", name)

    def inside(inner: str, entry: ByteSource, once_more: Reopen | None) -> Iterator[Content]:
        yield from _layers(inner, entry, once_more, depth + 1, meter)

    if head.startswith(GZIP_MARK):
        yield from _from_gzip(name, stream, again, depth, meter)
        return
    try:
        if head.startswith(ZIP_MARKS):
            yield from from_zip(name, _seekable(name, file, stream, meter), meter, inside)
        else:
            yield from from_tar(name, stream, again, meter, inside)
    except _DAMAGE as error:
        meter.failed(name)(error)


def _from_gzip(name: str, stream: Peekable, again: Reopen | None, depth: int, meter: Meter) -> Iterator[Content]:
    contents = Guarded(Metered(inflated(stream, again), meter), _DAMAGE, meter.failed(name))
    once_more = None if again is None else lambda: inflated(again(), None)
    if len(stream.peek(WORTH)) < WORTH:
        yield from _in_gzip(name, contents, once_more, depth, meter)
        return
    with closing(ReadAhead(contents)) as ahead:
        yield from _in_gzip(name, ahead, once_more, depth, meter)


def _in_gzip(name: str, contents: ByteSource, again: Reopen | None, depth: int, meter: Meter) -> Iterator[Content]:
    """Yield the logs in a gzip file; it and a tar archive in it are one archive."""
    stream = Peekable(contents)
    yield from _layers(name, stream, again, depth if is_tar(stream.peek(HEAD)) else depth + 1, meter)


def _seekable(name: str, file: ByteSource, stream: Peekable, meter: Meter) -> IO[bytes]:
    """Return a zip file that can be sought in: the one on disk, or a small one in memory."""
    if isinstance(file, (io.BufferedReader, io.BytesIO)) and file.seekable():
        file.seek(0)
        return file
    held = io.BytesIO()
    while chunk := stream.read(CHUNK):
        held.write(chunk)
        if held.tell() > meter.limits.inner_zip:
            raise unreadable("A zip file that is packed in another archive is too large to be read there.", name)
    held.seek(0)
    return held
