"""One incident's record in one file: a zip with the record's folder in it, the same bytes for the same record.

Members are sorted, have one fixed time and mode 0600, and stand below a folder of the incident's name. An archive is
checked in memory: nothing of it is written to disk, so no name in it can lead anywhere.
"""

from __future__ import annotations

import errno
import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runbook_lib.errors import ParameterRefused, RecordDamaged, SiteLocked
from runbook_lib.models import StageState
from runbook_lib.paths import LARGEST_READ, read_plain
from runbook_lib.record.files import write_new
from runbook_lib.record.incident import INCIDENT
from runbook_lib.record.journal import JOURNAL, parse_whole_lines
from runbook_lib.record.seal import list_files
from runbook_lib.record.signing import Trusted
from runbook_lib.record.stages import stage_states
from runbook_lib.record.verification import Verification, verify_files, verify_record

# -- Packing a record, and checking it in its archive ---------------------------------------------


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
    if not write_new(target, archive_bytes(folder)):
        raise ParameterRefused(
            "The file exists already, and no archive is ever overwritten",
            where=str(target),
            next_step="give another name with --to FILE",
        )
    return verify_archive(target, trusted, noted=verification.noted)


def archive_bytes(folder: Path) -> bytes:
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


def verify_archive(path: Path, trusted: Trusted, *, noted: str = "") -> Verification:
    """Check the record in an archive; ``noted`` as in ``Verification``, of the folder that was packed just now.

    Raises ``RecordDamaged`` where the file is no archive of one record.
    """
    try:
        folder, members = read_members(path)
        verification = Verification(folder=path, names=(folder, path.stem), noted=noted)
        return verify_files(verification, members, members.pop(JOURNAL, None), trusted)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise RecordDamaged(
            "This file is not an archive of a record, or it was changed",
            where=str(path),
            found=str(error),
            next_step="get it again from where it was packed (runbook archive)",
        ) from error


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


def archive_name(folder: Path) -> str:
    """Return how a record's archive is called: the incident's name where the folder has one."""
    name = folder.resolve().name
    return f"{name if INCIDENT.fullmatch(name) else 'record'}.zip"


# -- The files in an archive of a record: nothing but them is in it, and reading them takes little memory.
#
# An archive is what ``archive_bytes`` returns: the files' headers and data one after the other from the first byte on,
# then the table of contents, then the end record. A byte before, behind or between them, or inside a file's data after
# its end, is no part of a record, and could be another file to another program.

LARGEST = 4 << 30
TIME = (1980, 1, 1, 0, 0, 0)
MODE = (stat.S_IFREG | 0o600) << 16
_PIECE = 1 << 20
_END = struct.Struct("<4s4H2LH")
_ENTRY = 46
_VERSION = 20
_UTF8 = 0x800


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of an archive, read when it is asked for: where its data begins, how long they are, what comes out."""

    archive: Path
    start: int
    packed: int
    size: int
    crc: int

    def read_bytes(self) -> bytes:
        """Raises ``OSError`` where the archive is damaged there, or the file too large to be taken into memory."""
        if self.size > LARGEST_READ:
            raise OSError(errno.EFBIG, f"it unpacks to {self.size} bytes")
        return b"".join(self._pieces())

    def measured(self) -> tuple[str, int]:
        """Return the file's SHA-256 in hex and its bytes in number; raises ``OSError`` where it is damaged."""
        digest = hashlib.sha256()
        for piece in self._pieces():
            digest.update(piece)
        return digest.hexdigest(), self.size

    def _pieces(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        left = self.packed
        size = crc = 0
        with self.archive.open("rb") as file:
            file.seek(self.start)
            while not inflate.eof:
                data = inflate.unconsumed_tail
                if not data:
                    data = file.read(min(left, _PIECE))
                    left -= len(data)
                try:
                    piece = inflate.decompress(data, _PIECE)
                except zlib.error as error:
                    raise _damaged(str(error)) from error
                size += len(piece)
                crc = zlib.crc32(piece, crc)
                if size > self.size or not (data or piece):
                    break
                yield piece
        rest = left or inflate.unconsumed_tail or inflate.unused_data
        if rest or not inflate.eof or (size, crc) != (self.size, self.crc):
            raise _damaged("its data are not what its header says")


def read_members(path: Path) -> tuple[str, dict[str, Member]]:
    """Return the folder in an archive and its files by their paths; ``ValueError`` says why it is not one of ours.

    Also raises ``OSError`` and ``zipfile.BadZipFile``.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        _check_layout(file, infos, archive.start_dir)
    folders = {info.filename.partition("/")[0] for info in infos}
    if len(folders) != 1:
        raise ValueError("it does not hold one folder alone")
    if sum(info.file_size for info in infos) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST} bytes")
    members: dict[str, Member] = {}
    for info in infos:
        name = info.filename.partition("/")[2]
        if not _is_plain(info, name) or name in members:
            raise ValueError(f"a member that no record has: {info.filename!r}")
        start = info.header_offset + len(info.FileHeader(zip64=False))
        members[name] = Member(archive=path, start=start, packed=info.compress_size, size=info.file_size, crc=info.CRC)
    return folders.pop(), members


def _check_layout(file: BinaryIO, infos: list[zipfile.ZipInfo], contents: int) -> None:
    """Every byte of the file belongs to a member, to the table of contents, or to the end record."""
    if len(infos) > zipfile.ZIP_FILECOUNT_LIMIT or contents > zipfile.ZIP64_LIMIT:
        raise ValueError("it holds more than an archive of a record can")
    at = 0
    for info in infos:
        if info.flag_bits & ~_UTF8 or info.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"a member that no record has: {info.filename!r}")
        header = info.FileHeader(zip64=False)
        file.seek(at)
        if info.header_offset != at or file.read(len(header)) != header:
            raise ValueError(f"there is something before {info.filename!r}, or its headers differ")
        at += len(header) + info.compress_size
    length = sum(_ENTRY + len(info.filename.encode("utf-8")) for info in infos)
    end = _END.pack(b"PK\5\6", 0, 0, len(infos), len(infos), length, contents, 0)
    file.seek(contents + length)
    if at != contents or file.read(len(end) + 1) != end:
        raise ValueError("there is data between its files and its end, or after it")


def _is_plain(info: zipfile.ZipInfo, name: str) -> bool:
    """Whether a member is a file as it is packed, below the folder, by a name that leads nowhere else."""
    parts = name.split("/")
    safe = all(part and part not in (".", "..") and "\\" not in part for part in parts)
    written = (info.date_time, info.external_attr, info.create_system, info.extra, info.comment)
    versions = (info.create_version, info.extract_version, info.reserved, info.volume, info.internal_attr)
    usual = written == (TIME, MODE, 3, b"", b"") and versions == (_VERSION, _VERSION, 0, 0, 0)
    return safe and info.orig_filename == info.filename and usual


def _damaged(why: str) -> OSError:
    return OSError(errno.EIO, f"damaged in the archive ({why})")
