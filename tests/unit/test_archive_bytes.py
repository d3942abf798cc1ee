"""What an archive holds to the byte, and what a record's folder holds to the last name: nothing is passed over."""

from __future__ import annotations

import os
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.errors import RecordDamaged
from runbook_lib.record.archive import MODE, TIME, pack, verify_archive
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.incident import Record
from runbook_lib.record.signing import Trusted
from runbook_lib.record.verification import Verification, verify_record

HIDDEN = b"something that no reader of the record sees"


@pytest.fixture
def record(tmp_path: Path) -> Record:
    made = Record.create(tmp_path / "records", "mysite")
    made.keep_bytes("answers/0001-primary-x.txt", b"host=x\r\n" * 500)
    seal_record(made, {"name": "mysite"}, key_folder=tmp_path / "none")
    return made


@pytest.fixture
def archive(tmp_path: Path, record: Record) -> Path:
    assert pack(record.folder, tmp_path / "a.zip", Trusted()).problems == []
    return tmp_path / "a.zip"


def put(data: bytes, at: int, contents_at: int) -> bytes:
    """Put bytes somewhere before the table of contents, and move every offset behind it, so that the zip is whole."""
    out = bytearray(data[:at] + HIDDEN + data[at:])
    moved = len(HIDDEN)
    place = contents_at + moved
    while out[place : place + 4] == b"PK\1\2":
        name, extra, comment = struct.unpack_from("<3H", out, place + 28)
        (offset,) = struct.unpack_from("<L", out, place + 42)
        struct.pack_into("<L", out, place + 42, offset + moved if offset >= at else offset)
        place += 46 + name + extra + comment
    struct.pack_into("<L", out, len(out) - 6, contents_at + moved)
    return bytes(out)


def before(data: bytes, offsets: list[int], contents: int) -> bytes:
    return put(data, 0, contents)


def between(data: bytes, offsets: list[int], contents: int) -> bytes:
    return put(data, offsets[1], contents)


def before_the_contents(data: bytes, offsets: list[int], contents: int) -> bytes:
    return put(data, contents, contents)


def behind(data: bytes, offsets: list[int], contents: int) -> bytes:
    return data + HIDDEN


def before_the_end(data: bytes, offsets: list[int], contents: int) -> bytes:
    return data[:-22] + HIDDEN + data[-22:]


def two_archives(data: bytes, offsets: list[int], contents: int) -> bytes:
    return data + data


@pytest.mark.parametrize("where", [before, between, before_the_contents, behind, before_the_end, two_archives])
def test_no_byte_is_left_over(archive: Path, where: Callable[[bytes, list[int], int], bytes]) -> None:
    """Bytes before, between and behind the files make it no archive, though every zip program reads it as the same."""
    with zipfile.ZipFile(archive) as inside:
        offsets, contents = [info.header_offset for info in inside.infolist()], inside.start_dir
    archive.write_bytes(where(archive.read_bytes(), offsets, contents))
    with pytest.raises(RecordDamaged, match="not an archive of a record"):
        verify_archive(archive, Trusted())


def test_what_an_archive_may_unpack_to_is_bounded(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its files together, before any of them is unpacked; nor does it hold more files than a plain zip can."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    with pytest.raises(RecordDamaged, match="holds more than an archive"):
        verify_archive(archive, Trusted())
    monkeypatch.undo()
    monkeypatch.setattr("runbook_lib.record.archive.LARGEST", 100)
    with pytest.raises(RecordDamaged, match="unpacks to more than 100 bytes"):
        verify_archive(archive, Trusted())


def test_both_headers_of_a_file_say_the_same(archive: Path) -> None:
    """A program that goes by the headers before the data sees other names than one that goes by the contents."""
    data = archive.read_bytes()
    at = data.index(b"answers/0001")
    archive.write_bytes(data[:at] + b"answers/0002" + data[at + 12 :])
    with pytest.raises(RecordDamaged, match="its headers differ"):
        verify_archive(archive, Trusted())


def member(archive: Path, name: str, packed: bytes, size: int, crc: int) -> None:
    """Add a member whose data are these bytes, and whose headers say so."""
    with zipfile.ZipFile(archive) as inside:
        kept = [(info, inside.read(info)) for info in inside.infolist()]
    folder = kept[0][0].filename.partition("/")[0]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for info, data in kept:
            out.writestr(info, data)
        info = zipfile.ZipInfo(f"{folder}/{name}", TIME)
        info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, MODE
        info.header_offset = out.start_dir
        info.file_size, info.compress_size, info.CRC = size, len(packed), crc
        file: Any = out.fp
        file.seek(out.start_dir)
        file.write(info.FileHeader(zip64=False) + packed)
        out.start_dir = file.tell()
        out.filelist.append(info)
        out.NameToInfo[info.filename] = info


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def problems(found: Verification) -> dict[str, str]:
    return {problem.path: problem.what for problem in found.problems}


def is_damaged(archive: Path) -> bool:
    """Whether the member that was added is found to be damaged, beside being one too many."""
    told = [problem.what for problem in verify_archive(archive, Trusted()).problems if problem.path == "answers/x.txt"]
    return any("damaged in the archive" in what for what in told)


def test_nothing_hides_behind_the_end_of_a_files_data(archive: Path) -> None:
    """Bytes after the end of what is compressed are in the file and in no program's output: it is damaged."""
    member(archive, "answers/x.txt", deflated(b"x") + HIDDEN, 1, zlib.crc32(b"x"))
    assert is_damaged(archive)


def test_data_without_an_end_are_damaged(archive: Path) -> None:
    """So are data that stop in the middle, and those of which there are more, or others, than the header says."""
    whole = deflated(os.urandom(5000))
    for packed, size in ((whole[:-9], 5000), (whole, 4999), (whole, 5001), (b"", 0), (deflated(b"y" * 5000), 5000)):
        before_it = archive.read_bytes()
        member(archive, "answers/x.txt", packed, size, 7)
        assert is_damaged(archive)
        archive.write_bytes(before_it)


MUCH = 96 << 20


@cache
def _zeros(size: int) -> tuple[bytes, int]:
    """So many bytes of nothing, packed, and their checksum."""
    packer, packed, crc = zlib.compressobj(9, zlib.DEFLATED, -15), b"", 0
    for _ in range(size >> 20):
        packed += packer.compress(bytes(1 << 20))
        crc = zlib.crc32(bytes(1 << 20), crc)
    return packed + packer.flush(), crc


@pytest.mark.parametrize("said", ["the truth", "a byte"])
@pytest.mark.parametrize("name", ["answers/x.txt", "seal-2/manifest.json"])
def test_memory_is_bounded(archive: Path, name: str, said: str) -> None:
    """A small archive that unpacks to much takes little memory, whether it says so or not, whatever the file is."""
    packed, crc = _zeros(MUCH)
    member(archive, name, packed, MUCH if said == "the truth" else 1, crc)
    assert archive.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        found = verify_archive(archive, Trusted())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert name in problems(found)
    assert peak < 32 << 20


# -- a folder ---------------------------------------------------------------------------------------------


def test_empty_folders_and_names_without_text_are_named(record: Record) -> None:
    """An empty folder, and a name whose bytes are no UTF-8, file or folder: each is an added thing, by its name."""
    (record.folder / "answers" / "empty").mkdir()
    Path(os.fsdecode(os.fsencode(record.folder) + b"/fold\xffer")).mkdir()
    Path(os.fsdecode(os.fsencode(record.folder) + b"/na\xffme")).write_text("x", encoding="utf-8")
    assert problems(verify_record(record.folder)) == {
        "answers/empty": "added: it is an empty folder",
        "fold\\udcffer": "added: its name is not UTF-8",
        "na\\udcffme": "added: its name is not UTF-8",
    }


def test_what_is_no_plain_file_is_named(record: Record) -> None:
    """A link, to a file or to a folder, and a pipe: none is followed or opened, each is an added thing."""
    (record.folder / "file").symlink_to("site.json")
    (record.folder / "folder").symlink_to("answers")
    os.mkfifo(record.folder / "pipe")
    said = "added: it is a link or a device, and a record holds plain files only"
    assert problems(verify_record(record.folder)) == dict.fromkeys(("file", "folder", "pipe"), said)


def test_a_seal_that_was_cut_off_is_no_fault(record: Record) -> None:
    """A machine that died while it made the folder of a seal leaves it empty; that is said."""
    (record.folder / "seal-2").mkdir()
    found = verify_record(record.folder)
    assert found.problems == []
    assert any(note.startswith("seal-2 is empty") for note in found.notes)


def test_a_folder_that_cannot_be_entered_is_named(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever may be in it is not known, so the record does not verify."""
    shut, really = record.folder / "shut", os.scandir

    def scandir(path: Path) -> Any:
        if Path(path) == shut:
            raise PermissionError(13, "Permission denied")
        return really(path)

    shut.mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    assert problems(verify_record(record.folder)) == {"shut": "it cannot be entered: Permission denied"}


@pytest.mark.parametrize(("deep", "why"), [(1500, "empty folder"), (2500, "it cannot be entered: File name too long")])
def test_a_folder_that_is_too_deep_is_named(record: Record, deep: int, why: str) -> None:
    """However deep: it is named, by a path that the system takes or by why it takes none."""
    top = record.folder / "d"
    try:
        with chdir(record.folder):
            for _ in range(deep):
                Path("d").mkdir()
                os.chdir("d")
        (said,) = problems(verify_record(record.folder)).values()
        assert why in said
    finally:
        subprocess.run(["rm", "-rf", str(top)], check=True)  # which does not run out of depth
