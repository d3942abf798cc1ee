"""The incident's timeline, its impact, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from runbook_lib.decisions import Approval, Deletion, Plan
from runbook_lib.i18n.language import count, duration, utc_time
from runbook_lib.logs.conclusions import timeline, verdict
from runbook_lib.logs.formats import logged_moment, moment_in_words
from runbook_lib.models import PI_SERVERS, Inventory, Outcome, Stage, StageState, Verdict
from runbook_lib.observations import Check, CheckKind, Diagnosis, Mismatch, with_kinds
from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.stages import named_in_words, pending_changes
from runbook_lib.show.document import NO_REF, STATE_TONES, TONE_OF
from runbook_lib.show.report_model import (
    OWN_STAGE,
    ChangeRow,
    Headline,
    Impact,
    Moment,
    PostMortem,
    StageRow,
)
from runbook_lib.show.report_reading import Found, RecordFolder, ref

# -- How long HA and each ISE server were rejected: from the first mismatch line found until stage 60 proved them.
#
# What a log or a store does not say is named as not known. A mismatch line says that a connection was rejected at that
# time; since when it was before the first line that was found, nobody can tell from it.

HA = "High availability"
HA_PLACES = ("primary_health_monitor", "secondary_health_monitor")
ISE_PLACE = "primary_infrastructure"


def impacts_of(record: RecordFolder) -> tuple[Impact, ...]:
    """Return the impact on HA and on each ISE server that the inventory knows."""
    diagnosis = record.newest(Stage.DIAGNOSE, "diagnosis", Diagnosis)
    inventory = record.newest(Stage.LIST, "inventory", Inventory)
    ha_states = inventory.value.ha if inventory else ()
    states = ", ".join(f"{status.server}: {status.state or 'no state'}" for status in ha_states)
    ha = replace(_impact(HA, HA_PLACES, diagnosis, _verified(record, CheckKind.HA_STATE)), seen=states)
    names = [each.target for each in (inventory.value.judgements if inventory else ()) if each.target not in PI_SERVERS]
    return (ha, *(_ise(record, name, diagnosis, alone=len(names) == 1) for name in names))


def _ise(record: RecordFolder, name: str, diagnosis: Found[Diagnosis] | None, *, alone: bool) -> Impact:
    until = _verified(record, CheckKind.ISE_PAGE, name)
    impact = _impact(f"ISE server {name}", (ISE_PLACE,), diagnosis, until)
    if alone or not impact.since_utc:
        return impact
    doubt = "which of the ISE servers: the log names a subject and no address, so its first line counts for each"
    return replace(impact, not_known=(*impact.not_known, doubt))


def _impact(what: str, places: tuple[str, ...], diagnosis: Found[Diagnosis] | None, until: Line | None) -> Impact:
    impact = Impact(what=what, until_utc=until.utc if until else None)
    if diagnosis is None:
        return replace(impact, not_known=("since when: no log was diagnosed",))
    mismatches = [mismatch for mismatch in diagnosis.value.mismatches if mismatch.place in places]
    dated = sorted((mismatch.first_utc, number) for number, mismatch in enumerate(mismatches) if mismatch.first_utc)
    first = mismatches[dated[0][1]] if dated else None
    unknown = (*_unknown(mismatches, first, diagnosis.value), *(() if until or not mismatches else (NO_END,)))
    impact = replace(impact, rejected=bool(mismatches), not_known=unknown)
    if first is None:
        return impact
    evidence = first.evidence[0] if first.evidence else None
    line = f"{evidence.place}: {evidence.text}" if evidence else ""
    return replace(impact, since_utc=first.first_utc, line=line)


NO_END = "when it ended, or whether it has: no check of stage 60 proves that it works"


def _unknown(mismatches: list[Mismatch], first: Mismatch | None, diagnosis: Diagnosis) -> Iterable[str]:
    missing = [server for server in diagnosis.no_logs if server in PI_SERVERS]
    if missing:
        yield f"what the log of the {' and of the '.join(missing)} says: none was available"
    if diagnosis.damaged:
        yield "what the unreadable parts of the logs say"
    if first is None and mismatches:
        yield f"since when: its lines hold no date ({logged_moment(None, mismatches[0].first_said, zone_known=True)})"
    if first is not None:
        yield "whether it was rejected before the first mismatch line that was found"
        if not first.zone_known:
            yield "the log's time zone: UTC was assumed"


def _verified(record: RecordFolder, kind: CheckKind, target: str = "") -> Line | None:
    """The line of the first checks since which all of the kind held, whenever they were made; None: they do not.

    Where ``target`` is given, those about it.
    """
    since: Line | None = None
    for fact in reversed(list(record.facts(Stage.VERIFY, "checks", tuple[Check, ...]))):
        about = [check.ok for check in with_kinds(fact.value) if check.kind is kind and target in ("", check.target)]
        if not about or not all(about):
            since = None
        elif since is None:
            since = fact.line
    return since


# -- The timeline: what the logs say, what people decided, what was changed; each row with the line that it rests on

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_ALWAYS = {
    Kind.INCIDENT_OPENED: "incident opened",
    Kind.STAGE_STARTED: "stage begins",
    Kind.STAGE_ENDED: "stage ends",
    Kind.INTERRUPTED: "cut short",
    Kind.DECIDED: "decided",
    Kind.APPROVED: "approved",
    Kind.INTENT: "about to send",
    Kind.SENT: "sent",
    Kind.RESULT: "result",
    Kind.PROOF: "proof",
    Kind.OUTCOME: "outcome",
    Kind.TORN: "a line was cut short",
    Kind.SEALED: "sealed",
}


def moments_of(
    lines: tuple[Line, ...],
    changes: tuple[ChangeRow, ...],
    stages: tuple[StageRow, ...],
    diagnosis: Found[Diagnosis] | None,
) -> tuple[Moment, ...]:
    """Return the rows, earliest first; those of logs without a date come last."""
    tones = {change.result_ref.line: change.tone for change in changes}
    numbers = {row.ref.line: row.attempt for row in stages if row.attempts > 1}
    moments = [_of_line(line, tones, numbers.get(line.n, 0)) for line in (*_events(lines), *_verdicts(lines))]
    if diagnosis:
        moments += [
            Moment(
                utc=moment.utc,
                said=moment_in_words(moment).removesuffix("Z"),
                where=f"the {moment.server}'s log" if moment.server != "unknown" else "a log",
                what=moment.what + (f"\n{moment.line.source}:{moment.line.number}" if moment.line else ""),
                tone="bad" if moment.mismatch else "quiet",
                ref=ref(diagnosis.line),
            )
            for moment in timeline(diagnosis.value)
        ]
    latest = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(moments, key=lambda moment: (moment.utc or latest, moment.ref.line)))


def _events(lines: tuple[Line, ...]) -> Iterator[Line]:
    """What happened; that a change left is told only where no result of it is known."""
    answered = {(line.stage, line.server, line.text) for line in lines if line.kind is Kind.RESULT}
    for line in lines:
        if line.kind in _ALWAYS and (
            line.kind is not Kind.SENT or (line.stage, line.server, line.text) not in answered
        ):
            yield line


def _verdicts(lines: tuple[Line, ...]) -> Iterator[Line]:
    """Each verdict when it was first reached, and again where another one takes its place."""
    last: dict[tuple[str, str], str] = {}
    for line in lines:
        if line.kind is Kind.OBSERVED and line.artifact is None:
            if last.get((line.server, line.text)) != line.seen:
                yield line
            last[line.server, line.text] = line.seen


def _of_line(line: Line, tones: dict[int, str], attempt: int) -> Moment:
    where = ", ".join(part for part in (line.stage and f"stage {line.stage[:2]}", line.server) if part)
    what = _DIGEST.sub(r"\1…", _what(line))
    if attempt:
        what = f"attempt {attempt}: {what}"
    tone = tones.get(line.n) or _tone(line)
    return Moment(
        utc=line.utc, said=utc_time(line.utc), where=where, what=what, tone=tone, ref=ref(line), kind=line.kind
    )


def _what(line: Line) -> str:
    label = _ALWAYS.get(line.kind, "")
    if line.kind is Kind.STAGE_STARTED:
        return f"{label}, by {line.text}" if line.text else label
    if line.kind is Kind.STAGE_ENDED:
        return f"{label}: {line.seen}" + (f" ({line.text})" if line.text else "")
    if line.kind is Kind.APPROVED:
        return f"{label} by {line.seen}: plan {line.expected}"
    if line.kind is Kind.INCIDENT_OPENED:
        return f"{label} for site {line.expected}" + (f" by {line.text}" if line.text else "")
    if line.kind is Kind.INTENT:
        return f"{label}: {line.about.command or line.text}"
    if line.kind is Kind.SEALED:
        return f"{label}: {line.text}"
    if line.kind is Kind.OBSERVED:
        return f"{line.text}: {line.seen}"
    parts = [part for part in (label, line.text, line.seen) if part]
    return ": ".join(parts) + (f" (expected: {line.expected})" if line.expected and line.expected != line.seen else "")


def _tone(line: Line) -> str:
    if line.kind is Kind.STAGE_ENDED:
        return STATE_TONES.get(line.seen, "doubt")
    if line.kind is Kind.OBSERVED:
        return TONE_OF[Verdict(line.about.seen).ok] if line.about.seen in tuple(Verdict) else "doubt"
    if line.kind in (Kind.INTENT, Kind.SENT):
        return "change"
    return "doubt" if line.kind in (Kind.INTERRUPTED, Kind.TORN) else "plain"


# -- How the incident ended, as far as its record says it; and the summary in sentences ------------

ENDINGS = {
    Outcome.REPAIRED: ("every check of stage 60 passed", "good"),
    Outcome.REPAIRED_UNVERIFIED: (
        "it works as far as can be seen, but a check could not be made or something was overridden",
        "doubt",
    ),
    Outcome.NOTHING_TO_DO: ("every check passed, and nothing was changed", "good"),
    Outcome.STOPPED: ("it stopped for safety, or was interrupted before its end", "doubt"),
    Outcome.FAILED: ("something did not work", "bad"),
    Outcome.UNKNOWN: ("a change was sent and its result was not seen: look before you do anything else", "bad"),
}


def headline_of(lines: tuple[Line, ...], stages: tuple[StageRow, ...], *, verifies: bool) -> Headline:
    """Return the outcome that counts: ``unknown`` where a change has no result, whatever was said before.

    It is doubtful in a record that does not verify.
    """
    outcomes = [line for line in lines if line.kind is Kind.OUTCOME and line.seen in tuple(Outcome)]
    last = outcomes[-1] if outcomes else None
    pending = pending_changes(lines)
    if pending:
        words = f"the result of {count(len(pending), 'change')} is not in the record; each may have been sent"
        return Headline(outcome=Outcome.UNKNOWN, words=words, tone="bad", ref=ref(pending[0]))
    if last is None:
        return Headline(outcome=None, words=_unfinished(stages), tone="doubt", ref=NO_REF)
    outcome = Outcome(last.seen)
    words, tone = ENDINGS[outcome]
    words = f"{words}: {last.text}" if last.text else words
    if goes_on_after(lines, last):
        words, tone = f"{words}; but the record went on after this was written, and names no later outcome", "doubt"
    return Headline(outcome=outcome, words=words, tone=tone if verifies else "doubt", ref=ref(last))


def goes_on_after(lines: tuple[Line, ...], outcome: Line) -> bool:
    """Whether anything that could change the outcome came after it; its own stage's end and the report do not."""
    return any(
        line.kind is Kind.INTENT or (line.kind is Kind.STAGE_STARTED and line.stage != OWN_STAGE)
        for line in lines[outcome.n :]
    )


def _unfinished(stages: tuple[StageRow, ...]) -> str:
    begun = [row for row in stages if row.last and row.stage != OWN_STAGE]
    if not begun:
        return "no outcome was written; no stage had begun"
    last = max(begun, key=lambda row: row.ref.line)
    how = "still runs" if last.state is StageState.RUNNING else f"ended {last.state}"
    if last.state is StageState.INTERRUPTED and last.ended_utc is None:
        how = "has no end in the record: it was cut short"
    return f"no outcome was written; the last stage that began, {last.name}, {how}"


def summary_of(pm: PostMortem) -> Iterator[str]:
    """Yield the report's summary, one paragraph each, from what the record holds and nothing else."""
    yield verdict(pm.diagnosis) if pm.diagnosis else "No log was diagnosed in this record."
    yield from (sentence_of(impact) for impact in pm.impacts if impact.rejected)
    yield _planned(pm.plan, tuple(each for each, _ in pm.approvals))
    yield _changed(pm.changes)
    if pm.checks:
        held = sum(check.ok is True for check in pm.checks)
        yield f"{held} of {count(len(pm.checks), 'check')} at the end passed" + "".join(_others(pm.checks)) + "."
    else:
        yield "The result was not checked: stage 60 left no checks in this record."


def alarms_of(pm: PostMortem) -> Iterator[str]:
    """Yield what a reader has to know before anything else: lines that nobody signed, certificates that contradict."""
    if pm.verified.later:
        yield f"Unsigned lines follow the newest seal: {'; '.join(map(named_in_words, pm.verified.later))}."
    for judgement in pm.judgements:
        if judgement.verdict is Verdict.CONTRADICTED:
            yield (
                f"Suspected interception: {judgement.target} ({judgement.host}:{judgement.port}) presented a"
                f" certificate that contradicts what is known of it: {judgement.reason}. Find out who answers."
            )


def sentence_of(impact: Impact) -> str:
    """Return an impact in one sentence with its numbers."""
    since, until = utc_time(impact.since_utc, "a time that is not known"), utc_time(impact.until_utc)
    if impact.until_utc is None:
        return f"{impact.what}: rejected since {since} UTC; that it works again is not shown in this record."
    length = duration(impact.duration)
    return f"{impact.what}: {length} from the first mismatch line found ({since} UTC) to the proof ({until} UTC)."


def _planned(plan: Plan | None, approvals: tuple[Approval, ...]) -> str:
    if plan is None:
        return "No plan was made."
    sentence = f"The plan {plan.digest[:12]}… names {count(len(plan.deletions), 'deletion')}"
    if plan.changes:
        sentence += f" and {count(len(plan.changes), 'change')} that may follow"
    if plan.blocked:
        return f"{sentence} and is blocked: {'; '.join(plan.blocked)}."
    names = [approval.by for approval in approvals if approval.digest == plan.digest]
    if names:
        return f"{sentence}, approved by {' and '.join(dict.fromkeys(names))}."
    before = [f"plan {each.digest[:12]}… was approved by {each.by}" for each in approvals]
    earlier = f" Before it, {', '.join(dict.fromkeys(before))}." if before else ""
    if not plan.needs_approval:
        return f"{sentence}: there was nothing to approve.{earlier}"
    return f"{sentence}; no approval names it.{earlier}"


def _changed(changes: tuple[ChangeRow, ...]) -> str:
    real = [change for change in changes if change.result != Deletion.NOT_SENT.value]
    if not real:
        return "Nothing was changed."
    unknown = sum(not change.is_known for change in real)
    made = f"{count(len(real), 'change was', 'changes were')} made or tried, each written down before it was sent"
    return f"{made}; the result of {unknown} is not known." if unknown else f"{made}; the result of each is recorded."


def _others(checks: tuple[Check, ...]) -> Iterator[str]:
    failed, unknown = (sum(check.ok is kind for check in checks) for kind in (False, None))
    if failed:
        yield f", {failed} did not"
    if unknown:
        yield f", {unknown} could not be made"
