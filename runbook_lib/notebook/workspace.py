"""Where a person works: copies of the notebooks, in a folder of their own for each incident, and how they are laid out.

These folders stand in ``work``, beside the records, so that neither a record's manifest nor the notebooks that are
delivered ever hold what JupyterLab saves. A copy that is there is left alone, since its outputs are of this incident;
one that was thrown away is made anew. Before an incident is opened the folder has the site's name, and its copies are
fresh each time.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from runbook_lib import paths
from runbook_lib.errors import RunbookError
from runbook_lib.i18n.language import ENGLISH, asked_language
from runbook_lib.models import Stage
from runbook_lib.record.files import make_folder, write_new, writing
from runbook_lib.record.incident import Record, find_open, site_slug
from runbook_lib.show.table import Link

_CONTENTS = "@jupyterlab/toc:plugin"
_PANELS = ("filebrowser", "running-sessions", _CONTENTS)


def has_ended(incident: str) -> bool:
    """Whether an incident of these records has an outcome that closes it; one that cannot be read has not."""
    try:
        return bool(incident) and Record.open(paths.records_dir(), incident).is_closed()
    except RunbookError:
        return False


def folder_of(site: str, incident: str = "") -> Path:
    """Return the folder for a site's incident: the one named unless it has ended, else the open one, else a new one.

    Every notebook is in it, and the documents that they link to are beside it. Raises RecordNotWritable.
    """
    documents = paths.work_dir() / "docs"
    make_folder(documents)
    with writing(documents):
        ignored = shutil.ignore_patterns(".*", "executed")
        shutil.copytree(paths.project_root() / "docs", documents, ignore=ignored, dirs_exist_ok=True)
    incident = "" if has_ended(incident) else incident or find_open(paths.records_dir(), site) or ""
    if incident:
        return made_for(incident)
    folder = paths.work_dir() / site_slug(site)
    with writing(folder):
        for old in folder.glob("*.ipynb"):
            old.unlink()
    return made_for(folder.name)


def made_for(name: str) -> Path:
    """Return the folder of that name, with a copy of each notebook that it lacks; raises RecordNotWritable."""
    folder = paths.work_dir() / name
    for notebook in sorted(_delivered().glob("[0-9]*.ipynb")):
        if not (folder / notebook.name).exists():
            write_new(folder / notebook.name, _without_outputs(notebook.read_bytes()))
    return folder


def _delivered() -> Path:
    """Return the folder of the notebooks in the reader's language."""
    language = asked_language()
    return paths.notebooks_dir() / ("" if language == ENGLISH else language)


def _without_outputs(data: bytes) -> bytes:
    """Return a notebook as it was before it ever ran: somebody may have run the one of a checkout."""
    notebook = json.loads(data)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    notebook["metadata"].pop("widgets", None)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def way_to(incident: str) -> str:
    """Return what stands before a notebook's name in a link to that of ``incident``: nothing where it is beside.

    In a folder of another incident, or of none yet, the folder of this one is made, unless it cannot be written.
    """
    here = paths.workspace()
    if here is None or here.name == incident:
        return ""
    try:
        return f"../{made_for(incident).name}/"
    except RunbookError:
        return ""


def link_to(stage: Stage, incident: str) -> Link:
    """Return the link to the notebook of a stage of ``incident``."""
    return Link(stage.value, f"{way_to(incident)}{stage}.ipynb")


def opened_notebook(stage: Stage) -> Path:
    """Return the file of the notebook that a person runs as this stage: the copy at work, else the one delivered."""
    return (paths.workspace() or paths.notebooks_dir()) / f"{stage}.ipynb"


def save_layout(folder: Path, notebooks: Path) -> str:
    """Write how JupyterLab opens, into ``folder``, which is its folder of layouts; return the layout's name.

    Each folder of notebooks has a layout of its own: a page that is loaded anew never shows another site's.
    """
    # Loading it takes a second, which other commands should not wait for.
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    folder.mkdir(parents=True, exist_ok=True)
    start = (notebooks / f"{Stage.START}.ipynb").relative_to(paths.records_dir()).as_posix()
    WorkspacesManager(str(folder)).save(notebooks.name, json.dumps(_layout(notebooks.name, start)))
    return notebooks.name


def _layout(name: str, start: str) -> dict[str, Any]:
    """Return a layout: one notebook over the whole width, and its contents at the side."""
    widget = f"notebook:{start}"
    main = {"dock": {"type": "tab-area", "currentIndex": 0, "widgets": [widget]}, "current": widget}
    return {
        "data": {
            "layout-restorer:data": {
                "main": {**main, "mode": "multiple-document"},
                "left": {"collapsed": False, "current": _CONTENTS, "visible": True, "widgets": list(_PANELS)},
                "right": {"collapsed": True, "visible": False, "widgets": []},
                "relativeSizes": [0.17, 0.83, 0],
            },
            widget: {"data": {"path": start, "factory": "Notebook"}},
        },
        "metadata": {"id": name},
    }
