"""Tables of what is to be deleted, who approved it, and what became of it. No decisions are made here."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.models import (
    Approval,
    Decision,
    Deletion,
    DeletionResult,
    Plan,
    PlannedChange,
    PlanRow,
    Stage,
    Verdict,
    WayOut,
)
from runbook_lib.times import stamp
from runbook_lib.views.evidence import below, common_folder, facts_of, shorten
from runbook_lib.views.rows import ALARM, BAD, DOUBT, GOOD, PLAIN, READY, Row, Table
from runbook_lib.views.table import View
from runbook_lib.words import AsIs

_DECISION_MARKS = {Decision.DELETE: READY, Decision.ALREADY_RIGHT: GOOD, Decision.CANNOT_TELL: DOUBT}
_DELETION_MARKS = {Deletion.GONE: GOOD, Deletion.NOT_DELETED_OR_CAME_BACK: DOUBT}


def plan(value: Plan, ways: tuple[WayOut, ...] = ()) -> View[Plan]:
    """Return the tables of a plan; ``ways`` say how it gets on where nothing confirms a certificate."""
    folder = common_folder([place for row in value.rows for place in row.evidence])
    rows = Table(
        title=f"Plan {value.digest}",
        headers=("server", "entry", "stands for", "decision", "why", "verdict", "seen from", "evidence"),
        rows=tuple(
            Row(
                cells=(
                    row.server,
                    row.key,
                    row.target or "-",
                    row.decision,
                    row.reason,
                    (row.verdict or "-") + (f"\noverridden by {row.override}" if row.override else ""),
                    ", ".join(row.seen_from) or "-",
                    shorten(row.evidence, folder) or "-",
                ),
                mark=_mark_of(row, blocked=bool(value.blocked)),
            )
            for row in value.rows
        ),
        note=" · ".join((*value.notes, *filter(None, (below(folder),)))),
        whole=("entry", "evidence"),
        artifact=f"plans/{value.digest}.json in the record",
        counted="decision",
    )
    commands = Table(
        title="Exact commands, in this order; a deleted entry cannot be restored, the next connection adds a new one",
        headers=("on", "command", "confirmed SHA-256"),
        rows=tuple(Row(cells=(row.server, row.command, row.confirmed_sha256)) for row in value.deletions),
        empty="nothing to delete",
        whole=("command",),
        artifact=f"plans/{value.digest}.json in the record",
    )
    later = Table(
        title="After the deletions, and only under its condition",
        headers=(
            "on",
            "change",
            "about",
            "when",
            "as things stand",
            "why",
            "interrupts",
            "values",
            "confirmed",
        ),
        rows=tuple(_later(change, blocked=bool(value.blocked)) for change in value.changes),
        empty="nothing else is changed",
        whole=("change",),
        artifact=f"plans/{value.digest}.json in the record",
    )
    blocked = Table(
        title="Blocked: nothing is changed until this is settled",
        headers=("reason",),
        rows=tuple(Row(cells=(reason,), mark=BAD) for reason in value.blocked),
        artifact=f"plans/{value.digest}.json in the record",
    )
    return View(
        value, (*((blocked,) if value.blocked else ()), *((_ways_out(ways),) if ways else ()), rows, commands, later)
    )


def _ways_out(ways: tuple[WayOut, ...]) -> Table:
    return Table(
        title="The way out: confirm these certificates by another way than this connection",
        headers=("host", "what", "value"),
        rows=tuple(Row(cells=cells, mark=DOUBT if cells[0] else PLAIN) for way in ways for cells in _way_out(way)),
        note="Write the digits that the console shows, never those of this table: where they differ, somebody else is"
        " answering. self: true compares with what the host shows through its own SSH server, and needs nobody else.",
        whole=("value",),
    )


def _way_out(way: WayOut) -> Iterator[tuple[str, str, str]]:
    yield way.target, "presents now (SHA-256)", way.presented_sha256
    yield "", "to compare it at its own console", way.at_console
    yield "", "then in the site's file", way.in_file
    yield "", "or for this incident alone", way.as_parameter
    if way.self_note:
        yield "", "self cannot be had", way.self_note


def _mark_of(row: PlanRow, *, blocked: bool) -> str:
    """What waits to be done is no failure; a certificate that contradicts what is known is told before all else."""
    if row.verdict is Verdict.CONTRADICTED:
        return ALARM
    mark = _DECISION_MARKS.get(row.decision, PLAIN)
    return DOUBT if mark == READY and blocked else mark


def _later(change: PlannedChange, *, blocked: bool) -> Row:
    ready = bool(change.confirmed_sha256) and not blocked
    return Row(
        cells=(
            change.server,
            change.kind if change.attempt == 1 else f"{change.kind}, attempt {change.attempt}",
            change.target,
            change.condition,
            f"{change.rests_on}: it is needed" if change.expected else change.rests_on,
            change.reason,
            change.interrupts,
            "\n".join(f"{field}: {said}" for field, said in change.settings if said != "-") or "-",
            change.confirmed_sha256 or "nothing: it cannot be done by this plan",
        ),
        mark=PLAIN if not change.expected else READY if ready else DOUBT,
    )


def approval(value: Approval | None, question: str) -> View[Approval | None]:
    rows = () if value is None else (Row(cells=(value.by, stamp(value.at_utc), value.how, value.reason), mark=GOOD),)
    table = Table(title="Approval", headers=("by", "at", "how", "reason"), rows=rows, empty="none yet", note=question)
    return View(value, (table,))


def results(value: tuple[DeletionResult, ...]) -> View[tuple[DeletionResult, ...]]:
    table = Table(
        title="Deletions, on the stores' own word",
        headers=("server", "entry", "what the store says", "what the command printed", "sent", "read back"),
        rows=tuple(
            Row(
                cells=(
                    done.server,
                    done.key,
                    done.result,
                    AsIs(done.said.strip()) or "(nothing)",
                    stamp(done.sent_utc, "not in the log"),
                    stamp(done.read_back_utc, "not in the log"),
                ),
                mark=_DELETION_MARKS.get(done.result, BAD),
            )
            for done in value
        ),
        empty="nothing was deleted",
        note="An entry that is listed again may be the new one: the server's own monitor adds it within seconds.",
        whole=("entry",),
        artifact=facts_of(Stage.DELETE),
        counted="what the store says",
    )
    return View(value, (table,))
