"""What JupyterLab shows when it opens: ``00_start_here``, and beside it the journal of the incident at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from runbook_lib import places
from runbook_lib.models import Stage
from runbook_lib.record import list_records
from runbook_lib.session.choice import chosen
from runbook_lib.words import ENGLISH, asked_language

WORKSPACE = "runbook"
GUIDE = "docs/by-hand.md"


def laid_out() -> Path:
    """Return the folder that JupyterLab opens: the checkout, or copies of an installed package's notebooks and docs.

    The copies are renewed each time, so that nothing is ever written into the installed package.
    """
    home = places.home_dir()
    if places.is_installed():
        for folder in ("notebooks", "docs"):
            shutil.copytree(places.project_root() / folder, home / folder, dirs_exist_ok=True)
        for document in places.project_root().glob("*.md"):
            shutil.copyfile(document, home / document.name)
    return home


def save_workspace(folder: Path) -> Path:
    """Write the workspace for JupyterLab into ``folder``, which is its folder of workspaces, and return that."""
    # Loading it takes a second, which other commands should not wait for.
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    folder.mkdir(parents=True, exist_ok=True)
    WorkspacesManager(str(folder)).save(WORKSPACE, json.dumps(workspace(_beside())))
    return folder


def workspace(beside: str) -> dict[str, Any]:
    """Return the layout: the first notebook, and to its right the file ``beside``, a path below JupyterLab's root."""
    right, factory = (
        (f"markdownviewer-widget:{beside}", "Markdown Preview")
        if beside.endswith(".md")
        else (f"editor:{beside}", "Editor")
    )
    start = first_notebook()
    left = f"notebook:{start}"
    areas = [{"type": "tab-area", "currentIndex": 0, "widgets": [widget]} for widget in (left, right)]
    dock = {"type": "split-area", "orientation": "horizontal", "sizes": [0.64, 0.36], "children": areas}
    return {
        "data": {
            "layout-restorer:data": {
                "main": {"dock": dock, "mode": "multiple-document", "current": left},
                "left": {"collapsed": True, "widgets": ["filebrowser", "running-sessions", "@jupyterlab/toc:plugin"]},
                "right": {"collapsed": True, "widgets": []},
            },
            left: {"data": {"path": start, "factory": "Notebook"}},
            right: {"data": {"path": beside, "factory": factory}},
        },
        "metadata": {"id": WORKSPACE},
    }


def first_notebook() -> str:
    """Return the path of ``00_start_here`` below the project, in the reader's language."""
    folder = places.notebooks_dir().name
    chosen = asked_language()
    translated = "" if chosen == ENGLISH else f"/{chosen}"
    return f"{folder}{translated}/{Stage.START}.ipynb"


def _beside() -> str:
    """Return the journal of the chosen incident, else of the newest; where there is none, how to work by hand."""
    choice = chosen()
    incidents = [choice.incident] if choice and choice.incident else []
    incidents += [each.incident for each in list_records(places.records_dir())[:1]]
    for incident in incidents:
        path = places.records_dir() / incident / "journal.jsonl"
        if path.is_file() and path.is_relative_to(places.home_dir()):
            return path.relative_to(places.home_dir()).as_posix()
    return GUIDE
