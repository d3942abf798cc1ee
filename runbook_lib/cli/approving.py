"""``runbook approve`` and ``runbook unlock``: what a person decides between two runs."""

from __future__ import annotations

from datetime import UTC, datetime

from runbook_lib import places
from runbook_lib.cli.terminal import out
from runbook_lib.console.identity import identities
from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Override
from runbook_lib.params import Site, canonical_sha256, load_site_or_lab
from runbook_lib.record import Record, free_stale, holder_of
from runbook_lib.session.nexts import next_run
from runbook_lib.steps.approval import approve
from runbook_lib.steps.overriding import write_override
from runbook_lib.steps.whose_word import UNSIGNED


def approve_command(incident: str, digest: str, *, by: str, reason: str = "") -> None:
    """Write the approval of the incident's newest plan; raises ParameterRefused where the digest is another one."""
    record = Record.open(places.records_dir(), incident)
    plan = record.read_plan()
    if plan.digest != digest:
        raise ParameterRefused(
            "This is not the digest of the incident's newest plan; nothing was approved",
            where=f"incident {incident}",
            found=f"given {digest}\nplan  {plan.digest}",
            next_step="look at the plan (20_list_certificates) and approve it with its own digest",
        )
    approval = approve(record, digest, by=by, how="runbook approve", reason=reason)
    out(f"Approved by {approval.by}: {len(plan.deletions)} deletions, plan {digest}")
    for row in plan.deletions:
        out(f"  {row.server}: {row.command}")
    for change in plan.changes:
        out(f"  {change.server}: {change.kind} ({change.target}), {change.condition}")
    out(f"Signed with the key {approval.key}." if approval.key else UNSIGNED)
    out(f"Next: {next_run(record)}")


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
