"""A record in one file: the same bytes for the same record, checked without being unpacked."""

from __future__ import annotations

import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook_lib.cli.records import archive_command, verify_command
from runbook_lib.errors import ParameterRefused, RecordDamaged, SiteLocked
from runbook_lib.models import Stage, StageState
from runbook_lib.record.archive import archive_bytes, pack, verify_archive
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.incident import Record
from runbook_lib.record.signing import Trusted, new_key, trusted_keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    new_key(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def trusted(keys: Path) -> Trusted:
    return Trusted(keys=trusted_keys(keys))


@pytest.fixture
def record(tmp_path: Path, keys: Path) -> Record:
    """A small sealed record."""
    made = Record.create(tmp_path / "records", "mysite")
    made.keep_bytes("answers/0001-primary-x.txt", b"host=x\r\n" * 500)
    made.keep_bytes("answers/0002-primary-x.txt", b"")
    seal_record(made, {"name": "mysite"}, key_folder=keys)
    return made


@pytest.fixture
def archive(tmp_path: Path, record: Record, trusted: Trusted) -> Path:
    pack(record.folder, tmp_path / "a.zip", trusted)
    return tmp_path / "a.zip"


def test_archive_holds_one_folder_of_plain_files(record: Record, archive: Path) -> None:
    """Every file of the record and no other, below the incident's name, mode 0600, as the file itself is."""
    with zipfile.ZipFile(archive) as inside:
        found = {info.filename: inside.read(info) for info in inside.infolist()}
        modes = {info.external_attr >> 16 for info in inside.infolist()}
    there = {
        f"{record.incident}/{path.relative_to(record.folder).as_posix()}": path.read_bytes()
        for path in record.folder.rglob("*")
        if path.is_file()
    }
    assert found == there
    assert modes == {0o100600}
    assert archive.stat().st_mode & 0o777 == 0o600


def test_same_record_gives_the_same_bytes(tmp_path: Path, record: Record) -> None:
    """Times, owners and the order on disk do not matter; neither does where the record lies."""
    copy = tmp_path / "elsewhere" / record.incident
    shutil.copytree(record.folder, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert archive_bytes(copy) == archive_bytes(record.folder)


def test_unpacked_by_any_tool_it_is_the_record(tmp_path: Path, record: Record, archive: Path, trusted: Trusted) -> None:
    """What unzip makes of it verifies as the folder does."""
    with zipfile.ZipFile(archive) as inside:
        inside.extractall(tmp_path / "unpacked")
    from runbook_lib.record.verification import verify_record

    assert verify_record(tmp_path / "unpacked" / record.incident, trusted.keys).problems == []


def test_archive_verifies_and_nothing_is_written(tmp_path: Path, archive: Path, trusted: Trusted) -> None:
    """Checking an archive finds what checking the folder finds, and leaves no file anywhere near."""
    before = sorted(tmp_path.rglob("*"))
    found = verify_archive(archive, trusted)
    assert (found.problems, found.seal) == ([], "seal")
    assert found.key == trusted.keys[0]
    assert sorted(tmp_path.rglob("*")) == before


def rebuilt(archive: Path, change: Callable[[zipfile.ZipInfo, bytes], list[tuple[zipfile.ZipInfo, bytes]]]) -> None:
    """Write the archive again with some members changed."""
    with zipfile.ZipFile(archive) as inside:
        members = [(info, inside.read(info)) for info in inside.infolist()]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for member in members:
            for info, data in change(*member):
                out.writestr(info, data)


def named(name: str, like: zipfile.ZipInfo) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, like.date_time)
    info.external_attr, info.create_system, info.compress_type = like.external_attr, 3, zipfile.ZIP_DEFLATED
    return info


def test_edited_member_is_named(archive: Path, trusted: Trusted) -> None:
    """A file that was changed inside the archive is named as it would be in the folder."""
    rebuilt(archive, lambda info, data: [(info, b"{}" if info.filename.endswith("site.json") else data)])
    assert [problem.path for problem in verify_archive(archive, trusted).problems] == ["site.json"]


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "{0}/../outside", "{0}//x", "{0}/a/../../x", "other/x", "{0}/folder/", "{0}"]
)
def test_member_that_leads_elsewhere_is_refused(record: Record, archive: Path, trusted: Trusted, name: str) -> None:
    """Names that leave the folder, are absolute, or are none: the archive is refused, and nothing is written."""
    first = f"{record.incident}/incident.json"
    wrong = name.format(record.incident)

    def add(info: zipfile.ZipInfo, data: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
        return [(info, data), (named(wrong, info), b"x")] if info.filename == first else [(info, data)]

    rebuilt(archive, add)
    with pytest.raises(RecordDamaged):
        verify_archive(archive, trusted)


@pytest.mark.parametrize("how", ["link", "twice", "comment", "time", "not a zip", "empty", "text before"])
def test_archive_that_was_not_packed_here_is_refused(archive: Path, trusted: Trusted, how: str) -> None:
    """A link, a name twice, a comment, another time, no zip at all: whatever is not written by us is not checked."""
    data = archive.read_bytes()
    match how:
        case "link":
            rebuilt(archive, lambda info, text: [(with_mode(info, 0o120777), text)])
        case "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                rebuilt(archive, lambda info, text: [(info, text), (named(info.filename, info), text)])
        case "comment":
            archive.write_bytes(data[:-2] + struct.pack("<H", 2) + b"hi")
        case "time":
            rebuilt(archive, lambda info, text: [(dated(info), text)])
        case "not a zip":
            archive.write_bytes(b"no zip")
        case "empty":
            archive.write_bytes(b"")
        case "text before":
            archive.write_bytes(b"#!/bin/sh\n" + data)
    with pytest.raises(RecordDamaged, match="not an archive of a record"):
        verify_archive(archive, trusted)


def with_mode(info: zipfile.ZipInfo, mode: int) -> zipfile.ZipInfo:
    info.external_attr = mode << 16
    return info


def dated(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    info.date_time = (2026, 1, 1, 0, 0, 0)
    return info


def test_changed_bytes_of_an_archive_never_pass_as_another_record(archive: Path, trusted: Trusted) -> None:
    """Of 200 single-byte changes each is refused or named, or the files in it are still those that were signed."""
    chance = random.Random(7)
    data = archive.read_bytes()
    with zipfile.ZipFile(archive) as inside:
        files = {info.filename: inside.read(info) for info in inside.infolist()}
    for _ in range(200):
        at = chance.randrange(len(data))
        archive.write_bytes(data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :])
        try:
            found = verify_archive(archive, trusted)
        except RecordDamaged:
            continue
        if not found.problems:
            with zipfile.ZipFile(archive) as inside:
                assert {info.filename: inside.read(info) for info in inside.infolist()} == files, at


def test_record_in_use_is_refused_unless_told(tmp_path: Path, record: Record, trusted: Trusted) -> None:
    """While a stage runs nothing is packed; with ``anyway`` it is, as it stands."""
    record.start_stage(Stage.LIST)
    with pytest.raises(SiteLocked, match="is running"):
        pack(record.folder, tmp_path / "a.zip", trusted)
    assert not (tmp_path / "a.zip").exists()
    assert pack(record.folder, tmp_path / "a.zip", trusted, anyway=True).problems == []
    record.end_stage(Stage.LIST, StageState.DONE)
    assert pack(record.folder, tmp_path / "b.zip", trusted).problems == []


def test_record_that_does_not_verify_is_refused_unless_told(tmp_path: Path, record: Record, trusted: Trusted) -> None:
    """The refusal names what is wrong; with ``anyway`` it is packed, and its archive does not verify either."""
    (record.folder / "site.json").write_text("{}")
    with pytest.raises(RecordDamaged) as refused:
        pack(record.folder, tmp_path / "a.zip", trusted)
    assert "site.json" in refused.value.found
    found = pack(record.folder, tmp_path / "a.zip", trusted, anyway=True)
    assert [problem.path for problem in found.problems] == ["site.json"]


def test_file_that_is_there_is_never_replaced(tmp_path: Path, record: Record, trusted: Trusted) -> None:
    """An archive of before stays as it is."""
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(ParameterRefused, match="no archive is ever overwritten"):
        pack(record.folder, tmp_path / "a.zip", trusted)
    assert (tmp_path / "a.zip").read_text() == "mine"


def test_command_packs_here_and_verify_reads_it(
    record: Record, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the incident's name into this folder: exit 0, the file's SHA-256; ``verify`` of the file says what it says."""
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(keys))
    monkeypatch.setenv("RUNBOOK_RECORDS", str(record.root))
    monkeypatch.chdir(tmp_path)
    assert archive_command(record.incident) == 0
    assert f"{record.incident}.zip" in capsys.readouterr().out
    assert verify_command(f"{record.incident}.zip") == 0
    assert "This record verifies" in capsys.readouterr().out
