"""What is planned, as the terminal shows it: ``runbook plan``, and what ``run`` and ``approve`` show of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from runbook_lib import places
from runbook_lib.cli.terminal import out, out_lines
from runbook_lib.errors import StageOutOfOrder
from runbook_lib.models import Plan
from runbook_lib.params import load_site_or_lab
from runbook_lib.record import Record, find_open, list_records
from runbook_lib.record.bundle import INCIDENT
from runbook_lib.record.facts import to_json_value
from runbook_lib.session.choice import DEFAULT_SITE
from runbook_lib.session.nexts import next_run
from runbook_lib.steps.ways_out import ways_out_of
from runbook_lib.views import Row, Table, View, deletion
from runbook_lib.views.rows import BAD


def plan_command(which: str, *, as_json: bool) -> None:
    """Print the newest plan of an incident, or of a site's open incident, else of its newest."""
    record = record_of(which)
    plan = record.read_plan()
    if as_json:
        out_lines(json.dumps(as_value(record, plan), indent=2))
        return
    show_plan(record, plan)


def record_of(which: str) -> Record:
    """Return the record of an incident, or of a site's open incident, else of its newest; contacts nothing.

    Raises ParameterRefused for an incident that is not there, SiteFileInvalid for a site that is none, StageOutOfOrder
    where the site has no incident yet.
    """
    root = places.records_dir()
    if INCIDENT.fullmatch(which):
        return Record.open(root, which)
    site = getattr(load_site_or_lab(which), "name", DEFAULT_SITE)
    newest = (each.incident for each in list_records(root, site) if not each.problem)
    incident = find_open(root, site) or next(newest, "")
    if not incident:
        raise StageOutOfOrder(
            f"Site {site} has no incident yet, so no plan",
            next_step=f"make one: {shlex.join(('runbook', 'run', which, '--dry-run'))}",
        )
    return Record.open(root, incident)


def as_value(record: Record, plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON can say it, with who has approved it."""
    given = [each for each in record.read_approvals() if each.digest == plan.digest]
    return {**to_json_value(plan), "approvals": to_json_value(given)}


def show_plan(record: Record, plan: Plan) -> None:
    """Print a plan: what it changes and why, what blocks it, who approved it, and what comes next."""
    out_lines(deletion.plan(plan, ways_out_of(record, plan)).text())
    out(f"incident: {plan.incident}")
    out(f"plan:     {plan.digest}")
    out(f"approved: {approved_by(record, plan)}")
    out()
    out(f"Next: {next_of(record, plan)}")


def approved_by(record: Record, plan: Plan) -> str:
    """Return in words who has approved this plan, by its own digest."""
    names = [each.by for each in record.read_approvals() if each.digest == plan.digest]
    if names:
        return "by " + " and by ".join(dict.fromkeys(names))
    if plan.blocked:
        return "no; it is blocked, and cannot be"
    return "not yet" if plan.needs_approval else "it needs none as things stand"


def next_of(record: Record, plan: Plan) -> str:
    """Return the command that comes next for a plan."""
    if plan.blocked:
        return f"settle what blocks it, then {next_run(record)} makes a new plan"
    if plan.needs_approval and not any(each.digest == plan.digest for each in record.read_approvals()):
        return f"runbook approve {plan.incident} {plan.digest} --by NAME"
    return next_run(record)


def would(plan: Plan, *, lab: bool) -> View[Plan]:
    """Return what a run would do with a plan, in order, for ``--dry-run``; the ``lab`` approves its plan itself."""
    rows = tuple(_steps(plan, lab=lab))
    return View(plan, (Table(title="What a run would do", headers=("what", "when"), rows=rows, whole=("what",)),))


def _steps(plan: Plan, *, lab: bool) -> Iterator[Row]:
    if plan.blocked:
        yield Row(cells=("stop in stage 30 with exit code 3", "at once: the plan is blocked"), mark=BAD)
        return
    if plan.needs_approval and lab:
        yield Row(cells=("approve this plan", "at once: the site is the lab"))
    elif plan.needs_approval:
        yield Row(cells=("stop in stage 30 with exit code 3, for the approval", "until somebody approves this plan"))
    for row in plan.deletions:
        yield Row(cells=(f"{row.server}: {row.command}", "then"))
    for change in plan.changes:
        when = "then: it is needed as things stand" if change.expected else change.condition
        yield Row(cells=(f"{change.server}: {change.kind} ({change.target})", when))
    yield Row(cells=("verify the site, and write the post-mortem", "at the end"))
