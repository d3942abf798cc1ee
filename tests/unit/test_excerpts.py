"""What the record keeps of the logs: the lines that were found, with those around them, bounded and gated."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest
from site_kit import site_with

from runbook_lib import secrets
from runbook_lib.logs import sources
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.sources import AFTER, BEFORE, lines_around
from runbook_lib.observations import Diagnosis, LogLine, LookAlike
from runbook_lib.params.model import Site
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.redactor import Redactor
from runbook_lib.repair import inventory
from runbook_lib.repair.inventory import keep_excerpts

FIXTURES = Path(__file__).parent.parent / "fixtures" / "logs"
MISMATCH = (FIXTURES / "primary-health-monitor.log").read_text()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record.create(tmp_path / "records", "mysite")


def a_log(tmp_path: Path, name: str = "hm-0-0.log", before: int = 4000, after: int = 200) -> Path:
    """A log with numbered lines around one mismatch."""
    lines = [f"line {number} of nothing\n" for number in range(1, before + 1)]
    path = tmp_path / name
    path.write_text("".join(lines) + MISMATCH.rstrip("\n") + "\n" + "tail of nothing\n" * after)
    return path


def site_of(*logs: Path) -> Site:
    site = site_with()
    return site.model_copy(update={"primary": site.primary.model_copy(update={"logs": logs})})


def kept(record: Record, log: Path) -> list[str]:
    keep_excerpts(record, site_of(log), diagnose_sources({"primary": [log]}))
    return [path.read_text() for path in sorted(record.folder.glob("excerpts/*"))]


def in_gzip(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def in_tar(path: Path) -> Path:
    packed = path.with_suffix(".tar.gz")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(path, "logs/hm-0-0.log")
    return packed


@pytest.mark.parametrize("packed", [lambda path: path, in_gzip, in_tar], ids=["plain", "gzip", "tar"])
def test_lines_that_were_found_are_kept_with_those_around_them(tmp_path: Path, record: Record, packed) -> None:
    """The message, a few lines before it and after it, each with its number; a ``>`` before what was found."""
    (page,) = kept(record, packed(a_log(tmp_path)))
    assert f"  {4001 - BEFORE}: line {4001 - BEFORE} of nothing\n" in page
    assert f"line {4000 - BEFORE} of nothing" not in page
    assert "> 4001: " in page
    assert "Current certificate of the remote host is different from what was used earlier" in page
    assert 0 < page.count("tail of nothing") <= AFTER
    assert "surrounding lines are missing" not in page


def test_journal_says_of_which_log_an_excerpt_is(tmp_path: Path, record: Record) -> None:
    """The line names server, log and finding, and the excerpt's digest."""
    log = a_log(tmp_path)
    kept(record, log)
    (line,) = [line for line in record.journal.read().lines if line.text.startswith("log excerpt: ")]
    assert (line.kind, line.server, line.text) == (Kind.KEPT, "primary", f"log excerpt: {log}")
    assert line.seen.startswith("mismatch: ")
    assert line.artifact
    assert record.read_bytes(line.artifact)


def test_log_that_is_gone_by_then_leaves_its_evidence(tmp_path: Path, record: Record) -> None:
    """The lines that were found are kept, and that those around them are missing is said."""
    log = a_log(tmp_path)
    diagnosis = diagnose_sources({"primary": [log]})
    log.unlink()
    keep_excerpts(record, site_of(log), diagnosis)
    (page,) = [path.read_text() for path in record.folder.glob("excerpts/*")]
    assert "the surrounding lines are missing" in page
    assert "> 4001: " in page


def test_second_look_ends_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind so many bytes of logs is not read a second time."""
    monkeypatch.setattr(sources, "MOST_READ", 1 << 10)
    monkeypatch.setattr(sources, "_CHUNK", 1 << 10)
    log = a_log(tmp_path)
    assert lines_around([log], {str(log): [4001]}) == {str(log): {}}
    assert set(lines_around([log], {str(log): [3]})[str(log)]) == set(range(1, 3 + AFTER + 1))


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_lines_do_not_depend_on_how_the_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """However the bytes come, the same lines have the same numbers; the last one needs no line feed."""
    monkeypatch.setattr(sources, "_CHUNK", chunk)
    log = tmp_path / "x.log"
    log.write_bytes(b"one\ntwo\r\n\nfour\nfive")
    assert lines_around([log], {str(log): [4]})[str(log)] == {1: "one", 2: "two", 3: "", 4: "four", 5: "five"}


def test_findings_beyond_the_most_are_counted(tmp_path: Path, record: Record) -> None:
    """A flood of findings leaves so many excerpts and one file that says how many there were more."""
    look_alikes = tuple(
        LookAlike(
            server="primary", rule=f"r{n}", meaning="", advice="", count=1,
            evidence=(LogLine(source=f"/x/{n}.log", number=n, text=f"line {n}"),),
        )
        for n in range(inventory.MOST_EXCERPTS + 7)
    )  # fmt: skip
    keep_excerpts(record, site_of(), Diagnosis(mismatches=(), look_alikes=look_alikes))
    assert len(list(record.folder.glob("excerpts/*"))) == inventory.MOST_EXCERPTS + 1
    assert (record.folder / "excerpts/more.txt").read_text().startswith("7 more findings")


def test_secrets_and_control_characters_of_a_log_are_not_kept(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that stands near a mismatch is a mark in the excerpt, and an escape sequence is shown."""
    redactor = Redactor()
    redactor.know("env:X", "Passw0rd/x")
    monkeypatch.setattr(secrets, "REDACTOR", redactor)
    log = a_log(tmp_path, after=0)
    log.write_text(log.read_text() + "key=Passw0rd/x \x1b[31mred\n")
    (page,) = kept(record, log)
    assert "key=[secret env:X] \\x1b[31mred" in page
