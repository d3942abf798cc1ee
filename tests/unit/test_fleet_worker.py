"""What runs one site after the other."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from runbook_lib import secrets
from runbook_lib.batch import site_run
from runbook_lib.batch.site_run import SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.models import Stage
from runbook_lib.redactor import Redactor


def test_a_worker_knows_the_secrets_of_one_site_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When a site has ended its secrets are forgotten: the next begins knowing none. Who hears of it never knew any."""
    monkeypatch.setattr(secrets, "REDACTOR", Redactor())
    monkeypatch.setenv("RUNBOOK_LOCK_TOKEN", "")
    known: list[tuple[tuple[str, str], ...]] = []

    def run(task: SiteTask, tell: Callable[[SiteEvent], None], halted: Callable[[], bool]) -> SiteResult:
        known.append(secrets.REDACTOR.known())
        secrets.REDACTOR.know(f"env:{task.site}", f"password of {task.site}")
        if task.site == "b":
            raise SystemExit
        why = f"it said: password of {task.site}"
        return SiteResult(site=task.site, incident=task.incident, state=SiteState.DONE, why=why)

    monkeypatch.setattr(site_run, "run_site", run)
    told = io.StringIO()
    ours, theirs = os.pipe()
    with os.fdopen(ours) as source, os.fdopen(theirs, "w") as tasks:
        for name in ("a", "b"):
            task = SiteTask(site=name, site_file="", incident="x", approve="", until=Stage.LIST, records=str(tmp_path))
            tasks.write(json.dumps(asdict(task)) + "\n")
        tasks.flush()
        with pytest.raises(SystemExit):
            site_run.Worker(source, told).serve()
        tasks.close()  # after the site has ended; before, it would end this process
        for thread in threading.enumerate():
            if thread.name == "tasks":
                thread.join()
    results = [json.loads(line)["result"] for line in told.getvalue().splitlines()]
    assert [result["site"] for result in results] == ["a", "b"]
    assert results[0]["why"] == "it said: [secret env:a]"
    assert known == [(), ()]
