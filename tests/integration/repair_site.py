"""The notebooks' own cells, run in this process: the whole repair without kernels, and what the lab saw of it."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runbook_lib import paths
from runbook_lib.errors import RunbookError
from runbook_lib.lab import Lab
from runbook_lib.models import Stage
from runbook_lib.notebook.runbook import LAST_STAGE
from runbook_lib.record.incident import Record, find_open

StartLab = Callable[..., Lab]

DELETE = "ncs certvalidation tofu-certs deletecert host "
QUICK = {"monitor_interval_s": 1.0, "registration_s": 0.5, "keys": "ec"}


def run_stage(stage: Stage, site: Path, incident: str = "", *, past_red: bool = False, **parameters: str) -> Any:
    """Run one notebook's code cells in order, as a person would, and return its ``rb``; a cell's error is raised.

    ``past_red``: it is not, and the cells after it are run as well, if the stage was opened at all; else returns None.
    """
    notebook = json.loads((paths.notebooks_dir() / f"{stage}.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {"display": print}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code" or ("rb." in "".join(cell["source"]) and "rb" not in names):
            continue
        with suppress(RunbookError) if past_red else nullcontext():
            _run_cell("".join(cell["source"]), names)
        if "parameters" in cell["metadata"].get("tags", []):
            names |= {"site": str(site), "incident": incident, **parameters}
    return names.get("rb")


def _run_cell(source: str, names: dict[str, Any]) -> None:
    """Run a cell; its last expression is shown as Jupyter shows it, so that a view which cannot be shown fails."""
    tree = ast.parse(source)
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if isinstance(shown, ast.Expr):
        value = eval(compile(ast.Expression(shown.value), "<cell>", "eval"), names)
        assert value is None or value._repr_html_()


def repair(site: Path, stages: Iterable[Stage] = Stage) -> Record:
    """Run the stages in the site's open incident, or in a new one, and return its record.

    They work over the same connections, as in the one kernel of a run.
    """
    incident, each = "", tuple(stages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LAST_STAGE, os.environ.get(LAST_STAGE, each[-1]))
        for stage in each:
            incident = run_stage(stage, site, incident).incident
    return Record.open(paths.records_dir(), incident)


def open_record(site: str = "lab") -> Record:
    """The record of the site's open incident."""
    incident = find_open(paths.records_dir(), site)
    assert incident
    return Record.open(paths.records_dir(), incident)


def contacts(lab: Lab) -> list[dict[str, Any]]:
    """What arrived at the servers from elsewhere, as the lab's own log has it.

    Left out is what they do among themselves: a connection that they began before may end whenever it likes.
    """
    own = {about["address"] for about in lab.world["servers"].values()}
    lines = [line for line in lab.truth() if line["channel"] != "world"]
    return [line for line in lines if line["from"].rpartition(":")[0] not in own]


def changes(truth: Iterable[dict[str, Any]]) -> SimpleNamespace:
    """What a lab's own log says was changed, from the lines that tell of an effect.

    ``deleted``: (server, entry); ``registered``: how each registration ended; ``removed``: on which server each
    removal of high availability arrived; ``ise``: what was done to the list of ISE servers; ``sent``: the number of
    deletecert commands that arrived; ``nothing``: whether none of it was.
    """
    lines = list(truth)
    arrived = [line for line in lines if line["channel"] == "ssh" and "effect" not in line]
    took_effect = [line for line in lines if line.get("effect")]
    # Where the server asks first, what takes effect is the answer to its question.
    deletes = [line for line in took_effect if line["effect"].startswith("deleted ")]
    deleted = [(line["server"], line["effect"].removeprefix("deleted ")) for line in deletes]
    registered = [line["effect"] for line in took_effect if line["what"].startswith("HA registration")]
    ise = [line["what"] for line in took_effect if line["channel"] == "world" and " ISE " in line["what"]]
    sent = sum(line["what"].startswith(DELETE) for line in arrived)
    removed = [line["server"] for line in arrived if line["what"].startswith("ncs ha remove")]
    other = [line["what"] for line in arrived if line["what"].startswith("ncs ha authkey")]
    return SimpleNamespace(
        deleted=deleted,
        registered=registered,
        removed=removed,
        ise=ise,
        sent=sent,
        nothing=not (sent or deleted or registered or removed or ise or other),
    )
