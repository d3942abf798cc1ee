"""What this incident and earlier ones of the site have settled already, read from their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from runbook_lib.errors import RecordError, StageOutOfOrder
from runbook_lib.models import DeletionResult, Inventory, Outcome, Stage
from runbook_lib.record import Kind, Record, list_records
from runbook_lib.steps.context import Context

T = TypeVar("T")

INVENTORY_FACTS = "inventory"
CONFIRMED_FACTS = "confirmed"
DELETION_FACTS = "deletions"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What earlier repairs left behind: when an entry was last deleted or found right, by (server, key)."""

    settled_utc: Mapping[tuple[str, str], datetime]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """The certificates that a verified repair ended with, by target, and when."""

    sha256: dict[str, str]
    at_utc: datetime


def facts_or(record: Record, stage: Stage, name: str, kind: type[T], default: T) -> T:
    """Return what a stage left in a record, or ``default`` where it left nothing."""
    try:
        return record.read_facts(stage, name, kind)
    except StageOutOfOrder:
        return default


def recorded_deletions(record: Record) -> tuple[DeletionResult, ...]:
    """Return every deletion of an incident whose result was seen, oldest first."""
    return facts_or(record, Stage.DELETE, DELETION_FACTS, tuple[DeletionResult, ...], ())


def deletion_intents(record: Record) -> dict[tuple[str, str], datetime]:
    """Return when each deletion of an incident was last about to be sent, by server and entry."""
    lines = record.journal.read().lines
    return {
        (line.server, line.text): line.utc for line in lines if line.kind is Kind.INTENT and line.stage == Stage.DELETE
    }


def past_of(context: Context) -> Past:
    """Return when each entry was last deleted, in this incident or an earlier one of the site.

    A deletion that was about to be sent counts from its intent: if it did not happen, newer
    mismatch lines say so.
    """
    settled: dict[tuple[str, str], datetime] = {}
    for record in reversed(list(_records_of_site(context))):
        settled |= deletion_intents(record)
        settled |= {(result.server, result.key): result.read_back_utc for result in recorded_deletions(record)}
    return Past(settled_utc=settled)


def last_known_certificate(context: Context, target: str) -> str:
    """Return the fingerprint with which the newest repaired incident before this one ended, or nothing."""
    for record in _records_of_site(context):
        if record.incident == context.record.incident or record.outcome() is not Outcome.REPAIRED:
            continue
        nothing = Confirmed(sha256={}, at_utc=context.now())
        confirmed = facts_or(record, Stage.VERIFY, CONFIRMED_FACTS, Confirmed, nothing)
        if target in confirmed.sha256:
            return confirmed.sha256[target]
    return ""


def confirmed_before(context: Context, target: str) -> str:
    """Return the fingerprint that stage 20 of this incident confirmed, or nothing."""
    nothing = Inventory(stores=(), presented=(), judgements=(), ha=())
    inventory = facts_or(context.record, Stage.LIST, INVENTORY_FACTS, Inventory, nothing)
    for judgement in inventory.judgements:
        if judgement.target == target and judgement.facts and judgement.verdict.confirmed:
            return judgement.facts.sha256
    return ""


def _records_of_site(context: Context) -> Iterator[Record]:
    """Yield the site's records, newest first; a damaged one settles nothing."""
    for summary in list_records(context.records_root):
        if summary.site == context.site.name and not summary.problem:
            try:
                yield Record.open(context.records_root, summary.incident)
            except RecordError:
                continue
