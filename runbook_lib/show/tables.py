"""Tables of plans, approvals, deletions, checks and stages. No decisions are made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runbook_lib.decisions import Approval, Decision, Deletion, DeletionResult, Plan, PlannedChange, PlanRow, WayOut
from runbook_lib.i18n.language import AsIs, gettext, stamp
from runbook_lib.models import HaStatus, Stage, StageState, Verdict
from runbook_lib.observations import Check, HaPage, ListedIseServer, ReadinessItem
from runbook_lib.show.document import (
    ALARM,
    BAD,
    DOUBT,
    GOOD,
    PLAIN,
    READY,
    STATE_TONES,
    TONE_OF,
    Row,
    Table,
    below,
    common_folder,
    facts_folder,
    places_below,
    without_idle_columns,
)
from runbook_lib.show.rendering import View

# -- Tables of how things stand: checks, stages, high availability and the ISE servers. No decisions are made here


def checks(value: tuple[Check, ...], title: str, note: str = "") -> View[tuple[Check, ...]]:
    """Return what was expected beside what was seen."""
    words = {True: "yes", False: "no", None: "not known"}
    table = Table(
        title=title,
        headers=("what", "expected", "actual", "as expected", "note"),
        rows=tuple(
            Row(each.name, each.expected, each.actual, words[each.ok], each.note, mark=TONE_OF[each.ok])
            for each in value
        ),
        note=note,
        below=("note",),
    )
    return View(value, (table,))


def answers(value: tuple[Check, ...], title: str, note: str) -> View[tuple[Check, ...]]:
    """The checks that are not as expected, and those that are in one line that can be opened."""
    wrong, right = (tuple(check for check in value if (check.ok is True) is fine) for fine in (False, True))
    shown = [*checks(wrong, title, note).tables] if wrong else []
    fold = f"{len(right)} answers are as expected" if wrong else f"All is well: {len(right)} answers, each as expected"
    folded = replace(checks(right, title).tables[0], fold=fold)
    return View(value, (*shown, *((folded,) if right else ())))


def stages(value: Mapping[str, StageState], before: Mapping[str, Sequence[StageState]] | None = None) -> Table:
    """``before``: how earlier attempts at a stage ended, where there were any."""
    ended = {stage: ", ".join(map(gettext, (before or {}).get(stage, ()))) or "-" for stage in value}
    rows = (Row(stage, state, ended[stage], mark=STATE_TONES.get(state, PLAIN)) for stage, state in value.items())
    headers = ("stage", "state", "attempts before")
    return without_idle_columns(Table(title="Stages of this incident", headers=headers, rows=tuple(rows)))


def ha_states(states: Sequence[HaStatus]) -> Table:
    """Return both servers' own words on high availability."""
    return Table(
        title="High availability, as each server reports it",
        headers=("server", "role", "state", "failover"),
        rows=tuple(Row(each.server, AsIs(each.role), AsIs(each.state), AsIs(each.failover)) for each in states),
    )


def readiness(
    value: tuple[ReadinessItem, ...], accepted: Sequence[str], why_none: str
) -> View[tuple[ReadinessItem, ...]]:
    """``why_none`` stands in the place of the items where there are none."""
    table = Table(
        title="Check Readiness, as the page shows it",
        headers=("item", "result", "detail"),
        rows=tuple(
            Row(
                AsIs(item.name), _readiness_word(item, accepted), AsIs(item.detail), mark=GOOD if item.passed else DOUBT
            )
            for item in value
        ),
        empty=why_none,
    )
    return View(value, (table,))


def _readiness_word(item: ReadinessItem, accepted: Sequence[str]) -> str:
    if item.passed:
        return "passed"
    return "failed, accepted by the site's file" if item.name in accepted else "failed"


def ha_page(value: HaPage | None, why_none: str) -> View[HaPage | None]:
    """Return what the High Availability page shows, milestone by milestone; ``why_none`` where it was not read."""
    rows = []
    if value is not None:
        rows.append(Row("Configuration Mode", AsIs(value.configuration_mode)))
        for step in value.milestones:
            words = f"{step.percent} %" + (" failed" if step.failed else "")
            rows.append(Row(step.name, words, mark=BAD if step.failed else PLAIN))
        if value.message:
            rows.append(Row("message", AsIs(value.message), mark=DOUBT))
    table = Table(title="High Availability page", headers=("what", "value"), rows=tuple(rows), empty=why_none)
    return View(value, (table,))


def ise_servers(value: tuple[ListedIseServer, ...], *, read: bool = True) -> View[tuple[ListedIseServer, ...]]:
    """Return the ISE Servers page, row by row; ``read``: whether it was."""
    words = {True: "answers", False: "does not answer", None: "not known"}
    table = Table(
        title="ISE Servers page",
        headers=("address", "status", "meaning"),
        rows=tuple(
            Row(AsIs(each.address), AsIs(each.status), words[each.answers], mark=TONE_OF[each.answers])
            for each in value
        ),
        empty="no ISE server is listed" if read else "the page was not read: a person has to look at it",
    )
    return View(value, (table,))


def steps(title: str, why: str, value: Sequence[tuple[str, str]]) -> Table:
    """What a person is to do, in order."""
    rows = tuple(Row(str(number), what, text) for number, (what, text) in enumerate(value, 1))
    return Table(title=title, headers=("step", "do", "value"), rows=rows, note=why)


# -- Tables of what is to be deleted, who approved it, and what became of it. No decisions are made here

_DECISION_MARKS = {Decision.DELETE: READY, Decision.ALREADY_RIGHT: GOOD, Decision.CANNOT_TELL: DOUBT}
_DELETION_MARKS = {Deletion.GONE: GOOD, Deletion.NOT_DELETED_OR_CAME_BACK: DOUBT}


def plan(
    value: Plan,
    ways: tuple[WayOut, ...] = (),
    settling: tuple[tuple[Verdict, str], ...] = (),
    trust: tuple[Table, ...] = (),
) -> View[Plan]:
    """Return the tables of a plan; ``settling`` says what settles a blocked one.

    ``ways`` say how it gets on where nothing confirms a certificate; ``trust`` stands above the rows, for a picture.
    """
    first = (*_blocked(value, settling), *((ways_out(ways),) if ways else ()), *before_approval(value))
    return View(value, (*first, *trust, _rows(value), _commands(value), _changes(value)))


def _blocked(value: Plan, settling: tuple[tuple[Verdict, str], ...]) -> tuple[Table, ...]:
    """Return the table of what blocks a plan and what settles that; none for one that is not blocked."""
    if not value.blocked:
        return ()
    alarms = [Row(what, mark=ALARM) for verdict, what in settling if verdict is Verdict.CONTRADICTED]
    # What to do for a host that nothing confirms has a table of its own.
    urgent = (Verdict.CONTRADICTED, Verdict.UNCONFIRMED)
    others = [Row(what, mark=READY) for verdict, what in settling if verdict not in urgent]
    return (
        Table(
            title="Blocked: nothing is changed until this is settled",
            headers=("what",),
            rows=(*alarms, *(Row(reason, mark=BAD) for reason in value.blocked), *others),
            artifact=_file_of(value),
        ),
    )


def _file_of(value: Plan) -> str:
    return f"plans/{value.digest}.json in the record"


def _rows(value: Plan) -> Table:
    """Return the table of every entry of both stores."""
    folder = common_folder([place for row in value.rows for place in row.evidence])
    return Table(
        title=f"Plan {value.digest}",
        headers=("server", "entry", "stands for", "decision", "why", "verdict", "seen from", "evidence"),
        rows=tuple(
            Row(
                row.server,
                row.key,
                row.target or "-",
                row.decision,
                row.reason,
                (row.verdict or "-") + (f"\noverridden by {row.override}" if row.override else ""),
                "\n".join((", ".join(row.seen_from) or "-", *(f"not from {each}" for each in row.not_seen_from))),
                places_below(row.evidence, folder) or "-",
                mark=_mark_of(row, blocked=bool(value.blocked)),
            )
            for row in sorted(value.rows, key=_urgency)
        ),
        note=below(folder),
        whole=("entry", "evidence"),
        artifact=_file_of(value),
        counted="decision",
        below=("why", "evidence"),
    )


def _commands(value: Plan) -> Table:
    """Return the table of the deletions' commands, to the letter."""
    return Table(
        title="Exact commands, in this order",
        headers=("server", "command", "SHA-256"),  # so short that both stand on one line at 80 columns
        rows=tuple(Row(row.server, row.command, row.confirmed_sha256) for row in value.deletions),
        note="Below each command is the certificate that was confirmed for it. A deleted entry cannot be restored; the"
        " next connection adds a new one."
        if value.deletions
        else "",
        empty="none while the plan is blocked" if value.blocked else "nothing to delete",
        whole=("command",),
        below=("SHA-256",),
        artifact=_file_of(value),
    )


def _changes(value: Plan) -> Table:
    """Return the table of what stages 40 and 50 may change."""
    return Table(
        title="After the deletions, each only under its condition",
        headers=("server", "change", "host", "condition", "now", "why", "interrupts", "values", "confirmed"),
        rows=tuple(_later(change, blocked=bool(value.blocked)) for change in value.changes),
        empty="nothing else is changed",
        whole=("change",),
        below=("why", "interrupts", "values", "confirmed"),
    )


def _urgency(row: PlanRow) -> tuple[bool, int, bool]:
    """What has to be looked at and what is deleted come first, a server's own entries last."""
    return (row.verdict is not Verdict.CONTRADICTED, tuple(Decision).index(row.decision), row.verdict is None)


def before_approval(value: Plan) -> tuple[Table, ...]:
    """Return the table of what the rows of a plan cannot say and whoever approves it has to know, none for nothing."""
    known = tuple(Row(note, mark=DOUBT) for note in value.notes)
    return (Table(title="Know this before you approve", headers=("what",), rows=known),) if known else ()


def ways_out(ways: tuple[WayOut, ...]) -> Table:
    """Return the table that says how a plan gets on where nothing confirms a certificate."""
    headers = ("presents", "compare at its console", "then in the site's file", "or as a parameter", "no self")
    return Table(
        title="What to do: confirm these certificates by some other means than this connection",
        headers=("host", *headers),
        rows=tuple(map(_way_out, ways)),
        note="Write the digits that the console shows, never those of this table: where they differ, somebody else is"
        " answering. self: true compares with what the host shows through its own SSH server, and needs nobody else."
        " By hand, the form in 20_list_certificates takes the same.",
        whole=headers,
        below=headers,
    )


def _way_out(way: WayOut) -> Row:
    cells = (way.presented_sha256, gettext(way.at_console), way.in_file, way.as_parameter, gettext(way.self_note))
    return Row(way.target, *cells, mark=DOUBT)


def _mark_of(row: PlanRow, *, blocked: bool) -> str:
    """What waits to be done is no failure; a certificate that contradicts what is known is told before all else."""
    if row.verdict is Verdict.CONTRADICTED:
        return ALARM
    mark = _DECISION_MARKS.get(row.decision, PLAIN)
    return DOUBT if mark == READY and blocked else mark


def _later(change: PlannedChange, *, blocked: bool) -> Row:
    mark = READY if change.confirmed_sha256 and not blocked else DOUBT
    return Row(
        change.server,
        gettext(change.kind if change.attempt == 1 else f"{change.kind}, attempt {change.attempt}"),
        change.target,
        change.condition,
        f"{change.rests_on}: it is needed" if change.expected else change.rests_on,
        change.reason,
        change.interrupts,
        "\n".join(f"{field}: {value}" for field, value in change.settings if value != "-") or "-",
        change.confirmed_sha256 or "nothing: it cannot be done by this plan",
        mark=mark if change.expected else PLAIN,
    )


def approval(value: Approval | None, question: str) -> View[Approval | None]:
    """Return who approved, or the question that nobody has answered."""
    rows = () if value is None else (Row(value.by, stamp(value.at_utc), value.how, value.reason, mark=GOOD),)
    table = Table(title="Approval", headers=("by", "at", "how", "reason"), rows=rows, empty="none yet", note=question)
    return View(value, (table,))


def results(value: tuple[DeletionResult, ...]) -> View[tuple[DeletionResult, ...]]:
    """Return what became of each deletion, on the store's own word."""
    table = Table(
        title="Deletions, as the stores show them",
        headers=("server", "entry", "what the store says", "what the command printed", "sent", "read back"),
        rows=tuple(
            Row(
                done.server,
                done.key,
                done.result,
                AsIs(done.said.strip()) or "(nothing)",
                stamp(done.sent_utc, "not in the log"),
                stamp(done.read_back_utc, "not in the log"),
                mark=_DELETION_MARKS.get(done.result, BAD),
            )
            for done in value
        ),
        empty="nothing was deleted",
        note="An entry that is listed again may be the new one: the server's own monitor adds it within seconds.",
        whole=("entry",),
        artifact=facts_folder(Stage.DELETE),
        counted="what the store says",
        below=("what the command printed", "sent", "read back"),
    )
    return View(value, (table,))
