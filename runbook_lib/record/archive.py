"""One incident's record in one file: a zip with the record's folder in it, the same bytes for the same record.

Members are sorted, have one fixed time and mode 0600, and stand below a folder of the incident's name. An archive is
checked in memory: nothing of it is written to disk, so no name in it can lead anywhere.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from runbook_lib.errors import ParameterRefused, RecordDamaged, SiteLocked
from runbook_lib.models import StageState
from runbook_lib.record.bundle import INCIDENT
from runbook_lib.record.files import write_new
from runbook_lib.record.lines import parse_whole_lines
from runbook_lib.record.manifest import JOURNAL, list_files
from runbook_lib.record.stages import stage_states
from runbook_lib.record.trusted import Trusted
from runbook_lib.record.verification import Verification
from runbook_lib.record.verify import verify_files, verify_record

SUFFIX = ".zip"
LARGEST = 4 << 30
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = (stat.S_IFREG | 0o600) << 16


@dataclass(frozen=True)
class Member:
    """One file of an archive, read when it is asked for."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    def read_bytes(self) -> bytes:
        """Raises ``OSError`` where the archive is damaged there."""
        try:
            return self.archive.read(self.info)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise OSError(5, f"damaged in the archive ({error})") from error


def pack(folder: Path, target: Path, trusted: Trusted, *, anyway: bool = False) -> Verification:
    """Write the record in ``folder`` to the new file ``target`` (mode 0600), and return what checking that file found.

    Raises ``SiteLocked`` for a record in which a stage runs, ``RecordDamaged`` for one that does not verify
    (``anyway``: both are packed as they are), ``ParameterRefused`` where there is such a file, ``RecordNotWritable``.
    """
    found = verify_record(folder, trusted.keys, trusted.certificates)
    if not anyway:
        _refuse_in_use(folder)
        _refuse_damaged(found)
    if not write_new(target, packed(folder)):
        raise ParameterRefused(
            "There is such a file already, and no archive is ever replaced",
            where=str(target),
            next_step="give another name with --to FILE",
        )
    return verify_archive(target, trusted)


def packed(folder: Path) -> bytes:
    """The archive's bytes; links and devices, which are no part of a record, are left out."""
    files, _ = list_files(folder)
    if (folder / JOURNAL).is_file():
        files[JOURNAL] = folder / JOURNAL
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"{folder.resolve().name}/{name}", _TIME)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, _MODE
            archive.writestr(info, files[name].read_bytes())
    return out.getvalue()


def verify_archive(path: Path, trusted: Trusted) -> Verification:
    """Check the record in an archive; raises ``RecordDamaged`` where the file is no archive of one record."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            folder = archive.infolist()[0].filename.partition("/")[0]
            found = Verification(folder=path, names=(folder, path.stem))
            return verify_files(found, members, members.pop(JOURNAL, None), trusted)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _no_archive(path, str(error)) from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, Member]:
    """The archive's files by their paths in the record. Whatever ``packed`` would not have written is refused."""
    members: dict[str, Member] = {}
    folders = {info.filename.partition("/")[0] for info in archive.infolist()}
    if len(folders) != 1 or archive.comment or archive.infolist()[0].header_offset:
        raise _no_archive(path, "it does not hold one folder alone")
    size = 0
    for info in archive.infolist():
        name = info.filename.partition("/")[2]
        size += info.file_size
        if not _is_plain(info, name) or name in members:
            raise _no_archive(path, f"a member that no record has: {info.filename!r}")
        members[name] = Member(archive, info)
    if size > LARGEST:
        raise _no_archive(path, f"it unpacks to {size} bytes")
    return members


def _is_plain(info: zipfile.ZipInfo, name: str) -> bool:
    """Whether a member is a file as ``packed`` writes it, below the folder, by a name that leads nowhere else."""
    parts = name.split("/")
    safe = all(part and part not in (".", "..") and "\\" not in part for part in parts)
    written = (info.date_time, info.external_attr, info.create_system, info.extra, info.comment, info.flag_bits & 1)
    return safe and info.orig_filename == info.filename and written == (_TIME, _MODE, 3, b"", b"", 0)


def _refuse_in_use(folder: Path) -> None:
    try:
        journal, _ = parse_whole_lines((folder / JOURNAL).read_bytes(), folder / JOURNAL)
    except OSError:
        return
    running = [name for name, state in stage_states(journal.lines).items() if state is StageState.RUNNING]
    if running:
        raise SiteLocked(
            "A stage of this incident runs now, so its record is not complete",
            where=str(folder),
            found=", ".join(running),
            next_step="wait until it has ended; close a notebook that is open (its last cell), or restart its kernel",
        )


def _refuse_damaged(found: Verification) -> None:
    if found.problems:
        raise RecordDamaged(
            "This record does not verify, so it is not packed",
            where=str(found.folder),
            found="\n".join(f"{problem.path}: {problem.what}" for problem in found.problems),
            next_step="look at it with runbook verify; --anyway packs it as it is",
        )


def _no_archive(path: Path, why: str) -> RecordDamaged:
    return RecordDamaged(
        "This file is not an archive of a record, or it was changed",
        where=str(path),
        found=why,
        next_step="get it once more from where it was packed (runbook archive)",
    )


def archive_name(folder: Path) -> str:
    """Return how a record's archive is called: the incident's name where the folder has one."""
    name = folder.resolve().name
    return f"{name if INCIDENT.fullmatch(name) else 'record'}{SUFFIX}"
