"""One mutating run per site at a time: a lock that names its holder.

The lock is a file in ``<records>/.locks``. It is taken by whoever creates it; the holder, and
each child process that works under the holder's token, keep an advisory lock on it as long as
they live. So the lock of a run that died is known to be stale, unless a child of it still works.
A stale lock is never taken over: a person frees it by naming its holder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from runbook_lib.canonical import canonical_json
from runbook_lib.errors import ParameterRefused, SiteLocked
from runbook_lib.record.files import FILE_MODE, make_folder, sync_folder, write_all, writing
from runbook_lib.record.process import ProcessName, operator
from runbook_lib.record.redaction import gate_text

TOKEN_VARIABLE = "RUNBOOK_LOCK_TOKEN"  # noqa: S105 - the variable's name
UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a site's lock. ``id`` is for people; ``token`` lets child processes in."""

    id: str
    who: str
    process: ProcessName
    utc: str
    incident: str
    purpose: str
    token: str

    def __str__(self) -> str:
        for_what = ", ".join(part for part in (self.purpose, self.incident) if part)
        what = f" for {for_what}" if for_what else ""
        return (
            f"{self.who}, process {self.process.pid} on {self.process.host}, since {self.utc}{what} (holder {self.id})"
        )


class SiteLock:
    """``with SiteLock(records, site, incident=…, purpose=…):`` around whatever changes the site.

    Entering raises ``SiteLocked``, naming the holder, while another run holds it or has left it
    behind. Inside a process whose environment carries the holder's token, and inside the holder
    itself, entering succeeds and leaving releases nothing.
    """

    def __init__(self, root: Path, site: str, *, incident: str = "", purpose: str = "") -> None:
        self.site = site
        self.incident = incident
        self.purpose = purpose
        self._path = lock_path(root, site)
        self._holder: Holder | None = None
        self._descriptor = -1

    def __enter__(self) -> SiteLock:
        make_folder(self._path.parent)
        with _guarded(self._path.parent):
            if self._path.exists():
                self._descriptor = self._enter_as_child()
            else:
                self._holder, self._descriptor = self._take()
        if self._holder:
            os.environ[TOKEN_VARIABLE] = " ".join([*_tokens(), self._holder.token])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        holder, self._holder = self._holder, None
        if holder:
            os.environ[TOKEN_VARIABLE] = " ".join(token for token in _tokens() if token != holder.token)
            with _guarded(self._path.parent):
                now = _read(self._path)
                if now and now.token == holder.token:
                    with writing(self._path):
                        self._path.unlink(missing_ok=True)
                        sync_folder(self._path.parent)
        os.close(self._descriptor)

    def alone(self) -> bool:
        """Whether no child process works under this lock any more; for who holds it, after a child of his has died."""
        if self._holder is None:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        return True

    @property
    def token(self) -> str:
        """What lets a child process in, in its variable ``RUNBOOK_LOCK_TOKEN``; empty for who is a child himself."""
        return self._holder.token if self._holder else ""

    def _enter_as_child(self) -> int:
        holder = _read(self._path)
        if holder is None or holder.token not in _tokens():
            raise _locked(self._path, self.site, holder)
        return _hold(self._path)

    def _take(self) -> tuple[Holder, int]:
        holder = Holder(
            id=secrets.token_hex(4),
            who=operator(),
            process=ProcessName.current(),
            utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            incident=self.incident,
            purpose=gate_text(self.purpose),
            token=secrets.token_hex(16),
        )
        with writing(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                write_all(descriptor, canonical_json(_as_dict(holder, self.site)) + b"\n")
                os.fsync(descriptor)
                sync_folder(self._path.parent)
            except BaseException:
                os.close(descriptor)
                self._path.unlink(missing_ok=True)
                raise
        return holder, descriptor


def _tokens() -> list[str]:
    """The tokens that this process works under: one for each site that it, or a parent, has locked."""
    return os.environ.get(TOKEN_VARIABLE, "").split()


def works_under_lock(root: Path, site: str) -> bool:
    """Whether this process works for the one that holds the site's lock, or is that one."""
    holder = _read(lock_path(root, site))
    return holder is not None and holder.token in _tokens()


def holder_of(root: Path, site: str) -> Holder | None:
    """Who holds the site's lock now, living or not; None if nobody, or if the lock file is not readable."""
    return _read(lock_path(root, site))


def free_stale(root: Path, site: str, holder: str) -> Holder | None:
    """Remove a lock that was left behind; ``holder`` is its id or token, or ``unreadable`` for a broken file.

    Raises ``SiteLocked`` if its holder, or a child of it, still lives on this host, and
    ``ParameterRefused`` if another holder, or none, has it. Whether a process on another host
    lives cannot be seen from here: who names that holder vouches for it.
    """
    path = lock_path(root, site)
    if not path.exists():
        raise ParameterRefused(f"nobody holds the lock of site {site}", where=str(path), next_step="nothing to free")
    with _guarded(path.parent):
        found = _read(path)
        if holder not in ((found.id, found.token) if found else (UNREADABLE,)):
            raise ParameterRefused(
                f"the lock of site {site} is not held by {holder}",
                where=str(path),
                found=str(found) if found else "a lock file that cannot be read",
                next_step=f"name the holder: runbook unlock {site} --holder {found.id if found else UNREADABLE}",
            )
        if _lives(path):
            raise _locked(path, site, found)
        with writing(path):
            path.unlink()
            sync_folder(path.parent)
    return found


def lock_path(root: Path, site: str) -> Path:
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", site)[:40]
    return root / ".locks" / f"{readable}-{hashlib.sha256(site.encode()).hexdigest()[:12]}.lock"


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Looking at a lock and acting on what was seen is one step for all processes."""
    with writing(folder):
        guard = os.open(folder / "guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)


def _hold(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _lives(path: Path) -> bool:
    """Whether the holder, or a child of it, still keeps its advisory lock; known for this host only."""
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _locked(path: Path, site: str, holder: Holder | None) -> SiteLocked:
    name = holder.id if holder else UNREADABLE
    free = f"runbook unlock {site} --holder {name}"
    if _lives(path):
        what, next_step = f"another run changes site {site} now", "wait until it has ended"
    elif holder and not holder.process.is_here:
        what = f"site {site} is locked from another host"
        next_step = f"look there whether it still runs; if you are certain that it does not: {free}"
    else:
        what = f"site {site} has a stale lock: the run that took it is gone"
        next_step = f"look at what its incident says, then free it: {free}"
    found = str(holder) if holder else "a lock file that cannot be read"
    return SiteLocked(what, where=str(path), found=found, next_step=next_step)


def _as_dict(holder: Holder, site: str) -> dict[str, str]:
    return {
        "site": site,
        "id": holder.id,
        "who": holder.who,
        "process": str(holder.process),
        "utc": holder.utc,
        "incident": holder.incident,
        "purpose": holder.purpose,
        "token": holder.token,
    }


def _read(path: Path) -> Holder | None:
    try:
        value = json.loads(path.read_bytes())
        process = ProcessName.parse(value.pop("process"))
        value.pop("site")
        return Holder(process=process, **value) if process else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
