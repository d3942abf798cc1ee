"""``runbook plan``, ``status``, ``approve``, ``unlock``: what is looked at and decided between two runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from runbook_lib import errors, paths
from runbook_lib.cli.records import print_reading, print_sites
from runbook_lib.cli.terminal import answer_to, can_ask, out, out_lines, prose
from runbook_lib.decisions import Override, Plan
from runbook_lib.device.prime import identities
from runbook_lib.i18n.language import count, stamp
from runbook_lib.models import PastIncident, Stage, StageState
from runbook_lib.notebook.workspace import newest_incident, next_run
from runbook_lib.params.load import load_site_or_lab
from runbook_lib.params.model import Site
from runbook_lib.params.values import canonical_sha256
from runbook_lib.processes import operator
from runbook_lib.record.files import to_json_value
from runbook_lib.record.history import incident_that_counts, past_incidents
from runbook_lib.record.incident import INCIDENT, Record, find_open
from runbook_lib.record.lock import Holder, free_stale, holder_of, holders_by_incident, is_left_behind
from runbook_lib.record.stages import closed_by, progress_in_words
from runbook_lib.repair.approval import (
    UNSIGNED,
    approval_command,
    approve,
    approver,
    require_not_blocked,
    standing_approvals,
)
from runbook_lib.repair.confirmation import plan_guidance, what_settles, write_override
from runbook_lib.repair.sent_changes import unseen_changes
from runbook_lib.show import tables
from runbook_lib.show.document import BAD, Row, Table
from runbook_lib.show.rendering import View

# -- What is planned, as the terminal shows it: ``runbook plan``, and what ``run`` and ``approve`` show of it


def plan_command(which: str, *, as_json: bool) -> None:
    """Print the newest plan of an incident; for a site, of its open incident, or of its newest."""
    record = record_of(which)
    plan = record.read_plan()
    if as_json:
        approvals = to_json_value(record.read_approvals(plan.digest))
        out_lines(json.dumps({**to_json_value(plan), "approvals": approvals}, indent=2))
    else:
        show_plan(record, plan)


def record_of(which: str) -> Record:
    """Return the record of an incident, or of a site's open incident, else of its newest; contacts nothing.

    Raises ParameterRefused for an incident that is not there, SiteFileInvalid for a file that is not a site's,
    StageOutOfOrder where the site has no incident yet.
    """
    root = paths.records_dir()
    if INCIDENT.fullmatch(which):
        return Record.open(root, which)
    site = load_site_or_lab(which).name
    incident = find_open(root, site) or newest_incident(site)
    if not incident:
        raise errors.StageOutOfOrder(
            f"Site {site} has no incident yet, so no plan",
            next_step=f"make one: {shlex.join(('runbook', 'run', which, '--dry-run'))}",
        )
    return Record.open(root, incident)


def show_plan(record: Record, plan: Plan) -> None:
    """Print a plan: what it changes and why, what blocks it, who approved it, and what comes next."""
    if record.is_closed():
        prose(f"This incident has ended ({record.outcome()}): nothing of its plan is done any more.")
    _show_changes(record, plan)
    out(f"incident: {plan.incident}")
    out(f"plan:     {plan.digest}")
    out(f"approved: {approved_by(record, plan)}")
    _say_where_help_is(plan)
    out()
    prose(f"Next: {next_step_of(record, plan)}")


def _show_changes(record: Record, plan: Plan) -> None:
    left = len(plan.rows) - len(plan.deletions)
    prose(f"Site {record.site}: {_extent(plan)}; {count(left, 'entry is', 'entries are')} left alone.")
    out_lines(tables.plan(plan, *plan_guidance(record, plan)).text())


def _extent(plan: Plan) -> str:
    later = count(len(plan.changes), "change that may follow", "changes that may follow")
    return f"{count(len(plan.deletions), 'deletion')} and {later}"


def _say_where_help_is(plan: Plan) -> None:
    if plan.blocked:
        out(f"help:     {paths.docs_dir() / 'troubleshooting.md'}, “A plan is blocked”")


def approved_by(record: Record, plan: Plan) -> str:
    """Return in words who has approved this plan, by its own digest."""
    if names := dict.fromkeys(each.by for each in standing_approvals(record, plan)):
        return "by " + " and by ".join(names)
    if plan.blocked:
        return "no; it is blocked, and cannot be"
    return "not yet" if plan.needs_approval else "it needs none at present"


def next_step_of(record: Record, plan: Plan) -> str:
    """Return what comes next for a plan: a command, and what else it takes."""
    if record.incident in holders_by_incident():
        return shlex.join(("runbook", "status", record.site))
    if record.is_closed():
        return next_command(record)
    if plan.blocked:
        return f"settle what blocks it, then {next_run(record)} makes a new plan"
    return f"{approval_command(plan)} --by NAME" if waits_for_approval(record, plan) else next_run(record)


def waits_for_approval(record: Record, plan: Plan) -> bool:
    """Whether nothing but somebody's approval is missing to carry a plan out."""
    return plan.needs_approval and not plan.blocked and not standing_approvals(record, plan)


def newest_plan(record: Record) -> Plan | None:
    """Return the newest plan of an incident, None where none was made."""
    try:
        return record.read_plan()
    except errors.StageOutOfOrder:
        return None


def next_command(record: Record) -> str:
    """Return the one command that comes next for an incident, ready to be pasted, by what its record says."""
    states, plan = record.stage_states(), newest_plan(record)
    if record.is_closed():
        return f"runbook {'verify' if states[Stage.POST_MORTEM] is StageState.DONE else 'report'} {record.incident}"
    looked = states[Stage.LIST] is StageState.DONE and not unseen_changes(record)
    return approval_command(plan) if plan and looked and waits_for_approval(record, plan) else next_run(record)


def dry_run_view(plan: Plan, *, lab: bool) -> View[Plan]:
    """Return what a run would do with a plan, in order, for ``--dry-run``; the ``lab`` approves its plan itself."""
    rows = tuple(_steps(plan, lab=lab))
    return View(plan, (Table(title="What a run would do", headers=("what", "when"), rows=rows, whole=("what",)),))


def _steps(plan: Plan, *, lab: bool) -> Iterator[Row]:
    if plan.blocked:
        yield Row("stop in stage 30 with exit code 3", "at once: the plan is blocked", mark=BAD)
        return
    if plan.needs_approval and lab:
        yield Row("approve this plan", "at once: the site is the lab")
    elif plan.needs_approval:
        yield Row("stop in stage 30 with exit code 3, for the approval", "until somebody approves this plan")
    for row in plan.deletions:
        yield Row(f"{row.server}: {row.command}", "then")
    for change in plan.changes:
        when = "then: it is needed at present" if change.expected else change.condition
        yield Row(f"{change.server}: {change.kind} ({change.target})", when)
    yield Row("verify the site, and write the post-mortem", "at the end")


# -- ``runbook status``: where an incident stands, and the one command that comes next; from the records alone


def status_command(site: str = "") -> None:
    """Print how each site stands, or with a ``site``, all of its open incident, else of its newest.

    Raises SiteFileInvalid for a site that neither a file nor a record knows, RecordDamaged where its newest record does
    not verify.
    """
    incidents = past_incidents(paths.records_dir(), progress=print_reading)
    if not site:
        print_sites(incidents)
        return
    name = _site_called(site, incidents)
    one = incident_that_counts(name, incidents)
    if one is None:
        out(f"Site {name} has no incident yet.")
        out(f"Next: {shlex.join(('runbook', 'run', site))}")
        return
    _require_sound(one, site)
    print_status(Record.open(paths.records_dir(), one.incident))


def _site_called(which: str, incidents: Sequence[PastIncident]) -> str:
    """Return a site's name; one whose file is elsewhere, or cannot be read, is known by its records."""
    try:
        return load_site_or_lab(which).name
    except errors.SiteFileInvalid:
        if incident_that_counts(which, incidents):
            return which
        raise


def _require_sound(one: PastIncident, which: str) -> None:
    if one.problem:
        raise errors.RecordDamaged(
            "The site's newest record does not verify, so nothing that it says is told",
            where=str(paths.records_dir() / one.incident),
            found=one.problem,
            next_step=f"keep the folder as it is; runbook verify {one.incident} names every problem; "
            f"{shlex.join(('runbook', 'run', which))} leaves it alone and looks at everything first",
        )


def print_status(record: Record) -> None:
    """Print what a record says of its incident: stages, plan, what is open, who holds the lock, what comes next."""
    opening, outcome, states = record.opening(), record.outcome(), record.stage_states()
    plan, holder = newest_plan(record), holder_of(record.site)
    out_lines(View(states, (tables.stages(states, before=record.earlier_ends()),)).text().rstrip())
    out(f"site:     {record.site}")
    out(f"incident: {record.incident}, {'closed' if record.is_closed() else 'open'}")
    out(f"since:    {stamp(datetime.fromisoformat(opening['opened_utc']))}, opened by {opening['by']}")
    run = holders_by_incident().get(record.incident)
    out(f"outcome:  {f'not yet, a run goes on since {run.utc}' if run else outcome or 'none yet'}")
    if (closing := closed_by(record.journal.read().lines)) and closing.artifact:
        person = record.read_json(closing.artifact, dict[str, str])
        prose(f"closed:   by {person.get('by', '')}: {person.get('reason', '')}")
    prose(f"changes:  {progress_in_words(record.journal.read().lines)}")
    out(f"plan:     {plan.digest if plan else 'none yet'}")
    if plan:
        out(f"approved: {approved_by(record, plan)}")
        for reason in plan.blocked:
            prose(f"blocked:  {reason}")
        for _, way in what_settles(record, plan):
            prose(f"settle:   {way}")
        _say_where_help_is(plan)
    for server, what in unseen_changes(record):
        prose(f"unknown:  {server}: {what}: it was sent, or may have been; its result was not seen")
    out(f"lock:     {holder or 'nobody holds it'}")
    out()
    out(f"Next: {_next(record, holder)}")


def _next(record: Record, holder: Holder | None) -> str:
    """Return the next command; as long as somebody holds the lock, that comes first."""
    if holder is None:
        return next_command(record)
    if is_left_behind(record.site):
        return shlex.join(("runbook", "unlock", record.site, "--holder", holder.id))
    return shlex.join(("runbook", "status", record.site))


# -- ``runbook approve`` and ``runbook unlock``: what a person decides between two runs ------------

SHORTEST = 12
"""Digits of a digest by which a person on a terminal, who sees the plan, may name it."""


def approve_command(incident: str, digest: str, *, by: str, reason: str = "") -> None:
    """Show the incident's newest plan and write its approval: on a terminal after a ``yes``, else by its whole digest.

    Raises DeletionRefused with its reasons where it is blocked, StageOutOfOrder where the incident has ended,
    ParameterRefused where the digest is another one or too short, ApprovalMissing where the answer is not yes,
    PlanStale where there was a newer plan by then.
    """
    record = Record.open(paths.records_dir(), incident)
    plan = record.read_plan()
    record.require_open()
    _show_changes(record, plan)
    require_not_blocked(record, plan)
    person = can_ask()
    _require_digest(plan, digest, shown=person)
    by = approver(by or (operator() if person else ""))
    if standing_approvals(record, plan):
        prose(f"This plan is approved already, {approved_by(record, plan)}; another approval is written beside it.")
    if person:
        if answer_to(f"Approve plan {plan.digest[:SHORTEST]}… as {by}? Type yes:").lower() != "yes":
            raise errors.ApprovalMissing("The answer was not yes; nothing was approved", where=incident_of(plan))
        if record.read_plan().digest != plan.digest:
            what = "There is a newer plan than the one above; nothing was approved"
            raise errors.PlanStale(what, next_step=f"runbook approve {plan.incident}")
    approval = approve(record, plan.digest, by=by, how="runbook approve", reason=reason)
    out(f"Approved by {approval.by}: {_extent(plan)}, plan {plan.digest}")
    prose(f"Signed with the key {approval.key}." if approval.key else UNSIGNED)
    out(f"Next: {next_run(record)}")


def _require_digest(plan: Plan, digest: str, *, shown: bool) -> None:
    """Raise ParameterRefused unless the digest names the plan: whole, or ``shown`` to a person by its first digits."""
    given = digest.strip().lower()
    begins = plan.digest.startswith(given)
    enough = not given or len(given) >= SHORTEST  # of what a person sees above
    if given == plan.digest or (shown and begins and enough):
        return
    if begins:
        few = f"at least {SHORTEST} digits" if shown else "all 64 digits, where nobody is asked"
        raise errors.ParameterRefused(
            f"The digest is too short: give {few}; nothing was approved",
            found=f"given {given or 'none'}",
            where=incident_of(plan),
            next_step=f"{approval_command(plan)} --by NAME",
        )
    raise errors.ParameterRefused(
        "This is not the digest of the incident's newest plan; nothing was approved",
        where=incident_of(plan),
        found=f"given {digest}\nplan  {plan.digest}",
        next_step=f"look at the plan (runbook plan {plan.incident}) and approve it with its own digest",
    )


def incident_of(plan: Plan) -> str:
    """Return how an error names the incident and the plan."""
    return f"incident {plan.incident}, plan {plan.digest}"


def override_command(incident: str, server: str, entry: str, *, sha256: str, by: str, reason: str, accept: str) -> None:
    """Write an override of “unconfirmed” for one entry and one certificate; the plan has to be made anew with it.

    Raises ParameterRefused where the plan holds no such entry of another host of the site, and what ``write_override``
    raises.
    """
    record = Record.open(paths.records_dir(), incident)
    target = next((row.target for row in record.read_plan().rows if row.place == (server, entry)), "")
    if not target:
        raise errors.ParameterRefused(
            "The plan holds no such entry of another host of the site",
            found=f"{server}: {entry}",
            next_step="copy server and entry from the plan (20_list_certificates)",
        )
    override = Override(
        server=server, key=entry, sha256=fingerprint(sha256), by=by, at_utc=datetime.now(UTC), reason=reason
    )
    write_override(record, override, target, phrase=accept)
    prose(f"Overridden by {by}: {server} {entry}; the incident ends at best repaired_unverified.")
    prose(f"Next: {next_run(record)} (a new plan is made, and has to be approved)")


def fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint in its one spelling; raises ParameterRefused for anything else."""
    try:
        return canonical_sha256(text)
    except ValueError as error:
        raise errors.ParameterRefused(str(error), found=text) from None


def unlock_command(site: str, holder: str) -> None:
    """Free the stale lock of a site, which is given by its name, as the refusal names it, or by its file."""
    name, servers = site, tuple[str, ...]()
    if holder_of(site) is None and isinstance(loaded := load_site_or_lab(site), Site):
        name, servers = loaded.name, identities(loaded)
    free_stale(name, holder, servers)
    out(f"The lock of {name} that {holder} left behind is free.")
