"""What a record says of stores, changes and approvals, read for the post-mortem."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from runbook_lib.decisions import Approval, Deletion, Plan, sha256_hex
from runbook_lib.device.tofu import LIST_TOFU
from runbook_lib.errors import ParameterRefused
from runbook_lib.models import PI_SERVERS, Stage, TofuStore
from runbook_lib.paths import read_plain
from runbook_lib.record.artifacts import checked
from runbook_lib.record.files import from_json_bytes
from runbook_lib.record.journal import AS_EXPECTED, JOURNAL, NOT_SENT, Kind, Line, LineTopic, parse_whole_lines
from runbook_lib.record.stages import attempts, is_settled
from runbook_lib.show.document import NO_REF, Ref
from runbook_lib.show.report_model import ChangeRow, EntryChange, JournalLine, Screenshot, StageRow, StoreChange

# -- A record's folder as it lies there: whatever can be read and is what the journal says, and what cannot.
#
# Nothing here raises for a record that is damaged or died half-way: a post-mortem is written of those too.

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """A value of the record, and the journal's line that names its file."""

    value: T
    line: Line


@dataclass
class RecordFolder:
    """The whole lines of the journal up to the first damaged one, and the files that they name.

    ``raw`` are the same lines to the byte; ``rest`` the number of bytes after them. ``unread`` collects the
    files that were asked for and are missing, changed, or of another form.
    """

    folder: Path
    lines: tuple[Line, ...]
    raw: tuple[bytes, ...]
    unread: list[str] = field(default_factory=list)

    def data(self, line: Line) -> bytes | None:
        """Return the file that a line names, or None unless it is what it was when it was written."""
        if line.artifact is None:
            return None
        try:
            data = read_plain(self.folder / checked(line.artifact.path))
        except (OSError, ParameterRefused):
            data = None
        if data is None or sha256_hex(data) != line.artifact.sha256:
            self._miss(line, "is missing, or is not what the journal says")
            return None
        return data

    def value(self, line: Line, kind: type[T]) -> T | None:
        """Return what a file of the record holds, or None where it cannot be read as ``kind``."""
        data = self.data(line)
        if data is None:
            return None
        try:
            return from_json_bytes(data, kind)
        except ValueError:
            self._miss(line, f"does not hold {getattr(kind, '__name__', kind)} as this version knows it")
            return None

    def facts(self, stage: Stage, name: str, kind: type[T]) -> Iterator[Found[T]]:
        """Yield what a stage left under a name, the newest first."""
        stem = f"facts/{stage.value}/{name}"
        for line in reversed(self.lines):
            if line.text == name and line.path.startswith(stem) and line.path.endswith(".json"):
                value = self.value(line, kind)
                if value is not None:
                    yield Found(value, line)

    def newest(self, stage: Stage, name: str, kind: type[T]) -> Found[T] | None:
        """Return the newest of ``facts``, None where there is none."""
        return next(self.facts(stage, name, kind), None)

    def of_kind(self, *kinds: Kind) -> tuple[Line, ...]:
        """Return the lines of these kinds, in their order."""
        return tuple(line for line in self.lines if line.kind in kinds)

    def _miss(self, line: Line, why: str) -> None:
        missed = f"{line.path} (line {line.n}) {why}"
        if missed not in self.unread:
            self.unread.append(missed)


def read_folder(folder: Path) -> RecordFolder:
    """Read the journal of a record's folder as far as its chain holds."""
    path = folder / JOURNAL
    try:
        data = read_plain(path)
    except OSError:
        return RecordFolder(folder, (), ())
    text, _ = parse_whole_lines(data, path)
    return RecordFolder(folder, text.lines, tuple(data.split(b"\n")[: len(text.lines)]))


# -- The changes of an incident, and the attempts at its stages, as the journal tells them ---------

NO_RESULT = "not known: it may have been sent, and no result is in the record"


def ref(line: Line) -> Ref:
    """Return where a line stands, and its file."""
    return Ref(line=line.n, path=line.path)


def change_rows(lines: tuple[Line, ...]) -> tuple[ChangeRow, ...]:
    """Return one change per intent, in order, with what became of it on the device's own word."""
    intents = [line for line in lines if line.kind is Kind.INTENT]
    return tuple(_change(number, line, lines) for number, line in enumerate(intents, 1))


def _result_of(lines: tuple[Line, ...], intent: Line) -> Line | None:
    """The newest result of an intent; what follows the same change's next intent belongs to that one."""
    same = (intent.stage, intent.server, intent.about.subject)
    result = None
    for line in lines[intent.n :]:
        if (line.stage, line.server, line.about.subject) == same:
            if line.kind is Kind.INTENT:
                break
            result = line if line.kind is Kind.RESULT else result
    return result


def _change(number: int, intent: Line, lines: tuple[Line, ...]) -> ChangeRow:
    result = _result_of(lines, intent)
    is_command = intent.about.topic is LineTopic.DELETE
    return ChangeRow(
        number=number,
        utc=intent.utc,
        stage=intent.stage,
        server=intent.server,
        key=intent.about.name if is_command else "",
        what=f"delete {intent.text}" if is_command else intent.text,
        expected=(result.expected if result else "") or ("" if is_command else intent.expected),
        result=result.seen if result else "",
        tone=_tone(intent, result),
        ref=ref(intent),
        result_ref=ref(result) if result else NO_REF,
        is_settled=result is not None and is_settled(result, lines),
    )


def _tone(intent: Line, result: Line | None) -> str:
    if result is None or not result.seen:
        return "bad"
    if result.about.seen == NOT_SENT:
        return "quiet"
    good = result.about.seen == AS_EXPECTED or result.seen in (result.expected, intent.expected)
    return "good" if good else "doubt"


def stages_of(lines: tuple[Line, ...], changes: tuple[ChangeRow, ...]) -> tuple[StageRow, ...]:
    """Return every attempt at every stage, in the order in which they began, each with its changes."""
    rows = attempts(lines)
    of_stage = Counter(attempt.stage for attempt in rows)
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
        for attempt in rows
    )


# -- Both stores before and after, as they were read: the first reading of the incident beside the newest


class _Answer(BaseModel):
    """The part of a kept answer that holds what was understood of a list."""

    model_config = ConfigDict(extra="ignore")
    parsed: TofuStore


def stores_of(record: RecordFolder, changes: tuple[ChangeRow, ...]) -> tuple[StoreChange, ...]:
    """Return the change of each store that was read at least once, the primary's first."""
    deletions = [change for change in changes if change.stage == Stage.DELETE.value]
    return tuple(
        _compare(readings[0], readings[-1], [change for change in deletions if change.server == server])
        for server in PI_SERVERS
        if (readings := _readings(record, server))
    )


def _readings(record: RecordFolder, server: str) -> list[Found[TofuStore]]:
    """The first and the newest reading of a store that was understood."""
    kept = [line for line in record.lines if line.kind is Kind.KEPT and (line.server, line.text) == (server, LIST_TOFU)]
    lines = [line for line in kept if line.path.endswith(".json")]
    first, newest = _first(record, lines), _first(record, lines[::-1])
    return [first, newest] if first and newest else []


def _first(record: RecordFolder, lines: list[Line]) -> Found[TofuStore] | None:
    for line in lines:
        data = record.data(line)
        try:
            if data is not None:
                return Found(_Answer.model_validate_json(data).parsed, line)
        except ValueError:
            continue  # an answer that was not understood is kept without its values
    return None


def _compare(first: Found[TofuStore], newest: Found[TofuStore], sent: list[ChangeRow]) -> StoreChange:
    before = {entry.key: entry.subject for entry in first.value.entries}
    after = {entry.key: entry.subject for entry in newest.value.entries}
    read_after = not sent or newest.line.n > sent[-1].ref.line
    entries = [_entry(key, before, after, sent) for key in dict.fromkeys((*before, *after))]
    note = "" if read_after else "It was not read after the last change to it: what it holds now is not known."
    if first.line == newest.line:
        note = note or "It was read once: there is nothing to compare with."
    return StoreChange(
        server=first.value.server,
        entries=tuple(entries),
        before_utc=first.value.read_utc,
        after_utc=newest.value.read_utc,
        before=ref(first.line),
        after=ref(newest.line),
        note=note,
    )


def _entry(key: str, before: dict[str, str], after: dict[str, str], sent: list[ChangeRow]) -> EntryChange:
    word, tone = _word(key, before, after, [change for change in sent if change.key == key])
    return EntryChange(key=key, before=before.get(key, ""), after=after.get(key, ""), word=word, tone=tone)


def _word(key: str, before: dict[str, str], after: dict[str, str], sent: list[ChangeRow]) -> tuple[str, str]:
    if sent:
        result = sent[-1].result
        if not result:
            return "a deletion may have been sent; its result is not in the record", "bad"
        if result == Deletion.GONE.value or sent[-1].is_settled:
            back = "deleted, and listed again: the certificate of a later connection"
            return (back, "good") if key in after else ("deleted, and not listed again yet", "doubt")
        return f"deletion: {result}", "quiet" if result == Deletion.NOT_SENT.value else "doubt"
    if key not in after:
        return "no longer listed, and nothing here deleted it", "doubt"
    if key not in before:
        return "new since then; nothing here wrote it, the server adds entries by itself", "doubt"
    return ("unchanged", "plain") if before[key] == after[key] else ("listed with another subject", "doubt")


# -- What the report shows as it is in the record: approvals, overrides, screenshots, versions, the journal's lines

PNG = b"\x89PNG\r\n\x1a\n"
MOST_PICTURES = 24 * 1024 * 1024
"""Bytes of screenshots that a report holds at most; of further ones the file is named."""


def kept_plan(record: RecordFolder) -> Found[Plan] | None:
    """Return the newest plan."""
    for line in reversed(record.of_kind(Kind.DECIDED)):
        plan = record.value(line, Plan) if line.artifact else None
        if plan:
            return Found(plan, line)
    return None


def kept_approvals(record: RecordFolder) -> Iterator[tuple[Approval, Ref]]:
    """Yield every approval with the line that names it, oldest first."""
    for line in record.of_kind(Kind.APPROVED):
        approval = record.value(line, Approval)
        if approval:
            yield approval, ref(line)


def screenshots_of(record: RecordFolder) -> Iterator[Screenshot]:
    """Yield the pictures of the web pages, each once, as they were masked when they were kept."""
    seen, room = set[str](), MOST_PICTURES
    for line in record.of_kind(Kind.KEPT):
        if not line.path.startswith("screenshots/") or line.path.endswith(".json") or line.path in seen:
            continue
        seen.add(line.path)
        data = record.data(line) or b""
        png = data if data.startswith(PNG) and len(data) <= room else b""
        room -= len(png)
        yield Screenshot(line, png)


def journal_of(record: RecordFolder) -> tuple[JournalLine, ...]:
    """Return every line of the journal as the report prints it."""
    return tuple(map(JournalLine, record.lines, (raw.decode("ascii", "replace") for raw in record.raw)))


# -- What a person wrote into a report's Markdown, so that the next report takes it over -----------

TO_WRITE = "_To be written._"


def begin_mark(key: str) -> str:
    """Return the mark after which a person writes."""
    return f"<!-- write below: {key} -->"


def end_mark(key: str) -> str:
    """Return the line that ends what one writes by hand in a report."""
    return f"<!-- write above: {key} -->"


def read_written(markdown: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Return what stands between the marks, by section; sections that nobody wrote in are left out."""
    written = {}
    for key in keys:
        # A mark stands on a line of its own: what a device or a record says never begins one with it.
        marks = f"(?ms)^{re.escape(begin_mark(key))}[ \t]*$(.*?)^{re.escape(end_mark(key))}[ \t]*$"
        match = re.search(marks, markdown)
        text = match[1].strip() if match else ""
        if text and text != TO_WRITE:
            written[key] = text
    return written
