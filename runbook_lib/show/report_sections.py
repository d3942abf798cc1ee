"""The chapters of a post-mortem, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbook_lib.decisions import LASTING_REPAIR, is_sha256
from runbook_lib.i18n.language import NOT_RECORDED, duration, utc_time
from runbook_lib.models import Judgement, Stage, StageState
from runbook_lib.observations import Check
from runbook_lib.record.artifacts import Drift
from runbook_lib.show.document import (
    NO_REF,
    STATE_TONES,
    TONE_OF,
    Bullets,
    Cell,
    Code,
    Marked,
    Ref,
    Row,
    Table,
    without_idle_columns,
)
from runbook_lib.show.report_model import (
    OWN_STAGE,
    Blank,
    Block,
    ChangeRow,
    EntryChange,
    Impact,
    PostMortem,
    Section,
    Shots,
    StageRow,
    StoreChange,
)
from runbook_lib.show.report_reading import NO_RESULT
from runbook_lib.show.timeline import over_time
from runbook_lib.show.trust import who_trusts_whom

FACTORS, ACTIONS = "contributing-factors", "action-items"
HOW_COUNTED = (
    "Counted from the first mismatch line in the logs until stage 60 proved that it works. A mismatch line"
    " says that a connection was rejected at that time; it may have been before, and it may have worked again earlier"
    " than it was proven."
)
STORES_SHOW = "The product shows no fingerprint: a renewed certificate with the same subject looks the same."
FACTORS_HINT = (
    "Why could this happen, and why was it found when it was? For example: who renewed the certificate, who knew of it,"
    " which alarm was there."
)


def sections_of(pm: PostMortem) -> tuple[Section, ...]:
    """Return the chapters, without columns that say nothing; the journal itself is not among them."""
    return tuple(replace(each, blocks=tuple(map(_shortened, each.blocks))) for each in _chapters(pm))


def _shortened(block: Block) -> Block:
    return without_idle_columns(block) if isinstance(block, Table) else block


def _chapters(pm: PostMortem) -> tuple[Section, ...]:
    lead = "What the servers said of high availability when the plan was made"
    before = [f"{lead}: {impact.seen}." for impact in pm.impacts if impact.seen]
    undo = Table(
        title="Per change", headers=("what", "can it be undone", "how"), rows=tuple(Row(*cells) for cells in pm.undo)
    )
    return (
        # The picture stands here, where it fits on the first page of a PDF: tables go over to the next one.
        Section(ident="summary", title="Summary", blocks=(*pm.summary, *filter(None, (over_time(pm),)))),
        Section(ident="impact", title="Impact", blocks=(HOW_COUNTED, _impact(pm), *before)),
        Section(ident="timeline", title="Timeline, in UTC", blocks=(moments(pm),)),
        Section(ident="changes", title="What was changed", blocks=(_changes(pm),)),
        Section(ident="trust", title="Who trusts whom", blocks=who_trusts_whom(pm) or (f"It is {NOT_RECORDED}.",)),
        Section(ident="stores", title="Both stores, before and after", blocks=(STORES_SHOW, *_stores(pm))),
        Section(ident="verdicts", title="How each certificate was confirmed", blocks=(_verdicts(pm),)),
        Section(ident="checks", title="Expected beside actual", blocks=(_checks(pm),)),
        Section(
            ident="approvals",
            title="Who approved what",
            blocks=(*_plan(pm), _approvals(pm), *_overrides(pm), _stages(pm)),
        ),
        Section(ident="unproven", title="What remains unproven", blocks=(Bullets(pm.unproven),)),
        Section(ident="undo", title="What can be undone", blocks=(undo,)),
        Section(ident=FACTORS, title="Contributing factors", blocks=(Blank(FACTORS, FACTORS_HINT),)),
        Section(ident=ACTIONS, title="Action items", blocks=(Blank(ACTIONS, LASTING_REPAIR),)),
        Section(ident="screenshots", title="Screenshots", blocks=(_shown(pm), Shots(pm.screenshots))),
        Section(ident="versions", title="Which notebooks ran", blocks=(_versions(pm),)),
    )


def _impact(pm: PostMortem) -> Table:
    return Table(
        title="How long each was rejected",
        headers=("what", "how long", "first mismatch line", "proven to work", "what is not known"),
        rows=tuple(_impact_row(impact) for impact in pm.impacts),
    )


def _impact_row(impact: Impact) -> Row:
    if not impact.rejected:
        length: Cell = Marked("quiet", "no mismatch in the logs that were read")
    elif impact.until_utc is None:
        length = Marked("bad", "not known: it is not shown to work again")
    elif impact.duration is None:
        length = Marked("doubt", "not known")
    else:
        length = Marked("plain", duration(impact.duration))
    since = "not known" if impact.rejected else "-"
    if impact.since_utc:
        since = f"{utc_time(impact.since_utc)}\n{impact.line}"
    return Row(impact.what, length, since, utc_time(impact.until_utc), "\n".join(impact.not_known) or "-")


def moments(pm: PostMortem) -> Table:
    """Return what happened when."""
    return Table(
        title="What happened when",
        headers=("when (UTC)", "what", "where", "evidence"),
        rows=tuple(Row(each.said, Marked(each.tone, each.what), each.where or "-", each.ref) for each in pm.moments),
        empty="the journal holds no line",
    )


def _changes(pm: PostMortem) -> Table:
    within = {number: row.name for row in pm.stages for number in row.changes}
    return Table(
        title="Each change, on the device's own word",
        headers=("change", "when (UTC)", "server", "expected", "what became of it", "intent", "result"),
        rows=tuple(
            Row(
                f"{change.number}. {change.what}",
                f"{utc_time(change.utc)}\n{within.get(change.number, NOT_RECORDED)}",
                change.server,
                change.expected or "-",
                _became(change),
                change.ref,
                change.result_ref,
            )
            for change in pm.changes
        ),
        empty="nothing was changed",
    )


def _became(change: ChangeRow) -> Marked:
    proven = "still listed, or back, when it was read back; stage 60 proved that it was deleted"
    return Marked(change.final_tone, proven if change.is_settled else change.result or NO_RESULT)


def _stores(pm: PostMortem) -> Iterator[str | Table]:
    if not pm.stores:
        yield f"Neither was read: what they held is {NOT_RECORDED}."
    for store in pm.stores:
        yield _store(store)
        if store.note:
            yield store.note


def _store(store: StoreChange) -> Table:
    return Table(
        title=f"TOFU list of the {store.server}: {utc_time(store.before_utc)} and {utc_time(store.after_utc)}",
        headers=("entry", "subject before", "subject after", "what that means"),
        rows=(
            *(
                Row(Code(each.key), each.before or "not listed", _after(each), Marked(each.tone, each.word))
                for each in store.entries
            ),
            Row("read from", store.before, store.after, "-"),
        ),
    )


def _after(entry: EntryChange) -> str:
    return "the same subject" if entry.after and entry.after == entry.before else entry.after or "not listed"


def _verdicts(pm: PostMortem) -> Table:
    return Table(
        title="What each host presented, compared with what was known by another way",
        headers=("host", "verdict", "why", "compared with", "SHA-256 that was presented", "seen from"),
        rows=tuple(map(_verdict, pm.judgements)),
        ref=pm.judged,
        empty=f"no certificate was judged: {NOT_RECORDED}",
    )


def _verdict(judgement: Judgement) -> Row:
    return Row(
        f"{judgement.target} ({judgement.host}:{judgement.port})",
        Marked(TONE_OF[judgement.verdict.ok], judgement.verdict),
        judgement.reason,
        judgement.expectation or "nothing",
        Code(judgement.facts.sha256) if judgement.facts else "none was seen",
        ", ".join(judgement.seen_from) or "nowhere",
    )


def _checks(pm: PostMortem) -> Table:
    words = {True: "yes", False: "no", None: "not known"}
    return Table(
        title="The checks of stage 60",
        headers=("what", "expected", "actual", "as expected", "note"),
        rows=tuple(
            Row(
                each.name,
                _value(each.expected),
                _actual(each),
                Marked(TONE_OF[each.ok], words[each.ok]),
                each.note or "-",
            )
            for each in pm.checks
        ),
        ref=pm.checked,
        empty="stage 60 left no checks in this record",
    )


def _value(text: str) -> Cell:
    """A digest is compared letter by letter."""
    return Code(text) if is_sha256(text) else text


def _actual(check: Check) -> Cell:
    value = _value(check.actual)
    return "the same SHA-256" if isinstance(value, Code) and check.actual == check.expected else value


def _plan(pm: PostMortem) -> Iterator[Block]:
    if pm.plan is None:
        yield f"A plan is {NOT_RECORDED}."
        return
    yield Table(
        title=f"The newest plan, {pm.plan.digest}",
        headers=("entry", "server", "decision", "why", "verdict", "override"),
        rows=tuple(
            Row(Code(each.key), each.server, each.decision, each.reason, each.verdict or "-", each.override or "-")
            for each in pm.plan.rows
        ),
        ref=pm.planned,
        empty="both stores were empty",
    )
    if pm.plan.blocked:
        yield "It is blocked, so nothing of it may be carried out:"
        yield Bullets(pm.plan.blocked)


def _approvals(pm: PostMortem) -> Table:
    return Table(
        title="Approvals",
        headers=("by", "when (UTC)", "plan", "how", "reason", "evidence"),
        rows=tuple(
            Row(each.by, utc_time(each.at_utc), Code(each.digest), each.how, each.reason or "-", ref)
            for each, ref in pm.approvals
        ),
        empty="nobody approved anything",
    )


def _overrides(pm: PostMortem) -> Iterator[Table]:
    if pm.overrides:
        yield Table(
            title="Overrides: a person's word in the place of a confirmation",
            headers=("by", "when (UTC)", "entry", "certificate", "reason"),
            rows=tuple(
                Row(each.by, utc_time(each.at_utc), f"{each.key} on the {each.server}", Code(each.sha256), each.reason)
                for each in pm.overrides
            ),
            ref=pm.overridden,
        )


def _stages(pm: PostMortem) -> Table:
    return Table(
        title="Who ran which stage: every attempt; a stage stands as its last one ended",
        headers=("stage", "state", "changes", "by", "from and to (UTC)", "why", "evidence"),
        rows=tuple(
            Row(
                row.name,
                _state(row),
                ", ".join(map(str, row.changes)) or "none",
                row.by or NOT_RECORDED,
                f"{utc_time(row.started_utc)}\n{utc_time(row.ended_utc, _no_end(row))}",
                row.why or "-",
                row.ref,
            )
            for row in pm.stages
        ),
        empty="no stage began",
    )


def _state(row: StageRow) -> Marked:
    """How an attempt stands. Stage 70 cannot have ended when it writes the report."""
    if _is_writing(row):
        return Marked("quiet", "not ended yet")
    return Marked(STATE_TONES.get(row.state, "plain") if row.last else "quiet", row.state)


def _no_end(row: StageRow) -> str:
    return "no end yet when this was written" if _is_writing(row) else "no end in the journal"


def _is_writing(row: StageRow) -> bool:
    return row.stage == OWN_STAGE and row.state is StageState.RUNNING


def _shown(pm: PostMortem) -> str:
    if not pm.screenshots:
        return "No web page was pictured in this record."
    return "The web pages as the record keeps them; passwords and keys were blacked out before they were kept."


def _versions(pm: PostMortem) -> Table:
    """Every version of each notebook that ran, and where the one that is here now differs from it."""
    versions = pm.verified.notebooks
    ran = {drift.version.stage for drift in versions}
    rows = [
        Row(each.version.stage, Code(each.version.seen), _since(each), Ref(line=each.version.n)) for each in versions
    ]
    missing = [Row(stage.value, NOT_RECORDED, NOT_RECORDED, NO_REF) for stage in Stage if stage.value not in ran]
    return Table(
        title="The template of each notebook that ran, and whether the one here now differs from it",
        headers=("notebook", "SHA-256 of what ran", "since then", "evidence"),
        rows=(*rows, *missing),
    )


def _since(drift: Drift) -> str:
    by_hand = "run by hand, as it was on disk at the time; " if drift.by_hand else ""
    if not drift.known:
        return f"{by_hand}whether it has changed since is not known"
    return by_hand + ("; ".join(drift.cells) or "the same here now")
