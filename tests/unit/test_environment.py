"""What child processes get of the environment: what is named, so that a secret goes only where it is needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fleet_kit import fleet_file, inline, task
from report_kit import whole_record

from runbook_lib.batch import dask, local, runner
from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.local import LocalExecutor
from runbook_lib.batch.rollout import ClusterOptions
from runbook_lib.batch.runner import kernel_environment
from runbook_lib.cli.fleet import _executor
from runbook_lib.lab import daemon
from runbook_lib.models import Stage
from runbook_lib.notebook.engine import NotebookResult
from runbook_lib.paths import project_root
from runbook_lib.processes import SETTINGS, environment_with, plain_environment
from runbook_lib.secrets import SecretRef

OWN, OTHER, NAMED_LIKE_OURS = "PI_PASSWORD", "AWS_SECRET_ACCESS_KEY", "RUNBOOK_PASSWORD"

OPTIONS = ClusterOptions(workers=0)
"""As for a fleet whose sites run in this process."""


@pytest.fixture(autouse=True)
def _three_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (OWN, OTHER, NAMED_LIKE_OURS):
        monkeypatch.setenv(name, "secret-of-" + name)
    monkeypatch.setenv("RUNBOOK_RECORDS", "records")


def test_a_program_gets_no_secret_and_no_setting() -> None:
    """The browser and its driver get where things are, who this is and in which language; nothing else."""
    found = plain_environment()
    assert {"PATH", "HOME"} <= found.keys()
    assert not {name for name in found if name.startswith("RUNBOOK_") or "secret-of" in found[name]}


def test_a_kernel_gets_the_secrets_of_its_site_alone() -> None:
    """Of all secrets that stand in the environment a stage gets those that its site's file names."""
    found = kernel_environment([SecretRef.parse(f"env:{OWN}"), SecretRef.parse(f"prompt:{OTHER}")])
    assert {name for name in found if "secret-of" in found[name]} == {OWN}
    assert found["RUNBOOK_RECORDS"] == "records"


def test_a_worker_of_a_fleet_gets_the_secrets_of_its_fleet_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sites of the fleet's file refer to, and no other secret; the warm process that it asks gets no more."""
    given: list[Mapping[str, str]] = []

    async def start(environment: Mapping[str, str], *_: object) -> SimpleNamespace:
        given.append(environment)
        return SimpleNamespace(halt=lambda: None)

    def warm(environment: Mapping[str, str]) -> AbstractContextManager[SimpleNamespace]:
        given.append(environment)
        return nullcontext(SimpleNamespace(descriptor=lambda: None))

    monkeypatch.setattr(local, "WarmKernels", warm)
    monkeypatch.setattr(local._Process, "start", start)
    fleet = load_fleet(fleet_file(tmp_path, [inline(1), inline(2, ha={"auth_key": f"env:{OWN}"})]))
    round_ = cast(Any, SimpleNamespace(root=tmp_path, incident="a-round"))
    executor = cast(LocalExecutor, _executor(fleet, round_, OPTIONS)())
    asyncio.run(executor._start(task(2, until=Stage.DIAGNOSE)))
    assert [{name for name in env if "secret-of" in env[name]} for env in given] == [{OWN}, {OWN}]
    assert [env["RUNBOOK_RECORDS"] for env in given] == ["/nowhere", "/nowhere"]


def test_a_local_cluster_is_told_which_secrets_are_its_fleets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes keep those: see ``test_fleet_cluster_closed``."""
    told: list[object] = []

    def connect(_: object, known: list[SecretRef]) -> None:
        told.extend(str(each) for each in known if each.scheme == "env" and each.locator == OWN)
        raise KeyboardInterrupt

    monkeypatch.setattr(dask, "connect", connect)
    fleet = load_fleet(fleet_file(tmp_path, [inline(1), inline(2, ha={"auth_key": f"env:{OWN}"})]))
    with pytest.raises(KeyboardInterrupt):
        _executor(fleet, cast(Any, None), replace(OPTIONS, workers=2))
    assert told == [f"env:{OWN}"]


def test_what_is_not_set_stays_so() -> None:
    """A name that leads nowhere is no variable."""
    assert "NO_SUCH_VARIABLE" not in environment_with(["NO_SUCH_VARIABLE"])


def test_a_lab_gets_no_secret() -> None:
    """A daemon that lives on after the command keeps none of them."""
    assert not [value for value in daemon._environment().values() if "secret-of" in value]


def test_every_setting_of_ours_is_named() -> None:
    """A variable that the library reads reaches its kernels."""
    read = set()
    for path in (project_root() / "runbook_lib").rglob("*.py"):
        read |= set(re.findall(r'"(RUNBOOK_[A-Z_]+)"', Path(path).read_text(encoding="utf-8")))
    assert read <= SETTINGS


def test_each_stage_runs_in_that_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the runner hands to a stage's kernel is what is named, whatever stands in its own environment."""
    given: list[Mapping[str, str]] = []

    def execute(*_: object, env: Mapping[str, str], **__: object) -> NotebookResult:
        given.append(env)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "execute", execute)
    record, listener = whole_record(tmp_path), SimpleNamespace(stage_started=lambda stage: None)
    secrets = (SecretRef.parse(f"env:{OWN}"),)
    run = runner._Run(site="lab", record=record, listener=cast(Any, listener), given={}, secrets=secrets)
    with pytest.raises(KeyboardInterrupt):
        runner._run_each(run, Stage.START)
    assert [{name for name in env if "secret-of" in env[name]} for env in given] == [{OWN}]
