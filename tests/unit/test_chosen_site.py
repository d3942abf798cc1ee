"""What a person chose in 00_start_here: read by people's notebooks only, and only where their parameters are empty."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from site_kit import site_with

from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Outcome
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.notebook.workspace import (
    OPENED_FOR,
    Choice,
    current_choice,
    has_ended,
    keep_choice,
    resolve_choice,
    separate_choice,
)
from runbook_lib.record.incident import Record


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RUNBOOK_OPERATOR", "ada@night")
    return tmp_path / "records"


def test_a_person_opens_what_was_chosen() -> None:
    """With empty parameters the chosen site and incident are opened."""
    keep_choice(Choice(site="paris", incident="x"))
    assert resolve_choice("", "", attended=True) == Choice(site="paris", incident="x")


def test_a_batch_job_does_what_its_parameters_say() -> None:
    """Nothing that was chosen reaches a run that nobody attends: it opens the lab, as it always did."""
    keep_choice(Choice(site="paris", incident="x"))
    assert resolve_choice("", "", attended=False) == Choice(site="lab")


def test_parameters_count_more_than_the_choice() -> None:
    """A site that is named is opened, and not with the incident of another one."""
    keep_choice(Choice(site="paris", incident="x"))
    assert resolve_choice("berlin", "", attended=True) == Choice(site="berlin")
    assert resolve_choice("", "y", attended=True) == Choice(site="paris", incident="y")


def test_with_nothing_chosen_the_lab_is_opened() -> None:
    """The first look contacts nothing real."""
    assert resolve_choice("", "", attended=True) == Choice(site="lab")


def test_each_operator_has_a_choice_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ada chose does not move Ben, although they share the records."""
    keep_choice(Choice(site="paris"))
    monkeypatch.setenv("RUNBOOK_OPERATOR", "ben@night")
    assert current_choice() is None


def test_what_is_opened_for_the_lab_opens_the_lab_whatever_was_chosen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor in a JupyterLab of another site; a site that was chosen in the lab's own is not opened again."""
    monkeypatch.setenv(OPENED_FOR, "")
    keep_choice(Choice(site="paris", incident="x"))
    separate_choice("lab")
    assert resolve_choice("", "", attended=True) == Choice(site="lab")
    keep_choice(Choice(site="paris"))
    separate_choice("lab")
    assert resolve_choice("", "", attended=True) == Choice(site="lab")
    separate_choice("berlin")
    assert resolve_choice("", "", attended=True) == Choice(site="berlin")
    keep_choice(Choice(site="berlin", incident="y"))
    monkeypatch.setenv(OPENED_FOR, "lab")
    assert resolve_choice("", "", attended=True) == Choice(site="lab")
    separate_choice("berlin")
    assert resolve_choice("", "", attended=True) == Choice(site="berlin", incident="y")


def test_a_path_is_kept_such_that_every_folder_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative path was meant from where it was typed."""
    monkeypatch.chdir(tmp_path)
    keep_choice(Choice(site="sites/paris.yaml"))
    assert current_choice() == Choice(site=str(tmp_path / "sites" / "paris.yaml"))


def test_the_file_is_private_and_whole(records: Path) -> None:
    """One file of mode 0600 and nothing beside it; what is no choice counts for none."""
    keep_choice(Choice(site="paris"))
    keep_choice(Choice(site="berlin"))
    [file] = (records / ".choices").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text('{"site": ')
    assert current_choice() is None


def test_an_incident_that_was_repaired_has_ended_and_a_failed_one_has_not(records: Path) -> None:
    """A new look begins a new incident after the first, and goes on in the second."""
    record = Record.create(records, "paris")
    record.set_outcome(Outcome.FAILED)
    assert not has_ended(record.incident)
    record.set_outcome(Outcome.REPAIRED)
    assert has_ended(record.incident)
    assert not has_ended("20260101T000000Z-paris-0000")


@pytest.mark.parametrize(
    ("stage", "parameter"),
    [("10_diagnose_logs", "approve"), ("20_list_certificates", "approve"), ("30_delete_stale_certificates", "expect")],
)
def test_a_parameter_of_another_stage_opens_nothing(
    records: Path, monkeypatch: pytest.MonkeyPatch, stage: str, parameter: str
) -> None:
    """It is refused by its name before an incident is opened, or a site's file is read."""
    monkeypatch.setattr("runbook_lib.notebook.workspace.open_site", lambda _: site_with())
    with pytest.raises(ParameterRefused, match=parameter):
        open_runbook(stage, "x", **{parameter: "1" * 64})
    assert not records.exists()
