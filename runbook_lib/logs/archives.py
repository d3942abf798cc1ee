"""Logs in archives: ``.gz``, ``.tar``, ``.tar.gz`` and ``.zip``, inside each other to a depth.

Read as streams; no name in an archive is ever used as a path. What an archive may unpack to is
limited, and going over a limit is refused, never cut short: a part of a log would be taken for all.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, Self, cast

from runbook_lib.errors import UsageError
from runbook_lib.logs.sources import CHUNK, oldest_first, unreadable


@dataclass(frozen=True)
class Limits:
    """What one archive on disk may unpack to. ``ratio`` counts from ``ratio_from`` unpacked bytes on."""

    unpacked: int = 64 << 30
    ratio: int = 400
    ratio_from: int = 64 << 20
    entries: int = 20_000
    depth: int = 3
    inner_zip: int = 64 << 20


LIMITS = Limits()

Content = tuple[str, Iterator[bytes]]

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
    MemoryError,
)


class _Meter:
    """Counts what one archive on disk has unpacked to."""

    def __init__(self, name: str, size: int, limits: Limits) -> None:
        self.limits = limits
        self._name = name
        self._size = max(size, 1)
        self._unpacked = 0
        self._entries = 0

    def add_bytes(self, count: int) -> None:
        self._unpacked += count
        if self._unpacked > self.limits.unpacked:
            raise self._too_much(f"more than {self.limits.unpacked} bytes")
        if self._unpacked > self.limits.ratio_from and self._unpacked > self.limits.ratio * self._size:
            raise self._too_much(f"more than {self.limits.ratio} times its size")

    def add_entry(self) -> None:
        self._entries += 1
        if self._entries > self.limits.entries:
            raise self._too_much(f"more than {self.limits.entries} entries")

    def _too_much(self, what: str) -> UsageError:
        return UsageError(
            "This archive unpacks to too much.",
            where=self._name,
            found=what,
            next_step="Unpack it yourself where there is room, and name the folder.",
        )


def unpack(name: str, file: BinaryIO, size: int, limits: Limits = LIMITS) -> Iterator[Content]:
    """Yield every log in the archive: its name with the archive's before it, and its bytes.

    ``size`` is the archive's, in bytes. Raises UsageError where it is damaged, encrypted, or over the limits.
    """
    yield from _layers(name, cast("IO[bytes]", file), 0, _Meter(name, size, limits))


def _layers(name: str, file: IO[bytes], depth: int, meter: _Meter) -> Iterator[Content]:
    """Yield the logs in a stream that may be an archive itself."""
    stream = _Peekable(file)
    head = stream.peek(512)
    gz, zipped = head.startswith(b"\x1f\x8b"), head.startswith((b"PK\x03\x04", b"PK\x05\x06"))
    tar = head[257:262] == b"ustar"
    if not (gz or zipped or tar):
        yield name, _chunks(stream, name)
        return
    if depth > meter.limits.depth:
        raise unreadable("Archives are packed into each other too deeply.", name)
    if gz:
        yield from _layers(name, cast("IO[bytes]", _Inflating(stream, name, meter)), depth + 1, meter)
    elif tar:
        yield from _from_tar(name, cast("IO[bytes]", stream), depth, meter)
    else:
        yield from _from_zip(name, _seekable(name, file, stream, meter), depth, meter)


class _Peekable:
    """A stream whose first bytes can be looked at."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._head = b""

    def peek(self, count: int) -> bytes:
        while len(self._head) < count and (more := self._file.read(count - len(self._head))):
            self._head += more
        return self._head

    def read(self, count: int = -1) -> bytes:
        if not self._head:
            return self._file.read(count)
        if count < 0:
            head, self._head = self._head, b""
            return head + self._file.read()
        head, self._head = self._head[:count], self._head[count:]
        return head


class _Inflating:
    """A gzip stream as the bytes that it unpacks to: any number of members, and zeros after them."""

    def __init__(self, file: _Peekable, name: str, meter: _Meter) -> None:
        self._file = file
        self._name = name
        self._meter = meter
        self._inflate = zlib.decompressobj(31)
        self._packed = b""
        self._begun = False

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        while True:
            if not self._packed:
                self._packed = self._file.read(CHUNK)
            if not self._begun and not self._packed.strip(b"\0"):
                if not self._packed:
                    return b""
                self._packed = b""
                continue
            if not self._packed:
                raise unreadable("This archive is cut off.", self._name)
            chunk = self._inflated(count)
            if chunk:
                self._meter.add_bytes(len(chunk))
                return chunk

    def _inflated(self, count: int) -> bytes:
        if not self._begun:
            self._packed = self._packed.lstrip(b"\0")
            self._begun = True
        try:
            chunk = self._inflate.decompress(self._packed, count)
        except zlib.error as error:
            raise unreadable("This archive is damaged.", self._name, error) from error
        self._packed = self._inflate.unconsumed_tail
        if self._inflate.eof:
            self._packed = self._inflate.unused_data
            self._inflate = zlib.decompressobj(31)
            self._begun = False
        return chunk


class _StrictHeader(tarfile.TarInfo):
    """A header that ends an archive by being damaged or missing is damage; by itself tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _from_tar(name: str, file: IO[bytes], depth: int, meter: _Meter) -> Iterator[Content]:
    """Yield the logs of a tar stream, in the order in which they are stored."""
    try:
        with tarfile.open(fileobj=file, mode="r|", bufsize=CHUNK, tarinfo=_StrictHeader) as tar:
            for member in tar:
                meter.add_entry()
                inside = tar.extractfile(member) if member.isreg() else None
                if inside is not None and member.issparse():  # claims more bytes than are stored
                    inside = cast("IO[bytes]", _Metered(inside, meter))
                if inside is not None:
                    yield from _layers(f"{name}/{member.name}", inside, depth + 1, meter)
    except _DAMAGE as error:
        raise unreadable("This archive is damaged.", name, error) from error


def _from_zip(name: str, file: IO[bytes], depth: int, meter: _Meter) -> Iterator[Content]:
    """Yield the logs of a zip file, rotated series oldest first."""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in sorted(archive.infolist(), key=lambda m: oldest_first(m.filename)):
                meter.add_entry()
                if not member.is_dir():
                    with archive.open(member) as inside:
                        yield from _layers(
                            f"{name}/{member.filename}", cast("IO[bytes]", _Metered(inside, meter)), depth + 1, meter
                        )
    except _DAMAGE as error:
        raise unreadable("This archive is damaged, or encrypted.", name, error) from error


class _Metered:
    """A stream whose bytes are counted."""

    def __init__(self, file: IO[bytes], meter: _Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, count: int = -1) -> bytes:
        chunk = self._file.read(count)
        self._meter.add_bytes(len(chunk))
        return chunk


def _seekable(name: str, file: IO[bytes], stream: _Peekable, meter: _Meter) -> IO[bytes]:
    """Return a zip file that can be sought in: the one on disk, or a small inner one in memory."""
    if isinstance(file, (io.BufferedReader, io.BytesIO)) and not isinstance(file, tarfile.ExFileObject):
        file.seek(0)
        return file
    held = io.BytesIO()
    while chunk := stream.read(CHUNK):
        held.write(chunk)
        if held.tell() > meter.limits.inner_zip:
            raise unreadable("A zip file inside an archive is too large to be read there.", name)
    held.seek(0)
    return held


def _chunks(stream: _Peekable, name: str) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except _DAMAGE as error:
        raise unreadable("This archive is damaged, or encrypted.", name, error) from error
