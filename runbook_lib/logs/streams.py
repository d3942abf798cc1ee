"""What a log's bytes come through: small readers, read-ahead in a thread, and the order of a rotated series."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from runbook_lib.errors import UsageError, cut
from runbook_lib.observations import Damage

if TYPE_CHECKING:
    from concurrent.futures import Future

# -- Rotated series of logs: which names belong together, and in which order they were written. Pure

_GENERATIONS = re.compile(
    r"(?P<stem>.*?)(?P<inner>(?:[-_.]\d{1,6}){0,3})(?P<ending>\.(?:log|txt|out))(?P<outer>\.\d{1,6})?"
)
_YEAR = re.compile(r"(?:19|20)\d\d[-_.]?\d\d")
_PACKED = re.compile(r"\.(?:gz|zip|tgz)\Z", re.I)


def follows_in_series(before: str, name: str) -> bool:
    """Return whether the log ``name`` is the next younger of the same series as ``before``."""
    one = _rotation(before)
    other = _rotation(name)
    steps = [older - newer for older, newer in zip(one[2], other[2], strict=True) if older != newer]
    return bool(before) and one[:2] == other[:2] and steps == [1]


def oldest_first(name: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the key that sorts logs by series, and in a series the highest numbers first."""
    folder, series, numbers = _rotation(name)
    return folder, series, tuple(-number for number in numbers)


def _rotation(name: str) -> tuple[str, str, tuple[int, int, int, int]]:
    """Return folder, series and the numbers of a log's name: ``hm-0-1.log.2.gz`` → ``hm.log`` and (2, 0, 1, …)."""
    folder, _, base = name.rpartition("/")
    match = _GENERATIONS.fullmatch(_PACKED.sub("", base))
    if match is None or _YEAR.search(match["stem"] + match["inner"]):  # a date's order is that of its digits
        return folder, base, (0, 0, 0, 0)
    inner = [int(number) for number in re.findall(r"\d+", match["inner"])]
    outer = int(match["outer"][1:]) if match["outer"] else 0
    first, second, third = (*inner, 0, 0, 0)[:3]
    return folder, f"{match['stem']}{len(inner)}{match['ending']}", (outer, first, second, third)


# -- What a log's bytes come through: small readers, the refusal of a source, and the notes on damaged ones

CHUNK = 1 << 18
HEAD = 512
"""How many of a file's first bytes tell what kind of archive it is."""

GZIP_MARK = b"\x1f\x8b"
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_UNREAD = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "rar",
    b"PK\x07\x08": "split zip",
}


def is_archive(head: bytes) -> bool:
    """Return whether a file that begins with these HEAD bytes is an archive."""
    return head.startswith((GZIP_MARK, *ZIP_MARKS)) or is_tar(head) or bool(unread_kind(head))


def unread_kind(head: bytes) -> str:
    """Return the kind of archive where it is one that is not read: never to be taken for a log without a finding."""
    return next((kind for mark, kind in _UNREAD.items() if head.startswith(mark)), "")


def is_tar(head: bytes) -> bool:
    """Whether these first bytes are those of a tar archive (POSIX, GNU)."""
    return head[257:262] == b"ustar"


class ByteSource(Protocol):
    """Bytes in their order: ``read`` returns at most ``count`` of them; none is the end."""

    def read(self, count: int, /) -> bytes: ...


Reopen = Callable[[], ByteSource]
"""Opens the same bytes from their beginning once more."""


class Guarded:
    """Something readable that ends where reading it fails; ``failed`` is told why."""

    def __init__(
        self, file: ByteSource, kinds: tuple[type[Exception], ...], failed: Callable[[Exception], None]
    ) -> None:
        self._file = file
        self._kinds = kinds
        self._failed = failed
        self._over = False

    def read(self, count: int) -> bytes:
        try:
            return b"" if self._over else self._file.read(count)
        except self._kinds as error:
            self._over = True
            self._failed(error)
            return b""


class PositionedFile:
    """A file on disk, read from ``position`` on without moving where others read it."""

    def __init__(self, descriptor: int, position: int = 0) -> None:
        self._descriptor = descriptor
        self._position = position

    def read(self, count: int) -> bytes:
        data = os.pread(self._descriptor, count, self._position)
        self._position += len(data)
        return data


class ByteRange:
    """``size`` bytes of something readable, from ``start`` on."""

    def __init__(self, file: ByteSource, start: int, size: int) -> None:
        self._file = file
        self._before = start
        self._left = size

    def read(self, count: int) -> bytes:
        while self._before and (skipped := self._file.read(min(self._before, CHUNK))):
            self._before -= len(skipped)
        chunk = self._file.read(min(count, self._left))
        self._left -= len(chunk)
        return chunk


class Peekable:
    """Something that can be read, and whose first bytes can be looked at before."""

    def __init__(self, file: ByteSource) -> None:
        self._file = file
        self._head = b""

    def peek(self, count: int) -> bytes:
        """Return at least ``count`` first bytes, fewer at the end only; they are read again by ``read``."""
        while len(self._head) < count and (more := self._file.read(count - len(self._head))):
            self._head += more
        return self._head

    def read(self, count: int) -> bytes:
        if not self._head:
            return self._file.read(count)
        head, self._head = self._head[:count], self._head[count:]
        return head


class Notes:
    """What could not be read of the sources. What lies in a damaged archive is not named a second time."""

    def __init__(self) -> None:
        self.damaged: list[Damage] = []

    def add(self, source: str, problem: str, error: object = "") -> None:
        """Note what could not be read, unless it lies in an archive that is noted already."""
        if not any(source == known.source or source.startswith(f"{known.source}/") for known in self.damaged):
            why = cut(" ".join(str(error).split()), 200)
            self.damaged.append(Damage(source=source, problem=f"{problem} ({why})" if why else problem))


def unreadable(what: str, where: str, found: Any = "") -> UsageError:
    """Return the refusal of a source."""
    return UsageError(
        what, where=where, found=str(found), next_step="Name a log that can be read, or leave this one out."
    )


# -- Reading ahead in a thread: inflating lets other threads run, so that searching costs no time of its own

WORTH = 4 << 20
"""How many bytes are worth a thread."""

PIECE = 2 << 20
"""Bytes of one reading. Whoever inflates waits for the other thread once a piece, so pieces are large."""

READ_AHEAD_PIECES = 3


class ReadAhead:
    """A stream that is read in a thread of its own, a few pieces ahead.

    ``close`` ends the thread; what the stream raises is raised at the place in the bytes where it happened.
    """

    def __init__(self, stream: ByteSource) -> None:
        from concurrent.futures import ThreadPoolExecutor  # most logs are not packed, and do without

        self._stream = stream
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._pieces = deque(self._ahead() for _ in range(READ_AHEAD_PIECES))
        self._chunk = memoryview(b"")

    def _ahead(self) -> Future[bytes]:
        return self._thread.submit(self._stream.read, PIECE)

    def read(self, count: int) -> bytes:
        if not self._chunk and self._pieces:
            pieces, self._pieces = self._pieces, deque()  # nothing more comes behind the end, or what it raises
            if piece := pieces.popleft().result():
                self._pieces = deque((*pieces, self._ahead()))
                self._chunk = memoryview(piece)
        chunk, self._chunk = self._chunk[:count], self._chunk[count:]
        return bytes(chunk)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)
