"""Where logs come from: files, folders, rotated series, archives, standard input; and the lines around a line."""

from __future__ import annotations

import io
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from runbook_lib.errors import UsageError, cut
from runbook_lib.logs.lines import LINE_LIMIT
from runbook_lib.logs.search import PlainText
from runbook_lib.logs.streams import (
    HEAD,
    ByteSource,
    Guarded,
    Notes,
    follows_in_series,
    is_archive,
    oldest_first,
    unreadable,
)

# Nothing is written to disk, and memory does not grow with what is read. What kind of file it is is told
# from its first bytes, not from its name. Symbolic links in a folder are not followed.
#
# Files are read, not mapped: one that is cut off while it is read (``copytruncate``) would end the process.
# A file is known by its identity, so one that rotation renames while others are read is still read, once.

STDIN = Path("-")
"""The path that stands for standard input."""

_PIPES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")

Identity = tuple[int, int]


@dataclass(frozen=True)
class LogFile:
    """One log, opened: what to call it, and its bytes as UTF-8 or an 8-bit encoding, without NULs.

    ``continues`` says that it follows the log before it in a rotated series, without a gap.
    """

    name: str
    continues: bool
    stream: ByteSource


@dataclass(frozen=True)
class Listed:
    """A file that is to be read: its path and, where it is one on disk, its identity and size at that time.

    ``problem`` says why a folder, or a file in one, cannot be looked at: it is to be named instead.
    """

    path: Path
    identity: Identity | None
    size: int = 0
    problem: str = ""

    @property
    def key(self) -> Identity | Path:
        """What it is known by: its identity where it has one, so that it is read once under whatever name."""
        return self.identity or self.path


def list_logs(paths: Iterable[Path]) -> list[Listed]:
    """Return the files under ``paths``, each once, rotated series oldest first.

    Raises UsageError for a path that is not there or cannot be looked at; what cannot be looked at in a
    folder is among the files, with its ``problem``.
    """
    files: dict[Identity | Path, Listed] = {}
    for path in paths:
        for listed in sorted(_walk(path), key=lambda x: oldest_first(x.path.as_posix())):
            files.setdefault(listed.key, listed)
    return list(files.values())


def by_series(files: Sequence[Listed]) -> list[list[Listed]]:
    """Return the files in groups that can be read one without the other: a message goes on within a series only."""
    groups: list[list[Listed]] = []
    for file in files:
        if groups and follows_in_series(groups[-1][-1].path.as_posix(), file.path.as_posix()):
            groups[-1].append(file)
        else:
            groups.append([file])
    return groups


def open_logs(files: Iterable[Listed], notes: Notes) -> Iterator[LogFile]:
    """Yield every log in ``files`` once, in their order; read each before asking for the next.

    What cannot be read, is damaged, unpacks to too much, or has gone since it was listed, is noted. Raises
    UsageError where standard input is closed.
    """
    before = ""
    for listed in files:
        file = _open(listed, notes)
        if file is None:
            continue
        with file:
            for name, stream in _unrefused(listed, file, notes):
                yield LogFile(name, follows_in_series(before, name), PlainText(stream))
                before = name


def _unrefused(listed: Listed, file: BinaryIO, notes: Notes) -> Iterator[tuple[str, ByteSource]]:
    """Yield what the file holds up to the point where it is refused, and note that; other files are still read."""
    name = "standard input" if listed.path == STDIN else str(listed.path)

    def note(error: Exception) -> None:
        if isinstance(error, UsageError):
            notes.add(name, error.what.rstrip("."), error.found)

    try:
        for inner, stream in _contents(name, listed.size, file, notes):
            yield inner, Guarded(stream, (UsageError,), note)
    except UsageError as error:
        note(error)


# -- files on disk --------------------------------------------------------------------------


def _walk(path: Path) -> list[Listed]:
    if path == STDIN:
        return [Listed(path, None)]
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable("This log or folder is not there, or cannot be looked at.", str(path), error) from error
    if stat.S_ISREG(status.st_mode):
        return [_listed(path, status)]
    if stat.S_ISFIFO(status.st_mode) and str(path).startswith(_PIPES):
        return [Listed(path, None)]
    if not stat.S_ISDIR(status.st_mode):
        raise unreadable("This is neither a file nor a folder.", str(path))

    closed: list[Listed] = []

    def keep(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # what has gone in the meantime is no part of the folder
            closed.append(_unreadable(Path(error.filename or path), "this folder cannot be read", error))

    inside = (Path(root) / name for root, _, names in os.walk(path, onerror=keep) for name in names)
    return [*(listed for file in inside if (listed := _regular(file)) is not None), *closed]


def _listed(path: Path, status: os.stat_result) -> Listed:
    return Listed(path, (status.st_dev, status.st_ino), status.st_size)


def _regular(file: Path) -> Listed | None:
    """Return what a folder's entry is, or None where it is no file, or has gone since the folder was read."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unreadable(file, "cannot be looked at", error)
    return _listed(file, status) if stat.S_ISREG(status.st_mode) else None


def _unreadable(path: Path, problem: str, error: OSError) -> Listed:
    return Listed(path, None, problem=f"{problem} ({error.strerror})")


def _open(listed: Listed, notes: Notes) -> BinaryIO | None:
    """Open the listed file, under its new name where rotation has renamed it; note it where that cannot be done."""
    if listed.problem:
        notes.add(str(listed.path), listed.problem)
        return None
    if listed.path == STDIN:
        if sys.stdin is None:
            raise unreadable("Standard input is closed.", "standard input")
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    for path in itertools.chain((listed.path,), _same_folder(listed)):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.add(str(listed.path), "cannot be opened", error.strerror)
            return None
        status = os.fstat(file.fileno())
        if listed.identity in (None, (status.st_dev, status.st_ino)):
            return file
        file.close()
    notes.add(str(listed.path), "went away while the logs were read")
    return None


def _same_folder(listed: Listed) -> Iterator[Path]:
    """Yield the path to which rotation has moved a file."""
    try:
        others = list(listed.path.parent.iterdir())
    except OSError:
        return
    for other in others:
        file = _regular(other)
        if file is not None and file.identity == listed.identity:
            yield other


def _contents(name: str, listed_size: int, file: BinaryIO, notes: Notes) -> Iterator[tuple[str, ByteSource]]:
    """Yield what the file holds: itself, or the logs in it where it is an archive."""
    if not file.seekable():
        from runbook_lib.logs.archives import unpack

        yield from unpack(name, file, None, notes)
        return
    try:
        head = file.read(HEAD)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise unreadable("This log cannot be read.", name, error) from error
    if is_archive(head):
        from runbook_lib.logs.archives import unpack  # it takes a third of the start, and most logs are not packed

        yield from unpack(name, file, size, notes)
    else:
        direct = _Direct(file, listed_size, lambda: notes.add(name, "became shorter while it was read"))
        yield name, Guarded(direct, (OSError,), lambda error: notes.add(name, "not read to its end", error))


class _Direct:
    """A file on disk from its beginning, read past Python's buffer; ``shortened`` is told of an end before ``size``."""

    def __init__(self, file: BinaryIO, size: int, shortened: Callable[[], None]) -> None:
        self._raw = cast("io.FileIO", cast("io.BufferedReader", file).raw)
        self._raw.seek(0)
        self._left = size
        self._shortened = shortened

    def read(self, count: int) -> bytes:
        data = self._raw.read(count)
        self._left -= len(data)
        if not data and self._left > 0:
            self._shortened()
        return data


# -- How much there is to read, where that is known before it is read ------------------------------


def size_to_read(paths: Iterable[Path]) -> int | None:
    """Return the bytes of all files under ``paths``; None where one is an archive, or no file on disk.

    What an archive holds is known only when it has been read. Raises UsageError as ``list_logs`` does.
    """
    total = 0
    for file in list_logs(paths):
        if file.problem:
            continue
        if file.identity is None or is_archive_file(file):
            return None
        total += file.size
    return total


def is_archive_file(file: Listed) -> bool:
    """Return whether a file is an archive; True too where it cannot be opened: whoever reads it says what is wrong."""
    try:
        with file.path.open("rb") as opened:
            return is_archive(opened.read(HEAD))
    except OSError:
        return True


# -- The lines around lines that are known: a second look at logs, for what a record keeps of them

BEFORE, AFTER = 3, 12
_REACH = 1 << 16
"""Bytes of a line that are read: so many more that a secret which ends here is far behind what is kept of the line."""
MOST_READ = 512 << 20
"""Bytes that are read again for it, unpacked: what lies behind them stays without its surroundings."""
_CHUNK = 1 << 20

Lines = dict[int, str]
"""Lines by their number from 1, each cut at LINE_LIMIT characters."""


def lines_around(paths: Sequence[Path], wanted: Mapping[str, Iterable[int]]) -> dict[str, Lines]:
    """Return the lines around the wanted ones, by the name of the log (as ``LogLine.source`` has it).

    A log that is gone, damaged, or lies behind MOST_READ bytes is left out, or ends early. Raises nothing for that.
    """
    near = range(-BEFORE, AFTER + 1)
    numbers = {name: {max(1, number + away) for number in lines for away in near} for name, lines in wanted.items()}
    kept: dict[str, Lines] = {}
    left = MOST_READ
    with suppress(UsageError):  # the logs may be gone by now; the evidence itself is kept anyway
        files = [file for file in list_logs(paths) if any(name.startswith(str(file.path)) for name in numbers)]
        for log in open_logs(files, Notes()):
            if log.name in numbers and left > 0:
                kept[log.name], read = _read(log, numbers[log.name], left)
                left -= read
            if left <= 0 or kept.keys() == numbers.keys():
                break
    return kept


def _read(log: LogFile, numbers: set[int], limit: int) -> tuple[Lines, int]:
    """Read up to the last wanted line; return the lines, and how many bytes were read."""
    lines: Lines = {}
    number = 1
    rest = b""
    read = 0
    last = max(numbers)
    while number <= last and read < limit and (chunk := log.stream.read(_CHUNK)):
        read += len(chunk)
        data = rest + chunk
        feeds = data.count(b"\n")
        if numbers.isdisjoint(range(number, number + feeds + 1)):
            rest = data[data.rfind(b"\n") + 1 :][-_REACH:]
        else:
            *whole, rest = data.split(b"\n")
            lines |= {at: _text(line) for at, line in enumerate(whole, start=number) if at in numbers}
            rest = rest[:_REACH]
        number += feeds
    if number in numbers and rest:
        lines[number] = _text(rest)
    return lines, read


def _text(line: bytes) -> str:
    return cut(line[:_REACH].rstrip(b"\r").decode("utf-8", "replace"), LINE_LIMIT)
