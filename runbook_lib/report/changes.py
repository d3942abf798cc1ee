"""The changes of an incident, and the runs of its stages, as the journal tells them."""

from __future__ import annotations

from runbook_lib.models import Deletion, Stage, StageState
from runbook_lib.record.lines import Kind, Line
from runbook_lib.record.process import ProcessName
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


def stages_of(lines: tuple[Line, ...]) -> tuple[StageRow, ...]:
    """Return every run of every stage, in order. A run without an end was interrupted, unless it still goes on."""
    rows: list[StageRow] = []
    for start in (line for line in lines if line.kind is Kind.STAGE_STARTED):
        end = _end_of(lines, start)
        rows.append(
            StageRow(
                stage=start.stage,
                state=_state(start, end),
                by=start.text,
                started_utc=start.utc,
                ended_utc=end.utc if end else None,
                why=end.text if end else "",
                ref=ref(start),
            )
        )
    return tuple(rows)


def _end_of(lines: tuple[Line, ...], start: Line) -> Line | None:
    for line in lines[start.n :]:
        if line.stage == start.stage and line.kind is Kind.STAGE_STARTED:
            return None
        if line.stage == start.stage and line.kind in (Kind.STAGE_ENDED, Kind.INTERRUPTED):
            return line
    return None


def _state(start: Line, end: Line | None) -> StageState:
    if end is None:
        process = ProcessName.parse(start.seen)
        lives = process is not None and process.is_here and process.alive
        return StageState.RUNNING if lives else StageState.INTERRUPTED
    if end.kind is Kind.INTERRUPTED:
        return StageState.INTERRUPTED
    return StageState(end.seen) if end.seen in tuple(StageState) else StageState.UNKNOWN
