"""Records on their way to an fsspec address, as ``s3://bucket/folder``: a copy, file by file, the journal last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runbook_lib.errors import RecordNotWritable, UsageError
from runbook_lib.record.manifest import JOURNAL, list_files


def store_record(folder: Path, address: str) -> None:
    """Copy a record below ``address``, in a folder of its own name.

    Files are written once: one that is there with another content is refused, the journal alone grows. Raises
    RecordNotWritable, which names the address and what refused; the folder here stays as it is.
    """
    files, _ = list_files(folder)
    where = f"{address.rstrip('/')}/{folder.name}"
    try:
        system, root = _open(where)
        for name in sorted(files):
            _write(system, f"{root}/{name}", files[name].read_bytes())
        system.pipe_file(f"{root}/{JOURNAL}", (folder / JOURNAL).read_bytes())
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
