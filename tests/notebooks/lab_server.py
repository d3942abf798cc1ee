"""``runbook lab jupyter`` in a checkout of its own, whose folder of site files is as empty as on the first day."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_until

from runbook_lib.paths import project_root

COMMAND = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever started the tests
sys.argv = ["runbook", "lab", "jupyter"]
from runbook_lib.cli import main
main()
"""
# Quick monitors, and a registration that can be watched for a moment.
LAB_YAML = """\
kind: lab
lab:
  monitor_interval_s: 1.0
  registration_s: 15
"""
UNNAMED = "AWS_SECRET_ACCESS_KEY"
"""A variable in JupyterLab's environment that no site's file names."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running JupyterLab: its process, its address and token, the checkout, and what is beside it."""

    process: subprocess.Popen[bytes]
    base: str
    token: str
    checkout: Path
    lab: Path
    records: Path
    said: Path
    env: Mapping[str, str]


def make_checkout(folder: Path) -> Path:
    """Copy what a checkout needs to run, with no site but the lab's in ``params``."""
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("runbook_lib", "notebooks", "docs"):
        shutil.copytree(project_root() / name, folder / name, ignore=ignore)
    (folder / "params").mkdir()
    (folder / "params" / "lab.yaml").write_text(LAB_YAML)
    return folder


def environment(checkout: Path, folder: Path) -> dict[str, str]:
    """Everything of JupyterLab's and ours in one folder, the checkout's own code, and no display."""
    ours = {"RUNBOOK_LAB_DIR": "lab", "RUNBOOK_KEY_DIR": "keys", "IPYTHONDIR": "ipython"}
    theirs = {f"JUPYTER_{name}_DIR": name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    lab_s = {f"JUPYTERLAB_{name}_DIR": name.lower() for name in ("SETTINGS", "WORKSPACES")}
    unset = ("DISPLAY", "WAYLAND_DISPLAY", "RUNBOOK_RECORDS", "RUNBOOK_OPERATOR", "RUNBOOK_LANG")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    folders = {name: str(folder / value) for name, value in (ours | theirs | lab_s).items()}
    more = {"PYTHONPATH": str(checkout), "RUNBOOK_OPERATOR": "ada@night", UNNAMED: "not for a kernel"}
    # Two that begin at once find the same port free; the system gives each its own.
    return kept | folders | more | {"JUPYTER_PORT": "0"}


@contextmanager
def jupyter_server(folder: Path) -> Iterator[Server]:
    """Start the command and yield it once it has said its address; end it, and all that it started."""
    checkout = make_checkout(folder / "checkout")
    env = environment(checkout, folder)
    said, log = folder / "said", folder / "jupyter.log"
    with said.open("w") as output, log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            cwd=checkout,
            env=env,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    try:
        base, token = _address(process, log)
        yield Server(
            process=process,
            base=base,
            token=token,
            checkout=checkout,
            lab=folder / "lab",
            records=checkout / "records",
            said=said,
            env=env,
        )
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    """Wait until the command has said its address, and return it and the token."""

    def said() -> re.Match[str] | None:
        found = re.search(r"(http://\S+?)/lab\S*\?token=(\w{32,})", log.read_text())
        assert found or process.poll() is None, log.read_text()
        return found

    found = wait_until(said, "the address of JupyterLab")
    assert found
    return found[1], found[2]
