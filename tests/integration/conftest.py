"""A lab for a repair, and a records folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from repair_site import QUICK, StartLab

from runbook_lib.lab import Lab


@pytest.fixture
def start_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartLab]:
    """``start_lab(scenario, **options)``: a lab with short intervals that ends with the test; records beside it."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    with ExitStack() as labs:

        def start(scenario: str, **options: Any) -> Lab:
            folder = tmp_path / f"lab{len(list(tmp_path.glob('lab*')))}"
            return labs.enter_context(Lab(folder, scenario=scenario, **(QUICK | options)))

        yield start
