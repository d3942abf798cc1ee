"""What travels to a worker on another machine, and where records are copied to."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runbook_lib import __version__, paths
from runbook_lib.batch.site_run import SiteTask
from runbook_lib.batch.sites import named_files
from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import ParameterRefused, RecordDamaged, RecordNotWritable, UsageError
from runbook_lib.params.load import load_site
from runbook_lib.record.archive import archive_bytes
from runbook_lib.record.artifacts import checked
from runbook_lib.record.files import own_place, write_new, writing
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import JOURNAL
from runbook_lib.record.lock import TOKEN_VARIABLE
from runbook_lib.record.seal import list_files
from runbook_lib.record.signing import note_seen
from runbook_lib.repair.approval import Judge

# The site's file and the small files that it names travel; notebooks and the lock file of the dependencies are compared
# by their digests; secrets are references, resolved where they are used. Logs do not travel: they have to lie at the
# same path on the worker.

LARGEST_FILE = 10_000_000
_RUNNING = ".running.ipynb"


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One site on its way. ``files``: contents by the path at which the site's file names them; ``record`` is a zip.

    ``approvals`` are those in the record that the sender believes, so that the worker may: it has seen none of them.
    """

    task: SiteTask
    site: bytes
    files: Mapping[str, bytes]
    programs: Mapping[str, str]
    record: bytes = field(repr=False)
    approvals: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


def payload_of(task: SiteTask, address: str) -> Payload:
    """Pack a site. Raises ParameterRefused where a file that the site names is larger than 10 MB."""
    site = load_site(Path(task.site_file))
    files = {str(path): path.read_bytes() for path in named_files(site)}
    large = [path for path, content in files.items() if len(content) > LARGEST_FILE]
    if large:
        raise ParameterRefused("These files are too large to travel with a site", found="\n".join(large))
    return Payload(
        task=task,
        site=Path(task.site_file).read_bytes(),
        files=files,
        programs=programs(),
        record=archive_bytes(Path(task.records) / task.incident),
        approvals=Judge.here().vouches(Record.open(Path(task.records), task.incident)),
        address=address,
    )


def programs() -> dict[str, str]:
    """Return what has to be the same here and there: the release, the digests of the notebooks and of the lock file."""
    files = [*sorted(paths.notebooks_dir().glob("*.ipynb")), paths.lock_file()]
    return {"release": __version__} | {path.name: sha256_hex(path.read_bytes()) for path in files if path.is_file()}


def task_of(payload: Payload, root: Path) -> SiteTask:
    """Lay out a payload on the worker's disk and return the task as it is to be run there.

    Raises ParameterRefused where this worker has other notebooks or dependencies, RecordDamaged where it holds another
    record of that name, RecordNotWritable.
    """
    ours = programs()
    theirs = payload.programs
    other = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if other:
        raise ParameterRefused(
            "This worker has other notebooks or dependencies than the one who sends the site",
            found=", ".join(other),
            next_step="bring the worker's checkout to the same state; nothing was contacted",
        )
    root = _where(payload, root)
    merge_record(root / payload.task.incident, payload.record)
    note_seen(paths.key_dir(), payload.approvals)
    folder = root / ".fleet" / payload.task.incident
    replaced: dict[str, str] = {}
    for path, content in payload.files.items():
        here = Path(path)
        if not (here.is_file() and here.read_bytes() == content):
            laid = folder / f"{sha256_hex(content)[:16]}-{here.name}"
            write_new(laid, content)
            replaced[path] = str(laid)
    site = json.dumps(_with_paths(json.loads(payload.site), replaced), ensure_ascii=False).encode()
    site_file = folder / f"site-{sha256_hex(site)}.json"
    write_new(site_file, site)
    return replace(payload.task, site_file=str(site_file), records=str(root))


def _where(payload: Payload, root: Path) -> Path:
    """Return the sender's own folder where this worker shares its disk, else the worker's."""
    theirs = Path(payload.task.records)
    try:
        same = (theirs / payload.task.incident / JOURNAL).read_bytes() == _files_in(payload.record).get(JOURNAL, b"")
    except OSError:
        same = False
    return theirs if same else root


def merge_record(folder: Path, data: bytes) -> None:
    """Take a record's archive into ``folder``: what is there stays, what is new is added, the journal grows.

    Where the folder's journal goes on after the archive's, the folder is the newer one and is left as it is. Raises
    RecordDamaged where neither continues the other, or for a name that no record has.
    """
    files = _files_in(data)
    journal = files.pop(JOURNAL, b"")
    here = (folder / JOURNAL).read_bytes() if (folder / JOURNAL).is_file() else b""
    if here.startswith(journal):
        return
    if not journal.startswith(here):
        raise _another(folder)
    for name, content in files.items():
        if name.endswith(_RUNNING):
            continue
        path = folder / checked(name)
        if not write_new(path, content) and path.read_bytes() != content:
            raise _another(folder)
    write_new(folder / JOURNAL, journal, over=True)  # whole, after the files that it names


def _files_in(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}


def _with_paths(value: Any, replaced: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_paths(item, replaced) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_paths(item, replaced) for item in value]
    return replaced.get(value, value) if isinstance(value, str) else value


def _another(folder: Path) -> RecordDamaged:
    return RecordDamaged(
        "here lies a record of the same name that is not the same one, or that went another way",
        where=str(folder),
        next_step="keep both; look which of them the site's servers agree with, and move the other away",
    )


# -- Where a payload is worked on: under the lock of whoever sent it, and what goes back ------------

_environment = threading.Lock()


@contextmanager
def under_lock(token: str) -> Iterator[None]:
    """Let this process in under the lock that the sender holds, where both see one disk; elsewhere it means nothing."""
    with _environment:
        os.environ[TOKEN_VARIABLE] = " ".join(filter(None, (os.environ.get(TOKEN_VARIABLE, ""), token)))
    try:
        yield
    finally:
        with _environment:
            left = [each for each in os.environ.get(TOKEN_VARIABLE, "").split() if each != token]
            os.environ[TOKEN_VARIABLE] = " ".join(left)


def output_file(records: Path, incident: str) -> Path:
    """Return where what a run prints goes that nobody asked for; it is no part of a record, and its folder is there."""
    file = records / ".fleet" / f"{incident}.log"
    with writing(file):
        return own_place(file)


def brought_back(task: SiteTask, address: str) -> dict[str, Any]:
    """Return the record whole, and copy it to the records' address; where that refuses, the copy here stays."""
    folder = Path(task.records) / task.incident
    refused = ""
    try:
        if address:
            store_record(folder, address)
    except RecordNotWritable as error:
        refused = f"{error.what}: {error.where}: {error.found}; it lies in {folder} on {os.uname().nodename}"
    try:
        return {"record": archive_bytes(folder), "refused": refused}
    except OSError as error:
        return {"record": b"", "refused": f"the record could not be read on the worker: {error}"}


# -- Records on their way to an fsspec address, as ``s3://bucket/folder``: a copy, file by file, the journal last


def store_record(folder: Path, address: str) -> None:
    """Copy a record below ``address``, in a folder of its own name.

    Files are written once: one that is there with another content is refused; the journal alone grows, and one that
    does not go on from what is there, as that of a folder that was put back from a copy, is refused too. Raises
    RecordNotWritable, which names the address and what refused; the folder here stays as it is.
    """
    files, _ = list_files(folder)
    where = f"{address.rstrip('/')}/{folder.name}"
    try:
        system, root = _open(where)
        journal = f"{root}/{JOURNAL}"
        grown = (folder / JOURNAL).read_bytes()
        if system.exists(journal) and not grown.startswith(system.cat_file(journal)):
            raise _refused(journal, "its lines are not those with which the journal here begins")
        for name in sorted(files):
            _write(system, f"{root}/{name}", files[name].read_bytes())
        system.pipe_file(journal, grown)
    except (UsageError, RecordNotWritable):
        raise
    except Exception as error:  # noqa: BLE001 - each store has errors of its own
        raise _refused(where, f"{type(error).__name__}: {error}") from None


def require_storage(address: str) -> None:
    """Raise UsageError where the address cannot be one, before anything is run."""
    _open(address)


def _open(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(
            "Records at another address need fsspec, which is not installed",
            where=address,
            next_step="pip install 'pi-tofu-runbook[fleet]'",
        ) from None
    try:
        system, root = url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise UsageError(
            "This is not an address for records",
            where=address,
            found=str(error),
            next_step="write an fsspec address, as s3://bucket/folder or file:///folder; s3 needs the package s3fs",
        ) from None
    return system, root


def _write(system: Any, path: str, content: bytes) -> None:
    if system.exists(path):
        if system.cat_file(path) != content:
            raise _refused(path, "there is another file of that name")
        return
    if path.startswith("/") or "file" in system.protocol:  # a store of buckets has no folders, and may make a bucket
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, content)


def _refused(where: str, found: str) -> RecordNotWritable:
    return RecordNotWritable(
        "the address of the records refuses to be written",
        where=where,
        found=found,
        next_step="the record lies whole where it was made; make the address writable and run the same command again",
    )
