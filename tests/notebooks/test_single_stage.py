"""A stage run alone: by plain papermill, by our engine, out of order, on a site that needs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from lab_runs import lab_process, run

from runbook_lib.paths import notebooks_dir


@pytest.fixture(scope="module")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A lab in which the incident has happened; the tests here only look at it."""
    with lab_process(tmp_path_factory.mktemp("renewed"), "renewed") as env:
        yield env


def papermill(stage: str, folder: Path, env: Mapping[str, str], *options: str) -> Any:
    """Run one notebook as the papermill command does, from ``folder``; returns exit code, errors, HTML by cell."""
    output = folder / f"{stage}.ipynb"
    template = str(notebooks_dir() / f"{stage}.ipynb")
    done = run("papermill", template, str(output), "--no-progress-bar", *options, cwd=folder, env=env)
    cells = [cell for cell in nbformat.read(output, as_version=4).cells if cell.cell_type == "code"]
    outputs = [(cell.id, output) for cell in cells for output in cell.outputs]
    return SimpleNamespace(
        code=done.returncode,
        said=done.stderr,
        errors=[output for _, output in outputs if output.output_type == "error"],
        html={ident: output.data["text/html"] for ident, output in outputs if output.get("data")},
    )


def journal(env: Mapping[str, str]) -> list[str]:
    """Return the kinds of all lines of all journals, oldest first."""
    lines = [path.read_text().splitlines() for path in sorted(Path(env["RUNBOOK_RECORDS"]).rglob("journal*"))]
    return [json.loads(line)["kind"] for journal_lines in lines for line in journal_lines]


def test_plain_papermill_diagnoses_and_plans_from_any_folder(tmp_path: Path, renewed: Mapping[str, str]) -> None:
    """Stages 10 and 20 run under papermill without anything of ours; the kernel's folder is the caller's."""
    ten = papermill("10_diagnose_logs", tmp_path, renewed, "-p", "site", "lab")
    twenty = papermill("20_list_certificates", tmp_path, renewed, "-p", "site", "lab")
    assert (ten.code, ten.errors, twenty.code, twenty.errors) == (0, [], 0, []), ten.said + twenty.said
    assert ten.html["diagnose"].split("</table>")[0].count('<tr class="bad">') == 3
    assert twenty.html["plan"].count("would delete") == 3


def test_our_engine_runs_it_from_the_same_command(tmp_path: Path, renewed: Mapping[str, str]) -> None:
    """``papermill --engine runbook`` does the same and refuses a parameter that the notebook does not take."""
    good = papermill("10_diagnose_logs", tmp_path, renewed, "--engine", "runbook", "-p", "site", "lab")
    assert (good.code, good.errors) == (0, []), good.said
    template, output = notebooks_dir() / "10_diagnose_logs.ipynb", tmp_path / "refused.ipynb"
    bad = run(
        *("papermill", str(template), str(output), "--engine", "runbook", "-p", "sit", "lab"), cwd=tmp_path, env=renewed
    )
    assert bad.returncode != 0
    assert "`sit` is unknown" in bad.stderr


def test_a_deletion_without_a_plan_is_red_with_advice(tmp_path: Path, renewed: Mapping[str, str]) -> None:
    """Stage 30 alone stops at its first look: the error's name and text are stored, and advice is shown, no stack."""
    env = {**renewed, "RUNBOOK_RECORDS": str(tmp_path / "records")}
    alone = papermill("30_delete_stale_certificates", tmp_path, env, "-p", "site", "lab")
    assert alone.code != 0
    [error] = alone.errors
    assert error.ename == "StageOutOfOrder"
    assert "20_list_certificates" in error.evalue
    assert "\n".join(error.traceback) == f"StageOutOfOrder: {error.evalue}"
    assert "intent" not in journal(env)


def test_a_healthy_site_verifies_as_it_is(tmp_path: Path) -> None:
    """Stage 60 alone on a healthy site ends with `nothing_to_do`, and changes nothing."""
    with lab_process(tmp_path, "healthy") as env:
        alone = papermill("60_verify", tmp_path, env, "-p", "site", "lab")
        assert (alone.code, alone.errors) == (0, []), alone.said
        assert "nothing_to_do" in alone.html["outcome"]
        assert "intent" not in journal(env)
