"""Log bytes of any encoding → bytes in which ASCII stands as ASCII."""

from __future__ import annotations

import codecs

from runbook_lib.logs.search import find
from runbook_lib.logs.streams import CHUNK, Stream

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LONGEST_MARK = len(codecs.BOM_UTF8)
_GROWTH = 4
"""How many bytes of UTF-8 two bytes of UTF-16 can become, with what an earlier piece left to be decoded."""

_HOLE = bytes(CHUNK)


class PlainText:
    """A stream of UTF-16 with a byte order mark as UTF-8, everything else as it is; NULs and the UTF-8 mark go.

    Without its mark, UTF-16 of ASCII text is left as ASCII by taking the NULs out. ``grows``: the end is not for
    good, and what comes later is read on.
    """

    def __init__(self, stream: Stream, *, grows: bool = False) -> None:
        self._stream = stream
        self._grows = grows
        self._decoder: codecs.IncrementalDecoder | None = None
        self._left = b""  # what was read and not yet handed on, free of NULs
        self._begun = False

    def readinto(self, view: memoryview) -> int:
        if not self._begun:
            self._begin()
        while not self._left:
            if self._decoder is not None:
                if not self._decode(len(view)):
                    return self._hand_on(view)
                continue
            count = self._stream.readinto(view)
            if count == 0 or find(view, b"\0", 0, count) < 0:
                return count
            self._left = _without_nul(bytes(view[:count]))
        return self._hand_on(view)

    def _begin(self) -> None:
        head = b""
        first = memoryview(bytearray(_LONGEST_MARK))
        while len(head) < _LONGEST_MARK and (count := self._stream.readinto(first[: _LONGEST_MARK - len(head)])):
            head += first[:count]
        self._begun = bool(head) or not self._grows
        encoding = _UTF_16.get(head[:2])
        if encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
            self._left = _without_nul(self._decoder.decode(head[2:]).encode("utf-8", "replace"))
        else:
            self._left = _without_nul(head.removeprefix(codecs.BOM_UTF8))

    def _decode(self, room: int) -> bool:
        """Decode the next piece into what is handed on; return whether there may be more."""
        assert self._decoder is not None
        piece = bytearray(max(room // _GROWTH, 64))
        count = self._stream.readinto(memoryview(piece))
        text = self._decoder.decode(bytes(piece[:count]), count == 0 and not self._grows)
        self._left = _without_nul(text.encode("utf-8", "replace"))
        return count > 0

    def _hand_on(self, view: memoryview) -> int:
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _without_nul(data: bytes) -> bytes:
    """Return ``data`` without NULs; a hole in a sparse file is nothing but NULs, so that is looked at first."""
    if data == _HOLE[: len(data)]:
        return b""
    return data.translate(None, b"\0") if b"\0" in data else data
