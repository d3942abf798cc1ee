"""One lab per scenario where tests only look; tests that change something start one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from left_open import nothing_left_open  # noqa: F401 (for every file)

from runbook_lib.lab import Lab


class StartLab(Protocol):
    def __call__(self, scenario: str, **options: Any) -> Lab: ...


@pytest.fixture
def start_lab(tmp_path: Path) -> Iterator[StartLab]:
    """Start a lab with short intervals that ends with the test."""
    with ExitStack() as labs:

        def start(scenario: str, **options: Any) -> Lab:
            given = {"keys": "ec", "monitor_interval_s": 0.2, "registration_s": 0.3} | options
            return labs.enter_context(Lab(tmp_path / f"lab{len(list(tmp_path.iterdir()))}", scenario=scenario, **given))

        yield start


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A healthy site that must be left as it is."""
    with Lab(tmp_path_factory.mktemp("healthy"), scenario="healthy", keys="ec", monitor_interval_s=1.0) as lab:
        yield lab
