"""What a journal says of stages and changes; pure but for the question whether a process still lives."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.record.lines import Kind, Line
from runbook_lib.record.process import ProcessName

FINAL = frozenset({Outcome.REPAIRED, Outcome.REPAIRED_UNVERIFIED, Outcome.NOTHING_TO_DO})
"""The outcomes that close an incident. After the others it stays open: the repair goes on in it."""


def pending_changes(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The intents that no result followed: each may have been sent, and only the device can say.

    An intent, its ``sent`` and its result share stage, server and text.
    """
    pending: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        change = (line.stage, line.server, line.text)
        if line.kind is Kind.INTENT:
            pending[change] = line
        elif line.kind is Kind.RESULT:
            pending.pop(change, None)
    return tuple(pending.values())


def stage_states(lines: Iterable[Line]) -> dict[str, StageState]:
    """The state of each stage, in the order of ``Stage``; stages that only the journal knows come after.

    The newest start of a stage counts. ``interrupted``: it has no end in the journal, and no process
    on this host runs it. ``unknown``: a change was sent, or may have been, and its result is not in the
    journal, whatever else was said of the stage's end.
    """
    lines = tuple(lines)
    states: dict[str, StageState] = {stage.value: StageState.PENDING for stage in Stage}
    for line in lines:
        if line.kind is Kind.STAGE_STARTED:
            states[line.stage] = _running(line)
        elif line.kind is Kind.STAGE_ENDED:
            states[line.stage] = StageState(line.seen)
        elif line.kind is Kind.INTERRUPTED:
            states[line.stage] = StageState.INTERRUPTED
    for change in pending_changes(lines):
        if states.get(change.stage) is not StageState.RUNNING:
            states[change.stage] = StageState.UNKNOWN
    return states


def outcome(lines: Iterable[Line]) -> Outcome | None:
    """The newest outcome, or None."""
    said = [line.seen for line in lines if line.kind is Kind.OUTCOME]
    return Outcome(said[-1]) if said else None


def _running(line: Line) -> StageState:
    process = ProcessName.parse(line.seen)
    lives = process is not None and process.is_here and process.alive
    return StageState.RUNNING if lives else StageState.INTERRUPTED
