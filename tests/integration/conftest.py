"""A lab for a repair, and a records folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import browser_kit
import cli_runs
import pytest
from cli_runs import Commands
from fault_site import FAULTY, Begin, Case
from repair_site import QUICK, StartLab
from ssh_fakes import PASSWORD, PASSWORD_REF

from runbook_lib import secrets
from runbook_lib.lab import Lab
from runbook_lib.redactor import Redactor


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of other tests' labs: whatever is written would be searched for each of them."""
    monkeypatch.setattr(secrets, "REDACTOR", Redactor())


@pytest.fixture(autouse=True)
def _password_of_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_REF.locator, PASSWORD)


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """The command line, run in forks of one process."""
    with Commands(tmp_path) as commands:
        yield commands


@pytest.fixture
def one_browser() -> Iterator[None]:
    """The pages are worked in one browser of this process: starting one takes longer than most tests with pages."""
    with browser_kit.one_browser():
        yield


@pytest.fixture(scope="session", autouse=True)
def _what_is_kept_ends() -> Iterator[None]:
    yield
    browser_kit.end_browser()
    cli_runs.end_forks()


@pytest.fixture
def start_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartLab]:
    """``start_lab(scenario, **options)``: a lab with short intervals that ends with the test; records beside it.

    Locks too are the test's own: one before it may have left one behind, of a site with the same name.
    """
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir(mode=0o700)
    with ExitStack() as labs:

        def start(scenario: str, **options: Any) -> Lab:
            folder = tmp_path / f"lab{len(list(tmp_path.glob('lab*')))}"
            return labs.enter_context(Lab(folder, scenario=scenario, **(QUICK | options)))

        yield start


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """``begin(lab, edit)``: an incident with a records folder and a site file of its own."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    return Case


@pytest.fixture
def faulty(start_lab: StartLab) -> StartLab:
    """``faulty(scenario, **options)``: a lab for tests in which something is changed."""
    return lambda scenario, **options: start_lab(scenario, **(FAULTY | options))


@pytest.fixture(scope="module")
def _shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("stale"), scenario="renewed", **FAULTY) as lab:
        yield lab


@pytest.fixture
def stale(_shared_lab: Lab) -> Iterator[Lab]:
    """A renewed site for tests in which nothing is changed; their faults end with them."""
    yield _shared_lab
    _shared_lab.clear_fault()
