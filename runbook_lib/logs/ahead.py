"""Reading ahead in a thread: inflating lets other threads run, so that searching costs no time of its own."""

from __future__ import annotations

import queue
import threading

from runbook_lib.logs.streams import CHUNK, Direct, Readable

WORTH = 4 << 20
"""How many bytes are worth a thread."""

PIECE = 2 << 20
"""Bytes of one reading. Whoever inflates waits for the other thread once a piece, so pieces are large."""

WAITING = 3
_POLL_S = 0.2


class Ahead(Direct):
    """A stream that is read in a thread of its own, a few pieces ahead.

    ``close`` ends the thread; what the stream raises is raised at the place in the bytes where it happened.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._queue: queue.Queue[bytes | Exception] = queue.Queue(WAITING)
        self._closed = threading.Event()
        self._chunk = memoryview(b"")
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self, count: int = -1) -> bytes:
        self._fill()
        count = CHUNK if count < 0 else count
        chunk, self._chunk = self._chunk[:count], self._chunk[count:]
        return bytes(chunk)

    def readinto(self, view: memoryview) -> int:
        self._fill()
        count = min(len(view), len(self._chunk))
        view[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _fill(self) -> None:
        if self._chunk or self._over:
            return
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
                chunk = self._stream.read(PIECE)
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
