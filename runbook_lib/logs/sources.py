"""Where logs come from: files, folders, rotated series, archives and standard input, all read as streams.

Nothing is written to disk, and memory does not grow with what is read. What kind of file it is is told
from its first bytes, not from its name. Symbolic links in a folder are not followed.

Files are read, not mapped: one that is cut off while it is read (``copytruncate``) would end the process.
A file is known by its identity, so one that rotation renames while others are read is still read, once.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from runbook_lib.logs.encodings import PlainText
from runbook_lib.logs.series import follows, oldest_first
from runbook_lib.logs.streams import HEAD, Guarded, Notes, Stream, is_archive, unreadable

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
    stream: Stream


@dataclass(frozen=True)
class Listed:
    """A file that is to be read: its path and, where it is one on disk, its identity and size at that time."""

    path: Path
    identity: Identity | None
    size: int = 0


def list_logs(paths: Iterable[Path]) -> list[Listed]:
    """Return the files under ``paths``, each once, rotated series oldest first.

    Raises UsageError for a path that is not there or cannot be looked at.
    """
    found: dict[Identity | str, Listed] = {}
    for path in paths:
        for listed in sorted(_walk(path), key=lambda x: oldest_first(x.path.as_posix())):
            found.setdefault(listed.identity or str(path), listed)
    return list(found.values())


def by_series(files: Sequence[Listed]) -> list[list[Listed]]:
    """Return the files in groups that can be read one without the other: a message goes on within a series only."""
    groups: list[list[Listed]] = []
    for file in files:
        if groups and follows(groups[-1][-1].path.as_posix(), file.path.as_posix()):
            groups[-1].append(file)
        else:
            groups.append([file])
    return groups


def read_logs(files: Iterable[Listed], notes: Notes) -> Iterator[LogFile]:
    """Yield every log in ``files`` once, in their order; read each before asking for the next.

    Raises UsageError for a file that cannot be read, and for an archive that unpacks to too much; what is
    damaged, and what has gone since it was listed, is noted.
    """
    before = ""
    for listed in files:
        file = _open(listed, notes)
        if file is None:
            continue
        with file:
            for name, stream in _contents(listed, file, notes):
                yield LogFile(name, follows(before, name), PlainText(stream))
                before = name


# -- files on disk --------------------------------------------------------------------------


def _walk(path: Path) -> list[Listed]:
    if path == STDIN:
        return [Listed(path, None)]
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable("This log or folder is not there, or cannot be looked at.", str(path), error) from error
    if stat.S_ISREG(found.st_mode):
        return [_listed(path, found)]
    if stat.S_ISFIFO(found.st_mode) and str(path).startswith(_PIPES):
        return [Listed(path, None)]
    if not stat.S_ISDIR(found.st_mode):
        raise unreadable("This is neither a file nor a folder.", str(path))

    def refuse(error: OSError) -> None:
        raise unreadable("This folder cannot be read.", str(error.filename), error) from error

    inside = (Path(root) / name for root, _, names in os.walk(path, onerror=refuse) for name in names)
    return [listed for file in inside if (listed := _regular(file)) is not None]


def _listed(path: Path, found: os.stat_result) -> Listed:
    return Listed(path, (found.st_dev, found.st_ino), found.st_size)


def _regular(file: Path) -> Listed | None:
    """Return what a folder's entry is, or None where it is no file, or has gone since the folder was read."""
    try:
        found = file.lstat()
    except OSError:
        return None
    return _listed(file, found) if stat.S_ISREG(found.st_mode) else None


def _open(listed: Listed, notes: Notes) -> BinaryIO | None:
    """Open the listed file, under its new name where rotation has renamed it; note it where it is gone."""
    if listed.path == STDIN:
        if sys.stdin is None:
            raise unreadable("Standard input is closed.", "standard input")
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    if listed.identity is None:
        return _opened(listed.path)
    for path in (listed.path, *_same_folder(listed)):
        try:
            file = _opened(path)
        except FileNotFoundError:
            continue
        if _identity(file) == listed.identity:
            return file
        file.close()
    notes.add(str(listed.path), "went away while the logs were read")
    return None


def _same_folder(listed: Listed) -> Iterator[Path]:
    """Yield the path to which rotation has moved a file."""
    for other in listed.path.parent.iterdir():
        found = _regular(other)
        if found is not None and found.identity == listed.identity:
            yield other


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable("This log cannot be opened.", str(path), error) from error


def _identity(file: BinaryIO) -> Identity:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _contents(listed: Listed, file: BinaryIO, notes: Notes) -> Iterator[tuple[str, Stream]]:
    """Yield what the file holds: itself, or the logs in it where it is an archive."""
    name = "standard input" if listed.path == STDIN else str(listed.path)
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
        from runbook_lib.logs.archives import unpack  # what unpacks takes a third of the start, and most logs are none

        yield from unpack(name, file, size, notes)
    else:
        direct = _Direct(file, listed.size, lambda: notes.add(name, "became shorter while it was read"))
        yield name, Guarded(direct, (OSError,), lambda error: notes.add(name, "not read to its end", error))


class _Direct:
    """A file on disk from its beginning, read past Python's buffer; ``shortened`` is told of an end before ``size``."""

    def __init__(self, file: BinaryIO, size: int, shortened: Callable[[], None]) -> None:
        self._raw = cast("io.FileIO", cast("io.BufferedReader", file).raw)
        self._raw.seek(0)
        self._left = size
        self._shortened = shortened

    def readinto(self, view: memoryview) -> int:
        count = self._raw.readinto(view) or 0
        self._left -= count
        if count == 0 and self._left > 0:
            self._shortened()
        return count
