"""``runbook report``: where the report goes, what is said of it, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_kit import whole_record

from runbook_lib.cli.records import report_command
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.incident import Record

FORMS = ("html", "md")


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """An unsealed record; the command is called in a folder of its own, where no key is trusted."""
    made = whole_record(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys"))
    return made


def test_into_a_record_that_is_not_sealed(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    """The report goes into the record, which verifies with it."""
    assert report_command(str(record.folder), html=True, markdown=True) == 0
    assert f"report:  {record.folder / 'report' / 'post-mortem.html'}\n" in capsys.readouterr().out
    assert report_command(str(record.folder), markdown=True) == 0


def test_never_into_a_sealed_record(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    """A sealed record stays what it is: the report goes into a folder here, and that is said."""
    seal_record(record, {})
    before = sorted(record.folder.rglob("*"))
    assert report_command(str(record.folder), html=True, markdown=True) == 0
    assert sorted(record.folder.rglob("*")) == before
    assert "the record is sealed" in capsys.readouterr().out
    written = Path(f"{record.incident}-report")
    assert sorted(path.name for path in written.iterdir()) == ["post-mortem.html", "post-mortem.md"]


def test_a_record_that_does_not_verify_is_reported_with_exit_5(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is written where it was asked for, the problem named, and the exit code that of a damaged record."""
    (record.folder / "incident.json").write_text("{}")
    assert report_command(str(record.folder), html=True, markdown=True, folder=str(tmp_path / "ticket")) == 5
    assert "PROBLEM  incident.json: edited" in capsys.readouterr().out
    page = (tmp_path / "ticket" / "post-mortem.html").read_text()
    assert page.index("does not verify") < page.index("incident.json")


def test_into_no_record_that_does_not_verify(record: Record) -> None:
    """A seal that followed would cover what is wrong with it: the report goes into a folder here."""
    (record.folder / "stray.txt").write_text("nobody's")
    before = sorted(record.folder.rglob("*"))
    assert report_command(str(record.folder), html=True, markdown=True) == 5
    assert sorted(record.folder.rglob("*")) == before


def test_a_report_that_is_there_is_left_and_named(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says which file it has left as it was."""
    out = tmp_path / "ticket"
    out.mkdir()
    (out / "post-mortem.html").write_text("mine")
    assert report_command(str(record.folder), html=True, folder=str(out)) == 0
    assert (out / "post-mortem.html").read_text() == "mine"
    assert f"{out / 'post-mortem.html'} was there and is left as it was" in capsys.readouterr().out
