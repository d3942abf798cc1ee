"""``runbook approve`` and ``runbook unlock``: what a person decides between two runs."""

from __future__ import annotations

from datetime import UTC, datetime

from runbook_lib import places
from runbook_lib.cli.terminal import answer_to, asks, out, out_lines
from runbook_lib.console.identity import identities
from runbook_lib.errors import ApprovalMissing, ParameterRefused, PlanStale
from runbook_lib.models import Override, Plan
from runbook_lib.params import Site, canonical_sha256, load_site_or_lab
from runbook_lib.record import Record, free_stale, holder_of, operator
from runbook_lib.report.words import count
from runbook_lib.session.nexts import next_run
from runbook_lib.steps.approval import approve, approver, require_not_blocked
from runbook_lib.steps.overriding import write_override
from runbook_lib.steps.ways_out import ways_out_of
from runbook_lib.steps.whose_word import UNSIGNED
from runbook_lib.views import deletion

SHORTEST = 12
"""Digits of a digest by which a person on a terminal, who sees the plan, may name it."""


def approve_command(incident: str, digest: str, *, by: str, reason: str = "") -> None:
    """Show the incident's newest plan and write its approval: on a terminal after a ``yes``, else by its whole digest.

    Raises DeletionRefused with its reasons where it is blocked, ParameterRefused where the digest is another one, or
    too short, ApprovalMissing where the answer is not yes, PlanStale where there was a newer plan by then.
    """
    record = Record.open(places.records_dir(), incident)
    plan = record.read_plan()
    out_lines(deletion.plan(plan, ways_out_of(record, plan)).text())
    require_not_blocked(plan)
    person = asks()
    _require_digest(plan, digest, shown=person)
    by = approver(by or (operator() if person else ""))
    if person:
        _require_yes(plan, by)
        if record.read_plan().digest != plan.digest:
            raise PlanStale("There is a newer plan than the one above; nothing was approved", next_step=again(plan))
    approval = approve(record, plan.digest, by=by, how="runbook approve", reason=reason)
    later = count(len(plan.changes), "change that may follow", "changes that may follow")
    out(f"Approved by {approval.by}: {count(len(plan.deletions), 'deletion')} and {later}, plan {plan.digest}")
    out(f"Signed with the key {approval.key}." if approval.key else UNSIGNED)
    out(f"Next: {next_run(record)}")


def again(plan: Plan) -> str:
    """Return the command that shows the newest plan and asks."""
    return f"runbook approve {plan.incident}"


def _require_digest(plan: Plan, digest: str, *, shown: bool) -> None:
    """Raise ParameterRefused unless the digest names the plan: whole, or ``shown`` to a person by its first digits."""
    given = digest.strip().lower()
    if given == plan.digest or (shown and (not given or (len(given) >= SHORTEST and plan.digest.startswith(given)))):
        return
    if plan.digest.startswith(given):
        few = f"at least {SHORTEST} digits" if shown else "all 64 digits, where nobody is asked"
        raise ParameterRefused(
            f"The digest is too short: give {few}; nothing was approved",
            found=f"given {given or 'none'}",
            where=incident_of(plan),
        )
    raise ParameterRefused(
        "This is not the digest of the incident's newest plan; nothing was approved",
        where=incident_of(plan),
        found=f"given {digest}\nplan  {plan.digest}",
        next_step=f"look at the plan (runbook plan {plan.incident}) and approve it with its own digest",
    )


def incident_of(plan: Plan) -> str:
    return f"incident {plan.incident}, plan {plan.digest}"


def _require_yes(plan: Plan, by: str) -> None:
    if answer_to(f"Approve plan {plan.digest[:SHORTEST]}… as {by}? Type yes:").lower() != "yes":
        raise ApprovalMissing("The answer was not yes; nothing was approved", where=incident_of(plan))


def override_command(incident: str, server: str, entry: str, *, sha256: str, by: str, reason: str, accept: str) -> None:
    """Write an override of «unconfirmed» for one entry and one certificate; the plan has to be made anew with it."""
    record = Record.open(places.records_dir(), incident)
    target = next((row.target for row in record.read_plan().rows if (row.server, row.key) == (server, entry)), "")
    if not target:
        raise ParameterRefused(
            "The plan holds no such entry of another host of the site",
            found=f"{server}: {entry}",
            next_step="copy server and entry from the plan (20_list_certificates)",
        )
    override = Override(
        server=server, key=entry, sha256=fingerprint(sha256), by=by, at_utc=datetime.now(UTC), reason=reason
    )
    write_override(record, override, target, phrase=accept)
    out(f"Overridden by {by}: {server} {entry}; the incident ends at best repaired_unverified.")
    out(f"Next: {next_run(record)} (a new plan is made, and has to be approved)")


def fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint in its one spelling; raises ParameterRefused for anything else."""
    try:
        return canonical_sha256(text)
    except ValueError as error:
        raise ParameterRefused(str(error), found=text) from None


def unlock_command(site: str, holder: str) -> None:
    """Free the stale lock of a site, which is given by its name, as the refusal names it, or by its file."""
    name, servers = site, tuple[str, ...]()
    if holder_of(site) is None:
        loaded = load_site_or_lab(site)
        if isinstance(loaded, Site):
            name, servers = loaded.name, identities(loaded)
    free_stale(name, holder, servers)
    out(f"The lock of {name} that {holder} left behind is free.")
