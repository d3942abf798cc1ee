"""Reading a file that only its owner may have a hand in: a secret, or a key.

The file is looked at before it is opened, since opening a pipe or a device already does something. It has to be a
regular file of this user (or of root), closed to others, and nobody else may be able to put another file in its place:
each folder on the way to it, symbolic links included, belongs to this user or to root and is not writable for others,
unless its sticky bit keeps them from replacing what is not theirs.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40


class NotPrivate(Exception):
    """Why a file is not used (``why``), and what would make it usable (``next_step``, possibly empty)."""

    def __init__(self, why: str, next_step: str = "") -> None:
        self.why = why
        self.next_step = next_step
        super().__init__(why)


def read_private(path: Path, largest: int, *, public: bool = False) -> bytes:
    """Return the file's bytes; ``public``: others may read it too.

    Raises ``NotPrivate`` where others have a hand in it or it is longer than ``largest`` bytes, ``OSError`` where it
    cannot be read.
    """
    closed = 0o022 if public else 0o077
    place = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", which must not be followed blindly
    for folder in _folders(place):
        _check_folder(folder)
    _check_file(place, place.stat(), closed)
    # Not blocking, in case a pipe took the file's place since.
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_file(place, os.fstat(file.fileno()), closed)
        data = file.read(largest + 1)
    if len(data) > largest:
        raise NotPrivate(f"the file is longer than {largest} bytes")
    return data


def check_folders(folder: Path) -> None:
    """Raise ``NotPrivate`` where others could put another folder in the place of this one, or remove what is in it."""
    for each in (*_folders(folder), folder):
        _check_folder(each)


def _folders(path: Path) -> Iterator[Path]:
    """Yield every folder in which a name on the way to ``path`` is looked up, and those that symbolic links lead to."""
    folder, rest, links = Path(path.anchor), list(path.parts[1:]), 0
    while rest:
        yield folder
        name = rest.pop(0)
        if name == "..":
            folder = folder.parent
            continue
        step = folder / name
        if not step.is_symlink():
            folder = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = step.readlink()
        rest = [*(target.parts[1:] if target.is_absolute() else target.parts), *rest]
        folder = Path(target.anchor) if target.is_absolute() else folder


def _check_folder(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid not in _trusted():
        raise NotPrivate(f"the folder {folder} belongs to another user ({user_name(found.st_uid)})")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(found.st_mode)
        raise NotPrivate(f"others may write in the folder {folder} (mode {mode:04o})", f"chmod go-w '{folder}'")


def _check_file(path: Path, found: os.stat_result, closed: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivate("it is not a regular file")
    if found.st_uid not in _trusted():
        raise NotPrivate(f"the file belongs to another user ({user_name(found.st_uid)})")
    if found.st_mode & closed:
        mode = stat.S_IMODE(found.st_mode)
        raise NotPrivate(f"others may use the file (mode {mode:04o})", f"chmod {0o666 & ~closed:o} '{path}'")


def _trusted() -> set[int]:
    return {0, os.geteuid()}


def user_name(uid: int) -> str:
    """The name of a user of this machine, or its number."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"
