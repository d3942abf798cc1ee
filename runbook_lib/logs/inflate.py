"""Deflated bytes → what they unpack to: any number of gzip members, or the one stream of a zip's entry."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from runbook_lib.logs.streams import CHUNK, Direct, Readable

igzip: Any
try:
    from isal import igzip_lib as igzip
except ImportError:
    igzip = None

ERRORS: tuple[type[Exception], ...] = (zlib.error, *((igzip.error,) if igzip else ()))
GZIP, RAW = 31, -15
"""What is around the deflated bytes: a gzip member's header and checksum, or nothing."""

_AHEAD = 4
_POLL_S = 0.2


class Counting(Protocol):
    """What is told of every byte that was unpacked, and refuses where they become too many."""

    def add_bytes(self, count: int) -> None: ...


class CutOff(Exception):
    """The packed bytes end before the stream that they hold."""


DAMAGE: tuple[type[Exception], ...] = (*ERRORS, CutOff)


class _Slow:
    """The standard library's inflater."""

    hungry = True

    def __init__(self, kind: int) -> None:
        self._inflate = zlib.decompressobj(kind)

    def decompress(self, packed: bytes, count: int) -> tuple[bytes, bytes]:
        """Return at most ``count`` bytes, and what of ``packed`` is left for the next call."""
        chunk = self._inflate.decompress(packed, count)
        return chunk, self.unused if self.eof else self._inflate.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused(self) -> bytes:
        return self._inflate.unused_data

    def copy(self) -> Any:
        return self._inflate.copy()


class _Quick:
    """The quicker one. It keeps what it was given, and lets other threads run while it inflates."""

    def __init__(self, kind: int) -> None:
        flag = igzip.DECOMP_GZIP if kind == GZIP else igzip.DECOMP_DEFLATE
        self._inflate = igzip.IgzipDecompressor(flag=flag)

    def decompress(self, packed: bytes, count: int) -> tuple[bytes, bytes]:
        chunk: bytes = self._inflate.decompress(packed, count)
        return chunk, self.unused if self.eof else b""

    @property
    def hungry(self) -> bool:
        return bool(self._inflate.needs_input)

    @property
    def eof(self) -> bool:
        return bool(self._inflate.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._inflate.unused_data)


class Inflated:
    """What deflated bytes unpack to: all gzip members with the zeros after them, or one raw stream.

    ``again`` opens the same bytes from their beginning once more; with it the quicker library inflates, which
    cannot say what it had before it met damage. Raises one of ERRORS where the bytes are damaged, after
    everything before that was returned, and CutOff where they end too early.
    """

    def __init__(
        self, file: Readable, meter: Counting, kind: int = GZIP, again: Callable[[], Readable] | None = None
    ) -> None:
        self._file = file
        self._meter = meter
        self._kind = kind
        self._again = again
        self._engine: type[_Quick] | type[_Slow] = _Quick if again and igzip else _Slow
        self._inflate = self._engine(kind)
        self._packed = b""
        self._begun = kind == RAW
        self._over = False
        self._given = 0
        self._error: Exception | None = None

    @property
    def unused(self) -> int:
        """How many bytes were read behind the end of a raw stream."""
        return len(self._inflate.unused)

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        while not self._over:
            hungry = self._inflate.hungry
            if hungry and not self._packed:
                self._packed = self._file.read(CHUNK)
            if not self._begun and not self._packed.strip(b"\0"):
                if not self._packed:
                    return b""
                self._packed = b""
                continue
            ended = hungry and not self._packed
            if chunk := self._next(count):
                self._given += len(chunk)
                self._meter.add_bytes(len(chunk))
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
        before = self._inflate.copy() if isinstance(self._inflate, _Slow) and not self._again else None
        try:
            chunk, self._packed = self._inflate.decompress(self._packed, count)
        except ERRORS as error:
            self._error = error
            return self._before_damage(before)
        if self._inflate.eof:
            self._end_member()
        return chunk

    def _end_member(self) -> None:
        if self._kind == RAW:
            self._over = True
            return
        self._inflate = self._engine(self._kind)
        self._begun = False

    def _before_damage(self, before: Any) -> bytes:
        """Return what the bytes hold from where reading stands to the damage."""
        if self._again is None:
            return _one_by_one(before, self._packed)
        slow = Inflated(self._again(), _Uncounted(), self._kind)
        left = self._given
        parts: list[bytes] = []
        try:
            while part := slow.read(CHUNK):
                parts += [part[left:]] if len(part) > left else []
                left = max(left - len(part), 0)
        except DAMAGE:
            pass
        return b"".join(parts)


def _one_by_one(inflate: Any, packed: bytes) -> bytes:
    found = bytearray()
    try:
        while packed and not inflate.eof:
            found += inflate.decompress(packed, 1)
            packed = inflate.unconsumed_tail
    except ERRORS:
        pass
    return bytes(found)


class _Uncounted:
    def add_bytes(self, count: int) -> None:
        del count


class Ahead(Direct):
    """Reads ahead in a thread: inflating lets other threads run, so that searching costs no time of its own.

    ``close`` ends the thread; what the stream raises is raised at the place in the bytes where it happened.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._queue: queue.Queue[bytes | Exception] = queue.Queue(_AHEAD)
        self._closed = threading.Event()
        self._chunk = memoryview(b"")
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if not self._chunk and not self._over:
            self._take()
        chunk, self._chunk = self._chunk[:count], self._chunk[count:]
        return bytes(chunk)

    def readinto(self, view: memoryview) -> int:
        if not self._chunk and not self._over:
            self._take()
        count = min(len(view), len(self._chunk))
        view[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _take(self) -> None:
        got = self._queue.get()
        if isinstance(got, Exception):
            self._over = True
            raise got
        self._over = not got
        self._chunk = memoryview(got)

    def _run(self) -> None:
        chunk: bytes | Exception = b"-"
        while chunk and not isinstance(chunk, Exception):
            try:
                chunk = self._stream.read(_AHEAD * CHUNK)
            except Exception as error:  # noqa: BLE001 - it belongs to the reader, who raises it
                chunk = error
            if not self._put(chunk):
                return

    def _put(self, chunk: bytes | Exception) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(chunk, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
