"""The changes of an incident, and the attempts at its stages, as the journal tells them."""

from __future__ import annotations

from collections import Counter

from runbook_lib.models import Deletion, Stage, StageState
from runbook_lib.record.lines import Kind, Line
from runbook_lib.record.stages import attempts
from runbook_lib.report.values import Change, Ref, StageRow

STATE_TONES = {
    StageState.DONE: "good",
    StageState.FAILED: "bad",
    StageState.STOPPED: "doubt",
    StageState.INTERRUPTED: "doubt",
    StageState.UNKNOWN: "bad",
}
NO_RESULT = "not known: it may have been sent, and no result is in the record"


def ref(line: Line) -> Ref:
    return Ref(line=line.n, path=line.artifact.path if line.artifact else "")


def changes_of(lines: tuple[Line, ...]) -> tuple[Change, ...]:
    """Return one change per intent, in order, with what became of it on the device's own word."""
    intents = [line for line in lines if line.kind is Kind.INTENT]
    return tuple(_change(number, line, _later(lines, line)) for number, line in enumerate(intents, 1))


def _later(lines: tuple[Line, ...], intent: Line) -> tuple[Line, ...]:
    """The lines that belong to an intent: those of the same change before its next intent."""
    same = (intent.stage, intent.server, intent.text)
    found: list[Line] = []
    for line in lines[intent.n :]:
        if (line.stage, line.server, line.text) == same:
            if line.kind is Kind.INTENT:
                break
            if line.kind in (Kind.SENT, Kind.RESULT):
                found.append(line)
    return tuple(found)


def _change(number: int, intent: Line, later: tuple[Line, ...]) -> Change:
    results = [line for line in later if line.kind is Kind.RESULT]
    seen = results[-1].seen if results else ""
    is_command = intent.stage == Stage.DELETE.value
    return Change(
        number=number,
        utc=intent.utc,
        stage=intent.stage,
        server=intent.server,
        key=intent.text if is_command else "",
        what=f"delete {intent.text}" if is_command else intent.text,
        expected=(results[-1].expected if results else "") or ("" if is_command else intent.expected),
        sent=any(line.kind is Kind.SENT for line in later),
        result=seen,
        tone=_tone(seen, results[-1].expected if results else "", intent.expected),
        ref=ref(intent),
        result_ref=ref(results[-1]) if results else Ref(),
    )


def _tone(seen: str, expected: str, wanted: str) -> str:
    if not seen:
        return "bad"
    if seen in (expected, wanted):
        return "good"
    return "quiet" if seen == Deletion.NOT_SENT.value else "doubt"


def stages_of(lines: tuple[Line, ...], changes: tuple[Change, ...]) -> tuple[StageRow, ...]:
    """Return every attempt at every stage, in the order in which they began, each with its changes."""
    found = attempts(lines)
    of_stage = Counter(attempt.stage for attempt in found)
    return tuple(
        StageRow(
            stage=attempt.stage,
            attempt=attempt.number,
            attempts=of_stage[attempt.stage],
            state=attempt.state,
            by=attempt.begun.text if attempt.begun.kind is Kind.STAGE_STARTED else "",
            started_utc=attempt.start.utc,
            ended_utc=attempt.end.utc if attempt.end else None,
            why=attempt.why,
            changes=tuple(each.number for each in changes if each.ref.line in {line.n for line in attempt.intents}),
            ref=ref(attempt.start),
        )
        for attempt in found
    )
