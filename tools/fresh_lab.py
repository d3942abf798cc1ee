"""Run one command with a lab of its own, in which the incident has just happened, and folders of its own.

``python tools/fresh_lab.py pytest --nbval-lax notebooks``. Records, keys and lab are gone afterwards; the exit code is
the command's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from runbook_lib import lab

# The folder's name begins so; tests/reference/sanitize.cfg knows it.
PREFIX = "runbook-fresh-"
# Monitors that connect only while HA is registered: what a notebook shows does not hang on when it looks.
OPTIONS = {"monitor_style": "on_registration", "monitor_interval_s": 0.5, "registration_s": 1.0}


@contextmanager
def fresh_lab(scenario: str = "renewed") -> Iterator[Mapping[str, str]]:
    """Start a lab and yield the environment that leads to it; end it and remove its folder afterwards."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        where = Path(folder) / "lab"
        lab.up(where, lab.LabOptions.from_dict({"scenario": scenario, **OPTIONS}))
        try:
            ours = {"RUNBOOK_LAB_DIR": "lab", "RUNBOOK_RECORDS": "records", "RUNBOOK_KEY_DIR": "keys"}
            yield os.environ | {variable: str(Path(folder) / name) for variable, name in ours.items()}
        finally:
            lab.down(where)


def main(command: Sequence[str]) -> int:
    """Run the command in a fresh lab and return its exit code."""
    with fresh_lab() as environment:
        return subprocess.call([*command], env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
