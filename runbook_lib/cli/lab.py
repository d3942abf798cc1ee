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
    """Return the lab's state as tables: the servers, and every entry beside what its host presents now."""
    servers = state["servers"]
    hosts = Table(
        title=f"Lab, scenario {state['options']['scenario']}, process {state['pid']}",
        headers=("server", "address", "ports", "HA", "presents (SHA-256)"),
        rows=tuple(
            Row(
                cells=(
                    name,
                    server["address"],
                    ", ".join(f"{use} {port}" for use, port in server["ports"].items()),
                    server.get("ha_state", "-"),
                    server["presents_sha256"][:16] + "…",
                )
            )
            for name, server in servers.items()
        ),
        note="ISE servers in the primary's list: "
        + (", ".join(f"{row['address']} {row['status']}" for row in state["ise_servers"]) or "none"),
    )
    shown = {
        f"{server['address']}_{port}": server["presents_sha256"]
        for server in servers.values()
        for port in server["ports"].values()
    }
    trust = Table(
        title="Who trusts whom",
        headers=("server", "entry", "pinned (SHA-256)", "is what the host presents"),
        rows=tuple(
            _trust_row(name, key, entry["sha256"], shown.get(key, ""))
            for name, server in servers.items()
            for key, entry in server.get("tofu", {}).items()
        ),
    )
    return View(state, (hosts, trust))


def _trust_row(server: str, key: str, pinned: str, presented: str) -> Row:
    word = "own entry" if not presented else "yes" if pinned == presented else "no: stale"
    mark = "" if not presented else "good" if pinned == presented else "bad"
    return Row(cells=(server, key, pinned[:16] + "…", word), mark=mark)


def jupyter_command() -> int:
    """Start the lab where it is not up, and JupyterLab on 00_start_here; ends when JupyterLab does."""
    from runbook_lib.session import open_site

    open_site("lab")
    command = [sys.executable, "-m", "jupyter", "lab", f"--notebook-dir={places.project_root()}"]
    command += ["--ServerApp.ip=127.0.0.1", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return subprocess.call(command)  # noqa: S603 - every word of it stands above
