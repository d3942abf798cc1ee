"""``make lab`` opens the lab and no other site; ``runbook notebook SITE`` opens that one, and says that it is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from site_kit import site_with

from runbook_lib.cli import lab
from runbook_lib.notebook import workspace
from runbook_lib.notebook.workspace import OPENED_FOR, Choice, keep_choice, resolve_choice
from runbook_lib.params.model import LabRequest, Site

REAL = site_with()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Choice]:
    """What a person's notebook would open with empty parameters, each time that JupyterLab is started."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv(OPENED_FOR, "")
    opened: list[Choice] = []

    def serve(site: str) -> int:
        opened.append(resolve_choice("", "", attended=True))
        return 0

    monkeypatch.setattr(lab, "_serve", serve)
    return opened


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labs that were started."""
    started: list[str] = []

    monkeypatch.setattr(lab.lab, "is_up", lambda _folder: False)
    monkeypatch.setattr(workspace, "open_site", started.append)
    monkeypatch.setattr(lab, "lab_down_command", lambda: None)
    return started


def load(loaded: Site | LabRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    given: Any = loaded
    monkeypatch.setattr(lab, "load_site_or_lab", lambda _name: given)


def test_make_lab_opens_the_lab_whatever_was_chosen_last(served: list[Choice], labs: list[str]) -> None:
    """A production site that was open yesterday is not what the front door leads to."""
    keep_choice(Choice(site="paris", incident="x"))
    assert lab.lab_jupyter_command() == 0
    assert (served, labs) == ([Choice(site="lab")], ["lab"])


def test_a_production_site_is_opened_by_its_name_with_its_sign(
    served: list[Choice], labs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JupyterLab alone is started; the terminal says in words that these servers are real."""
    load(REAL, monkeypatch)
    keep_choice(Choice(site="paris"))
    assert lab.notebook_command("berlin") == 0
    assert (served, labs) == ([Choice(site="berlin")], [])
    said = capsys.readouterr().out
    assert "PRODUCTION: real servers" in said
    assert REAL.primary.address in said


def test_the_lab_by_its_name_is_the_lab(
    served: list[Choice], labs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same as ``make lab``; nothing is called production."""
    load(LabRequest.model_validate({"kind": "lab", "lab": {"scenario": "renewed"}}), monkeypatch)
    assert lab.notebook_command("lab") == 0
    assert (served, labs) == ([Choice(site="lab")], ["lab"])
    assert "PRODUCTION" not in capsys.readouterr().out
