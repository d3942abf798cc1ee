"""Where a person works: the site and incident that were chosen, copies of the notebooks, and what comes next."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from runbook_lib import paths
from runbook_lib.errors import DeviceUnreachable, RunbookError
from runbook_lib.i18n.language import ENGLISH, asked_language
from runbook_lib.models import Stage, StageState
from runbook_lib.params.load import load_site, load_site_or_lab
from runbook_lib.params.model import LabRequest, Site
from runbook_lib.paths import from_anywhere
from runbook_lib.processes import JUPYTERLAB, operator, quick_import, wait_or_kill
from runbook_lib.record.files import make_folder, write_new, writing
from runbook_lib.record.incident import Record, find_open, list_records, site_slug
from runbook_lib.show.document import READY, Link

# -- Which site and incident the notebooks open, and a site's file from its name.
#
# What a person chose in ``00_start_here`` is kept in one small file for each operator, beside the records; what is
# chosen in a JupyterLab that a command opened for a site is kept apart from that, so that the lab's never leads to a
# real site that was chosen elsewhere. Only a notebook that a person runs reads it, and only where its parameters are
# left empty: a batch job does what its parameters say, whatever was chosen.

DEFAULT_SITE = "lab"
OPENED_FOR = "RUNBOOK_OPENED_FOR"
"""The variable that names the site for which a command opened JupyterLab; its kernels inherit it."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """``site`` as the parameter takes it; ``incident`` empty: the site's open one, or a new one."""

    site: str
    incident: str = ""


def resolve_choice(site: str, incident: str, *, attended: bool) -> Choice:
    """Return what to open: what the parameters say; else, for a person, what was chosen; else the lab."""
    choice = current_choice() if attended and not site else None
    if choice is None:
        return Choice(site=site or DEFAULT_SITE, incident=incident)
    return Choice(site=choice.site, incident=incident or choice.incident)


def current_choice() -> Choice | None:
    """Return the operator's choice, None where nothing was chosen or the file holds no choice."""
    try:
        return Choice(**json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def keep_choice(choice: Choice) -> None:
    """Keep a choice, whole or not at all; a path is kept absolute. Raises RecordNotWritable."""
    kept = Choice(site=from_anywhere(choice.site), incident=choice.incident)
    if current_choice() != kept:
        write_new(_file(), json.dumps(asdict(kept)).encode(), over=True)


def separate_choice(site: str) -> None:
    """Keep apart what is chosen in what this process starts, beginning with ``site``; raises RecordNotWritable.

    The incident stays that was chosen when JupyterLab was opened for this site before.
    """
    site = from_anywhere(site)
    os.environ[OPENED_FOR] = site
    before = current_choice()
    if before is None or before.site != site:
        keep_choice(Choice(site=site))


def _file() -> Path:
    who = operator()
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", who)[:40]
    opened_for = os.environ.get(OPENED_FOR, "")
    digest = hashlib.sha256((f"{who}\n{opened_for}" if opened_for else who).encode()).hexdigest()[:12]
    return paths.records_dir() / ".choices" / f"{readable}-{digest}.json"


def newest_incident(site: str) -> str:
    """Return the newest incident of a site whose record can be read, open or not; empty where there is none."""
    return next((each.incident for each in list_records(paths.records_dir(), site) if not each.problem), "")


def open_site(name_or_path: str) -> Site:
    """Return the site; starts the lab where the file asks for it and it is not up yet."""
    loaded = load_site_or_lab(name_or_path)
    return load_site(_lab_site_file(loaded)) if isinstance(loaded, LabRequest) else loaded


def _lab_site_file(request: LabRequest) -> Path:
    from runbook_lib import lab

    folder = paths.lab_dir()
    try:
        lab.up(folder, lab.LabOptions.from_dict(request.options()), exist_ok=True)
    except lab.LabError as error:
        raise DeviceUnreachable(
            "The lab could not be started",
            where=str(folder),
            found=str(error),
            next_step="runbook lab down, then again",
        ) from None
    return folder / "site.yaml"


# -- The copies of the notebooks that people work in, and how JupyterLab lays them out.
#
# Each incident has a folder of copies in ``work``, beside the records, so that neither a record's manifest nor the
# delivered notebooks ever hold what JupyterLab saves. A copy that is there is left alone, since its outputs are of this
# incident; one that was thrown away is made anew. Before an incident is opened the folder has the site's name, and its
# copies are fresh each time.

_CONTENTS = "@jupyterlab/toc:plugin"
_PANELS = ("filebrowser", "running-sessions", _CONTENTS)


def has_ended(incident: str) -> bool:
    """Whether an incident of these records has an outcome that closes it; False if it cannot be read."""
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
        return make_folder_of(incident)
    folder = paths.work_dir() / site_slug(site)
    with writing(folder):
        for old in folder.glob("*.ipynb"):
            old.unlink()
    return make_folder_of(folder.name)


def make_folder_of(name: str) -> Path:
    """Return the folder of that name, with a copy of each notebook that it lacks; raises RecordNotWritable."""
    folder, language = paths.work_dir() / name, asked_language()
    delivered = paths.notebooks_dir() / ("" if language == ENGLISH else language)
    for notebook in sorted(delivered.glob("[0-9]*.ipynb")):
        if not (folder / notebook.name).exists():
            write_new(folder / notebook.name, _without_outputs(notebook.read_bytes()))
    return folder


def _without_outputs(data: bytes) -> bytes:
    """Return a notebook as it was before it ever ran: somebody may have run the one of a checkout."""
    notebook = json.loads(data)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    notebook["metadata"].pop("widgets", None)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def path_prefix_to(incident: str) -> str:
    """Return what stands before a notebook's name in a link to that of ``incident``: nothing where it is beside.

    In a folder of another incident, or of none yet, the folder of this one is made, unless it cannot be written.
    """
    here = paths.workspace()
    if here is None or here.name == incident:
        return ""
    try:
        return f"../{make_folder_of(incident).name}/"
    except RunbookError:
        return ""


def stage_link(stage: Stage, incident: str) -> Link:
    """Return the link to the notebook of a stage of ``incident``."""
    return Link(stage.value, f"{path_prefix_to(incident)}{stage}.ipynb")


def opened_notebook(stage: Stage) -> Path:
    """Return the file of the notebook that a person runs as this stage: the copy at work, else the one delivered."""
    return (paths.workspace() or paths.notebooks_dir()) / f"{stage}.ipynb"


def save_layout(folder: Path, notebooks: Path) -> str:
    """Write how JupyterLab opens, into ``folder``, which is its folder of layouts; return the layout's name.

    Each folder of notebooks has a layout of its own: a page that is loaded anew never shows another site's.
    """
    with quick_import():  # which commands that open no JupyterLab do not wait for
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


# -- JupyterLab on the copies: on loopback, with a token, its kernels over sockets that only their user can reach --

_PAGES = {
    # No questions about news, and nobody outside this machine is asked for any.
    "page_config": {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
    # A page that is loaded again shows what was saved: of a registration that takes an hour all but these seconds.
    "default_setting_overrides": {"@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 5}},
}
_KERNELS = "runbook_lib.notebook.provisioner.ServedKernelManager"


def serve_jupyter(notebooks: Path) -> int:
    """Open JupyterLab on a folder of copies, run until Ctrl-C or SIGTERM, and return its exit code."""
    # In a session of its own, Ctrl-C does not reach it: a second signal while its kernels end has it leave them.
    process = subprocess.Popen(_command(notebooks), env=_environment(), start_new_session=True)  # noqa: S603 - see below
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        process.terminate()
        wait_or_kill(process, 60.0)  # a request that is still open may keep it for ever


def _command(notebooks: Path) -> list[str]:
    layouts = paths.lab_dir() / "jupyter" / "workspaces"
    command = [sys.executable, "-c", JUPYTERLAB]
    command += [f"--ServerApp.root_dir={paths.records_dir()}", "--ServerApp.ip=127.0.0.1", "-y"]
    command += [f"--LabApp.default_url=/lab/workspaces/{save_layout(layouts, notebooks)}", "--LabApp.news_url=None"]
    command += [f"--LabApp.workspaces_dir={layouts}", f"--MultiKernelManager.kernel_manager_class={_KERNELS}"]
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        command.append("--no-browser")
    if os.geteuid() == 0:
        command.append("--allow-root")
    return command


def _environment() -> dict[str, str]:
    folder = paths.lab_dir() / "jupyter"
    settings = folder / "labconfig"
    settings.mkdir(parents=True, exist_ok=True)
    for name, content in _PAGES.items():
        (settings / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    searched = filter(None, (str(folder), os.environ.get("JUPYTER_CONFIG_PATH")))
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(searched)}


# -- What comes after each stage, by the way in which it ended, and in which notebook --------------


class Next(NamedTuple):
    """What to do ``then`` where a stage ended as ``when`` says; ``stage`` is another notebook that does it."""

    when: str
    then: str
    stage: Stage | None = None
    mark: str = READY


_NEXT: dict[Stage, tuple[Next, ...]] = {
    Stage.START: (
        Next("everything answers", "find out which certificate is not accepted, and by whom", Stage.DIAGNOSE),
        Next("a server does not answer, or its host key is not pinned", "fix that first; each line above says how"),
    ),
    Stage.DIAGNOSE: (
        Next("a mismatch is reported", "see what is stored and what is presented", Stage.LIST),
        Next("only look-alikes", "follow their advice; deleting entries does not help"),
        Next("no logs available", "download them, name them in the site's file, and run this stage again"),
    ),
    Stage.LIST: (
        Next("the plan has deletions and is not blocked", "approve and delete", Stage.DELETE),
        Next("nothing to delete", "see whether HA needs to be registered", Stage.REGISTER),
        Next("the plan is blocked", "settle what blocks the plan, then run this stage again"),
    ),
    Stage.DELETE: (
        Next("every entry is gone, or back already", "register high availability", Stage.REGISTER),
        Next("the plan is stale", "look again and make a new plan", Stage.LIST),
        Next("no approval yet", "runbook approve {incident} DIGEST --by NAME, then run this stage again"),
    ),
    Stage.REGISTER: (
        Next("both servers report Primary Active", "add the ISE servers again", Stage.READD_ISE),
        Next("a milestone failed", "see whether a mismatch is left", Stage.DIAGNOSE),
        Next("still under way", "run this stage again: it keeps watching and does not register twice"),
    ),
    Stage.READD_ISE: (
        Next("every ISE server answers", "prove the repair", Stage.VERIFY),
        Next("the page refused", "settle what it says, then run this stage again"),
    ),
    Stage.VERIFY: (
        Next("repaired, or nothing to do", "write the post-mortem", Stage.POST_MORTEM),
        Next("a check failed", "start over; what is right already is left alone", Stage.DIAGNOSE),
    ),
    Stage.POST_MORTEM: (
        Next("it is written", "attach it to the ticket; runbook verify {incident} checks the record"),
        Next("the incident is still open", "start over; what is right already is left alone", Stage.START),
    ),
}


def steps_after(stage: Stage, incident: str) -> tuple[Next, ...]:
    """Return what to do next for each way in which ``stage`` can end."""
    return tuple(each._replace(then=each.then.format(incident=incident)) for each in _NEXT[stage])


def stage_to_go_on_with(states: Mapping[str, StageState]) -> Stage | None:
    """Return the first stage after ``00_start_here`` that is not done, None where all are."""
    return next((each for each in Stage if each is not Stage.START and states[each] is not StageState.DONE), None)


def next_run(record: Record) -> str:
    """Return the command that goes on with an incident from whichever folder; of one that has ended it is a report."""
    if record.is_closed():
        return shlex.join(("runbook", "report", record.incident))
    return shlex.join(("runbook", "run", record.opening()["given"] or record.site, "--incident", record.incident))
