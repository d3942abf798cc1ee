"""How an incident goes on, in words and as a command."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from incident_kit import Incident
from site_kit import site_with

from runbook_lib.models import Stage, StageState, Verdict
from runbook_lib.notebook.opening import open_incident
from runbook_lib.notebook.reading_stages import ListCertificates, StartHere
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


def test_the_first_stage_says_what_the_next_notebook_is_for_and_where_it_stands(tmp_path: Path) -> None:
    """Not only that it is pending; one that was begun says how it stands."""
    incident = Incident(tmp_path)
    begins = StartHere(incident.context)._goes_on_with()
    incident.record.start_stage(Stage.DIAGNOSE)
    incident.record.end_stage(Stage.DIAGNOSE, StageState.FAILED, "no log")
    again = StartHere(incident.context)._goes_on_with()
    assert (begins.stage, begins.then) == (Stage.DIAGNOSE, "find out which certificate is not accepted, and by whom")
    assert again == begins._replace(then=f"{begins.then}; last attempt: failed")


def test_a_stage_with_a_blocked_plan_ends_with_what_blocks_it(tmp_path: Path) -> None:
    """The reasons stand far above by then, and nothing else at its end says that a certificate is contradicted."""
    incident = Incident(tmp_path)
    incident.record.write_plan(replace(incident.plan(), blocked=("secondary: contradicted",)))
    closing = ListCertificates(incident.context).next().text(100)
    assert closing.count("contradicted") == 1
    assert closing.count("settle what blocks the plan") == 1
    assert "→" not in closing
    incident.list({"secondary": Verdict.CONTRADICTED})
    closing = ListCertificates(incident.context).next().text(100)
    assert "!!! secondary: delete nothing: somebody else may be answering" in closing
