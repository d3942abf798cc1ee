"""``runbook demo``: the incident, its repair, and what the lab itself saw of it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from runbook_lib import lab, places
from runbook_lib.cli.lab import lab_errors, status_view
from runbook_lib.cli.running import out, run_and_tell
from runbook_lib.logs import diagnose_sources
from runbook_lib.models import Diagnosis, Outcome
from runbook_lib.params import Site, load_site
from runbook_lib.record import Record
from runbook_lib.views import Row, Table, View, show

REGISTER = "register"


def demo_command(skin: str) -> int:
    """Run the demonstration in a lab of its own and return the exit code of the repair."""
    folder = places.lab_dir() / "demo"
    options: dict[str, Any] = {"scenario": "renewed", "monitor_interval_s": 1.0}
    if skin:
        options["skin"] = skin
    with lab_errors():
        if lab.is_up(folder):
            lab.down(folder)
        shutil.rmtree(folder, ignore_errors=True)
        state = lab.up(folder, lab.LabOptions.from_dict(options))
        try:
            return _repair(folder, state)
        finally:
            lab.down(folder)


def _repair(folder: Path, state: dict[str, Any]) -> int:
    site = load_site(folder / "site.yaml")
    out("A lab is up: a simulated primary, secondary and ISE server on this machine. All three got new certificates.\n")
    out(status_view(state).text())
    out("High availability is not configured, the ISE server is not integrated, and the logs say why:\n")
    out(show.diagnosis(_wait_for_mismatches(site)).text())
    record = Record.create(places.records_dir(), site.name, what="runbook demo")
    code = run_and_tell(site, str(folder / "site.yaml"), record)
    out("What the lab itself saw arrive (its own log, not ours):\n")
    out(witness(lab.read_truth(folder / "truth.jsonl")).text())
    out(status_view(lab.status(folder)).text())
    out(f"outcome: {record.outcome()}\nrecord:  {record.folder}")
    return code if record.outcome() is Outcome.REPAIRED or code else 1


def _wait_for_mismatches(site: Site, *, at_least: int = 3, limit_s: float = 30.0) -> Diagnosis:
    """Read the lab's logs until its monitors have reported every mismatch once."""
    sources = {"primary": list(site.primary.logs), "secondary": list(site.secondary.logs)}
    end = time.monotonic() + limit_s
    while True:
        found = diagnose_sources(sources)
        if len(found.mismatches) >= at_least or time.monotonic() > end:
            return found
        time.sleep(0.2)


def witness(lines: list[dict[str, Any]]) -> View[list[dict[str, Any]]]:
    """Return the changes in the lab's own log."""
    changes = [line for line in lines if is_change(line)]
    table = Table(
        title="Changes that arrived at the lab",
        headers=("UTC", "server", "channel", "from", "what"),
        rows=tuple(
            Row(cells=tuple(str(line.get(key, "")) for key in ("utc", "server", "channel", "from", "what")))
            for line in changes
        ),
        empty="none",
    )
    return View(changes, (table,))


def is_change(line: dict[str, Any]) -> bool:
    """Whether a line of the lab's log is a change that somebody asked for."""
    what = str(line["what"])
    return "deletecert" in what or what.startswith(("POST", "register", "add", "remove"))
