"""What JupyterLab opens with: the first notebook, and beside it the journal of the incident at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runbook_lib import paths
from runbook_lib.cli.lab import GUIDE, first_notebook, save_workspace
from runbook_lib.notebook.opening import Choice, choose
from runbook_lib.record.incident import Record


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose records lie in it."""
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    return tmp_path


def opened(folder: Path) -> list[str]:
    """Return the files that the one workspace in a folder opens, from left to right."""
    [path] = save_workspace(folder).glob("*.jupyterlab-workspace")
    data = json.loads(path.read_text())["data"]
    dock = data["layout-restorer:data"]["main"]["dock"]
    return [data[area["widgets"][0]]["data"]["path"] for area in dock["children"]]


def test_without_an_incident_the_guide_stands_beside(tmp_path: Path) -> None:
    """Nothing has happened yet: how to work by hand."""
    assert opened(tmp_path / "workspaces") == [first_notebook(), GUIDE]


def test_the_chosen_incident_comes_before_the_newest(tmp_path: Path) -> None:
    """The newest incident's journal; after a choice, that of the chosen one."""
    first, second = (Record.create(tmp_path / "records", site) for site in ("a", "b"))
    newest = max(first.incident, second.incident)
    assert opened(tmp_path / "workspaces") == [first_notebook(), f"records/{newest}/journal.jsonl"]
    for record in (first, second):
        choose(Choice(site=record.site, incident=record.incident))
        assert opened(tmp_path / "workspaces") == [first_notebook(), f"records/{record.incident}/journal.jsonl"]


def test_records_elsewhere_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab cannot show what lies outside of its root."""
    elsewhere = tmp_path / "elsewhere"
    Record.create(elsewhere, "a")
    monkeypatch.setenv("RUNBOOK_RECORDS", str(elsewhere))
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path / "checkout")
    assert opened(tmp_path / "workspaces") == [first_notebook(), GUIDE]
