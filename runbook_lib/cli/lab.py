"""``runbook lab``: the embedded lab as people and scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runbook_lib import lab, places
from runbook_lib.cli.running import out
from runbook_lib.errors import ParameterRefused
from runbook_lib.views import Row, Table, View


@contextmanager
def lab_errors() -> Iterator[None]:
    """The lab's errors as the command line's."""
    try:
        yield
    except lab.LabError as error:
        raise ParameterRefused(str(error), where=str(places.lab_dir())) from None


def up_command(scenario: str, monitor_interval_s: float, skin: str) -> None:
    """Start the lab and say where its site's file is."""
    options: dict[str, Any] = {"scenario": scenario, "monitor_interval_s": monitor_interval_s}
    if skin:
        options["skin"] = skin
    with lab_errors():
        state = lab.up(places.lab_dir(), lab.LabOptions(**options))
    out(status_view(state).text())
    out(f"site: {places.lab_dir() / 'site.yaml'}")


def status_command(*, as_json: bool) -> None:
    """Show the lab's state."""
    with lab_errors():
        state = lab.status(places.lab_dir())
    out(json.dumps(state, indent=2) if as_json else status_view(state).text())


def down_command() -> None:
    """End the lab."""
    with lab_errors():
        lab.down(places.lab_dir())
    out("The lab is down.")


def renew_command(who: str) -> None:
    """Renew one server's certificate."""
    with lab_errors():
        state = lab.renew(places.lab_dir(), who)
    out(status_view(state).text())


def status_view(state: dict[str, Any]) -> View[dict[str, Any]]:
    """Return the lab's state as a table: any server, any key of it."""
    servers = state["servers"]
    rows = tuple(
        Row(cells=(name, *(str(server.get(key, "-")) for key in ("address", "ha_state", "presented_sha256"))))
        for name, server in servers.items()
    )
    table = Table(
        title=f"Lab, scenario {state['scenario']}, process {state['pid']}",
        headers=("server", "address", "HA", "presents (SHA-256)"),
        rows=rows,
    )
    return View(state, (table,))


def jupyter_command() -> int:
    """Start the lab where it is not up, and JupyterLab on 00_start_here; ends when JupyterLab does."""
    from runbook_lib.session import open_site

    open_site("lab")
    command = [sys.executable, "-m", "jupyter", "lab", f"--notebook-dir={places.project_root()}"]
    command += ["--ServerApp.ip=127.0.0.1", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return subprocess.call(command)  # noqa: S603 - every word of it stands above
