"""Writing to disk so that it is there after a power cut; and who runs this, in which process."""

from __future__ import annotations

import errno
import getpass
import os
import pwd
import secrets
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runbook_lib.errors import RecordNotWritable

# -- Writing to disk so that it is there after a power cut: whole or not at all, for the owner only.
#
# Below a folder that a group shares (``chmod 2770``: set-group-ID, all rights for the group) it is for the group too.
#
# Whatever the file system answers (full, read-only, forbidden, gone) becomes ``RecordNotWritable``.

FILE_MODE = 0o600
FOLDER_MODE = 0o700
SHARED_FILE_MODE = 0o660
SHARED_FOLDER_MODE = 0o2770
PARTIAL = ".partial-"
"""How the names of files begin that are not written to the end; a crash may leave one, and it counts for nothing."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into ``RecordNotWritable`` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise RecordNotWritable(
            "the record cannot be written",
            where=str(path),
            found=error.strerror or type(error).__name__,
            next_step="make room, or make the folder writable for you, then run the stage again; nothing that needed "
            "this was sent to a device",
        ) from error


def make_folder(path: Path) -> None:
    """Make ``path`` and the folders above it that are missing, mode 0700 (shared: 2770), and have them on disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with writing(path), suppress(FileExistsError):
        make_new_folder(path)


def make_new_folder(path: Path) -> None:
    """Make one folder, mode 0700 (shared: 2770); ``FileExistsError`` where it is there already."""
    path.mkdir(mode=FOLDER_MODE)
    if is_shared(path.parent):
        path.chmod(SHARED_FOLDER_MODE)
    sync_folder(path.parent)


def is_shared(folder: Path) -> bool:
    """Whether a group shares the folder, so that whatever is made in it is the group's too."""
    return folder.stat().st_mode & (stat.S_ISGID | 0o070) == stat.S_ISGID | 0o070


def is_private(folder: Path) -> bool:
    """Whether the folder is this account's own and nobody else may write in it."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def share(descriptor: int, path: Path) -> None:
    """Give the group what it shares, whatever the umask; to be called by whoever made the file."""
    if is_shared(path.parent):
        os.fchmod(descriptor, SHARED_FILE_MODE)


def sync_folder(path: Path) -> None:
    """Have the names in the folder on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, by one ``write`` unless the system takes fewer; a short write continues or raises."""
    while data:
        data = data[os.write(descriptor, data) :]


def write_new(path: Path, data: bytes) -> bool:
    """Write ``path`` whole and have it on disk; False, and nothing written, if there is such a file already."""
    return _write_whole(path, data, over=False)


def write_over(path: Path, data: bytes) -> None:
    """The same in the place of such a file: a reader finds the whole of either. Raises ``RecordNotWritable``."""
    _write_whole(path, data, over=True)


def _write_whole(path: Path, data: bytes, *, over: bool) -> bool:
    make_folder(path.parent)
    partial = path.parent / f"{PARTIAL}{secrets.token_hex(8)}"
    with writing(path):
        try:
            _write_synced(partial, data)
            try:
                if not over:
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            except FileExistsError:
                return False
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        sync_folder(path.parent)
    return True


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        share(descriptor, path)
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_plain(path: Path) -> BinaryIO:
    """Open a file of a record to be read. ``OSError`` for a pipe or a device, which could keep its reader for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file")
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path) -> bytes:
    """Return what a file of a record holds; raises as ``open_plain``."""
    with open_plain(path) as file:
        return file.read()


# -- Who runs this, and in which process: names that stay true after the process is gone -----------


def operator() -> str:
    """The person on whose behalf this runs: ``RUNBOOK_OPERATOR``, or the user's name at this host."""
    named = os.environ.get("RUNBOOK_OPERATOR", "").strip()
    if named:
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def account() -> str:
    """The account in which this runs, as the system knows it whatever the environment says: ``ada (uid 1000)``."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
    return f"{name} (uid {uid})"


def host() -> str:
    """This machine's name."""
    return socket.gethostname().replace(" ", "_")


@dataclass(frozen=True, kw_only=True)
class ProcessName:
    """A process, told apart from a later one with the same number by the time at which it started."""

    host: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    @classmethod
    def parse(cls, text: str) -> ProcessName | None:
        """Read what ``str`` of it wrote; None for anything else."""
        parts = text.split(" ")
        if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) < 20):
            return None
        return cls(host=parts[0], pid=int(parts[1]), started=parts[2])

    @classmethod
    def current(cls) -> ProcessName:
        """Return the name of the process that asks."""
        return cls(host=host(), pid=os.getpid(), started=_started(os.getpid()))

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this host, so that ``alive`` can be known."""
        return self.host == host()

    @property
    def alive(self) -> bool:
        """Whether it still runs; only meaningful where ``is_here``."""
        return self.started == _started(self.pid)


def _started(pid: int) -> str:
    """When the process started: boot and clock ticks on Linux, else what ``ps`` says; ``gone`` if there is none."""
    try:
        # The command's name stands in parentheses and may hold anything; state and times follow it.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _started_by_ps(pid)
    return "gone" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _started_by_ps(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        return "gone"
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no outside text in it
    return said.stdout.strip().replace(" ", "_") or "gone"
