"""How things are kept: through the gate, and whole on the disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from types import GenericAlias
from typing import Any, TypeVar

from runbook_lib import secrets
from runbook_lib.errors import RecordNotWritable, RunbookError, step_after
from runbook_lib.paths import RECORDS, records_dir, setting_of
from runbook_lib.record.journal import JOURNAL

# -- The gate: all that is kept passes it as one joined piece, so that a secret that was split over two writes is found.
#    Whether it was good enough is asked by ``secret_scan``, which shares no code with it.


def gate_bytes(data: bytes) -> bytes:
    """Return the bytes with a mark for each known secret."""
    return secrets.REDACTOR.redact(data)


def gate_text(text: str) -> str:
    """Return the text with a mark for each known secret."""
    return secrets.REDACTOR.redact_text(text)


def gate_json(value: Any) -> Any:
    """A JSON value with every string, keys included, gone through the gate; its structure stays."""
    texts = list(dict.fromkeys(_texts(value)))
    return _replaced(value, dict(zip(texts, secrets.REDACTOR.redact_texts(texts), strict=True)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _replaced(value: Any, gated: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return gated[value]
    if isinstance(value, dict):
        return {gated[str(key)]: _replaced(item, gated) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(item, gated) for item in value]
    return value


# -- Executed notebooks. They keep a text as a list of its lines, and a cell's printed output as one piece a write, with
#    JSON between them, so a secret may stand in pieces: lines and pieces are joined before the gate.


def gate_notebook(data: bytes) -> bytes:
    """Return the notebook without known secrets; as it is if there are none, or if it is not a notebook."""
    if not secrets.REDACTOR.known():
        return data
    try:
        notebook = json.loads(data)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = _joined_streams(cell["outputs"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return gate_bytes(data)
    joined = _joined_lines(notebook)
    gated = gate_json(joined)
    if gated == joined:
        return gate_bytes(data)
    return gate_bytes((json.dumps(gated, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def _joined_lines(value: Any, name: str = "") -> Any:
    """The same with a text instead of its lines where the format has both: sources, streams, data of a text's kind."""
    if isinstance(value, dict):
        return {key: _joined_lines(item, key) for key, item in value.items()}
    if isinstance(value, list):
        is_lines = name in ("source", "text") or ("/" in name and not name.endswith("json"))
        if is_lines and all(isinstance(item, str) for item in value):
            return "".join(value)
        return [_joined_lines(item) for item in value]
    return value


def _joined_streams(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs with each stream in one piece where a secret stands only in the whole; else as they are."""
    for name in dict.fromkeys(str(each["name"]) for each in outputs if each["output_type"] == "stream"):
        pieces = [each for each in outputs if each["output_type"] == "stream" and each["name"] == name]
        texts = ["".join(each["text"]) for each in pieces]
        whole = "".join(texts)
        if gate_text(whole) != "".join(map(gate_text, texts)):
            pieces[0]["text"] = whole
            outputs = [each for each in outputs if not any(each is piece for piece in pieces[1:])]
    return outputs


# -- Values as JSON in the record, and back: dataclasses as objects, times as ISO 8601, bytes as base64url

T = TypeVar("T")


def to_json_value(value: Any) -> Any:
    """``value`` (dataclasses, enums, times, bytes, collections of them) as what JSON can say, through the gate."""
    return gate_json(plain_json_value(value))


def plain_json_value(value: Any) -> Any:
    """``value`` as what JSON can say, as it is before the gate: secrets may be in it."""
    from pydantic_core import to_jsonable_python  # costs time that a stage without facts need not spend

    return to_jsonable_python(value, bytes_mode="base64")


def to_json_bytes(value: Any) -> bytes:
    """Indented UTF-8 JSON with a line feed at its end, for people to read; a lone surrogate becomes ``?``."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def from_json_bytes(data: bytes, kind: type[T]) -> T:
    """Read a value of type ``kind``; ``ValueError`` if it is not one."""
    return _adapter(kind).validate_json(b"[" + data + b"]")[0]  # type: ignore[arg-type, no-any-return]


@cache
def _adapter(kind: type) -> Any:
    """What reads a ``kind``; making it takes longer than reading a hundred values."""
    from pydantic import ConfigDict, TypeAdapter

    # A dataclass takes the configuration of what is around it, and none from the adapter itself.
    wrapped: Any = GenericAlias(tuple, (kind,))
    return TypeAdapter(wrapped, config=ConfigDict(val_json_bytes="base64", extra="forbid"))


# -- Writing to disk so that it is there after a power cut: whole or not at all, for the owner only.
# Below a folder that a group shares (``chmod 2770``: set-group-ID, all rights for the group) it is for the group too;
# whatever the file system answers (full, read-only, forbidden, gone) becomes ``RecordNotWritable``.

FILE_MODE = 0o600
FOLDER_MODE = 0o700
READABLE_MODE = 0o644
SHARED_FILE_MODE = 0o660
SHARED_FOLDER_MODE = 0o2770
AN_OPTION = "an option of the command"
PARTIAL = ".partial-"
"""How the names of files begin that are not written to the end; a crash may leave one, and it counts for nothing."""


def room_for(path: Path) -> str:
    """Return what is to be done where ``path`` cannot be written: an incident that is open goes on in its folder."""
    with suppress(RunbookError, ValueError, OSError):
        incident, *_ = path.relative_to(records_dir()).parts
        if (records_dir() / incident / JOURNAL).stat().st_size:
            return (
                "free disk space, or make the folder writable for you; then go on with this incident, by its name:"
                f" --incident {incident}. In another folder ({RECORDS}) a run begins a new one"
            )
    return (
        f"free disk space, make the folder writable for you, or name another one ({setting_of(path) or AN_OPTION});"
        " then run the same command again"
    )


@contextmanager
def writing(path: Path, what: str = "") -> Iterator[None]:
    """Turn an ``OSError`` into ``RecordNotWritable`` that names ``path``; ``what`` says what cannot be written."""
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        beside = setting_of(path) != RECORDS
        usual = room_for(path)
        if not what:  # a notebook keeps nothing from being sent
            usual = f"{usual}; nothing that needed this was sent to a device"
        raise RecordNotWritable(
            what or ("A file beside the record cannot be written" if beside else "The record cannot be written"),
            where=str(path),
            found=getattr(error, "strerror", None) or str(error) or type(error).__name__,
            next_step=step_after(error, usual),
        ) from error


def make_folder(path: Path) -> None:
    """Make ``path`` and the folders above it that are missing, mode 0700 (shared: 2770), and have them on disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with writing(path):
        with suppress(FileExistsError):
            make_new_folder(path)
        path.mkdir(FOLDER_MODE, exist_ok=True)  # raises where something else lies there


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
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


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


def write_new(path: Path, data: bytes, *, over: bool = False, sync: bool = True) -> bool:
    """Write ``path`` whole and have it on disk; False, and nothing done, if there is such a file and not ``over``.

    Without ``sync`` its name is on disk only once another file was written into the folder, or the folder synced.
    """
    make_folder(path.parent)
    partial = path.parent / f"{PARTIAL}{token_hex(8)}"
    with writing(path):
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            try:
                share(descriptor, partial)
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                if not over:
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            except FileExistsError:
                return False
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        if sync:
            sync_folder(path.parent)
    return True


def own_place(path: Path) -> Path:
    """Make the folder of a file that lies beside records; ``OSError`` where a link would lead elsewhere."""
    make_folder(path.parent)
    if path.parent.is_symlink() or path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return path


def write_held(path: Path, data: bytes) -> int | None:
    """Write a file that all may read: it is there at once, whole, and a part of its advisory lock is this process's.

    Return its descriptor, which holds that lock; None, and nothing done, if there is such a file.
    """
    draft = path.with_suffix(f".{token_hex(8)}")
    with writing(path):
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # nobody else can have it: it is the owner's alone until it is held
            write_all(descriptor, data)
            os.fchmod(descriptor, READABLE_MODE)
            os.fsync(descriptor)
            path.hardlink_to(draft)
            draft.unlink()
            sync_folder(path.parent)
        except BaseException as error:
            if is_at(path, descriptor):  # taken, and the folder could not be synced: it would stay behind
                path.unlink(missing_ok=True)
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            if isinstance(error, FileExistsError):
                return None
            raise
    return descriptor


def is_alone(descriptor: int) -> bool:
    """Take the whole advisory lock on an open file; return whether no other process has a part of it."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def is_at(path: Path, descriptor: int) -> bool:
    """Whether the path still leads to the file that was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False
