"""Logs in archives: ``.gz``, ``.tar``, ``.tar.gz`` and ``.zip``, inside each other to a depth.

Read as streams; no name in an archive is ever used as a path. What an archive may unpack to is
limited, and going over a limit is refused. A damaged archive is read up to the damage, and noted.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, Self, cast

from runbook_lib.logs.inflate import ERRORS, Ahead, CutOff, Inflated
from runbook_lib.logs.limits import LIMITS, Content, Limits, Meter, Metered
from runbook_lib.logs.streams import (
    CHUNK,
    GZIP_MARK,
    HEAD,
    ZIP_MARKS,
    At,
    Filling,
    Guarded,
    Notes,
    Peekable,
    Readable,
    is_archive,
    unreadable,
)
from runbook_lib.logs.zips import from_zip

_LARGE = 4 << 20
_DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
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
    name: str, file: Readable | BinaryIO, size: int | None, notes: Notes, limits: Limits = LIMITS
) -> Iterator[Content]:
    """Yield every log in the archive: its name with the archive's before it, and its bytes.

    ``size`` is the archive's, in bytes, None where it is not known. Read each before asking for the next.
    Raises UsageError where it is over the limits; damage is noted.
    """
    yield from _layers(name, file, 0, Meter(name, size, limits, notes))


def _layers(name: str, file: Readable | IO[bytes], depth: int, meter: Meter) -> Iterator[Content]:
    """Yield the logs in a stream that may be an archive itself."""
    stream = Peekable(file)
    try:
        head = stream.peek(HEAD)
    except _DAMAGE as error:
        meter.failed(name)(error)
        return
    if not is_archive(head):
        yield name, Guarded(Filling(stream), _DAMAGE, meter.failed(name))
        return
    if depth > meter.limits.depth:
        raise unreadable("Archives are packed into each other too deeply.", name)
    if head.startswith(GZIP_MARK):
        yield from _from_gzip(name, _again(file), stream, depth, meter)
    elif head.startswith(ZIP_MARKS):
        yield from from_zip(
            name,
            _seekable(name, file, stream, meter),
            meter,
            lambda inner, entry: _layers(inner, entry, depth + 1, meter),
        )
    else:
        yield from _from_tar(name, stream, depth, meter)


def _again(file: Readable | IO[bytes]) -> Callable[[], Readable] | None:
    """Return what opens a file on disk once more, None for everything else."""
    if not isinstance(file, io.BufferedReader) or isinstance(file, tarfile.ExFileObject) or not file.seekable():
        return None
    descriptor = file.fileno()

    return lambda: At(descriptor)


def _from_gzip(
    name: str, again: Callable[[], Readable] | None, stream: Peekable, depth: int, meter: Meter
) -> Iterator[Content]:
    inflated = _Noted(Inflated(stream, meter, again=again), meter.failed(name))
    head = stream.peek(_LARGE)
    if len(head) < _LARGE:
        yield from _layers(name, inflated, depth + 1, meter)
        return
    ahead = Ahead(inflated)
    try:
        yield from _layers(name, ahead, depth + 1, meter)
    finally:
        ahead.close()


class _Noted:
    """Something readable that ends where reading it fails, with a note."""

    def __init__(self, file: Readable, failed: Callable[[Exception], None]) -> None:
        self._file = file
        self._failed = failed
        self._over = False

    def read(self, count: int = -1) -> bytes:
        if self._over:
            return b""
        try:
            return self._file.read(count)
        except _DAMAGE as error:
            self._over = True
            self._failed(error)
            return b""


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


def _from_tar(name: str, file: Peekable, depth: int, meter: Meter) -> Iterator[Content]:
    """Yield the logs of a tar stream, in the order in which they are stored."""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", file), mode="r|", bufsize=CHUNK, tarinfo=_StrictHeader) as tar:
            for member in tar:
                meter.add_entry()
                inside = tar.extractfile(member) if member.isreg() else None
                if inside is not None:
                    # A sparse member claims more bytes than are stored.
                    counted = Metered(inside, meter) if member.issparse() else inside
                    yield from _layers(f"{name}/{member.name}", counted, depth + 1, meter)
                tar.members.clear()  # type: ignore[attr-defined] # tarfile keeps every header otherwise
    except _DAMAGE as error:
        meter.failed(name)(error)


def _seekable(name: str, file: Readable | IO[bytes], stream: Peekable, meter: Meter) -> IO[bytes]:
    """Return a zip file that can be sought in: the one on disk, or a small one in memory."""
    on_disk = isinstance(file, (io.BufferedReader, io.FileIO, io.BytesIO)) and not isinstance(
        file, tarfile.ExFileObject
    )
    if on_disk and cast("IO[bytes]", file).seekable():
        cast("IO[bytes]", file).seek(0)
        return cast("IO[bytes]", file)
    held = io.BytesIO()
    while chunk := stream.read(CHUNK):
        held.write(chunk)
        if held.tell() > meter.limits.inner_zip:
            raise unreadable("A zip file that is packed in another archive is too large to be read there.", name)
    held.seek(0)
    return held
