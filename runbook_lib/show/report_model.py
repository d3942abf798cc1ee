"""What a post-mortem says and what it is made of, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runbook_lib.decisions import Approval, Deletion, Override, Plan
from runbook_lib.models import Inventory, Judgement, Outcome, Stage, StageState
from runbook_lib.observations import Check, Diagnosis
from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.verification import Verification
from runbook_lib.show.document import Bullets, Drawn, Ref, Table

# -- What a post-mortem says, as frozen values: each with the journal's line that it rests on ------

OWN_STAGE = Stage.POST_MORTEM.value
"""The stage that writes the report: its own state says nothing of the incident."""


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """One attempt at one stage, of so many. ``ended_utc`` is None where the journal holds no end of it.

    ``changes`` are the numbers of those that were about to be sent in it. The last attempt says how the stage stands.
    """

    stage: str
    attempt: int
    attempts: int
    state: StageState
    by: str
    started_utc: datetime
    ended_utc: datetime | None
    why: str
    changes: tuple[int, ...]
    ref: Ref

    @property
    def last(self) -> bool:
        """Whether this is the stage's last attempt."""
        return self.attempt == self.attempts

    @property
    def name(self) -> str:
        """The stage, and which attempt at it where there are several."""
        return self.stage if self.attempts == 1 else f"{self.stage}, attempt {self.attempt} of {self.attempts}"


@dataclass(frozen=True, kw_only=True)
class Impact:
    """How long something was rejected: from the first mismatch line found until it was verified to work.

    ``rejected`` is whether a mismatch was found. Times are None where they are not known; ``not_known`` says what
    is not, and why. ``line`` is the log's line, ``seen`` what the servers said of themselves before the repair.
    """

    what: str
    rejected: bool = False
    since_utc: datetime | None = None
    until_utc: datetime | None = None
    line: str = ""
    seen: str = ""
    not_known: tuple[str, ...] = ()

    @property
    def duration(self) -> timedelta | None:
        """How long, where both ends are known and in order."""
        if self.since_utc is None or self.until_utc is None or self.until_utc < self.since_utc:
            return None
        return self.until_utc - self.since_utc


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One row of the timeline. ``utc`` is None where a log's line holds no date; ``tone`` is one of ``document.TONES``.

    ``kind`` is that of the journal's line, None where a log tells of it.
    """

    utc: datetime | None
    said: str
    where: str
    what: str
    tone: str
    ref: Ref
    kind: Kind | None = None


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """One change that was about to be sent. ``result`` is empty where no result is known: it may have been sent.

    ``key`` is the entry that it deletes, empty for other changes. ``is_settled``: its result was doubtful, and the
    repair's checks proved it later.
    """

    number: int
    utc: datetime
    stage: str
    server: str
    key: str
    what: str
    expected: str
    result: str
    tone: str
    ref: Ref
    result_ref: Ref
    is_settled: bool = False

    @property
    def final_tone(self) -> str:
        """How good its result is by all that is known in the end; ``tone`` is that of the moment."""
        return "good" if self.is_settled else self.tone

    @property
    def is_known(self) -> bool:
        """Whether anybody knows what became of it."""
        return self.is_settled or self.result not in ("", Deletion.NOT_DELETED_OR_CAME_BACK)


@dataclass(frozen=True, kw_only=True)
class EntryChange:
    """One entry of a store: its subject before and after, empty where it is not listed, and what that means."""

    key: str
    before: str
    after: str
    word: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class StoreChange:
    """One server's store as it was read first and last. ``note`` says what is not known of it."""

    server: str
    entries: tuple[EntryChange, ...]
    before_utc: datetime
    after_utc: datetime
    before: Ref
    after: Ref
    note: str = ""


@dataclass(frozen=True)
class Screenshot:
    """A picture of a page, and the journal's line that names it; no bytes where they cannot be shown."""

    line: Line
    png: bytes


@dataclass(frozen=True)
class JournalLine:
    """A line of the journal as the report shows it; ``raw`` is the line to the letter."""

    line: Line
    raw: str

    @property
    def said(self) -> str:
        """What the line says, in one text."""
        line = self.line
        return " · ".join(filter(None, (line.text, line.seen, line.expected and f"expected: {line.expected}")))


@dataclass(frozen=True, kw_only=True)
class Headline:
    """How the incident ended as far as the record says it; doubtful where something came after that could change it."""

    outcome: Outcome | None
    words: str
    tone: str
    ref: Ref


@dataclass(frozen=True, kw_only=True)
class PostMortem:
    """Everything that the report says; ``report.post_mortem`` puts it together.

    ``verified`` is what checking the record found before the report was made.
    """

    incident: str
    site: str
    kind: str
    by: str
    opened_utc: datetime | None
    last_utc: datetime | None
    head: str
    verified: Verification
    headline: Headline
    alarms: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    impacts: tuple[Impact, ...]
    stages: tuple[StageRow, ...]
    moments: tuple[Moment, ...]
    diagnosis: Diagnosis | None
    changes: tuple[ChangeRow, ...]
    stores: tuple[StoreChange, ...]
    inventory: Inventory | None
    judged: Ref
    checks: tuple[Check, ...]
    checked: Ref
    plan: Plan | None
    planned: Ref
    approvals: tuple[tuple[Approval, Ref], ...]
    overrides: tuple[Override, ...]
    overridden: Ref
    unproven: tuple[str, ...] = ()
    undo: tuple[tuple[str, str, str], ...]
    screenshots: tuple[Screenshot, ...]
    lines: tuple[JournalLine, ...]

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """What was said of each certificate, none where none was looked at."""
        return self.inventory.judgements if self.inventory else ()


# -- The parts of the report that no other document has, and its chapters -------------------------


@dataclass(frozen=True)
class Shots:
    """Screenshots, one below the other."""

    pictures: tuple[Screenshot, ...]


@dataclass(frozen=True)
class Blank:
    """Room for a person to write in; ``hint`` says what belongs there."""

    key: str
    hint: str


Block = str | Table | Bullets | Drawn | Shots | Blank


@dataclass(frozen=True, kw_only=True)
class Section:
    """A chapter; ``ident`` is the anchor that leads to it."""

    ident: str
    title: str
    blocks: tuple[Block, ...]
