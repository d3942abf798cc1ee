"""One mutating run at a time for the same servers: a lock that names its holder, for all users of this machine.

Each thing by which a server is known (``runbook_lib.device.prime``) has a file of its own in one place of the
machine, ``paths.locks_dir``; a run takes all those of its site or none. A file appears whole, with its holder's
advisory lock on it, by whoever links it first; the holder, and each child process that works under the holder's token,
keep an advisory lock on it as long as they live. So the lock of a run that died is known to be stale, unless a child of
it still works. A stale lock is never taken over: a person frees it by naming its holder. Others may read who holds a
lock; to let a child in takes the token, of which the file holds the SHA-256 alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from runbook_lib import paths
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import ParameterRefused, RecordNotWritable, SiteLocked
from runbook_lib.processes import ProcessName, account, name_of_user, operator
from runbook_lib.record.files import gate_text, is_alone, is_at, sync_folder, write_held, writing
from runbook_lib.secrets import NotPrivate, check_folders

TOKEN_VARIABLE = "RUNBOOK_LOCK_TOKEN"  # noqa: S105 - the variable's name
UNREADABLE_HOLDER = "unreadable"
_PREFIX, _SUFFIX = "pi-tofu-runbook-", ".lock"
_LARGEST = 64 * 1024
_SHARE_S = 30.0
"""How long a child waits for the advisory lock on its parent's file, which others have for moments only; a busy machine
makes such a moment long."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds the lock of a site's servers. ``id`` is for people; ``token_sha256`` is of what lets children in."""

    id: str
    site: str
    who: str
    account: str
    process: ProcessName
    utc: str
    incident: str
    purpose: str
    token_sha256: str

    def __str__(self) -> str:
        for_what = ", ".join(part for part in (self.purpose, self.site, self.incident) if part)
        what = f" for {for_what}" if for_what else ""
        where = f"account {self.account}, process {self.process.pid} on {self.process.host}"
        return f"{self.who}, {where}, since {self.utc}{what} (holder {self.id})"

    def to_bytes(self) -> bytes:
        """Return the JSON that stands in the lock, one line."""
        return canonical_json(asdict(self) | {"process": str(self.process)}) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Holder:
        """Read what ``to_bytes`` wrote; ``ValueError`` for anything else, since anybody may have written it."""
        value = json.loads(data)
        if not isinstance(value, dict) or value.keys() != {field.name for field in fields(cls)}:
            raise ValueError("it does not have the keys of a lock")
        if not all(isinstance(text, str) and text.isprintable() for text in value.values()):
            raise ValueError("it holds something else than lines of text")
        process = ProcessName.parse(value["process"])
        if process is None:
            raise ValueError("it names no process")
        return cls(**value | {"process": process})


class SiteLock:
    """``with SiteLock(site, servers, incident=…, purpose=…):`` around whatever changes the site's servers.

    ``servers`` is everything by which the servers are known. Entering raises ``SiteLocked``, naming the holder, while
    another run holds one of them or has left it behind. Inside a process whose environment carries the holder's
    token, and inside the holder itself, entering succeeds and leaving releases nothing. ``token`` lets a child process
    in, in its variable ``RUNBOOK_LOCK_TOKEN``; empty in a child.
    """

    def __init__(self, site: str, servers: Sequence[str], *, incident: str = "", purpose: str = "") -> None:
        self.site = site
        self.incident = incident
        self.purpose = purpose
        self._servers = servers
        self.token = ""
        self._own: list[int] = []
        self._taken = ExitStack()  # whatever of its end fails, the rest is done

    def __enter__(self) -> SiteLock:
        holder, token = self._holder()
        try:
            for path in lock_paths(self._servers):
                descriptor = write_held(path, holder.to_bytes())
                if descriptor is None:
                    self._taken.callback(os.close, _enter_as_child(path, self.site))
                else:
                    self._own.append(descriptor)
                    self._taken.callback(os.close, descriptor)
                    self._taken.callback(_leave, path, descriptor)
        except BaseException:
            with suppress(RecordNotWritable):
                self._release()
            raise
        if self._own:
            self.token = token
            os.environ[TOKEN_VARIABLE] = " ".join([*_tokens(), token])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._own:
            os.environ[TOKEN_VARIABLE] = " ".join(token for token in _tokens() if token != self.token)
        self.token = ""
        try:
            self._release()
        except RecordNotWritable:
            if error is None:
                raise  # else what was done under the lock says more than a file that the next run names

    def _release(self) -> None:
        self._own.clear()
        self._taken.close()

    def alone(self) -> bool:
        """Whether no child process works under this lock any more; asked by its holder once a child has died."""
        return bool(self._own) and all(map(_alone_at, self._own))

    def _holder(self) -> tuple[Holder, str]:
        token = secrets.token_hex(16)
        holder = Holder(
            id=secrets.token_hex(4),
            site=_one_line(self.site),
            who=_one_line(operator()),
            account=account(),
            process=ProcessName.current(),
            utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            incident=self.incident,
            purpose=_one_line(gate_text(self.purpose)),
            token_sha256=sha256_hex(token.encode()),
        )
        return holder, token


def is_under_lock(site: str) -> bool:
    """Whether this process works for the one that holds the site's lock, or is that one."""
    ours = {sha256_hex(token.encode()) for token in _tokens()}
    return bool(ours) and any(holder.token_sha256 in ours for _, holder in _held(site))


def holder_of(site: str) -> Holder | None:
    """Who holds the site's lock now, living or not; None if nobody does."""
    return next((holder for _, holder in _held(site)), None)


def holders_by_incident() -> Mapping[str, Holder]:
    """Return who works on which incident now, by its name; one on another host counts until a person frees its lock."""
    return {each.incident: each for path, each in _held() if _lives(path) or not each.process.is_here}


def lock_refusal(site: str) -> SiteLocked | None:
    """What taking the lock of a site would raise now, by its name alone; None if nobody holds it."""
    return next((_locked(path, site, holder) for path, holder in _held(site)), None)


def is_left_behind(site: str) -> bool:
    """Whether the site's lock is held by nobody who lives, as far as this host can see; then a person may free it."""
    return any(holder.process.is_here and not _lives(path) for path, holder in _held(site))


def free_stale(site: str, holder: str, servers: Sequence[str] = ()) -> Holder | None:
    """Remove a lock that was left behind; ``holder`` is its id, or ``unreadable`` for broken files of these servers.

    Raises ``SiteLocked`` if its holder, or a child of it, still lives on this host, and ``ParameterRefused`` if another
    holder, or none, has it, or if only another user may remove it. Whether a process on another host lives cannot be
    seen from here: whoever names that holder vouches for it.
    """
    holders = dict(_held(site)) | {path: _read(path) for path in lock_paths(servers) if path.exists()}
    if not holders:
        place = str(paths.locks_dir())
        raise ParameterRefused(f"the lock of site {site} is free", where=place, next_step="nothing to free")
    named = {path: each for path, each in holders.items() if holder == (each.id if each else UNREADABLE_HOLDER)}
    if not named:
        path, other = next(iter(holders.items()))
        raise ParameterRefused(
            f"the lock of site {site} is not held by {holder}",
            where=str(path),
            found=str(other) if other else _unreadable(path),
            next_step=f"name the holder: {_freeing(site, other)}",
        )
    for path in named:
        if _lives(path):
            raise _locked(path, site, named[path])
    for path in named:
        _remove(path, site)
    return next(iter(named.values()))


def lock_paths(servers: Sequence[str]) -> tuple[Path, ...]:
    """The files of these servers in the one place of this machine; ``RecordNotWritable`` where it is not safe."""
    folder = paths.locks_dir()
    try:
        check_folders(folder)
    except (NotPrivate, OSError) as error:
        raise RecordNotWritable(
            "No lock can be taken: others could remove it from that folder",
            where=str(folder),
            found=getattr(error, "why", None) or getattr(error, "strerror", None) or "",
            next_step="set RUNBOOK_LOCKS, for all who change these servers from this machine, to a folder of root's "
            "with mode 1777",
        ) from None
    return tuple(sorted(folder / f"{_PREFIX}{sha256_hex(each.encode())[:32]}{_SUFFIX}" for each in servers))


def _leave(path: Path, descriptor: int) -> None:
    if is_at(path, descriptor):  # else a person has freed it, and it may be another's by now
        with writing(path):
            path.unlink(missing_ok=True)


def _enter_as_child(path: Path, site: str) -> int:
    holder = _read(path)
    if holder is None or holder.token_sha256 not in {sha256_hex(token.encode()) for token in _tokens()}:
        raise _locked(path, site, holder)
    descriptor = _open(path)
    until = time.monotonic() + _SHARE_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            break
        if time.monotonic() > until:
            os.close(descriptor)
            raise _locked(path, site, holder)
        time.sleep(0.01)
    if not is_at(path, descriptor):
        os.close(descriptor)
        raise _locked(path, site, _read(path))
    return descriptor


def _remove(path: Path, site: str) -> None:
    """Remove a file on which nobody has an advisory lock; looking and removing are one step, by that lock."""
    descriptor = _open(path)
    try:
        if not is_alone(descriptor) or not is_at(path, descriptor):
            raise _locked(path, site, _read(path))
        try:
            path.unlink()
        except PermissionError:
            raise ParameterRefused(
                f"Only {_owner(path)}, or root, can free the lock of site {site}",
                where=str(path),
                next_step="ask them to check what that run left behind, and to free it",
            ) from None
        sync_folder(path.parent)
    finally:
        os.close(descriptor)


def _held(site: str = "") -> Iterator[tuple[Path, Holder]]:
    """Every readable lock of a site, by its name; of all sites where none is named."""
    for path in sorted(paths.locks_dir().glob(f"{_PREFIX}*{_SUFFIX}")):
        holder = _read(path)
        if holder and (not site or holder.site == _one_line(site)):
            yield path, holder


def _tokens() -> list[str]:
    """The tokens that this process works under: one for each site that it, or a parent, has locked."""
    return os.environ.get(TOKEN_VARIABLE, "").split()


def _open(path: Path) -> int:
    """Open a lock's file, whoever put it there: no link is followed, and a pipe does not wait."""
    with writing(path):
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _read(path: Path) -> Holder | None:
    with suppress(RecordNotWritable, OSError, ValueError, RecursionError):
        descriptor = _open(path)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Holder.from_bytes(os.read(descriptor, _LARGEST))
        finally:
            os.close(descriptor)
    return None


def _alone_at(descriptor: int) -> bool:
    """Whether nobody else has an advisory lock; one's own is kept."""
    try:
        return is_alone(descriptor)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def _lives(path: Path) -> bool:
    """Whether the holder, or a child of it, still keeps its advisory lock; known for this host only."""
    with suppress(RecordNotWritable):
        descriptor = _open(path)
        try:
            return not is_alone(descriptor)
        finally:
            os.close(descriptor)
    return False


def _locked(path: Path, site: str, holder: Holder | None) -> SiteLocked:
    free = _freeing(holder.site if holder else site, holder)
    if _lives(path):
        what = f"another run changes the servers of site {site} now"
        next_step = "wait until it has ended"
    elif holder and not holder.process.is_here:
        what = f"the servers of site {site} are locked from another host"
        next_step = f"check there whether it is still running; if you are certain that it is not: {free}"
    else:
        what = f"the servers of site {site} have a stale lock: the run that took it is gone"
        next_step = f"look at what its incident says, then free it: {free}"
    return SiteLocked(what, where=str(path), found=str(holder) if holder else _unreadable(path), next_step=next_step)


def _freeing(site: str, holder: Holder | None) -> str:
    """Return the command that frees a lock, whose file anybody may have written."""
    return shlex.join(("runbook", "unlock", site, "--holder", holder.id if holder else UNREADABLE_HOLDER))


def _unreadable(path: Path) -> str:
    return f"a lock file of {_owner(path)} that cannot be read"


def _owner(path: Path) -> str:
    try:
        return name_of_user(path.lstat().st_uid)
    except OSError:
        return "nobody"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
