"""A person's word in the place of a confirmation: explicit, named, recorded, and bound to one certificate.

It helps against ``unconfirmed`` alone. ``contradicted``, ``unstable`` and ``unreachable`` know no override.
"""

from __future__ import annotations

from dataclasses import replace

from runbook_lib.errors import DeletionRefused, ParameterRefused
from runbook_lib.models import Inventory, Judgement, Override, Stage, Verdict
from runbook_lib.params import Site
from runbook_lib.record import Record
from runbook_lib.steps.history import INVENTORY_FACTS, deletion_intents, facts_or
from runbook_lib.steps.targets import target_of_key

FACTS = "overrides"
PHRASE = "nobody has confirmed this certificate"


def overrides_of(record: Record) -> tuple[Override, ...]:
    """Return the incident's overrides, oldest first."""
    return facts_or(record, Stage.LIST, FACTS, tuple[Override, ...], ())


def write_override(record: Record, override: Override, target: str, *, phrase: str) -> None:
    """Keep an override of the verdict on ``target`` for one entry.

    Raises ParameterRefused where the phrase, the name or the reason is missing or the entry is not
    listed, and DeletionRefused where the verdict is not ``unconfirmed`` or the certificate another one.
    """
    if phrase.strip().lower() != PHRASE:
        raise ParameterRefused("An override has to be said in full words", next_step=f"write: {PHRASE}")
    if not override.by.strip() or not override.reason.strip():
        raise ParameterRefused("An override needs a name and a reason", next_step="give both")
    inventory = record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    if override.key not in [entry.key for entry in inventory.store(override.server).entries]:
        raise ParameterRefused(
            f"The {override.server} lists no such entry", found=override.key, next_step="copy the key from its list"
        )
    _require_unconfirmed(inventory.judgement(target), override)
    kept = replace(override, by=override.by.strip(), reason=override.reason.strip())
    record.write_facts(Stage.LIST, FACTS, (*overrides_of(record), kept))


def _require_unconfirmed(judgement: Judgement, override: Override) -> None:
    if judgement.verdict is not Verdict.UNCONFIRMED:
        raise DeletionRefused(
            f"Only «unconfirmed» can be overridden; the verdict on {judgement.target} is «{judgement.verdict}»",
            found=judgement.reason,
            next_step="find out who answers there"
            if judgement.verdict is Verdict.CONTRADICTED
            else "run 20_list_certificates again and read its verdicts",
        )
    presented = judgement.facts.sha256 if judgement.facts else ""
    if presented != override.sha256:
        raise DeletionRefused(
            f"{judgement.target} presents another certificate than the one that the override names",
            found=f"override  {override.sha256}\npresented {presented}",
            next_step="look at the presented certificate again (20_list_certificates)",
        )


def overriding(overrides: tuple[Override, ...], server: str, key: str, sha256: str) -> Override | None:
    """Return the override that holds for this entry and this certificate, or None."""
    found = [o for o in overrides if (o.server, o.key, o.sha256) == (server, key, sha256)]
    return found[-1] if found else None


def accepted_of(site: Site, overrides: tuple[Override, ...], name: str) -> frozenset[str]:
    """Return the certificates of the host called ``name`` that a person has accepted, unconfirmed as they are."""
    named = ((each, target_of_key(site, each.server, each.key)) for each in overrides)
    return frozenset(each.sha256 for each, target in named if target and target.name == name)


def deleted_under_override(record: Record) -> bool:
    """Whether a deletion of this incident was sent, or may have been, on a person's word alone."""
    sent = deletion_intents(record)
    approved = (record.read_plan(approval.digest) for approval in record.read_approvals())
    return any(row.override and (row.server, row.key) in sent for plan in approved for row in plan.deletions)


def in_words(override: Override) -> str:
    """Return who overrode, when and why, as the plan and the report say it."""
    return f"{override.by}, {override.at_utc:%Y-%m-%d %H:%M} UTC: {override.reason}"
