"""Notebooks that are made where they are needed, and named after what they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

Make = Callable[..., Path]
"""``make(folder, name, *cells)``: sources after a cell ``site = "lab"`` tagged `parameters`; ``# …`` is Markdown."""

CELL_TIMEOUT_S = 12
"""After which a cell that sleeps is given up. Each cell has its own; those before it compute nothing, and the start of
the kernel does not count."""

# A cell that has its parent process, the one that runs papermill, stopped while it is at work itself.
SIGNALLED = """\
import os, pathlib, signal, time
pathlib.Path("kernel.pid").write_text(str(os.getpid()))
try:
    os.kill(os.getppid(), signal.{name})
    time.sleep(600)
finally:
    pathlib.Path("cleaned_up").touch()
"""

CELLS = SimpleNamespace(
    timeout_s=CELL_TIMEOUT_S,
    says_hello="print('hello', site)",
    sleeps="import time; print('asleep', flush=True); time.sleep(600)",
    dies="import os; print('dying', flush=True); os._exit(7)",
    leaves="raise SystemExit(0)",
    interrupts=SIGNALLED.format(name="SIGINT"),
    terminates=SIGNALLED.format(name="SIGTERM"),
)


@pytest.fixture(scope="session")
def cells() -> SimpleNamespace:
    """Sources of cells by what they do, and ``timeout_s``, after which one that sleeps is to be given up."""
    return CELLS


@pytest.fixture(scope="session")
def make() -> Make:
    """Write a notebook and return its path."""

    def write(folder: Path, name: str, *sources: str) -> Path:
        parameters = nbformat.v4.new_code_cell('site = "lab"  # a name in params/', metadata={"tags": ["parameters"]})
        made = [
            nbformat.v4.new_markdown_cell(source) if source.startswith("# ") else nbformat.v4.new_code_cell(source)
            for source in sources
        ]
        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        notebook = nbformat.v4.new_notebook(cells=[parameters, *made], metadata={"kernelspec": kernel})
        path = folder / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Any]:
    """Read an executed notebook: ``states`` by cell, without what papermill inserts to mark an error."""

    def look(path: Path) -> Any:
        notebook = nbformat.read(path, as_version=4)
        own = [cell for cell in notebook.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
        return SimpleNamespace(
            cells=own,
            states=[cell.metadata.papermill.status for cell in own],
            metadata=notebook.metadata,
            errors=[o.ename for cell in own for o in cell.get("outputs", []) if o.output_type == "error"],
        )

    return look
