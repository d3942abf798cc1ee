"""What this incident and earlier ones have settled already; deletions that an interrupted run left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from runbook_lib.decisions import Approval, Deletion, DeletionResult
from runbook_lib.device.tofu import entry_of, vanished_entries
from runbook_lib.errors import ParameterRefused, RecordError, StageOutOfOrder
from runbook_lib.models import Outcome, Stage, StageState, TofuEntry, TofuStore
from runbook_lib.record.attestation import Seal, is_vouched_for, seal_anew
from runbook_lib.record.incident import Record, list_records
from runbook_lib.record.journal import NOT_SENT, About, Kind, Line, LineTopic
from runbook_lib.record.lock import lock_refusal
from runbook_lib.record.stages import alarms_after, ended_as
from runbook_lib.repair.context import Context

T = TypeVar("T")

# -- How earlier changes ended, as values ----------------------------------------------------------

INVENTORY_FACTS = "inventory"
CONFIRMED_FACTS = "confirmed"
DELETION_FACTS = "deletions"


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """A deletion that was sent, or may have been, and that nobody saw happen; and when the store was read after it."""

    sent_utc: datetime
    looked_utc: datetime


@dataclass(frozen=True, kw_only=True)
class ChangeHistory:
    """What earlier deletions left behind, by (server, key).

    ``gone_utc``: when an entry was last seen gone after its deletion, in whichever incident. ``undecided``: the
    deletions since then of which that was not seen. ``sent_here``: entries whose deletion this incident has sent, or
    may have sent. ``sent_changes``: how often it has sent each other change, as the journal knows it;
    ``pending_changes``: those of them whose end was not seen. ``alarms`` of this incident: see ``alarms_after``.
    ``now_utc``: when it was read.
    """

    gone_utc: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    undecided: Mapping[tuple[str, str], Undecided] = field(default_factory=dict)
    sent_here: frozenset[tuple[str, str]] = frozenset()
    sent_changes: Mapping[About, int] = field(default_factory=dict)
    pending_changes: frozenset[About] = frozenset()
    alarms: Mapping[str, Line] = field(default_factory=dict)
    now_utc: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ConfirmedCertificates:
    """What a verified repair ended with, by target, and when; ``others`` were served beside it, with another key."""

    sha256: dict[str, str]
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at_utc: datetime


# -- What one incident has sent, or may have sent, by its journal ----------------------------------


def facts_or(record: Record, stage: Stage, name: str, kind: type[T], default: T, **which: Any) -> T:
    """Return what ``Record.read_facts`` does with ``which``; ``default`` where that is nothing."""
    with suppress(StageOutOfOrder):
        return record.read_facts(stage, name, kind, **which)
    return default


def recorded_deletions(record: Record, *, before: int | None = None) -> tuple[DeletionResult, ...]:
    """Return every deletion of an incident whose result was seen, oldest first, or those ``before`` a journal line."""
    return facts_or(record, Stage.DELETE, DELETION_FACTS, tuple[DeletionResult, ...], (), before=before)


def collateral_of(result: DeletionResult) -> tuple[TofuEntry, ...]:
    """Return the other entries that were no longer listed as they had been after a deletion."""
    lost = vanished_entries(result.before, result.after) if result.result is Deletion.COLLATERAL else []
    return tuple(entry for entry in map(entry_of, lost) if entry and entry.key != result.key)


def about_deletion(key: str) -> About:
    """Return deleting this entry, as the journal knows it."""
    return About(topic=LineTopic.DELETE, name=key)


def deletion_intents(record: Record) -> dict[tuple[str, str], Line]:
    """Return the line in which each deletion of an incident was last about to be sent, by server and entry.

    One whose command is known not to have left does not count.
    """
    return {(line.server, line.about.name): line for line in _intents(record) if line.about.topic is LineTopic.DELETE}


def change_intents(record: Record) -> tuple[tuple[About, datetime], ...]:
    """Return every change of stages 40 and 50 that this incident has sent, or may have sent, and when.

    Each as the journal knows it. One that is known not to have left does not count; one that the server refused does.
    """
    sent = (line for line in _intents(record) if line.about.topic is not LineTopic.DELETE)
    return tuple((line.about.subject, line.utc) for line in sent)


def sent_since(record: Record, approval: Approval) -> set[tuple[str, About]]:
    """Return server and change of what may have been sent after an approval, by the journal's order or by the time."""
    files = [file for each, file in record.approvals() if each == approval]
    given = next((line.n for line in record.journal.read().lines if line.artifact in files), 0)
    later = (line for line in _intents(record) if line.n > given or line.utc > approval.at_utc)
    return {(line.server, line.about.subject) for line in later}


def _intents(record: Record) -> list[Line]:
    """Return the intent of each change in order, without those that are known not to have left."""
    sent: list[Line] = []
    for line in record.journal.read().lines:
        what = (line.server, line.about.subject)
        if line.kind is Kind.INTENT:
            sent.append(line)
        elif line.kind is Kind.RESULT and line.about.seen == NOT_SENT:
            last = next((each for each in reversed(sent) if (each.server, each.about.subject) == what), None)
            sent = [each for each in sent if each is not last]
    return sent


def anything_sent(record: Record) -> bool:
    """Whether this incident has sent a change, or may have."""
    return bool(_intents(record))


def unseen_changes(record: Record) -> list[tuple[str, About]]:
    """Return each change, by server and what it is, that was sent, or may have been, and whose end nobody saw.

    An incident that ended repaired has none of before that: its checks settled how each of them ended.
    """
    pending = [(change.server, change.about) for change in record.pending_changes()]
    lines = record.journal.read().lines
    unproven = lines[ended_as(lines, Outcome.REPAIRED) :]
    later = {(line.server, line.about.subject.name) for line in unproven if line.kind is Kind.INTENT}
    ends = {each.place: each.result for each in recorded_deletions(record)}  # the last one of each
    unseen = [place for place in deletion_intents(record) if ends.get(place) is not Deletion.GONE and place in later]
    return list(dict.fromkeys((*pending, *((server, about_deletion(key)) for server, key in unseen))))


# -- An incident that nobody will finish -----------------------------------------------------------


def outcome_unfinished(record: Record) -> Outcome:
    """Return what can be said of an incident that nobody will finish: never that it was repaired."""
    if unseen_changes(record) or StageState.UNKNOWN in record.stage_states().values():
        return Outcome.UNKNOWN
    last = record.outcome()
    return last if last in (Outcome.FAILED, Outcome.UNKNOWN) else Outcome.STOPPED


def require_free(record: Record) -> None:
    """Raise SiteLocked while somebody holds the lock of an incident's site."""
    if held := lock_refusal(record.site):
        raise held


def close_unfinished(record: Record, *, by: str, reason: str) -> Seal | None:
    """Close an open incident that ``by`` will not finish; seal a sealed record anew and return that seal.

    Raises SiteLocked while somebody holds the site's lock, ParameterRefused without a name or a reason.
    """
    if not by.strip() or not reason.strip():
        raise ParameterRefused("Closing needs a name and a reason; nothing was closed", next_step="give both")
    require_free(record)
    record.close(outcome_unfinished(record), by=by.strip(), reason=reason.strip())
    return seal_anew(record)


# -- What all records of a site say together: which deletions are settled, which certificates were confirmed


def change_history(context: Context) -> ChangeHistory:
    """Return how each deletion of the site ended, in whichever incident, and what this incident has sent."""
    gone_utc, undecided = deletion_ends(context.records_root, context.site.name)
    return ChangeHistory(
        gone_utc=gone_utc,
        undecided=undecided,
        sent_here=frozenset(deletion_intents(context.record)),
        sent_changes=Counter(what for what, _ in change_intents(context.record)),
        pending_changes=frozenset(change.about for change in context.record.pending_changes()),
        alarms=alarms_after(context.record.journal.read().lines),
        now_utc=context.now(),
    )


def deletion_ends(root: Path, site: str) -> tuple[dict[tuple[str, str], datetime], dict[tuple[str, str], Undecided]]:
    """Return, from all records of a site and by (server, key), what a ``ChangeHistory`` calls so."""
    # By the order of the records and of their journals: what a clock said that was set since hides no deletion.
    gone: dict[tuple[str, str], datetime] = {}
    undecided: dict[tuple[str, str], Undecided] = {}
    for record in reversed(tuple(records_of_site(root, site))):
        try:
            results = recorded_deletions(record)
            left = _without_result(record, results)
        except RecordError:  # a file of it is damaged; its intents stand in the journal
            results = ()
            left = _without_result(record, results)
        for result in results:
            place = result.place
            if result.result is Deletion.GONE:
                gone[place] = result.read_back_utc
                undecided.pop(place, None)
            elif result.result is not Deletion.NOT_SENT:
                undecided[place] = Undecided(sent_utc=result.sent_utc, looked_utc=result.read_back_utc)
        undecided |= {place: Undecided(sent_utc=line.utc, looked_utc=line.utc) for place, line in left.items()}
    return gone, undecided


def _without_result(record: Record, results: Sequence[DeletionResult]) -> dict[tuple[str, str], Line]:
    """Return the intents of which no result was kept since, by place; ``results`` are all that were kept."""

    def has_result(place: tuple[str, str], line: Line) -> bool:
        since = results[len(recorded_deletions(record, before=line.n)) :] if results else ()
        return place in [each.place for each in since]

    return {place: line for place, line in deletion_intents(record).items() if not has_result(place, line)}


def last_known_certificates(context: Context, target: str) -> tuple[str, ...]:
    """Return the fingerprints with which the newest repaired incident before this one ended, or nothing.

    Nothing too where an incident after that deleted entries and was not proven: whatever the host
    showed last is not known then. With a key at hand a record that no trusted key signed proves nothing.
    """
    return last_confirmed(records_of_site(context.records_root, context.site.name), target, but=context.record.incident)


def last_confirmed(records: Iterable[Record], target: str, *, but: str = "") -> tuple[str, ...]:
    """Return what ``last_known_certificates`` says, from a site's records, newest first, without the one of ``but``."""
    for record in records:
        if record.incident == but:
            continue
        if record.outcome() is Outcome.REPAIRED and is_vouched_for(record):
            nothing = ConfirmedCertificates(sha256={}, at_utc=datetime.now(UTC))
            try:
                confirmed = facts_or(record, Stage.VERIFY, CONFIRMED_FACTS, ConfirmedCertificates, nothing)
            except RecordError:
                return ()
            if target in confirmed.sha256:
                return (confirmed.sha256[target], *confirmed.others.get(target, ()))
        elif deletion_intents(record):
            return ()
    return ()


def records_of_site(root: Path, site: str) -> Iterator[Record]:
    """Yield the site's records, newest first; a damaged one settles nothing."""
    for summary in list_records(root, site):
        if not summary.problem:
            with suppress(RecordError):
                yield Record.open(root, summary.incident)


# -- Deletions whose end an interrupted run did not write down: what the stores and the logs say of them now.
#
# The run may have died before the command left, or after that and before the result was on disk. The
# journal cannot tell which, and an entry that is listed may be the old one or the new one. So nothing
# is sent again. An entry that is not listed is gone; for one that is, the logs are watched. Where they do not decide,
# the next plan offers the deletion again, for a new approval.

WatchLogs = Callable[[Context, Iterable[DeletionResult]], Awaitable[bool]]
NOT_SEEN = "not seen: the run was interrupted, and whether the command left is not known"


@dataclass(frozen=True)
class InterruptedDeletion:
    """A deletion that may have been sent; ``seen`` is its result where that, at least, is in the journal."""

    server: str
    key: str
    command: str
    intent_utc: datetime
    seen: str = ""


def interrupted_deletions(record: Record) -> Iterator[InterruptedDeletion]:
    """Yield the deletions that may have been sent and whose result is not kept with the others, oldest first."""
    results = (line for line in record.journal.read().lines if line.kind is Kind.RESULT)
    ends = {(line.server, line.about.subject): line for line in results if line.about.seen != NOT_SENT}
    for place, line in _without_result(record, recorded_deletions(record)).items():
        end = ends.get((line.server, line.about.subject))
        seen = end.seen if end and end.n > line.n else ""
        yield InterruptedDeletion(*place, command=line.about.command, intent_utc=line.utc, seen=seen)


async def settle_interrupted(context: Context, stores: Iterable[TofuStore], watch_logs: WatchLogs) -> None:
    """Keep a result of every deletion that an interrupted run left without one; ``stores`` were read just now.

    Where an entry is still listed, ``watch_logs`` watches the logs first: see ``inventory.watch_logs``.
    Does nothing while another process carries out the deletions.
    """
    if context.stage is not Stage.DELETE and context.record.stage_states()[Stage.DELETE] is StageState.RUNNING:
        return
    by_server = {store.server: store for store in stores}
    results = [_result(each, by_server[each.server]) for each in interrupted_deletions(context.record)]
    await watch_logs(context, results)
    kept = (*recorded_deletions(context.record), *results)
    if results:
        context.record.write_facts(Stage.DELETE, DELETION_FACTS, kept)
    seen = {result.place: result.result for result in kept}
    for change in context.record.pending_changes():
        if change.stage == Stage.DELETE:
            change.result(seen[(change.server, change.about.name)], expected=Deletion.GONE)


def _result(interrupted: InterruptedDeletion, store: TofuStore) -> DeletionResult:
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
