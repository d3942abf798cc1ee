"""``runbook approve`` and ``runbook unlock``: what a person decides between two runs."""

from __future__ import annotations

from datetime import UTC, datetime

from runbook_lib import places
from runbook_lib.cli.running import out
from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Approval
from runbook_lib.params import load_site_or_lab
from runbook_lib.record import Record, free_stale
from runbook_lib.session import open_site


def approve_command(incident: str, digest: str, *, by: str, reason: str = "") -> None:
    """Write the approval of the incident's newest plan; raises ParameterRefused where the digest is another one."""
    if not by.strip():
        raise ParameterRefused("An approval needs a name", next_step="--by 'NAME'")
    record = Record.open(places.records_dir(), incident)
    plan = record.read_plan()
    if plan.digest != digest:
        raise ParameterRefused(
            "This is not the digest of the incident's newest plan; nothing was approved",
            where=f"incident {incident}",
            found=f"given {digest}\nplan  {plan.digest}",
            next_step="look at the plan (20_list_certificates) and approve it with its own digest",
        )
    approval = Approval(digest=digest, by=by.strip(), at_utc=datetime.now(UTC), how="runbook approve", reason=reason)
    record.write_approval(approval)
    out(f"Approved by {approval.by}: {len(plan.deletions)} deletions, plan {digest}")
    for row in plan.deletions:
        out(f"  {row.server}: {row.command}")
    out(f"Next: runbook run {plan.site} --incident {incident}")


def unlock_command(site: str, holder: str) -> None:
    """Free the stale lock of a site."""
    name = getattr(load_site_or_lab(site), "name", None) or open_site(site).name
    free_stale(places.records_dir(), name, holder)
    out(f"The lock of {name} that {holder} left behind is free.")
