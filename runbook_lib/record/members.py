"""The files in an archive of a record: nothing but them is in it, and reading them takes little memory.

An archive is what ``archive.packed`` writes: the files' headers and data one after the other from the first byte on,
then the table of contents, then the end record. A byte before, behind or between them, or inside a file's data after
its end, is no part of a record, and could be another file to another program.
"""

from __future__ import annotations

import errno
import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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
        """Return the file's SHA-256 and size; raises ``OSError`` where the archive is damaged there."""
        digest = hashlib.sha256()
        for piece in self._pieces():
            digest.update(piece)
        return digest.hexdigest(), self.size

    def _pieces(self) -> Iterator[bytes]:
        inflate, left, size, crc = zlib.decompressobj(-zlib.MAX_WBITS), self.packed, 0, 0
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
                size, crc = size + len(piece), zlib.crc32(piece, crc)
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
            raise ValueError(f"something stands before {info.filename!r}, or its headers differ")
        at += len(header) + info.compress_size
    length = sum(_ENTRY + len(info.filename.encode("utf-8")) for info in infos)
    end = _END.pack(b"PK\5\6", 0, 0, len(infos), len(infos), length, contents, 0)
    file.seek(contents + length)
    if at != contents or file.read(len(end) + 1) != end:
        raise ValueError("something stands between its files and its end, or behind it")


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
