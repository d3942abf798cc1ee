"""What the server's terminal sends, kept until somebody takes it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncssh

LARGEST = 16 * 1024 * 1024


class Feed(asyncssh.SSHClientSession[bytes]):
    """One interactive channel: bytes in, bytes out, and whether it is still open."""

    def __init__(self) -> None:
        self.closed = False
        self.cause: Exception | None = None
        self._channel: Any = None
        self._data = bytearray()
        self._news = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Send ``data``; on a channel that is gone this is left to ``wait``, which finds the end."""
        try:
            self._channel.write(data)
        except OSError as error:
            self._end(error)

    def take(self) -> bytes:
        """Return what has arrived since the last call."""
        data = bytes(self._data)
        self._data.clear()
        self._news.clear()
        if self._channel is not None and not self.closed:
            self._channel.resume_reading()
        return data

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to take, or the end; False: neither within ``timeout_s`` seconds."""
        if not self._data and not self.closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, timeout_s)):
                    await self._news.wait()
        # On a busy machine both may be found at once, the end of the waiting and what arrived during it.
        return bool(self._data) or self.closed

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        del datatype
        self._data += data
        self._news.set()
        if len(self._data) > LARGEST:
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def _end(self, cause: Exception | None) -> None:
        self.cause = self.cause or cause
        self.closed = True
        self._news.set()
