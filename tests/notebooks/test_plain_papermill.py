"""What plain papermill 2.7 does where the engine ``runbook`` does something else (``test_engine`` beside this file).

These tests hold nothing that we want. They show why the engine is there; when one of them fails after an
update of papermill, a part of the engine may have become needless.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import kernels_without_ports
import pytest
from kernels_without_ports import OURS, provisioners
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill import execute_notebook
from quick_module import quick_module


@pytest.fixture(autouse=True)
def _kernels_without_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(provisioners(), OURS.name, OURS)


@pytest.fixture
def kernel_ends(tmp_path: Path) -> Iterator[None]:
    """Stop the kernel that plain papermill leaves behind when it is stopped itself."""
    yield
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((tmp_path / "kernel.pid").read_text()), signal.SIGKILL)


def papermill_command(template: Path, output: Path) -> int:
    with (output.parent / "papermill.log").open("wb") as log:
        command = quick_module("kernels_without_ports", str(template), str(output), "--no-progress-bar")
        env = os.environ | {"PYTHONPATH": str(Path(kernels_without_ports.__file__).parent)}
        return subprocess.run(command, cwd=output.parent, env=env, stdout=log, stderr=log, check=False).returncode


def test_after_a_cell_timeout_every_cell_reads_completed(tmp_path, make, read, cells):
    """Plain papermill marks a cell that timed out, and one that never ran, as completed and without exception."""
    template = make(tmp_path, "a_cell_takes_too_long", cells.sleeps, cells.says_hello)
    with pytest.raises(CellTimeoutError):
        execute_notebook(template, tmp_path / "out.ipynb", progress_bar=False, execution_timeout=cells.timeout_s)
    assert read(tmp_path / "out.ipynb").states == ["completed"] * 3
    assert read(tmp_path / "out.ipynb").metadata.papermill.exception is None


def test_after_the_kernels_death_every_cell_reads_completed(tmp_path, make, read, cells):
    """Plain papermill marks the cell in which the kernel died, and the later ones, as completed."""
    template = make(tmp_path, "the_kernel_dies", cells.dies, cells.says_hello)
    with pytest.raises(DeadKernelError):
        execute_notebook(template, tmp_path / "out.ipynb", progress_bar=False)
    assert read(tmp_path / "out.ipynb").states == ["completed"] * 3
    assert read(tmp_path / "out.ipynb").metadata.papermill.exception is None


@pytest.mark.usefixtures("kernel_ends")
def test_after_ctrl_c_every_cell_reads_completed_and_the_exit_code_is_1(tmp_path, make, read, cells):
    """Plain papermill marks an interrupted cell, and the later ones, as completed; its exit code is a failure's."""
    template = make(tmp_path, "somebody_presses_ctrl_c", cells.interrupts, cells.says_hello)
    assert papermill_command(template, tmp_path / "out.ipynb") == 1
    assert read(tmp_path / "out.ipynb").states == ["completed"] * 3


@pytest.mark.usefixtures("kernel_ends")
def test_after_sigterm_the_notebook_stays_running(tmp_path, make, read, cells):
    """Plain papermill leaves a notebook that reads as if it were still running."""
    template = make(tmp_path, "the_batch_system_ends_the_job", cells.terminates, cells.says_hello)
    assert papermill_command(template, tmp_path / "out.ipynb") == -signal.SIGTERM
    assert read(tmp_path / "out.ipynb").states == ["completed", "running", "pending"]
    assert read(tmp_path / "out.ipynb").metadata.papermill.end_time is None


def test_an_unknown_parameter_and_a_wrong_type_run_and_the_file_is_rewritten_in_place(tmp_path, make, read, cells):
    """Plain papermill runs with `sit` for `site` and a number for a text, and rewrites the file that readers hold."""
    template = make(tmp_path, "a_parameter_is_mistyped", cells.says_hello)
    output, held = tmp_path / "out.ipynb", tmp_path / "held.ipynb"
    output.write_text("the old file")
    held.hardlink_to(output)
    execute_notebook(template, output, {"sit": "b", "site": 12}, progress_bar=False)
    assert read(output).cells[-1].outputs[0].text == "hello 12\n"
    assert held.read_text() == output.read_text()


def test_system_exit_0_is_success_though_the_rest_never_ran(tmp_path, make, read, cells):
    """Plain papermill returns without an error after a cell that ended the notebook early."""
    template = make(tmp_path, "a_cell_leaves_early", cells.leaves, cells.says_hello)
    execute_notebook(template, tmp_path / "out.ipynb", progress_bar=False)
    assert read(tmp_path / "out.ipynb").states == ["completed", "failed", "pending"]
