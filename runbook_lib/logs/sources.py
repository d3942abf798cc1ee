"""Where logs come from: files, folders, rotated series and archives, all read as streams of text bytes.

Nothing is written to disk, and memory does not grow with what is read. What kind of file it is is told
from its first bytes, not from its name. Symbolic links in a folder are not followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runbook_lib.errors import UsageError
from runbook_lib.logs.encodings import plain_text

CHUNK = 1 << 20

_GENERATIONS = re.compile(
    r"(?P<stem>.*?)(?P<inner>(?:[-_.]\d{1,6}){0,3})(?P<ending>\.(?:log|txt|out))(?P<outer>\.\d{1,6})?"
)
_YEAR = re.compile(r"(?:19|20)\d\d[-_.]?\d\d")
_PACKED = re.compile(r"\.(?:gz|zip|tgz)\Z", re.I)


@dataclass(frozen=True)
class LogFile:
    """One log, opened: what to call it, and its bytes as UTF-8 or an 8-bit encoding, without NULs.

    ``continues`` says that it follows the log before it in a rotated series, without a gap.
    """

    name: str
    continues: bool
    chunks: Iterator[bytes]


def read_logs(paths: Sequence[Path]) -> Iterator[LogFile]:
    """Yield every log under ``paths`` once, rotated series oldest first; read each before asking for the next.

    Raises UsageError for a path that is not there or cannot be read, and for an archive that is
    damaged, encrypted, or unpacks to more than the limits in ``archives``.
    """
    before = ""
    for path in _files(paths):
        with _open(path) as file:
            for name, chunks in _contents(path, file):
                yield LogFile(name, follows(before, name), plain_text(_guarded(chunks, name)))
                before = name


def follows(before: str, name: str) -> bool:
    """Return whether the log ``name`` is the next younger of the same series as ``before``."""
    one, other = _rotation(before), _rotation(name)
    steps = [a - b for a, b in zip(one[2], other[2], strict=True) if a != b]
    return bool(before) and one[:2] == other[:2] and steps == [1]


def oldest_first(name: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the key that sorts logs by series, and in a series the highest numbers first."""
    folder, series, numbers = _rotation(name)
    return folder, series, tuple(-number for number in numbers)


def _rotation(name: str) -> tuple[str, str, tuple[int, int, int, int]]:
    """Return folder, series and the numbers of a log's name: ``hm-0-1.log.2.gz`` → ``hm.log`` and (2, 0, 1, …)."""
    folder, _, base = name.rpartition("/")
    found = _GENERATIONS.fullmatch(_PACKED.sub("", base))
    if found is None or _YEAR.search(found["stem"] + found["inner"]):  # a date's order is that of its digits
        return folder, base, (0, 0, 0, 0)
    inner = [int(number) for number in re.findall(r"\d+", found["inner"])]
    outer = int(found["outer"][1:]) if found["outer"] else 0
    first, second, third = (*inner, 0, 0, 0)[:3]
    return folder, f"{found['stem']}{len(inner)}{found['ending']}", (outer, first, second, third)


def unreadable(what: str, where: str, found: object = "") -> UsageError:
    """Return the refusal of a source."""
    return UsageError(
        what, where=where, found=str(found), next_step="Name a log that can be read, or leave this one out."
    )


# -- files on disk --------------------------------------------------------------------------


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files under ``paths``, each once."""
    found: dict[str, Path] = {}
    for path in paths:
        for file in sorted(_walk(path), key=lambda p: oldest_first(p.as_posix())):
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def _walk(path: Path) -> list[Path]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable("This log or folder is not there, or cannot be looked at.", str(path), error) from error
    if stat.S_ISREG(mode):
        return [path]
    if not stat.S_ISDIR(mode):
        raise unreadable("This is neither a file nor a folder.", str(path))

    def refuse(error: OSError) -> None:
        raise unreadable("This folder cannot be read.", str(error.filename), error) from error

    inside = (Path(root) / name for root, _, names in os.walk(path, onerror=refuse) for name in names)
    return [file for file in inside if stat.S_ISREG(_mode(file))]


def _mode(file: Path) -> int:
    try:
        return file.lstat().st_mode
    except OSError as error:
        raise unreadable("This log went away while the folder was read.", str(file), error) from error


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise unreadable("This log cannot be opened.", str(path), error) from error


def _contents(path: Path, file: BinaryIO) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield what the file holds: itself, or the logs in it where it is an archive."""
    try:
        head = file.read(4)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise unreadable("This log cannot be read.", str(path), error) from error
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06")) or _is_tar(file):
        from runbook_lib.logs.archives import unpack

        yield from unpack(str(path), file, size)
    else:
        yield str(path), _read(file)


def _is_tar(file: BinaryIO) -> bool:
    block = file.read(512)
    file.seek(0)
    return block[257:262] == b"ustar"


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _guarded(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from chunks
    except OSError as error:
        raise unreadable("This log cannot be read to its end.", name, error) from error
