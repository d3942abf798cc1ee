"""Deflated bytes to what they unpack to, and how much an archive may unpack to."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from isal import igzip, igzip_lib

from runbook_lib.errors import UsageError
from runbook_lib.logs.streams import CHUNK, ByteSource, Notes, Reopen

# Two ways, with the same bytes and the same ends: ``Quick`` is isal's, which cannot say what it had before it
# met damage; ``Exact`` is the standard library's, which takes over there, from the beginning of the bytes.

ERRORS: tuple[type[Exception], ...] = (zlib.error, igzip_lib.error)  # type: ignore[assignment]  # not what its types say

_FAILED: tuple[type[Exception], ...] = (*ERRORS, EOFError, OSError)
GZIP, RAW = 31, -15
"""What is around the deflated bytes: a gzip member's header and checksum, or nothing."""

_PACKED = 2 << 20


class CutOff(Exception):
    """The packed bytes end before the stream that they hold."""


DAMAGE: tuple[type[Exception], ...] = (*ERRORS, CutOff)


def inflated(file: ByteSource, again: Reopen | None) -> ByteSource:
    """Return what a gzip file's bytes unpack to, the quick way where ``again`` opens them once more."""
    return Quick(file, again) if again else Exact(file)


class Quick:
    """What gzip members unpack to, by isal: one call inflates all that it returns, while other threads run.

    Raises what ``Exact`` raises, at the same place.
    """

    def __init__(self, file: ByteSource, again: Reopen) -> None:
        self._inflate = igzip.IGzipFile(fileobj=_Filled(file), mode="rb")
        self._again = again
        self._given = 0
        self._exact: Exact | None = None

    def read(self, count: int) -> bytes:
        if self._exact is not None:
            return self._exact.read(count)
        try:
            chunk: bytes = self._inflate.read1(count)
        except _FAILED:
            self._exact = _behind(Exact(self._again()), self._given)
            return self._exact.read(count)
        self._given += len(chunk)
        return chunk


class _Filled:
    """What isal reads from: it knows a file by ``read``, and asks for a buffer to be filled."""

    def __init__(self, file: ByteSource) -> None:
        self._file = file
        self._packed = memoryview(b"")

    def readinto(self, view: memoryview) -> int:
        if not self._packed:
            self._packed = memoryview(self._file.read(_PACKED))
        count = min(len(view), len(self._packed))
        view[:count] = self._packed[:count]
        self._packed = self._packed[count:]
        return count

    def read(self, count: int) -> bytes:
        raise NotImplementedError


def _behind(exact: Exact, position: int) -> Exact:
    while position > 0 and (chunk := exact.read(min(position, CHUNK))):
        position -= len(chunk)
    return exact


class Exact:
    """What deflated bytes unpack to: all gzip members with the zeros after them, or one raw stream.

    Raises one of ERRORS where the bytes are damaged, after everything before that was returned, and CutOff
    where they end too early.
    """

    def __init__(self, file: ByteSource, kind: int = GZIP) -> None:
        self._file = file
        self._kind = kind
        self._inflate = zlib.decompressobj(kind)
        self._packed = b""
        self._begun = kind == RAW
        self._over = False
        self._error: Exception | None = None

    @property
    def unused(self) -> int:
        """How many bytes were read behind the end of a raw stream."""
        return len(self._inflate.unused_data)

    def read(self, count: int) -> bytes:
        """Return up to ``count`` inflated bytes; raises CutOff where the packed ones end too early."""
        while not self._over:
            if not self._packed:
                self._packed = self._file.read(CHUNK)
            if not self._begun and not self._packed.strip(b"\0"):
                if not self._packed:
                    return b""
                self._packed = b""
                continue
            ended = not self._packed
            if chunk := self._next(count):
                return chunk
            if ended and self._begun and not self._over:  # and what the library still held has been returned
                raise CutOff("the packed bytes end too early")
        return b""

    def _next(self, count: int) -> bytes:
        if self._error is not None:
            raise self._error
        if not self._begun:
            self._packed = self._packed.lstrip(b"\0")
            self._begun = True
        before = self._inflate.copy()
        try:
            chunk = self._inflate.decompress(self._packed, count)
        except ERRORS as error:
            self._error = error
            return _up_to_the_damage(before, self._packed)
        if self._inflate.eof:
            self._packed = self._inflate.unused_data
            self._end_member()
        else:
            self._packed = self._inflate.unconsumed_tail
        return chunk

    def _end_member(self) -> None:
        if self._kind == RAW:
            self._over = True
            return
        self._inflate = zlib.decompressobj(self._kind)
        self._begun = False


def _up_to_the_damage(inflate: Any, packed: bytes) -> bytes:
    data = bytearray()
    for step in (4096, 64, 1):  # what a step held is lost with it, and single bytes take long
        with suppress(*ERRORS):
            while packed and not inflate.eof:
                further = inflate.copy()
                data += further.decompress(packed, step)
                inflate, packed = further, further.unconsumed_tail
    return bytes(data)


def as_gzip_member(packed: ByteSource, checksum: int, size: int) -> ByteSource:
    """Return a zip entry's raw bytes as a gzip member, so that inflating also compares checksum and size."""
    trailer = checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    return _Joined((io.BytesIO(b"\x1f\x8b\x08" + bytes(6) + b"\xff"), packed, io.BytesIO(trailer)))


class _Joined:
    def __init__(self, parts: tuple[ByteSource, ...]) -> None:
        self._parts = list(parts)

    def read(self, count: int) -> bytes:
        while self._parts:
            if chunk := self._parts[0].read(count):
                return chunk
            del self._parts[0]
        return b""


# -- What an archive may unpack to, counted while it is read ---------------------------------------

DAMAGE_WORDS = "damaged: read up to the damage"
CUT_WORDS = "cut off: read as far as it goes"


@dataclass(frozen=True)
class UnpackLimits:
    """What one archive on disk may unpack to. ``ratio`` counts from ``ratio_from`` unpacked bytes on."""

    unpacked: int = 64 << 30
    ratio: int = 400
    ratio_from: int = 64 << 20
    entries: int = 20_000
    depth: int = 3
    inner_zip: int = 64 << 20


LIMITS = UnpackLimits()

Content = tuple[str, ByteSource]
"""A log in an archive: its name with the archive's before it, and its bytes."""

Inside = Callable[[str, ByteSource, Reopen | None], Iterator[Content]]
"""What yields the logs in an entry, maybe an archive itself: by its name, its bytes, and what opens them again."""


class Meter:
    """Counts what one archive on disk has unpacked to, and knows where to note damage."""

    def __init__(self, name: str, size: int | None, limits: UnpackLimits, notes: Notes) -> None:
        self.limits = limits
        self.notes = notes
        self._name = name
        self._size = size
        self._unpacked = 0
        self._entries = 0

    def add_bytes(self, count: int) -> None:
        """Count unpacked bytes; raises UsageError where they are more than the limits allow."""
        self._unpacked += count
        if self._unpacked > self.limits.unpacked:
            raise self._too_much(f"more than {self.limits.unpacked} bytes")
        over = self._size is not None and self._unpacked > self.limits.ratio * max(self._size, 1)
        if over and self._unpacked > self.limits.ratio_from:
            raise self._too_much(f"more than {self.limits.ratio} times its size")

    def add_entry(self) -> None:
        """Count an entry; raises UsageError where there are too many."""
        self._entries += 1
        if self._entries > self.limits.entries:
            raise self._too_much(f"more than {self.limits.entries} entries")

    def failed(self, name: str) -> Callable[[Exception], None]:
        """Return what notes that ``name`` could not be read to its end."""

        def note(error: Exception) -> None:
            self.notes.add(name, CUT_WORDS if isinstance(error, (CutOff, EOFError)) else DAMAGE_WORDS, error)

        return note

    def _too_much(self, what: str) -> UsageError:
        return UsageError(
            "This archive is too large once it is unpacked.",
            where=self._name,
            found=what,
            next_step="Unpack it yourself where there is room, and name the folder.",
        )


class Metered:
    """Something readable whose bytes are counted."""

    def __init__(self, file: ByteSource, meter: Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, count: int) -> bytes:
        chunk = self._file.read(count)
        self._meter.add_bytes(len(chunk))
        return chunk
