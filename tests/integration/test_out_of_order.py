"""Each notebook first and alone, in an empty folder of records, in any tool, twice: no server sees a change."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import papermill
import pytest
from direct_pages import direct_pages
from jupyter_client.provisioning import KernelProvisionerFactory
from nbclient import NotebookClient
from repair_site import StartLab, changes, run_stage
from resume_site import quick_site

from runbook_lib import paths
from runbook_lib.lab import Lab
from runbook_lib.models import Stage
from runbook_lib.notebook.warm_kernels import WarmKernels

pytestmark = pytest.mark.usefixtures("one_browser")

CHANGING = (Stage.DELETE, Stage.REGISTER, Stage.READD_ISE)


@pytest.fixture
def site(start_lab: StartLab) -> tuple[Lab, Path]:
    """A lab, called a production site, in which HA and the ISE server are missing: 40 and 50 would have work to do."""
    lab = start_lab("healthy", keys="ec", monitor_interval_s=2.0)
    address = lab.world["servers"]["ise"]["address"]
    assert lab.on_pages("primary", lambda pages: pages.remove_ha()) is None
    assert lab.on_pages("primary", lambda pages: pages.remove_ise(address)) is None
    # Where nothing was registered, nothing settles: stage 40 waits for that in vain, and need not for long.
    return lab, quick_site(lab, kind="production", settle_s=0.5)


def papermill_alone(stage: Stage, site: Path, out: Path) -> None:
    papermill.execute_notebook(_notebook(stage), out, {"site": str(site)}, progress_bar=False)


def engine(stage: Stage, site: Path, out: Path) -> None:
    papermill.execute_notebook(_notebook(stage), out, {"site": str(site)}, engine_name="runbook", progress_bar=False)


def run_all(stage: Stage, site: Path, out: Path) -> None:
    """As Jupyter would, and worse: it goes on after every red cell."""
    notebook = nbformat.read(_notebook(stage), as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += f"\nsite = {str(site)!r}"
    # Of a cell that the kernel refuses to run nothing is ever published: nothing is lost by not waiting for it long.
    resources = {"metadata": {"path": str(out.parent)}}
    NotebookClient(notebook, allow_errors=True, iopub_timeout=1, resources=resources).execute()


def _notebook(stage: Stage) -> Path:
    return paths.notebooks_dir() / f"{stage}.ipynb"


def fresh_records() -> None:
    shutil.rmtree(paths.records_dir(), ignore_errors=True)


@pytest.fixture
def forked_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Eighteen kernels that each import everything take longer than all else here: each is a fork."""
    monkeypatch.setattr(KernelProvisionerFactory.instance(), "default_provisioner_name", "runbook-warm")
    with WarmKernels():
        yield


@pytest.mark.usefixtures("forked_kernels")
@pytest.mark.parametrize("tool", [papermill_alone, engine, run_all])
def test_a_changing_notebook_that_is_run_first_and_alone_changes_nothing(
    site: tuple[Lab, Path], tmp_path: Path, tool: Callable[[Stage, Path, Path], None]
) -> None:
    """Papermill, the engine, Run All: twice each, the second time in the incident that the first one left."""
    lab, file = site
    before = changes(lab.truth())
    for stage in CHANGING:
        fresh_records()
        for _ in range(2):
            with suppress(papermill.exceptions.PapermillExecutionError):
                tool(stage, file, tmp_path / "out.ipynb")
            assert changes(lab.truth()) == before, stage
        assert list(paths.records_dir().glob("*-lab-*")), "it did run"


@pytest.mark.parametrize("planned", [False, True], ids=["nothing before", "a plan that nobody approved"])
def test_every_notebook_that_is_run_out_of_order_changes_nothing(site: tuple[Lab, Path], planned: bool) -> None:
    """All eight, their cells in this process, on past each red one, twice: first and alone, or before the approval."""
    lab, file = site
    before = changes(lab.truth())
    with direct_pages(lab) as pages:
        for stage in Stage:
            fresh_records()
            for earlier in (Stage.DIAGNOSE, Stage.LIST) if planned else ():
                run_stage(earlier, file)
            for _ in range(2):
                run_stage(stage, file, past_red=True)
                assert changes(lab.truth()) == before, stage
                assert not pages.pressed, stage
