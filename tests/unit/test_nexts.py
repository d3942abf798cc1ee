"""How an incident goes on, in words and as a command."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from site_kit import site_with

from runbook_lib.notebook.opening import open_incident
from runbook_lib.notebook.workspace import next_run
from runbook_lib.record.incident import Record


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "printed"), [("berlin", "berlin"), ("my sites/berlin.yaml", "{}/my sites/berlin.yaml")]
)
def test_an_incident_goes_on_with_the_file_that_it_was_opened_with(given: str, printed: str, tmp_path: Path) -> None:
    """A name stays one; a path is found from every folder, blanks in it included."""
    record = open_incident(site_with(), "", what="test", given=given)
    words = shlex.split(next_run(Record.open(record.root, record.incident)))
    assert words == ["runbook", "run", printed.format(tmp_path), "--incident", record.incident]


def test_where_nobody_gave_a_file_the_sites_name_is_printed(tmp_path: Path) -> None:
    """A site of a fleet's file has none of its own."""
    record = Record.create(tmp_path, "berlin")
    assert next_run(record) == f"runbook run berlin --incident {record.incident}"
