"""Put into the wheel what a checkout has beside the package; everything else is in pyproject.toml."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PARAMS = ("example", "fleet.example", "lab")
DOCUMENTS = ("README.md", "README.zh.md", "CONTRIBUTING.md", "CONTRIBUTING.zh.md", "CHANGELOG.md", "SECURITY.md")


class BuildWithNotebooks(build_py):
    """Copies notebooks, documents and examples to ``runbook_lib/shipped``, where the package looks for them."""

    def run(self) -> None:
        package = Path(self.build_lib) / "runbook_lib"
        if not self.editable_mode:
            shutil.rmtree(package, ignore_errors=True)  # otherwise modules of an earlier build come along
        super().run()
        if not self.editable_mode:
            ship(package / "shipped")


def ship(target: Path) -> None:
    """Copy what is delivered and nothing of the user's own: no site's file, no record, no output of a notebook.

    The copies of notebooks for the docs site stay behind, since nothing opens them.
    """
    for name in (*DOCUMENTS, "requirements.lock", *(f"params/{name}.yaml" for name in PARAMS)):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, path)
    shutil.copytree(ROOT / "docs", target / "docs", ignore=shutil.ignore_patterns(".*", "executed"))
    for notebook in sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb")):
        path = target / notebook.relative_to(ROOT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(without_outputs(notebook.read_text(encoding="utf-8")), encoding="utf-8")


def without_outputs(text: str) -> str:
    """Return a notebook's text; it is the same to the byte if the notebook has no outputs."""
    notebook = json.loads(text)
    ran = [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")]
    if not ran and "widgets" not in notebook["metadata"]:
        return text
    for cell in ran:
        cell.update(outputs=[], execution_count=None)
    notebook["metadata"].pop("widgets", None)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


setup(cmdclass={"build_py": BuildWithNotebooks})
