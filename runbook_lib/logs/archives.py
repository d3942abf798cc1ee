"""Logs in archives: ``.gz``, ``.tar``, ``.tar.gz`` and ``.zip``, inside each other to a depth.

Read as streams; no name in an archive is ever used as a path. What an archive may unpack to is
limited, and going over a limit is refused. A damaged archive is read up to the damage, and noted.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

from runbook_lib.logs.ahead import WORTH, Ahead
from runbook_lib.logs.inflate import ERRORS, CutOff, inflated
from runbook_lib.logs.limits import LIMITS, Content, Limits, Meter, Metered
from runbook_lib.logs.streams import (
    CHUNK,
    GZIP_MARK,
    HEAD,
    ZIP_MARKS,
    Again,
    At,
    Filling,
    Guarded,
    Kept,
    Notes,
    Peekable,
    Readable,
    is_archive,
    is_tar,
    unread_kind,
    unreadable,
)
from runbook_lib.logs.tars import from_tar
from runbook_lib.logs.zips import from_zip

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


def unpack(name: str, file: BinaryIO, size: int | None, notes: Notes, limits: Limits = LIMITS) -> Iterator[Content]:
    """Yield every log in the archive: its name with the archive's before it, and its bytes.

    ``size`` is the archive's, in bytes, None where it is not known. Read each before asking for the next.
    Raises UsageError where it is over the limits; damage is noted.
    """
    meter = Meter(name, size, limits, notes)
    if isinstance(file, io.BytesIO):
        yield from _layers(name, file, lambda: io.BytesIO(file.getvalue()), 0, meter)
    elif file.seekable():
        yield from _layers(name, file, lambda: At(file.fileno()), 0, meter)
    else:
        kept = Kept(file)
        yield from _layers(name, kept, kept.again, 0, meter)


def _layers(name: str, file: Readable | BinaryIO, again: Again | None, depth: int, meter: Meter) -> Iterator[Content]:
    """Yield the logs in a stream that may be an archive itself."""
    stream = file if isinstance(file, Peekable) else Peekable(file)
    try:
        head = stream.peek(HEAD)
    except _DAMAGE as error:
        meter.failed(name)(error)
        return
    if not is_archive(head):
        yield name, Guarded(Filling(stream), _DAMAGE, meter.failed(name))
        return
    if kind := unread_kind(head):
        meter.notes.add(name, f"packed by {kind}, which is not read here: unpack it yourself")
        return
    if depth > meter.limits.depth:
        raise unreadable("Archives are packed into each other too deeply.", name)

    def inside(inner: str, entry: Readable, once_more: Again | None) -> Iterator[Content]:
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


def _from_gzip(name: str, stream: Peekable, again: Again | None, depth: int, meter: Meter) -> Iterator[Content]:
    contents = _Noted(Metered(inflated(stream, again), meter), meter.failed(name))
    once_more = None if again is None else lambda: inflated(again(), None)
    if len(stream.peek(WORTH)) < WORTH:
        yield from _in_gzip(name, contents, once_more, depth, meter)
        return
    ahead = Ahead(contents)
    try:
        yield from _in_gzip(name, ahead, once_more, depth, meter)
    finally:
        ahead.close()


def _in_gzip(name: str, contents: Readable, again: Again | None, depth: int, meter: Meter) -> Iterator[Content]:
    """Yield the logs in a gzip file; it and a tar archive in it are one archive."""
    stream = Peekable(contents)
    yield from _layers(name, stream, again, depth if is_tar(stream.peek(HEAD)) else depth + 1, meter)


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


def _seekable(name: str, file: Readable | BinaryIO, stream: Peekable, meter: Meter) -> IO[bytes]:
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
