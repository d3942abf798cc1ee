"""The timeline: what the logs say, what people decided, what was changed; each row with the line that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from runbook_lib.logs.answer import timeline
from runbook_lib.logs.report import when
from runbook_lib.models import Diagnosis, Stage, Verdict
from runbook_lib.record.lines import Kind, Line
from runbook_lib.report.changes import ref
from runbook_lib.report.reading import Found
from runbook_lib.report.values import Change, Moment, StageRow
from runbook_lib.report.words import stamp

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_ENDS = {"done": "good", "failed": "bad", "stopped": "doubt", "interrupted": "doubt", "unknown": "bad"}
APPROVED = " (approved by "
"""What follows the command in the line that says which one is about to be sent."""
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
    changes: tuple[Change, ...],
    stages: tuple[StageRow, ...],
    diagnosis: Found[Diagnosis] | None,
) -> tuple[Moment, ...]:
    """Return the rows, earliest first; those of logs without a date come last."""
    tones = {change.result_ref.line: change.tone for change in changes}
    numbers = {row.ref.line: row.attempt for row in stages if row.attempts > 1}
    found = [_of_line(line, tones, numbers.get(line.n, 0)) for line in (*_events(lines), *_verdicts(lines))]
    if diagnosis:
        found += [
            Moment(
                utc=moment.utc,
                said=when(moment).removesuffix("Z"),
                where=f"the {moment.server}'s log" if moment.server != "unknown" else "a log",
                what=moment.what + (f"\n{moment.line.source}:{moment.line.number}" if moment.line else ""),
                tone="bad" if "mismatch" in moment.what else "quiet",
                ref=ref(diagnosis.line),
            )
            for moment in timeline(diagnosis.value)
        ]
    latest = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(found, key=lambda moment: (moment.utc or latest, moment.ref.line)))


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
    return Moment(utc=line.utc, said=stamp(line.utc), where=where, what=what, tone=tone, ref=ref(line))


def _what(line: Line) -> str:
    said = _ALWAYS.get(line.kind, "")
    if line.kind is Kind.STAGE_STARTED:
        return f"{said}, by {line.text}" if line.text else said
    if line.kind is Kind.STAGE_ENDED:
        return f"{said}: {line.seen}" + (f" ({line.text})" if line.text else "")
    if line.kind is Kind.APPROVED:
        return f"{said} by {line.seen}: plan {line.expected}"
    if line.kind is Kind.INCIDENT_OPENED:
        return f"{said} for site {line.expected}" + (f" by {line.text}" if line.text else "")
    if line.kind is Kind.INTENT:
        return f"{said}: {line.expected.partition(APPROVED)[0] if line.stage == Stage.DELETE.value else line.text}"
    if line.kind is Kind.SEALED:
        return f"{said}: {line.text}"
    if line.kind is Kind.OBSERVED:
        return f"{line.text}: {line.seen}"
    parts = [part for part in (said, line.text, line.seen) if part]
    return ": ".join(parts) + (f" (expected: {line.expected})" if line.expected and line.expected != line.seen else "")


def _tone(line: Line) -> str:
    if line.kind is Kind.STAGE_ENDED:
        return _ENDS.get(line.seen, "doubt")
    if line.kind is Kind.OBSERVED:
        word = line.seen.partition(":")[0]
        good = word.startswith("confirmed_") or word == Verdict.UNCHANGED
        return "good" if good else "bad" if word == Verdict.CONTRADICTED else "doubt"
    if line.kind in (Kind.INTENT, Kind.SENT):
        return "change"
    return "doubt" if line.kind in (Kind.INTERRUPTED, Kind.TORN) else "plain"
