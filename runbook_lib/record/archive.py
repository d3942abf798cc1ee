"""One incident's record in one file: a zip with the record's folder in it, the same bytes for the same record.

Members are sorted, have one fixed time and mode 0600, and stand below a folder of the incident's name. An archive is
checked in memory: nothing of it is written to disk, so no name in it can lead anywhere.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from runbook_lib.errors import ParameterRefused, RecordDamaged, SiteLocked
from runbook_lib.models import StageState
from runbook_lib.record.files import read_plain, write_new
from runbook_lib.record.incident import INCIDENT
from runbook_lib.record.journal import parse_whole_lines
from runbook_lib.record.manifest import JOURNAL, MODE, TIME, list_files, read_members
from runbook_lib.record.stages import stage_states
from runbook_lib.record.verification import Trusted, Verification, verify_files, verify_record

SUFFIX = ".zip"


def pack(folder: Path, target: Path, trusted: Trusted, *, anyway: bool = False) -> Verification:
    """Write the record in ``folder`` to the new file ``target`` (mode 0600), and return what checking that file found.

    Raises ``SiteLocked`` for a record in which a stage runs, ``RecordDamaged`` for one that does not verify
    (``anyway``: both are packed as they are), ``ParameterRefused`` where there is such a file, ``RecordNotWritable``.
    """
    verification = verify_record(folder, trusted.keys, trusted.certificates)
    if not anyway:
        _refuse_in_use(folder)
        if verification.problems:
            raise RecordDamaged(
                "This record does not verify, so it is not packed",
                where=str(verification.folder),
                found="\n".join(f"{problem.path}: {problem.what}" for problem in verification.problems),
                next_step="look at it with runbook verify; --anyway packs it as it is",
            )
    if not write_new(target, packed(folder)):
        raise ParameterRefused(
            "The file exists already, and no archive is ever overwritten",
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
            info = zipfile.ZipInfo(f"{folder.resolve().name}/{name}", TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix
            info.external_attr = MODE
            archive.writestr(info, files[name].read_bytes())
    return out.getvalue()


def verify_archive(path: Path, trusted: Trusted) -> Verification:
    """Check the record in an archive; raises ``RecordDamaged`` where the file is no archive of one record."""
    try:
        folder, members = read_members(path)
        verification = Verification(folder=path, names=(folder, path.stem))
        return verify_files(verification, members, members.pop(JOURNAL, None), trusted)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _no_archive(path, str(error)) from error


def _refuse_in_use(folder: Path) -> None:
    try:
        journal, _ = parse_whole_lines(read_plain(folder / JOURNAL), folder / JOURNAL)
    except OSError:
        return
    running = [name for name, state in stage_states(journal.lines).items() if state is StageState.RUNNING]
    if running:
        raise SiteLocked(
            "A stage of this incident is running, so its record is not complete yet",
            where=str(folder),
            found=", ".join(running),
            next_step="wait until it has ended; close a notebook that is open (its last cell), or restart its kernel",
        )


def _no_archive(path: Path, why: str) -> RecordDamaged:
    return RecordDamaged(
        "This file is not an archive of a record, or it was changed",
        where=str(path),
        found=why,
        next_step="get it again from where it was packed (runbook archive)",
    )


def archive_name(folder: Path) -> str:
    """Return how a record's archive is called: the incident's name where the folder has one."""
    name = folder.resolve().name
    return f"{name if INCIDENT.fullmatch(name) else 'record'}{SUFFIX}"
