"""Run the notebooks in a fresh lab and store them with their outputs in tests/reference (``make reference``).

What differs from run to run (times, addresses, digests, paths, …) is replaced as tests/reference/sanitize.cfg
says, so that nbval compares the content, and so that a second run changes nothing. Only the tables' HTML is kept:
their plain text is as wide as its words, and what is told on the way hangs on the machine's speed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
from fresh_lab import fresh_lab
from nbclient import NotebookClient
from nbval.plugin import get_sanitize_patterns  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "tests" / "reference"
KEPT = "text/html"


def main() -> None:
    """Make every reference copy anew, in order, in one lab."""
    patterns = get_sanitize_patterns((REFERENCE / "sanitize.cfg").read_text(encoding="utf-8"))
    with fresh_lab() as environment:
        os.environ.update(environment)
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            print(path.name, flush=True)
            notebook = executed(path)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs = [made for output in cell.outputs for made in kept(output, patterns)]
            (REFERENCE / path.name).write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def executed(path: Path) -> Any:
    """Return the notebook with outputs; its own metadata stays as it is."""
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": str(path.parent)}}).execute()
    notebook.metadata = metadata
    return notebook


def kept(output: Any, patterns: list[tuple[str, str]]) -> list[Any]:
    """Return the output as it is stored: a result's sanitised HTML, and nothing of a stream."""
    if output.output_type == "stream":
        return []
    output.data = {KEPT: sanitised(output.data[KEPT], patterns)}
    return [output]


def sanitised(text: str, patterns: list[tuple[str, str]]) -> str:
    """Replace what differs from run to run, as nbval does on both sides."""
    for pattern, replacement in patterns:
        text = re.sub(pattern, replacement, text)
    return text


if __name__ == "__main__":
    main()
