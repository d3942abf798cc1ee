"""Run the notebooks in fresh labs and store them with their outputs (``make reference``).

``tests/reference`` is for nbval. What differs from run to run (times, addresses, digests, paths, ...) is replaced there
as its sanitize.cfg says, so that nbval compares the content, and so that a second run changes nothing. Only the tables'
HTML is kept: their plain text is as wide as its words, and what is told on the way depends on the machine's speed.

``docs/executed`` and ``docs/zh/executed`` are for readers of the docs site: the same outputs with their times, digests
and figures. Only who ran them, and in which folder, is replaced.
"""

from __future__ import annotations

import copy
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
SHOWN = {"en": (NOTEBOOKS, ROOT / "docs" / "executed"), "zh": (NOTEBOOKS / "zh", ROOT / "docs" / "zh" / "executed")}
KEPT = "text/html"
PRIVATE = ("/FOLDER", "SOMEBODY")
"""What the rules put in the place of what no reader needs to know of this machine."""
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def main() -> None:
    """Make every copy anew: in order, with one lab for each language."""
    patterns = get_sanitize_patterns((REFERENCE / "sanitize.cfg").read_text(encoding="utf-8"))
    private = [(pattern, replacement) for pattern, replacement in patterns if replacement in PRIVATE]
    for language, (source, target) in SHOWN.items():
        with fresh_lab() as environment:
            os.environ.update({**environment, "RUNBOOK_LANG": language})
            for path in sorted(source.glob("*.ipynb")):
                print(path.relative_to(ROOT), flush=True)
                notebook = executed(path)
                write(target / path.name, with_outputs(notebook, private, STYLE))
                if language == "en":
                    write(REFERENCE / path.name, with_outputs(notebook, patterns))


def with_outputs(notebook: Any, patterns: list[tuple[str, str]], once: re.Pattern[str] | None = None) -> Any:
    """Return a copy with outputs as they are stored; what matches ``once`` is emptied where it is repeated."""
    made, seen = copy.deepcopy(notebook), set[str]()

    def first(found: re.Match[str]) -> str:
        known = found[0] in seen
        seen.add(found[0])
        return "<style></style>" if known else found[0]

    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for output in cell.outputs for each in kept(output, patterns)]
            for output in cell.outputs:
                output.data[KEPT] = once.sub(first, output.data[KEPT]) if once else output.data[KEPT]
    return made


def write(path: Path, notebook: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


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
