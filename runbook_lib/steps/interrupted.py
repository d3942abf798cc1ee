"""Deletions whose end an interrupted run did not write down: what the stores and the logs say of them now.

The run may have died before the command left, or after that and before the result was on disk. The
journal cannot tell which, and an entry that is listed may be the old one or the new one. So nothing
is sent again. An entry that is not listed is gone; for one that is, the logs are watched. Where they do not decide,
the next plan offers the deletion again, for a new approval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from runbook_lib.models import Deletion, DeletionResult, Stage, StageState, TofuStore
from runbook_lib.record import Kind, Record
from runbook_lib.steps.context import Context
from runbook_lib.steps.diagnose import diagnose
from runbook_lib.steps.history import DELETION_FACTS, recorded_deletions
from runbook_lib.steps.targets import pi_server

NOT_SEEN = "not seen: the run was interrupted, and whether the command left is not known"


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A deletion that may have been sent; ``seen`` is its result where that, at least, is in the journal."""

    server: str
    key: str
    command: str
    intent_utc: datetime
    seen: str = ""


def interrupted_deletions(record: Record) -> tuple[Interrupted, ...]:
    """Return the deletions that may have been sent and whose result is not kept with the others, oldest first."""
    found: dict[tuple[str, str], Interrupted] = {}
    for line in record.journal.read().lines:
        place = (line.server, line.text)
        if line.stage != Stage.DELETE:
            continue
        if line.kind is Kind.INTENT:
            command = line.expected.partition(" (")[0]
            found[place] = Interrupted(server=line.server, key=line.text, command=command, intent_utc=line.utc)
        elif line.kind is Kind.RESULT and line.seen == Deletion.NOT_SENT:
            found.pop(place, None)
        elif line.kind is Kind.RESULT and place in found:
            found[place] = replace(found[place], seen=line.seen)
    kept_utc = {(result.server, result.key): result.sent_utc for result in recorded_deletions(record)}
    return tuple(each for place, each in found.items() if place not in kept_utc or kept_utc[place] < each.intent_utc)


async def settle_interrupted(context: Context, stores: Iterable[TofuStore]) -> None:
    """Keep a result of every deletion that an interrupted run left without one; ``stores`` were read just now.

    Where an entry is still listed, the logs are watched for the site's ``quiet_s`` and read again first.
    Does nothing while another process carries out the deletions.
    """
    if context.stage is not Stage.DELETE and _runs_elsewhere(context.record):
        return
    by_server = {store.server: store for store in stores}
    results = [_result(each, by_server[each.server]) for each in interrupted_deletions(context.record)]
    await watch_logs(context, results)
    kept = (*recorded_deletions(context.record), *results)
    if results:
        context.record.write_facts(Stage.DELETE, DELETION_FACTS, kept)
    seen = {(result.server, result.key): result.result for result in kept}
    for change in context.record.pending_changes():
        if change.stage == Stage.DELETE:
            change.result(seen[(change.server, change.text)], expected=Deletion.GONE)


def _runs_elsewhere(record: Record) -> bool:
    return record.stage_states()[Stage.DELETE] is StageState.RUNNING


def _result(interrupted: Interrupted, store: TofuStore) -> DeletionResult:
    listed = interrupted.key in [entry.key for entry in store.entries]
    now = Deletion.NOT_DELETED_OR_CAME_BACK if listed else Deletion.GONE
    return DeletionResult(
        server=interrupted.server,
        key=interrupted.key,
        command=interrupted.command,
        result=Deletion(interrupted.seen) if interrupted.seen else now,
        said=NOT_SEEN,
        before=(),
        after=tuple(entry.line for entry in store.entries),
        sent_utc=interrupted.intent_utc,
        read_back_utc=store.read_utc,
    )


async def watch_logs(context: Context, results: Iterable[DeletionResult]) -> bool:
    """Read the logs again after the site's ``quiet_s`` where they can decide on a deletion; return whether they were.

    That time is for the monitors of the servers to meet their hosts.
    """
    undecided = [result for result in results if result.result is Deletion.NOT_DELETED_OR_CAME_BACK]
    if not any(pi_server(context.site, result.server).logs for result in undecided):
        return False
    seconds = context.site.deadlines.quiet_s
    context.tell(f"Nobody saw the end of {len(undecided)} deletions; watching the logs for {seconds:.0f} s")
    await asyncio.sleep(seconds)
    diagnose(context)
    return True
