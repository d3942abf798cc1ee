"""Which of the three places reports a mismatch, of whom, since when. Reads log files; contacts nothing."""

from __future__ import annotations

import time
from pathlib import Path

from runbook_lib.logs import RULES, diagnose_sources
from runbook_lib.logs.site_rules import load_rules
from runbook_lib.logs.sizes import size_to_read
from runbook_lib.models import Diagnosis, Stage
from runbook_lib.params import Site
from runbook_lib.steps.context import Context
from runbook_lib.steps.excerpts import keep_excerpts
from runbook_lib.steps.progress import Tell, say_nothing

FACTS = "diagnosis"
TELL_EVERY_S = 1.0


def diagnose(context: Context) -> Diagnosis:
    """Read the logs that the site's file names and keep what they say in the record.

    Raises UsageError where a named file or folder is not there.
    """
    diagnosis = read_logs(context)
    context.record.write_facts(Stage.DIAGNOSE, FACTS, diagnosis)
    keep_excerpts(context.record, context.site, diagnosis)
    return diagnosis


def read_logs(context: Context) -> Diagnosis:
    """Read the logs and keep nothing: for a step that compares them with an earlier reading."""
    return read_site_logs(context.site, context.tell)


def read_site_logs(site: Site, say: Tell = say_nothing) -> Diagnosis:
    """The same without an incident, telling ``say`` how far it is."""
    servers = {"primary": site.primary, "secondary": site.secondary}
    sources = {key: server.logs for key, server in servers.items()}
    zones = {key: server.log_zone for key, server in servers.items() if server.log_zone}
    say("Reading the logs")
    rules = (*RULES, *load_rules(site.rules)) if site.rules else RULES
    told_at = time.monotonic()
    total = size_to_read([path for paths in sources.values() for path in paths])

    def tell(name: str, size: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            share = min(size / total, 1.0) if total else None
            say(f"Reading the logs: {size >> 20:,} MB so far, now {Path(name).name}", share, steady=True)

    return diagnose_sources(sources, zones=zones, rules=rules, known={"site": site.name}, progress=tell)


def recorded_diagnosis(context: Context) -> Diagnosis:
    """Return what stage 10 left in the record; raises StageOutOfOrder where it has not run."""
    return context.record.read_facts(Stage.DIAGNOSE, FACTS, Diagnosis)
