"""A person works on copies of the notebooks, in a folder of the incident beside the records, over the whole width."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook_lib import paths
from runbook_lib.models import Outcome, Stage
from runbook_lib.notebook.workspace import folder_of, opened_notebook, save_layout, stage_link
from runbook_lib.record.incident import Record

START = f"{Stage.START}.ipynb"


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    return tmp_path / "records"


def run(notebook: Path) -> None:
    """Leave an output in a notebook."""
    data = json.loads(notebook.read_text())
    cell = next(cell for cell in data["cells"] if cell["cell_type"] == "code")
    cell.update(execution_count=1, outputs=[{"output_type": "stream", "name": "stdout", "text": "10.0.0.1"}])
    notebook.write_text(json.dumps(data))


def outputs(notebook: Path) -> list[Any]:
    cells = json.loads(notebook.read_text())["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


def test_each_incident_has_copies_of_its_own_and_keeps_their_outputs() -> None:
    """What was run in one incident is there when it is opened again, and in no other; a record holds none of it."""
    record = Record.create(paths.records_dir(), "paris")
    folder = folder_of("paris")
    assert folder == paths.work_dir() / record.incident
    assert {path.name for path in folder.iterdir()} == {path.name for path in paths.notebooks_dir().glob("*.ipynb")}
    run(folder / START)
    assert outputs(folder_of("paris") / START)
    record.set_outcome(Outcome.REPAIRED)
    assert not outputs(folder_of("paris", record.incident) / START)
    assert not list(record.folder.rglob("*.ipynb"))


def test_a_copy_that_was_thrown_away_is_made_anew() -> None:
    """The others stay as they are."""
    Record.create(paths.records_dir(), "paris")
    folder = folder_of("paris")
    (folder / START).unlink()
    run(folder / "10_diagnose_logs.ipynb")
    folder_of("paris")
    assert not outputs(folder / START)
    assert outputs(folder / "10_diagnose_logs.ipynb")


def test_before_there_is_an_incident_the_copies_are_fresh_each_time() -> None:
    """Nothing of an evening before is shown; neither is what somebody has left in the notebooks of the checkout."""
    folder = folder_of("Paris 1")
    assert folder.parent == paths.work_dir()
    run(folder / START)
    assert not outputs(folder_of("Paris 1") / START)


def test_outputs_in_a_checkout_come_along_into_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has run a notebook of the checkout finds nothing of it in an incident."""
    shutil.copytree(paths.notebooks_dir(), tmp_path / "notebooks")
    run(tmp_path / "notebooks" / START)
    monkeypatch.setattr(paths, "notebooks_dir", lambda: tmp_path / "notebooks")
    assert not outputs(folder_of("paris") / START)


def test_copies_are_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a copy links to is found from it: the documents lie beside the folders."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    folder = folder_of("paris")
    assert json.loads((folder / START).read_text()) == json.loads((paths.notebooks_dir() / "zh" / START).read_text())
    assert (folder / "../docs/troubleshooting.md").is_file()


def test_links_lead_to_the_copies_of_the_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    """From wherever its first notebook was run: beside it, in a site's folder without an incident, or in no copy."""
    record = Record.create(paths.records_dir(), "paris")
    assert stage_link(Stage.LIST, record.incident).href == "20_list_certificates.ipynb"
    monkeypatch.chdir(folder_of("berlin"))
    assert opened_notebook(Stage.START) == paths.work_dir() / "berlin" / START
    link = stage_link(Stage.LIST, record.incident).href
    assert link == f"../{record.incident}/20_list_certificates.ipynb"
    assert Path(link).is_file()
    monkeypatch.chdir(Path(link).parent)
    assert stage_link(Stage.LIST, record.incident).href == "20_list_certificates.ipynb"


def test_the_notebook_has_the_whole_width_and_its_contents_at_the_side(tmp_path: Path) -> None:
    """One document and no raw JSON beside it; each folder of notebooks has a layout of its own."""
    Record.create(paths.records_dir(), "paris")
    folders = folder_of("paris"), folder_of("berlin")
    for folder in folders:
        name = save_layout(tmp_path / "layouts", folder)
        layouts = [json.loads(path.read_text()) for path in (tmp_path / "layouts").iterdir()]
        [data] = [layout["data"] for layout in layouts if layout["metadata"]["id"] == name]
        shown = data["layout-restorer:data"]
        opened = f"work/{folder.name}/{START}"
        assert shown["main"]["dock"]["widgets"] == [f"notebook:{opened}"]
        assert data[f"notebook:{opened}"]["data"]["path"] == opened
        assert not shown["left"]["collapsed"]
        assert shown["left"]["current"] == "@jupyterlab/toc:plugin"


JUPYTER = """
import signal, sys, time
def note(signum, frame):
    print(signal.Signals(signum).name, flush=True)
    time.sleep(1)  # its kernels end
    sys.exit()
signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGTERM, note)
print("runs", flush=True)
signal.pause()
"""
SERVE = f"""
import signal, sys
from pathlib import Path
from runbook_lib.notebook import workspace
signal.signal(signal.SIGINT, signal.default_int_handler)
workspace._command = lambda notebooks: [sys.executable, "-c", {JUPYTER!r}]
sys.exit(workspace.serve_jupyter(Path("work")))
"""


def test_ctrl_c_on_a_terminal_is_one_signal_for_jupyterlab(tmp_path: Path) -> None:
    """By a second one, while its kernels end, it would leave them behind, and itself as well."""
    where = os.environ | {"RUNBOOK_LAB_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, env=where, stdout=subprocess.PIPE, text=True, start_new_session=True) as serving:
        assert serving.stdout
        said = [serving.stdout.readline()]
        os.killpg(serving.pid, signal.SIGINT)
        said += serving.stdout.readlines()
    assert (serving.returncode, said) == (0, ["runs\n", "SIGTERM\n"])
