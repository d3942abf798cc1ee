"""The journal: chained, on disk before ``append`` returns, mended after a cut, refused after an edit."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_lib import secrets
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import RecordDamaged, RecordNotWritable
from runbook_lib.record import journal_file
from runbook_lib.record.journal import About, Artifact, Kind, LineTopic, parse_journal
from runbook_lib.record.journal_file import Journal
from runbook_lib.redactor import Redactor


def sample(folder: Path) -> bytes:
    journal = Journal(folder)
    journal.append(Kind.INCIDENT_OPENED, text="é 😀 \ud800 \n \x1b", artifact=Artifact(path="a.json", sha256="0" * 64))
    for server in ("primary", "secondary"):
        journal.append(Kind.INTENT, stage="30", server=server, text="deletecert", expected="gone")
        journal.append(Kind.RESULT, stage="30", server=server, text="deletecert", seen="gone")
    return journal.path.read_bytes()


with tempfile.TemporaryDirectory() as _folder:
    SAMPLE = sample(Path(_folder))


def test_lines_are_chained_by_the_documented_steps(tmp_path: Path) -> None:
    """Somebody who has nothing but the docstring can check every hash."""
    prev = "0" * 64
    for n, raw in enumerate(SAMPLE.decode("ascii").splitlines(), start=1):
        line = json.loads(raw)
        said = line.pop("hash")
        canonical = json.dumps(line, sort_keys=True, separators=(",", ":"))
        assert (line["n"], line["prev"], said) == (n, prev, hashlib.sha256(canonical.encode()).hexdigest())
        prev = said


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    """What ``append`` returns is what ``read`` gives."""
    journal = Journal(tmp_path)
    artifact = Artifact(path="answers/0001.txt", sha256="ab" * 32)
    seen = {Kind.STAGE_ENDED: "done", Kind.OUTCOME: "repaired"}
    written = [journal.append(kind, stage="s", seen=seen.get(kind, ""), text="é\n", artifact=artifact) for kind in Kind]
    assert list(journal.read().lines) == written
    assert journal.read().head == written[-1].hash


def test_a_journal_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    """Before the first line there is nothing, and reading makes no file."""
    assert Journal(tmp_path / "x").read().lines == ()
    assert not (tmp_path / "x").exists()


def test_the_journal_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    """The file is the owner's alone, whatever the umask; so is the folder."""
    before = os.umask(0)
    try:
        Journal(tmp_path / "a" / "b").append(Kind.NOTED)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "b" / "journal.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


@given(st.integers(0, len(SAMPLE)))
def test_a_journal_cut_at_any_byte_is_mended(cut: int) -> None:
    """After a cut anywhere the whole lines stand, what was torn is kept and noted, and the chain goes on."""
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name))
        journal.path.write_bytes(SAMPLE[:cut])
        whole, torn = SAMPLE[:cut].count(b"\n"), SAMPLE[:cut].rpartition(b"\n")[2]
        before = journal.read()
        assert (len(before.lines), before.torn) == (whole, torn)
        assert journal.append(Kind.NOTED, text="after").n == whole + 1 + bool(torn)
        after = journal.read()
        assert after.lines[:whole] == before.lines
        assert after.torn == b""
        if torn:
            noted = after.lines[whole]
            assert noted.kind is Kind.TORN
            assert noted.artifact is not None
            assert (journal.folder / noted.artifact.path).read_bytes() == torn
            assert noted.artifact.sha256 == hashlib.sha256(torn).hexdigest()


@settings(max_examples=500)
@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_any_changed_byte_is_refused_by_line(at: int, byte: int) -> None:
    """One changed byte anywhere is found, and the error names the line in which it is."""
    changed = SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1 :]
    if changed == SAMPLE:
        return
    line = SAMPLE[:at].count(b"\n") + 1
    with pytest.raises(RecordDamaged, match=f"^line {line} of the journal"):
        parse_journal(changed, Path("journal.jsonl"))


def test_what_changes_after_it_was_read_is_refused(tmp_path: Path) -> None:
    """A line that was checked once is checked again when its bytes are others, and a shorter journal is read anew."""
    sample(tmp_path)
    journal = Journal(tmp_path)
    assert len(journal.read().lines) == 5
    journal.path.write_bytes(SAMPLE.replace(b"deletecert", b"deletecerT", 1))
    with pytest.raises(RecordDamaged, match="line 2"):
        journal.read()
    journal.path.write_bytes(SAMPLE[: SAMPLE.index(b"\n") + 1])
    assert len(journal.read().lines) == 1


@pytest.mark.parametrize("read", [True, False])
def test_a_line_goes_to_the_journal_that_was_known_or_nowhere(tmp_path: Path, read: bool) -> None:
    """A folder that is moved in the middle of a run, or put back from a copy, takes no intent: nothing is sent by it.

    No second journal is begun where the first one was, and none goes on from lines that came before.
    """
    sample(tmp_path / "at")
    journal = Journal(tmp_path / "at")
    assert not read or len(journal.read().lines) == 5
    journal.folder.rename(tmp_path / "moved")
    with pytest.raises(RecordDamaged, match="moved or restored"):
        journal.append(Kind.INTENT)
    assert not journal.folder.exists()
    journal.folder.mkdir()
    copy = SAMPLE[: SAMPLE.index(b"\n") + 1]
    journal.path.write_bytes(copy)
    assert len(journal.read().lines) == 1
    with pytest.raises(RecordDamaged, match="moved or restored"):
        journal.append(Kind.INTENT)
    assert journal.path.read_bytes() == copy
    journal.path.unlink()
    journal.folder.rmdir()
    (tmp_path / "moved").rename(journal.folder)
    assert journal.append(Kind.INTENT).n == 6


def test_no_line_goes_where_a_link_leads(tmp_path: Path) -> None:
    """In a folder that a group shares others could lead it to any file of whoever runs a stage."""
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordNotWritable):
        Journal(tmp_path / "record").append(Kind.NOTED)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("damaged", [0, 2, 4])
def test_nothing_is_appended_after_a_removed_or_swapped_line(tmp_path: Path, damaged: int) -> None:
    """A line that is missing, or stands elsewhere, is named; a damaged last line takes no line after it."""
    lines = SAMPLE.splitlines(keepends=True)
    removed = b"".join(lines[:damaged] + lines[damaged + 1 :])
    if damaged < 4:
        with pytest.raises(RecordDamaged, match=f"line {damaged + 1} "):
            parse_journal(removed, Path("j"))
    journal = Journal(tmp_path)
    swapped = [*lines[:3], lines[4], lines[3].replace(b"gone", b"GONE")]
    journal.path.write_bytes(b"".join(swapped))
    with pytest.raises(RecordDamaged, match="line 4 "):
        journal.append(Kind.NOTED)
    assert journal.path.read_bytes() == b"".join(swapped)


def test_nothing_is_appended_after_an_edited_end(tmp_path: Path) -> None:
    """A last line feed that was changed into something else is an edit, not a cut: refused, and left as it is."""
    journal = Journal(tmp_path)
    journal.path.write_bytes(SAMPLE[:-1] + b"x")
    with pytest.raises(RecordDamaged, match="line 5 "):
        journal.append(Kind.NOTED)
    assert journal.path.read_bytes() == SAMPLE[:-1] + b"x"


def test_a_line_of_another_journal_is_refused(tmp_path: Path) -> None:
    """A line that is whole and has the right number, but stood in another journal, does not follow."""
    ours, theirs = SAMPLE.splitlines(keepends=True), sample(tmp_path).splitlines(keepends=True)
    with pytest.raises(RecordDamaged, match=r"line 3 .*follow"):
        parse_journal(b"".join([*ours[:2], *theirs[2:]]), Path("j"))


def test_a_line_with_another_number_is_refused() -> None:
    """A line that follows by its hash and is numbered otherwise is refused."""
    line = json.loads(SAMPLE.splitlines()[0]) | {"n": 2}
    del line["hash"]
    line["hash"] = sha256_hex(canonical_json(line))
    with pytest.raises(RecordDamaged, match=r"line 1 .* numbered 2"):
        parse_journal(canonical_json(line) + b"\n", Path("j"))


@pytest.mark.parametrize(
    ("old", "new"), [(b'","', b'", "'), (b"\\u00e9", "é".encode()), (b"{", b" {"), (b"}\n", b"}\r\n")]
)
def test_a_line_in_another_form_is_refused(old: bytes, new: bytes) -> None:
    """A line that says the same in other bytes is refused: there is one form only."""
    assert old in SAMPLE
    with pytest.raises(RecordDamaged, match="line 1 "):
        parse_journal(SAMPLE.replace(old, new, 1), Path("j"))


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"7", b"[" * 100_000, b"\xff", b'{"n":' + b"9" * 5000 + b"}"])
def test_what_is_no_journal_is_refused(line: bytes) -> None:
    """Anything that is not a line of a journal is refused, and none of it breaks the reader."""
    with pytest.raises(RecordDamaged, match="line 1 "):
        parse_journal(line + b"\n", Path("j"))


def test_a_long_line_is_found_as_the_last(tmp_path: Path) -> None:
    """A line longer than the block in which the journal is read backwards is followed by the right one."""
    journal = Journal(tmp_path)
    journal.append(Kind.NOTED, text="x" * 200_000)
    journal.append(Kind.NOTED, text="y" * 65_536)
    assert journal.append(Kind.NOTED).n == 3
    assert len(journal.read().lines) == 3


def test_secrets_do_not_reach_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text of a line goes through the redaction gate, and the chain is over what was kept."""
    monkeypatch.setattr(secrets, "REDACTOR", Redactor())
    secrets.REDACTOR.know("env:X", 'hunter"22')
    journal = Journal(tmp_path)
    fields = dict.fromkeys(("stage", "server", "expected", "seen", "text"), 'a hunter"22 b')
    journal.append(Kind.NOTED, **fields)
    assert b"hunter" not in journal.path.read_bytes()
    assert journal.read().lines[0].text == "a [secret env:X] b"
    about = About(topic=LineTopic.DELETE, name='a hunter"22 b', command='hunter"22', seen='hunter"22')
    said = journal.append(Kind.INTENT, text=about).about
    assert (said.name, said.command, said.seen) == ("a [secret env:X] b", "[secret env:X]", "[secret env:X]")
    assert b"hunter" not in journal.path.read_bytes()


# -- several writers --------------------------------------------------------------------------------

APPENDER = """
import sys
from pathlib import Path
from runbook_lib.record.journal import Kind
from runbook_lib.record.journal_file import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    print(journal.append(Kind.NOTED, server=sys.argv[2], text=str(number)).n, flush=True)
"""


def appender(folder: Path, name: str, lines: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", APPENDER, str(folder), name, str(lines)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def append_all(folder: Path, name: str) -> None:
    for number in range(40):
        Journal(folder).append(Kind.NOTED, server=name, text=str(number))


def test_several_processes_and_threads_append_at_once(tmp_path: Path) -> None:
    """Four processes and two threads append at the same time: one unbroken chain, no line lost, each in its order."""
    folder = tmp_path / "new"
    processes = [appender(folder, f"p{i}", 40) for i in range(4)]
    threads = [threading.Thread(target=append_all, args=(folder, name)) for name in ("t0", "t1")]
    for thread in threads:
        thread.start()
    for process in processes:
        process.communicate(timeout=60)
    for thread in threads:
        thread.join()
    lines = Journal(folder).read().lines
    assert len(lines) == 240
    for _, own in itertools.groupby(
        sorted(lines, key=lambda line: (line.server, line.n)), key=lambda line: line.server
    ):
        assert [line.text for line in own] == [str(i) for i in range(40)]


def test_what_keeps_a_line_out_reads_the_journal_alone(tmp_path: Path) -> None:
    """It reads while nobody else can; another thread of the process reads once the line is written."""
    journal, read = Journal(tmp_path), [0, 0]
    journal.append(Kind.NOTED, text="first")
    other = threading.Thread(target=lambda: read.__setitem__(1, len(journal.read().lines)))

    def look() -> None:
        other.start()
        other.join(0.2)  # it would be through by now, if it could
        read[0] = len(journal.read().lines)

    journal.append(Kind.NOTED, text="second", unless=look)
    other.join()
    assert read == [1, 2]


def test_acknowledged_lines_survive_kill(tmp_path: Path) -> None:
    """After ``kill -9`` every line whose ``append`` had returned is there, and the chain holds."""
    process = appender(tmp_path, "p", 100_000)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(25)][-1]
    process.send_signal(signal.SIGKILL)
    rest = process.communicate(timeout=60)[0].split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    assert len(Journal(tmp_path).read().lines) >= acknowledged


# -- a file system that says no ----------------------------------------------------------------------


def test_a_line_that_cannot_be_synced_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk does not confirm the line, ``append`` raises and the journal is as it was before."""
    journal = Journal(tmp_path)
    journal.append(Kind.NOTED)
    before = journal.path.read_bytes()

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(RecordNotWritable) as caught:
            journal.append(Kind.INTENT)
    assert caught.value.exit_code == 5
    assert journal.path.read_bytes() == before
    assert journal.append(Kind.NOTED).n == 2


FULL_DISK = """
import resource, sys
from pathlib import Path
from runbook_lib.errors import RecordNotWritable
from runbook_lib.record.journal import Kind
from runbook_lib.record.journal_file import Journal
journal = Journal(Path(sys.argv[1]))
size = journal.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    journal.append(Kind.INTENT)
except RecordNotWritable as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_line_that_does_not_fit_is_not_there(tmp_path: Path) -> None:
    """Where the disk takes a part of a line only, ``append`` raises and the part is taken away again."""
    journal = Journal(tmp_path)
    journal.append(Kind.NOTED)
    before = journal.path.read_bytes()
    run = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (5, "")
    assert str(journal.path) in run.stdout
    assert journal.path.read_bytes() == before


# Giving its capabilities up binds the process by permissions, also as root.
FORBIDDEN = """
import ctypes, sys
from pathlib import Path
from runbook_lib.errors import RecordNotWritable
from runbook_lib.record.journal import Kind
from runbook_lib.record.journal_file import Journal
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0
try:
    Journal(Path(sys.argv[1])).append(Kind.INTENT)
except RecordNotWritable as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("below", ["", "new"])
def test_a_folder_that_may_not_be_written(tmp_path: Path, below: str) -> None:
    """In a read-only folder nothing is appended, and that is said: exit code 5."""
    folder = tmp_path / "records"
    folder.mkdir(mode=0o500)
    command = [sys.executable, "-c", FORBIDDEN, str(folder / below)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (5, "")
    assert list(folder.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """A file in the place of the folder is an error of the record, not a traceback."""
    (tmp_path / "records").write_bytes(b"")
    with pytest.raises(RecordNotWritable, match="cannot be written"):
        Journal(tmp_path / "records" / "x").append(Kind.NOTED)


def test_a_disk_that_does_not_keep_its_lock_lets_one_of_two_lines_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines write the same intent in one moment: the later one is told, and sends nothing."""
    mine, other = Journal(tmp_path), Journal(tmp_path)
    mine.append(Kind.NOTED, text="before")
    write_all, lines = journal_file.files.write_all, []

    def write_late(file: int, data: bytes) -> None:
        monkeypatch.setattr(journal_file.files, "write_all", write_all)
        lines.append(other.append(Kind.INTENT, text="delete"))
        write_all(file, data)

    monkeypatch.setattr(journal_file.fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(journal_file.files, "write_all", write_late)
    with pytest.raises(RecordDamaged, match="another process wrote"):
        mine.append(Kind.INTENT, text="delete")
    assert [line.n for line in lines] == [2]
    with pytest.raises(RecordDamaged, match="line 3"):
        mine.read()
