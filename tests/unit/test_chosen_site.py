"""What a person chose in 00_start_here: read by people's notebooks only, and only where their parameters are empty."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from runbook_lib.models import Outcome
from runbook_lib.notebook.workspace import OPENED_FOR, Choice, choose, chosen, has_ended, open_for, resolved
from runbook_lib.record.incident import Record


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RUNBOOK_OPERATOR", "ada@night")
    return tmp_path / "records"


def test_a_person_opens_what_was_chosen() -> None:
    """With empty parameters the chosen site and incident are opened."""
    choose(Choice(site="paris", incident="x"))
    assert resolved("", "", attended=True) == Choice(site="paris", incident="x")


def test_a_batch_job_does_what_its_parameters_say() -> None:
    """Nothing that was chosen reaches a run that nobody attends: it opens the lab, as it always did."""
    choose(Choice(site="paris", incident="x"))
    assert resolved("", "", attended=False) == Choice(site="lab")


def test_parameters_count_more_than_the_choice() -> None:
    """A site that is named is opened, and not with the incident of another one."""
    choose(Choice(site="paris", incident="x"))
    assert resolved("berlin", "", attended=True) == Choice(site="berlin")
    assert resolved("", "y", attended=True) == Choice(site="paris", incident="y")


def test_with_nothing_chosen_the_lab_is_opened() -> None:
    """The first look contacts nothing real."""
    assert resolved("", "", attended=True) == Choice(site="lab")


def test_each_operator_has_a_choice_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ada chose does not move Ben, although they share the records."""
    choose(Choice(site="paris"))
    monkeypatch.setenv("RUNBOOK_OPERATOR", "ben@night")
    assert chosen() is None


def test_what_is_opened_for_the_lab_opens_the_lab_whatever_was_chosen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor in a JupyterLab of another site; a site that was chosen in the lab's own is not opened again."""
    monkeypatch.setenv(OPENED_FOR, "")
    choose(Choice(site="paris", incident="x"))
    open_for("lab")
    assert resolved("", "", attended=True) == Choice(site="lab")
    choose(Choice(site="paris"))
    open_for("lab")
    assert resolved("", "", attended=True) == Choice(site="lab")
    open_for("berlin")
    assert resolved("", "", attended=True) == Choice(site="berlin")
    choose(Choice(site="berlin", incident="y"))
    monkeypatch.setenv(OPENED_FOR, "lab")
    assert resolved("", "", attended=True) == Choice(site="lab")
    open_for("berlin")
    assert resolved("", "", attended=True) == Choice(site="berlin", incident="y")


def test_a_path_is_kept_such_that_every_folder_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative path was meant from where it was typed."""
    monkeypatch.chdir(tmp_path)
    choose(Choice(site="sites/paris.yaml"))
    assert chosen() == Choice(site=str(tmp_path / "sites" / "paris.yaml"))


def test_the_file_is_private_and_whole(records: Path) -> None:
    """One file of mode 0600 and nothing beside it; what is no choice counts for none."""
    choose(Choice(site="paris"))
    choose(Choice(site="berlin"))
    [file] = (records / ".choices").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text('{"site": ')
    assert chosen() is None


def test_an_incident_that_was_repaired_has_ended_and_a_failed_one_has_not(records: Path) -> None:
    """A new look begins a new incident after the first, and goes on in the second."""
    record = Record.create(records, "paris")
    record.set_outcome(Outcome.FAILED)
    assert not has_ended(record.incident)
    record.set_outcome(Outcome.REPAIRED)
    assert has_ended(record.incident)
    assert not has_ended("20260101T000000Z-paris-0000")
