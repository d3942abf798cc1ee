"""What a journal says of stages and changes, and one change as it is written into it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from runbook_lib.decisions import Deletion
from runbook_lib.errors import RecordNotWritable
from runbook_lib.models import FINAL, Outcome, Stage, StageState, Verdict
from runbook_lib.processes import ProcessName
from runbook_lib.record.journal import AS_EXPECTED, NOT_SENT, About, Kind, Line, LineTopic
from runbook_lib.record.journal_file import Journal
from runbook_lib.record.seal import RecordFiles
from runbook_lib.record.signing import VerifyingKey, parse

ALARMING = (Verdict.CONTRADICTED, Verdict.UNSTABLE)  # somebody else may have answered
SEAL_FOLDER = re.compile(r"seal(?:-([2-9]|[1-9][0-9]+))?")
MANIFEST, ENVELOPE, STAMP = "manifest.json", "envelope.json", "timestamp.tsr"
"""The files of a seal, in its folder."""
CLOSING = "closing"
"""The file that says who closed an incident and why, without its ending; the line of that outcome names it."""


def alarms_after(lines: Sequence[Line], n: int = 0) -> dict[str, Line]:
    """Return, by host, the last look behind line ``n`` that may have met somebody else.

    What it met may be gone at the next look, and nothing else would tell of it then.
    """
    looks = (line for line in lines[n:] if line.about.topic is LineTopic.CERTIFICATE)
    return {line.server: line for line in looks if line.about.seen in ALARMING}


def alarms_in_words(lines: Sequence[Line], n: int = 0) -> tuple[str, ...]:
    """Return the same in words: each host and what that look was called, unless the last one up to ``n`` was so too.

    A host behind a load balancer is unstable at every look, and whoever approved has seen that.
    """
    known = {line.about.name: line.about for line in lines[:n] if line.about.topic is LineTopic.CERTIFICATE}
    looks = alarms_after(lines, n).items()
    return tuple(f"{host}: {look.about.seen}" for host, look in looks if known.get(look.about.name) != look.about)


def pending_changes(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The intents that no result followed: each may have been sent, and only the device can say.

    An intent, its ``sent`` and its result share stage, server and what they are about.
    """
    pending: dict[tuple[str, str, About], Line] = {}
    for line in lines:
        if line.kind in (Kind.INTENT, Kind.RESULT):
            change = (line.stage, line.server, line.about.subject)
            pending.pop(change, None)
            if line.kind is Kind.INTENT:
                pending[change] = line
    return tuple(pending.values())


class RecordedChange:
    """One change whose intent is in the journal."""

    def __init__(self, journal: Journal, intent: Line) -> None:
        self._journal = journal
        self.stage = intent.stage
        self.server = intent.server
        self.text = intent.text
        self.about = intent.about.subject

    def sent(self) -> None:
        """It has left; what came of it is not known yet."""
        self._say(Kind.SENT, self.about)

    def result(self, seen: str, *, expected: str = "", good: bool = False) -> None:
        """What became of it on the device's own word: it is pending no more. ``good``: it is what was wanted."""
        about = replace(self.about, seen=AS_EXPECTED) if good else self.about
        self._say(Kind.RESULT, about, seen=seen, expected=expected)

    def not_sent(self, why: str = "", *, expected: str = "") -> None:
        """It is known never to have left, so it is pending no more; no device's word can say so."""
        seen = f"not sent: {why}" if why else "not sent"
        self._say(Kind.RESULT, replace(self.about, seen=NOT_SENT), seen=seen, expected=expected)

    def _say(self, kind: Kind, about: About, **fields: Any) -> None:
        try:
            self._journal.append(kind, stage=self.stage, server=self.server, text=about, **fields)
        except RecordNotWritable as error:
            if about.seen != NOT_SENT:
                error.what = f"{self.server}: {self.text}: it was sent, and what became of it cannot be written down"
                error.next_step = (
                    "free disk space, or make the folder writable for you, then run the same command again: it asks"
                    " the server first, and sends nothing twice on one approval"
                )
            raise


def is_of_plan(line: Line) -> bool:
    """Whether a plan was decided on with this line; its digest is in ``seen``."""
    return line.kind is Kind.DECIDED and line.path.startswith("plans/")


@dataclass
class Attempt:
    """One go at a stage: from its ``start`` to its ``end``, None where the journal holds none.

    ``number`` counts from 1 for each stage. ``begun`` is the newest line that says who runs the stage and in which
    process; it is ``start`` itself unless the stage went on after an end without being opened anew. ``since`` is the
    first line after its end that may begin another. ``state`` is known once the whole journal is read.
    """

    stage: str
    number: int
    start: Line
    begun: Line
    end: Line | None = None
    since: Line | None = None
    intents: tuple[Line, ...] = ()
    state: StageState = StageState.UNKNOWN

    @property
    def why(self) -> str:
        """Why it ended, as far as its end says it."""
        return self.end.text if self.end else ""

    def take(self, line: Line) -> None:
        """Take in the next line of its stage."""
        if line.kind in _ENDS:
            self.end = line
        elif line.kind is Kind.INTENT:
            self.intents += (line,)
        elif self.end and self.since is None and _is_work(line):
            self.since = line

    def settle(self, *, last: bool, pending: frozenset[int], stages_pending: set[str]) -> None:
        """Set its state; ``last``: no other attempt at its stage came after it."""
        self.state = _state(self.begun if last else None, self.end)
        open_changes = any(line.n in pending for line in self.intents) or (last and self.stage in stages_pending)
        if open_changes and self.state is not StageState.RUNNING:
            self.state = StageState.UNKNOWN


def attempts(lines: Iterable[Line]) -> tuple[Attempt, ...]:
    """Every attempt at every stage, in the order in which they began; the last one of a stage says how it stands.

    A stage that a person runs may stop, for example for the approval, and go on in the same notebook: what follows an
    end is an attempt of its own as soon as it has an end or a change; a look at what was done is not. Of ends that
    follow one another with nothing between them the last counts. An attempt is ``interrupted`` if it has no end and
    its stage was begun anew or no process on this host runs it, and ``unknown`` if a change of it has no result,
    whatever its end says; so is the last attempt at a stage if any change of the stage has none.
    """
    lines = tuple(lines)
    made: list[Attempt] = []
    newest: dict[str, Attempt] = {}
    for line in lines:
        if not line.stage:
            continue
        current = newest.get(line.stage)
        if opened := _opened(current, line):
            made.append(opened)
            newest[line.stage] = opened
        elif current:
            current.take(line)
    pending = frozenset(line.n for line in pending_changes(lines))
    stages_pending = {line.stage for line in lines if line.n in pending}
    for each in made:
        each.settle(last=newest[each.stage] is each, pending=pending, stages_pending=stages_pending)
    return tuple(made)


def stage_states(lines: Iterable[Line]) -> dict[str, StageState]:
    """The state of each stage's last attempt, in the order of ``Stage``; those that only the journal knows come after.

    ``interrupted``: it has no end in the journal, and no process on this host runs it. ``unknown``: a change was
    sent, or may have been, and its result is not in the journal, whatever else was said of the stage's end.
    """
    states: dict[str, StageState] = {stage.value: StageState.PENDING for stage in Stage}
    return states | {attempt.stage: attempt.state for attempt in attempts(lines)}


def earlier_ends(lines: Iterable[Line]) -> dict[str, tuple[StageState, ...]]:
    """How the attempts before the last one ended, for each stage that had any."""
    states: dict[str, tuple[StageState, ...]] = {}
    for attempt in attempts(lines):
        states[attempt.stage] = (*states.get(attempt.stage, ()), attempt.state)
    return {stage: ends[:-1] for stage, ends in states.items() if len(ends) > 1}


def after_seal(lines: Iterable[Line], signed: Collection[str] = ()) -> tuple[Line, ...]:
    """The lines that came after the newest seal, by the journal's own word, without the seal's own.

    No signature is on them. ``signed``: up to which lines, by their ``hash``, a signature that was checked holds; where
    there is any, no other seal counts. None where the record was never sealed.
    """
    lines = tuple(lines)
    seals = [seal for seal in files_of_seals(lines, MANIFEST) if not signed or seal.expected in signed]
    if not seals:
        return lines if signed else ()
    newest = seals[-1]
    covered = next((line.n for line in lines if line.hash == newest.expected), 0)
    return tuple(without_seal(lines[covered:], newest.path.partition("/")[0], newest.expected))


def signed_heads(files: RecordFiles, incident: str, keys: Sequence[VerifyingKey]) -> Iterator[tuple[str, str]]:
    """Yield each statement about the incident that one of the keys signed, and the ``hash`` of its last line."""
    for path in sorted(path for path in files if path.endswith(f"/{ENVELOPE}")):
        with suppress(OSError, LookupError, TypeError, ValueError, RecursionError):
            envelope = parse(files[path].read_bytes())
            claim = json.loads(envelope.payload)["predicate"]
            if claim["incident"] == incident and any(map(envelope.signed_by, keys)):
                yield path, str(claim["journal"]["head"])


def lost_seals(files: RecordFiles, incident: str, keys: Sequence[VerifyingKey], lines: Iterable[Line]) -> list[str]:
    """Return the paths of signed statements where the lines do not hold the one up to which they were signed."""
    hashes = {line.hash for line in lines}
    return [path for path, head in signed_heads(files, incident, keys) if head not in hashes]


def files_of_seals(lines: Iterable[Line], name: str) -> list[Line]:
    """The lines of the seals' files of that name, oldest first."""
    return [line for line in lines if line.kind is Kind.SEALED and line.path.endswith(f"/{name}")]


def without_seal(lines: Iterable[Line], folder: str, head: str) -> Iterator[Line]:
    """Yield what follows the line ``head``, without the own lines of the seal in ``folder``, which covers it.

    Those are one for each of its files, and one without a file, which says why it has no time stamp. No signature is on
    them, and anybody can add more of the kind.
    """
    own = {"", *(f"{folder}/{name}" for name in (MANIFEST, ENVELOPE, STAMP))}
    for line in lines:
        if line.kind is Kind.SEALED and line.expected == head and line.path in own:
            own.remove(line.path)
        else:
            yield line


def named_in_words(line: Line) -> str:
    """One line in a few words, for those who have to know that nobody signed it."""
    on_behalf = f", in the name of {line.seen}" if line.kind is Kind.APPROVED else ""
    return f"line {line.n}: {line.kind}{on_behalf}"


_NAMED = 3


def unsealed_in_words(later: Sequence[Line]) -> str:
    """Return how many lines no seal covers, and the first three of them, approvals before all others."""
    named = sorted(later, key=lambda line: line.kind is not Kind.APPROVED)[:_NAMED]
    more = f"; and {len(later) - _NAMED} more" if len(later) > _NAMED else ""
    return f"{len(later)} in all, not signed: {'; '.join(map(named_in_words, named))}{more}"


def progress_in_words(lines: Iterable[Line]) -> str:
    """Say in one line what was changed in an incident, and what is under way."""
    lines = tuple(lines)
    parts = []
    states = stage_states(lines)
    for line in pending_changes(lines):  # first: it may still go on, on the servers
        at = f"{line.utc:%Y-%m-%d %H:%M:%SZ}"
        watched = states[line.stage] is StageState.RUNNING
        parts.append(f"under way since {at}: {line.text}" if watched else f"sent {at}, its end not seen: {line.text}")
    ended = [line for line in lines if line.kind is Kind.RESULT]
    deleted = [line for line in ended if line.seen == Deletion.GONE or is_settled(line, lines)]
    if deleted:
        parts.append(f"{len(deleted)} entries deleted" if len(deleted) > 1 else "1 entry deleted")
    parts += [f"{line.text}: {line.seen}" for line in ended if line not in deleted]
    return "; ".join(parts) or "nothing was changed"


def ended_as(lines: Iterable[Line], *outcomes: Outcome) -> int:
    """Return the number of the newest line that says that the incident ended so, 0 where none does."""
    return max((line.n for line in lines if line.kind is Kind.OUTCOME and line.seen in outcomes), default=0)


def is_settled(result: Line, lines: Iterable[Line]) -> bool:
    """Whether a deletion's entry was listed when it was read back, and a repair proved later that it was the new one.

    Where the checks of a repair cannot tell, it ends as unknown.
    """
    repaired = ended_as(lines, Outcome.REPAIRED, Outcome.REPAIRED_UNVERIFIED)
    return result.seen == Deletion.NOT_DELETED_OR_CAME_BACK and result.n < repaired


def outcome(lines: Iterable[Line]) -> Outcome | None:
    """The newest outcome, or None."""
    outcomes = [line.seen for line in lines if line.kind is Kind.OUTCOME]
    return Outcome(outcomes[-1]) if outcomes else None


def closed_by(lines: Iterable[Line]) -> Line | None:
    """The newest outcome's line where a person closed the incident with it, or None."""
    outcomes = [line for line in lines if line.kind is Kind.OUTCOME]
    return outcomes[-1] if outcomes and outcomes[-1].path.startswith(CLOSING) else None


def is_closed(lines: Iterable[Line]) -> bool:
    """Whether the newest outcome closes the incident, or a person did; otherwise the repair goes on in it."""
    lines = tuple(lines)
    return outcome(lines) in FINAL or closed_by(lines) is not None


_ENDS = (Kind.STAGE_ENDED, Kind.INTERRUPTED)


def _opened(current: Attempt | None, line: Line) -> Attempt | None:
    """Return the attempt that a line begins, None where it belongs to the current one or to none."""
    number = current.number + 1 if current else 1
    if line.kind is Kind.STAGE_STARTED:
        return Attempt(line.stage, number, line, line)
    if line.kind is not Kind.INTENT and line.kind not in _ENDS:
        return None
    start = begun = line
    if current:
        goes_on = line.kind is Kind.INTENT or current.since is not None
        if current.end is None or not goes_on:
            return None
        start, begun = current.since or line, current.begun
    opened = Attempt(line.stage, number, start, begun)
    opened.take(line)
    return opened


def _is_work(line: Line) -> bool:
    """Whether a line says that the stage goes on: the notebook that a run keeps afterwards does not.

    Nor does the result of a change: whichever stage finds it out writes it.
    """
    kept = line.path.startswith(("notebooks/", "templates/"))
    return line.kind not in (Kind.NOTED, Kind.SENT, Kind.RESULT, Kind.SEALED) and not kept


def _state(begun: Line | None, end: Line | None) -> StageState:
    """Return the state by an attempt's end; where it has none, by its beginning, None where that is not the last."""
    if end is None:
        return _running(begun) if begun else StageState.INTERRUPTED
    if end.kind is Kind.INTERRUPTED:
        return StageState.INTERRUPTED
    return StageState(end.seen) if end.seen in tuple(StageState) else StageState.UNKNOWN


def _running(line: Line) -> StageState:
    process = ProcessName.parse(line.seen)
    lives = process is not None and process.is_here and process.alive
    return StageState.RUNNING if lives else StageState.INTERRUPTED
