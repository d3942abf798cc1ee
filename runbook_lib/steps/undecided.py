"""Deletions that were sent and that nobody saw happen: what the logs say of them, before anything rests on them.

The entry is listed after the command: it is the old one, or it is back already with the new certificate. The list
holds no fingerprint and does not tell. Mismatches newer than the look at the store mean the old one; a pair that
talks, or a mismatch that came in regularly and stays away, means the new one; everything else is not known.
"""

from __future__ import annotations

from runbook_lib.errors import RepairFailed
from runbook_lib.models import Diagnosis, Inventory
from runbook_lib.steps.context import Context
from runbook_lib.steps.history import past_of
from runbook_lib.steps.stale import End, Staleness
from runbook_lib.steps.targets import target_of

NEW_PLAN = "make a new plan: 20_list_certificates; it offers the deletion again, for a new approval"


def ends_of_deletions(
    context: Context, diagnosis: Diagnosis, inventory: Inventory, *, earlier: bool = False
) -> dict[tuple[str, str], End]:
    """Return what became of each deletion of this incident that nobody saw happen, by server and entry.

    One whose entry is not listed any more is not among them: it is gone. With ``earlier`` those of the site's other
    incidents are among them.
    """
    past = past_of(context)
    places = past.undecided.keys() if earlier else past.sent_here & past.undecided.keys()
    stale = Staleness(context.site, diagnosis, inventory, past)
    ends = {}
    for server, key in places:
        for entry in inventory.store(server).entries:
            target = target_of(context.site, server, entry)
            if entry.key == key and target:
                ends[server, key] = stale.end_of(server, entry, target, inventory.judgement(target.name))
    return ends


def require_none_goes_on(ends: dict[tuple[str, str], End]) -> None:
    """Raise RepairFailed where a deletion did not happen, as the mismatches since then prove."""
    left = sorted(place for place, end in ends.items() if end is End.DID_NOT_HAPPEN)
    if left:
        raise RepairFailed(
            "A deletion was sent and did not happen: mismatches newer than it name the same certificate",
            found="\n".join(f"{server}: {key}: still the old entry" for server, key in left),
            next_step=NEW_PLAN,
        )
