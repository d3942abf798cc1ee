"""Tar archives of every kind, archives in archives on the quick way, and reading ahead within bounds."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_kit import tar_of, zip_of
from waiting import wait_until

from runbook_lib.logs import archives, inflate
from runbook_lib.logs import streams as ahead
from runbook_lib.logs import tar as tars
from runbook_lib.logs.archives import unpack
from runbook_lib.logs.conclusions import exit_code
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.streams import Notes
from runbook_lib.logs.tar import BLOCK, WrongHeader, read_header, read_pax
from runbook_lib.observations import Diagnosis

EVENT = (Path(__file__).parent.parent / "fixtures" / "logs" / "primary-health-monitor.log").read_bytes() + b"\n"
LONG = "logs/" + "deep/" * 40 + "hm-0-0.log"
NOISE = os.urandom(1 << 16).hex().encode() + b"\n"


def contents(packed: bytes) -> tuple[dict[str, bytes], list[str]]:
    """Return what the logs in an archive hold, by their names, and the names of what was damaged."""
    notes = Notes()
    held: dict[str, bytes] = {}
    for name, log in unpack("x", io.BytesIO(packed), len(packed), notes):
        held[name] = b""
        while chunk := log.read(1 << 16):
            held[name] += chunk
    return held, [damage.source for damage in notes.damaged]


def diagnosed(tmp_path: Path, packed: bytes) -> Diagnosis:
    (tmp_path / "download").write_bytes(packed)
    return diagnose_sources({"primary": [tmp_path / "download"]})


@pytest.mark.parametrize("mode", ["bz2", "xz"])
def test_archive_of_another_kind_is_no_log(tmp_path: Path, mode: str) -> None:
    """What is packed in a way that is not read is named, in a zip file too: it is no log without a finding."""
    packed = tar_of({"hm.log": EVENT}, f"w:{mode}")
    for data in (packed, zip_of({"a.log": b"x\n", "inner": packed})):
        found = diagnosed(tmp_path, data)
        (damage,) = found.damaged
        assert mode[:2] in damage.problem
        assert "not read here" in damage.problem
        assert exit_code(found) == 2


# -- tar ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_of_every_format(kind: int, mode: str) -> None:
    """Names of any length, empty logs and logs of any size are read from every format of tar."""
    names = {LONG: EVENT, "empty.log": b"", "block.log": b"x" * 512, "é.log": b"y" * 513, "big.log": b"z" * 700_001}
    held, damaged = contents(tar_of(names, mode, kind))
    assert held == {f"x/{name}": data for name, data in names.items()}
    assert damaged == []


def test_links_folders_and_devices_are_no_logs() -> None:
    """What is no file in an archive is passed over, a link that claims a size too."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo("other")
            member.type, member.linkname, member.size = kind, "/etc/hostname", 0
            tar.addfile(member)
        link = tarfile.TarInfo("link")
        link.type, link.linkname, link.size = tarfile.LNKTYPE, "a.log", 4096
        tar.addfile(link)
        log = tarfile.TarInfo("a.log")
        log.size = len(EVENT)
        tar.addfile(log, io.BytesIO(EVENT))
    assert contents(packed.getvalue()) == ({"x/a.log": EVENT}, [])


@pytest.mark.parametrize("kind", ["gnu", "posix"])
def test_sparse_log_is_read_without_its_holes(tmp_path: Path, kind: str) -> None:
    """A sparse file that claims far more than is stored costs what is stored, and its events are found."""
    with (tmp_path / "hm.log").open("wb") as file:
        for number in range(40):
            file.seek(number << 22)
            file.write(EVENT)
        file.seek((1 << 34) - 4096)
        file.write(b"y\n" * 2048)  # up to the end: a map that is taken for data leaves no NULs behind
    command = ["tar", f"--format={kind}", "-S", "-C", str(tmp_path), "-cf", str(tmp_path / "x.tar"), "hm.log"]
    subprocess.run(command, check=True)
    (tmp_path / "hm.log").unlink()
    found = diagnose_sources({"primary": [tmp_path]})
    assert [m.count for m in found.mismatches] == [40]
    assert found.damaged == ()
    assert {line.source for line in found.mismatches[0].evidence} == {f"{tmp_path / 'x.tar'}/hm.log"}


def test_archive_behind_an_archive_is_read() -> None:
    """Archives that were put one behind the other are read, their end marks between them."""
    both = tar_of({"a.log": EVENT}) + tar_of({"b.log": EVENT})
    assert contents(both) == ({"x/a.log": EVENT, "x/b.log": EVENT}, [])
    held, damaged = contents(tar_of({"a.log": EVENT}) + b"something else" * 99)
    assert (held, damaged) == ({"x/a.log": EVENT}, ["x"])


@pytest.mark.parametrize("cut", [BLOCK, BLOCK + 9, 2 * BLOCK + 1, 3 * BLOCK])
def test_tar_that_is_cut_off_is_said_to_be(cut: int) -> None:
    """Wherever an archive ends before its end mark, between two members too, it is named as not read whole."""
    held, damaged = contents(tar_of({"a.log": b"x" * 1000, "b.log": EVENT})[:cut])
    assert damaged
    assert all(data == b"x" * 1000 or data == b"x" * len(data) for data in held.values())


def test_an_extended_header_without_its_member_is_damage() -> None:
    """An end mark behind one ends nothing, nor does the mark before one: what it speaks of is missing."""
    begun = {}
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE):
        header = tarfile.TarInfo("PaxHeader")
        header.type, header.size = kind, 9
        begun[kind] = header.tobuf() + b"9 path=b\n".ljust(BLOCK, b"\0")
    whole = tar_of({"a.log": EVENT})
    member = whole[: BLOCK + len(EVENT) + -len(EVENT) % BLOCK]
    for cut in (member + begun[tarfile.XHDTYPE] + bytes(2 * BLOCK), whole + begun[tarfile.XGLTYPE]):
        assert contents(cut) == ({"x/a.log": EVENT}, ["x"])


@given(st.binary(min_size=BLOCK, max_size=BLOCK))
def test_any_block_is_a_header_or_refused(block: bytes) -> None:
    """No block is taken for a header by chance: its checksum has to fit."""
    with pytest.raises(WrongHeader):
        read_header(b"\1" + block[1:])


@given(st.dictionaries(st.text("abc.", min_size=1), st.text(max_size=9)), st.integers(0, 30), st.binary(max_size=4))
def test_extended_headers_are_total(said: dict[str, str], at: int, wrong: bytes) -> None:
    """Extended headers are read as they were written, and what is none is refused by one kind of error."""
    text = b""
    for key, value in said.items():
        record = f" {key}={value}\n".encode()
        length = len(record) + 1
        while len(str(length)) + len(record) != length:
            length += 1
        text += str(length).encode() + record
    assert read_pax(text) == said
    with contextlib.suppress(WrongHeader):
        read_pax(text[:at] + wrong + text[at:])


class Counted(bytes):
    """Bytes that count how many of them are copied out."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            Counted.copied += len(found)
            return Counted(found)
        return found


def test_a_long_extended_header_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records it has, each of its bytes is copied a few times: what an attacker sends costs its length."""
    monkeypatch.setattr(Counted, "copied", 0)
    text = b"9 a=bcde\n" * 5000
    assert read_pax(Counted(text)) == {"a": "bcde"}
    assert Counted.copied <= 3 * len(text)


def test_a_length_of_many_digits_is_no_length() -> None:
    """It is neither searched for to the end of what was sent nor read as a number."""
    with pytest.raises(WrongHeader, match="cannot be read"):
        read_pax(b"9" * 5000 + b" a=b\n")


def test_an_extended_header_has_a_longest_size() -> None:
    """A valid one that is longer is damage, found by its size; one of that size is read."""
    for beyond in (0, 1):
        size = tars._LONGEST_TEXT + beyond
        said = f"{size} comment=".encode().ljust(size - 1, b"x") + b"\n"
        member = tarfile.TarInfo("PaxHeader")
        member.type, member.size = tarfile.XHDTYPE, size
        packed = member.tobuf() + said.ljust(-(-size // BLOCK) * BLOCK, b"\0") + tar_of({"a.log": EVENT})
        held, damaged = contents(packed)
        assert (list(held), bool(damaged)) == ((["x/a.log"], False), ([], True))[beyond]


# -- the quick way --------------------------------------------------------------------------------


NESTED = {
    "gz": lambda data: gzip.compress(data),
    "gz-in-gz": lambda data: gzip.compress(gzip.compress(data)),
    "gz-in-tar": lambda data: tar_of({"a": NOISE, "b.gz": gzip.compress(data)}),
    "gz-in-tar.gz": lambda data: tar_of({"a": NOISE, "b.gz": gzip.compress(data)}, "w:gz"),
    "gz-in-zip": lambda data: zip_of({"a": NOISE, "b.gz": gzip.compress(data)}),
    "gz-in-stored-zip": lambda data: zip_of({"b.gz": gzip.compress(data)}, zipfile.ZIP_STORED),
    "zip": lambda data: zip_of({"b": data}),
    "zip-in-tar.gz": lambda data: tar_of({"z.zip": zip_of({"b": data})}, "w:gz"),
    "zip-in-tar.gz-in-zip": lambda data: zip_of({"t.tgz": tar_of({"z.zip": zip_of({"b": data})}, "w:gz")}),
}


@pytest.mark.parametrize("kind", NESTED)
def test_archives_in_archives_are_inflated_the_quick_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whatever lies in whatever, nothing that is whole takes the slow way where the quick library is there."""
    monkeypatch.setattr(inflate, "Exact", None)
    found = diagnosed(tmp_path, NESTED[kind](EVENT + NOISE))
    assert [m.count for m in found.mismatches] == [1]
    assert found.damaged == ()


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_damage_deep_in_an_archive_costs_nothing_before_it(tmp_path: Path, kind: str, part: float) -> None:
    """Past a damaged byte in an archive within archives the quick way finds what the slow one does, and names it."""
    inner = bytearray(gzip.compress((EVENT + NOISE[:3000]) * 20, 1))
    inner[int(len(inner) * part)] ^= 0x55
    packed = NESTED[kind](bytes(inner))
    found = diagnosed(tmp_path, packed)
    quick = (sum(m.count for m in found.mismatches), found.bytes_read, len(found.damaged))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "inflated", lambda file, _again: inflate.Exact(file))
        slow = diagnosed(tmp_path, packed)
    assert quick == (sum(m.count for m in slow.mismatches), slow.bytes_read, 1)
    assert quick[0] >= 1


# -- what comes once -------------------------------------------------------------------------------


@contextlib.contextmanager
def pipe_of(data: bytes) -> Iterator[BinaryIO]:
    """Give a pipe out of which ``data`` comes, as standard input is one."""
    out, into = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(into, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with os.fdopen(out, "rb") as file:
            yield file
    finally:
        writer.join()


def piped(data: bytes) -> tuple[bytes, list[str]]:
    """Return what the logs hold in an archive that comes out of a pipe, and the names of what was damaged."""
    notes = Notes()
    held = b""
    with pipe_of(data) as file:
        for _, log in unpack("x", file, None, notes):
            while chunk := log.read(1 << 16):
                held += chunk
    return held, [damage.source for damage in notes.damaged]


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("damaged", [False, True])
def test_what_comes_once_is_read_as_a_file_is(kind: str, damaged: bool) -> None:
    """Standard input cannot be opened anew: it is read to its end, or up to the damage, all the same."""
    packed = bytearray(NESTED[kind]((EVENT + NOISE[:3000]) * 20))
    if damaged:
        packed[int(len(packed) * 0.9)] ^= 0x55
    held, named = piped(bytes(packed))
    whole, expected = contents(bytes(packed))
    assert named == expected
    assert held == b"".join(whole.values())


# -- reading ahead --------------------------------------------------------------------------------


class _Endless:
    def __init__(self) -> None:
        self.pieces = 0

    def read(self, count: int) -> bytes:
        self.pieces += 1
        return b"x" * min(count, 10)


def test_reading_ahead_stays_a_few_pieces_ahead() -> None:
    """A reader that is slow holds up the thread that inflates for it, so memory stays bounded; closing ends it."""
    endless = _Endless()
    stream = ahead.ReadAhead(endless)
    try:
        wait_until(lambda: endless.pieces == ahead.READ_AHEAD_PIECES, "as many pieces as may be kept")
        assert stream.read(4) == b"xxxx"
        wait_until(lambda: endless.pieces == ahead.READ_AHEAD_PIECES + 1, "the piece after the one that was taken")
    finally:
        stream.close()
    assert not any(thread.is_alive() for thread in stream._thread._threads)
    assert endless.pieces == ahead.READ_AHEAD_PIECES + 1
