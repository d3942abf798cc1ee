"""A lab in a process of its own, as notebooks find it, and the environment that leads to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from quick_module import quick_module

from runbook_lib import lab

# Monitors that connect only while HA is registered, and quickly then.
QUICK = {"keys": "ec", "monitor_style": "on_registration", "monitor_interval_s": 1.0, "registration_s": 0.5}


@contextmanager
def lab_process(folder: Path, scenario: str) -> Iterator[Mapping[str, str]]:
    """Start a lab under ``folder``, yield the environment for notebooks and commands, and end it."""
    where = folder / "lab"
    lab.up(where, lab.LabOptions.from_dict({"scenario": scenario, **QUICK}))
    try:
        yield os.environ | {"RUNBOOK_LAB_DIR": str(where), "RUNBOOK_RECORDS": str(folder / "records")}
    finally:
        lab.down(where)


def run(*command: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a module of this interpreter to its end and return what it said."""
    return subprocess.run(quick_module(*command), cwd=cwd, env=dict(env), capture_output=True, text=True, check=False)
