"""How the incident ended, as far as its record says it; and the summary in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.logs.answer import verdict
from runbook_lib.models import Approval, Check, Deletion, Diagnosis, Judgement, Outcome, Plan, StageState, Verdict
from runbook_lib.record.lines import Kind, Line
from runbook_lib.record.stages import pending_changes
from runbook_lib.report.changes import ref
from runbook_lib.report.values import OWN_STAGE, Change, Headline, Impact, Ref, StageRow, Standing
from runbook_lib.report.words import count, duration, stamp

WORDS = {
    Outcome.REPAIRED: ("every check of stage 60 held", "good"),
    Outcome.REPAIRED_UNVERIFIED: (
        "it works as far as can be seen, but a check could not be made or something was overridden",
        "doubt",
    ),
    Outcome.NOTHING_TO_DO: ("every check held, and nothing was changed", "good"),
    Outcome.STOPPED: ("it stopped for safety, or was interrupted before its end", "doubt"),
    Outcome.FAILED: ("something did not work", "bad"),
    Outcome.UNKNOWN: ("a change was sent and its result was not seen: look before you do anything else", "bad"),
}


def headline_of(lines: tuple[Line, ...], stages: tuple[StageRow, ...], standing: Standing) -> Headline:
    """Return the outcome that counts: ``unknown`` where a change has no result, whatever was said before."""
    said = [line for line in lines if line.kind is Kind.OUTCOME and line.seen in tuple(Outcome)]
    last = said[-1] if said else None
    pending = pending_changes(lines)
    if pending:
        words = f"the result of {count(len(pending), 'change')} is not in the record; each may have been sent"
        return Headline(outcome=Outcome.UNKNOWN, words=words, tone="bad", settled=False, ref=ref(pending[0]))
    if last is None:
        return Headline(outcome=None, words=_unfinished(stages), tone="doubt", settled=False, ref=Ref())
    outcome = Outcome(last.seen)
    words, tone = WORDS[outcome]
    words = f"{words}: {last.text}" if last.text else words
    if went_on(lines, last):
        words, tone = f"{words}; but the record went on after this was written, and names no later outcome", "doubt"
    settled = tone == WORDS[outcome][1] and not standing.problems
    return Headline(outcome=outcome, words=words, tone=tone if settled else "doubt", settled=settled, ref=ref(last))


def went_on(lines: tuple[Line, ...], outcome: Line) -> bool:
    """Whether anything that could change the outcome came after it; its own stage's end and the report do not."""
    return any(
        line.kind is Kind.INTENT or (line.kind is Kind.STAGE_STARTED and line.stage != OWN_STAGE)
        for line in lines[outcome.n :]
    )


def _unfinished(stages: tuple[StageRow, ...]) -> str:
    if not stages:
        return "no outcome was written; no stage had begun"
    last = max((row for row in stages if row.last), key=lambda row: row.ref.line)
    how = "still runs" if last.state is StageState.RUNNING else f"ended {last.state}"
    if last.state is StageState.INTERRUPTED and last.ended_utc is None:
        how = "has no end in the record: it was cut short"
    return f"no outcome was written; the last stage that began, {last.name}, {how}"


def summary_of(
    diagnosis: Diagnosis | None,
    plan: Plan | None,
    approvals: tuple[Approval, ...],
    changes: tuple[Change, ...],
    impacts: tuple[Impact, ...],
    checks: tuple[Check, ...],
) -> Iterator[str]:
    """Yield the report's summary, one paragraph each, from what the record holds and nothing else."""
    yield verdict(diagnosis) if diagnosis else "No log was diagnosed in this record."
    yield from (sentence_of(impact) for impact in impacts if impact.rejected)
    yield _planned(plan, approvals)
    yield _changed(changes)
    if checks:
        held = sum(check.ok is True for check in checks)
        yield f"Of {count(len(checks), 'check')} at the end {held} held" + "".join(_others(checks)) + "."
    else:
        yield "The result was not checked: stage 60 left no checks in this record."


def alarms_of(judgements: tuple[Judgement, ...], standing: Standing) -> Iterator[str]:
    """Yield what a reader has to know before anything else: lines that nobody signed, certificates that contradict."""
    if standing.later:
        yield f"After the newest seal came lines that nobody has signed: {'; '.join(standing.later)}."
    for judgement in judgements:
        if judgement.verdict is Verdict.CONTRADICTED:
            yield (
                f"Suspected interception: {judgement.target} ({judgement.host}:{judgement.port}) presented a"
                f" certificate that contradicts what is known of it: {judgement.reason}. Find out who answers."
            )


def sentence_of(impact: Impact) -> str:
    """Return an impact in one sentence with its numbers."""
    since, until = stamp(impact.since_utc, "a time that is not known"), stamp(impact.until_utc)
    if impact.until_utc is None:
        return f"{impact.what}: rejected since {since} UTC; that it works again is not shown in this record."
    length = duration(impact.duration)
    return f"{impact.what}: {length} from the first mismatch line at hand ({since} UTC) to the proof ({until} UTC)."


def _planned(plan: Plan | None, approvals: tuple[Approval, ...]) -> str:
    if plan is None:
        return "No plan was made."
    said = f"The plan {plan.digest[:12]}… names {count(len(plan.deletions), 'deletion')}"
    if plan.changes:
        said += f" and {count(len(plan.changes), 'change')} that may follow"
    if plan.blocked:
        return f"{said} and is blocked: {'; '.join(plan.blocked)}."
    names = [approval.by for approval in approvals if approval.digest == plan.digest]
    if names:
        return f"{said}, approved by {' and '.join(dict.fromkeys(names))}."
    before = [f"plan {each.digest[:12]}… was approved by {each.by}" for each in approvals]
    earlier = f" Before it, {', '.join(dict.fromkeys(before))}." if before else ""
    if not plan.needs_approval:
        return f"{said}: there was nothing to approve.{earlier}"
    return f"{said}; no approval names it.{earlier}"


def _changed(changes: tuple[Change, ...]) -> str:
    real = [change for change in changes if change.result != Deletion.NOT_SENT.value]
    if not real:
        return "Nothing was changed."
    unknown = sum(not change.result for change in real)
    said = f"{count(len(real), 'change was', 'changes were')} made or tried, each written down before it was sent"
    return f"{said}; the result of {unknown} is not known." if unknown else f"{said}; the result of each is recorded."


def _others(checks: tuple[Check, ...]) -> Iterator[str]:
    failed, unknown = (sum(check.ok is kind for check in checks) for kind in (False, None))
    if failed:
        yield f", {failed} did not"
    if unknown:
        yield f", {unknown} could not be made"
