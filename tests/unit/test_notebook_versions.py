"""Which version of a notebook ran, and which of its cells have changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.cli.records import verification_report
from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import RecordNotWritable
from runbook_lib.models import Stage
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.record.artifacts import drifts, note_template, without_outputs
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import About, Kind, LineTopic
from runbook_lib.record.seal import list_files
from runbook_lib.record.verification import verify_record

STAGE = Stage.DIAGNOSE


def cell(name: str, source: str, kind: str = "code", **metadata: object) -> dict[str, Any]:
    outputs = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": name, "metadata": metadata, "source": source, **outputs}


CELLS = (
    cell("title", "# Title", "markdown"),
    cell("parameters", 'site = "lab"', tags=["parameters"]),
    cell("look", "rb.look()"),
    cell("close", "rb.close()"),
)


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write(folder, CELLS)
    return folder


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record.create(tmp_path / "records", "mysite")


def write(notebooks: Path, cells: Any) -> Path:
    path = notebooks / f"{STAGE}.ipynb"
    path.write_text(json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1))
    return path


def told(record: Record, notebooks: Path) -> list[tuple[str, ...]]:
    files, _ = list_files(record.folder)
    found = drifts(record.journal.read().lines, files, notebooks)
    assert all(drift.known for drift in found)
    return [drift.cells for drift in found]


def test_version_that_ran_is_in_the_record(record: Record, notebooks: Path) -> None:
    """The journal gives the SHA-256 of the notebook's file, and the record keeps its cells without outputs."""
    path = write(notebooks, [cell("look", "rb.look()") | {"outputs": [{"output_type": "stream", "text": "secret"}]}])
    note_template(record, STAGE, path)
    (line,) = [line for line in record.journal.read().lines if line.kind is Kind.NOTED]
    assert (line.stage, line.seen, line.about) == (
        STAGE,
        sha256_hex(path.read_bytes()),
        About(topic=LineTopic.TEMPLATE),
    )
    assert line.artifact
    kept = json.loads(record.read_bytes(line.artifact))
    assert [(each["id"], each["source"], each["outputs"]) for each in kept["cells"]] == [("look", "rb.look()", [])]


@pytest.mark.parametrize(
    ("cells", "changed"),
    [
        (CELLS, ()),
        ([*CELLS[:2], cell("look", "rb.look(1)"), CELLS[3]], ("code cell “look” changed",)),
        ([cell("title", "# Other", "markdown"), *CELLS[1:]], ("text cell “title” changed",)),
        ([*CELLS, cell("more", "1")], ("code cell “more” added",)),
        (CELLS[:3], ("code cell “close” removed",)),
        ([*CELLS[:2], CELLS[3], CELLS[2]], ("cells in another order",)),
        ([CELLS[0], cell("parameters", 'site = "x"', tags=["parameters"]), *CELLS[2:]], ()),
        ([*CELLS[:3], cell("close", "rb.close()") | {"outputs": [{"output_type": "stream"}]}], ()),
        ([*CELLS[:2], cell("look", "rb.look()", "markdown"), CELLS[3]], ("text cell “look” changed",)),
    ],
)
def test_cells_that_differ_now_are_named(record: Record, notebooks: Path, cells: Any, changed: tuple[str, ...]) -> None:
    """Changed, added, removed and moved cells are named; outputs and the cell of parameters do not count."""
    note_template(record, STAGE, notebooks / f"{STAGE}.ipynb")
    write(notebooks, cells)
    assert told(record, notebooks) == [changed]


@pytest.mark.parametrize(("ran", "changed"), [("看", ()), ("看过", ("text cell “title” changed",))])
def test_a_version_is_compared_with_the_notebook_of_its_language(
    record: Record, notebooks: Path, tmp_path: Path, ran: str, changed: tuple[str, ...]
) -> None:
    """Who reads Chinese runs a copy of the Chinese notebook, which differs from the English one in every text."""
    (notebooks / "zh").mkdir()
    write(notebooks / "zh", [cell("title", "看", "markdown"), cell("look", "rb.look()  # 看")])
    write(notebooks, [cell("title", "Look", "markdown"), cell("look", "rb.look()  # look")])
    copy = write(
        tmp_path, [cell("title", ran, "markdown"), {**cell("look", "rb.look()  # 看"), "outputs": [{"text": "x"}]}]
    )
    note_template(record, STAGE, copy)
    assert told(record, notebooks) == [changed]


def test_each_version_that_ran_is_compared(record: Record, notebooks: Path) -> None:
    """A stage that ran again as another version is told twice, and one that ran again unchanged once."""
    for cells in (CELLS, CELLS[:3], CELLS):
        note_template(record, STAGE, write(notebooks, cells))
    assert told(record, notebooks) == [(), ("code cell “close” added",)]


def test_notebook_that_is_gone_is_not_called_unchanged(record: Record, notebooks: Path) -> None:
    """Where there is nothing to compare with, that is said."""
    path = notebooks / f"{STAGE}.ipynb"
    note_template(record, STAGE, path)
    path.unlink()
    files, _ = list_files(record.folder)
    (drift,) = drifts(record.journal.read().lines, files, notebooks)
    assert "what has changed since cannot be said" in str(drift)


def test_what_is_no_notebook_breaks_no_command(record: Record, notebooks: Path) -> None:
    """Whoever hands over a record says what ran: of cells that no notebook has it is said that nobody can tell."""
    told_of = About(topic=LineTopic.TEMPLATE)
    for cells in ([{"cell_type": "code", "source": "", "metadata": []}], [7], {}, [{"cell_type": [], "source": 7}]):
        data = json.dumps({"cells": cells}).encode()
        record.keep_bytes("templates/x.ipynb", data, stage=STAGE, seen=sha256_hex(data), text=told_of)
    files, _ = list_files(record.folder)
    found = drifts(record.journal.read().lines, files, notebooks)
    assert [drift.known for drift in found] == [False, False, True, False]


def test_verification_tells_of_drift(record: Record, notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``runbook verify`` says which version ran, by whom, and where it has changed; it is no problem of the record."""
    note_template(record, STAGE, notebooks / f"{STAGE}.ipynb", by_hand=True)
    write(notebooks, CELLS[:3])
    monkeypatch.setattr("runbook_lib.paths.notebooks_dir", lambda: notebooks)
    found = verify_record(record.folder)
    (line,) = [line for line in verification_report(found) if line.startswith("notebook:")]
    assert "by hand, as it was on disk at the time; changed since: code cell “close” removed" in line
    assert found.problems == []


def test_notebook_that_cannot_be_read_stops_the_stage(record: Record, tmp_path: Path) -> None:
    """A record that could not say what ran is not begun."""
    with pytest.raises(RecordNotWritable, match="cannot be read"):
        note_template(record, STAGE, tmp_path / "nowhere.ipynb")


@pytest.mark.parametrize("data", [b"", b"no json", b'{"cells": 3}', b"[]", b'{"cells": [{}]}'])
def test_file_that_is_no_notebook_is_kept_as_it_is(data: bytes) -> None:
    """Whatever somebody put there is what the record keeps."""
    assert without_outputs(data) == data


def test_stage_that_a_person_opens_leaves_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand the session notes the notebook as it is on disk then; inside a run, which has noted it, it does not."""
    from site_kit import site_with

    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path))
    monkeypatch.setattr("runbook_lib.notebook.workspace.open_site", lambda _: site_with())
    rb = open_runbook("10_diagnose_logs", "x")
    lines = rb.context.record.journal.read().lines
    assert [line.about.topic for line in lines if line.kind is Kind.NOTED] == [LineTopic.TEMPLATE_BY_HAND]
    with rb.context.lock("a test"):
        open_runbook("10_diagnose_logs", "x", rb.incident)
    lines = rb.context.record.journal.read().lines
    assert len([line for line in lines if line.kind is Kind.NOTED]) == 1


def test_copy_that_a_person_opens_is_the_version_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People work on copies, in a folder of the incident: the record keeps the copy, which may have been changed."""
    from site_kit import site_with

    copies = tmp_path / "home" / "records" / "work" / "20260101T000000Z-x-0000"
    copies.mkdir(parents=True)
    (copies / "10_diagnose_logs.ipynb").write_text("changed by a person", encoding="utf-8")
    monkeypatch.setattr("runbook_lib.paths.is_installed", lambda: True)
    monkeypatch.setattr("runbook_lib.paths.home_dir", lambda: tmp_path / "home")
    monkeypatch.setattr("runbook_lib.notebook.workspace.open_site", lambda _: site_with())
    monkeypatch.chdir(copies)
    monkeypatch.delenv("RUNBOOK_RECORDS", raising=False)
    record = open_runbook("10_diagnose_logs", "x").context.record
    assert record.folder.parent == tmp_path / "home" / "records"
    assert (record.folder / "templates" / "10_diagnose_logs.ipynb").read_text() == "changed by a person"
