"""Both stores before and after, as they were read: the first reading of the incident beside the newest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from runbook_lib.models import Deletion, Stage, TofuStore
from runbook_lib.record.lines import Kind, Line
from runbook_lib.report.changes import ref
from runbook_lib.report.reading import Found, RecordFolder
from runbook_lib.report.values import Change, EntryChange, StoreChange

LIST = "ncs certvalidation tofu-certs listcerts"


class _Answer(BaseModel):
    """The part of a kept answer that holds what was understood of a list."""

    model_config = ConfigDict(extra="ignore")
    parsed: TofuStore


def stores_of(record: RecordFolder, changes: tuple[Change, ...]) -> tuple[StoreChange, ...]:
    """Return the change of each store that was read at least once, the primary's first."""
    return tuple(
        _compare(readings[0], readings[-1], [c for c in changes if (c.server, c.stage) == (server, Stage.DELETE.value)])
        for server in ("primary", "secondary")
        if (readings := _readings(record, server))
    )


def _readings(record: RecordFolder, server: str) -> list[Found[TofuStore]]:
    """The first and the newest reading of a store that was understood."""
    lines = [line for line in record.lines if _holds_list(line, server)]
    first, newest = _first(record, lines), _first(record, lines[::-1])
    return [first, newest] if first and newest else []


def _holds_list(line: Line, server: str) -> bool:
    path = line.artifact.path if line.artifact else ""
    return line.kind is Kind.KEPT and (line.server, line.text) == (server, LIST) and path.endswith(".json")


def _first(record: RecordFolder, lines: list[Line]) -> Found[TofuStore] | None:
    for line in lines:
        data = record.data(line)
        try:
            if data is not None:
                return Found(_Answer.model_validate_json(data).parsed, line)
        except ValueError:
            continue  # an answer that was not understood is kept without its values
    return None


def _compare(first: Found[TofuStore], newest: Found[TofuStore], sent: list[Change]) -> StoreChange:
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


def _entry(key: str, before: dict[str, str], after: dict[str, str], sent: list[Change]) -> EntryChange:
    word, tone = _word(key, before, after, [change for change in sent if change.key == key])
    return EntryChange(key=key, before=before.get(key, ""), after=after.get(key, ""), word=word, tone=tone)


def _word(key: str, before: dict[str, str], after: dict[str, str], sent: list[Change]) -> tuple[str, str]:
    if sent:
        result = sent[-1].result
        if not result:
            return "a deletion may have been sent; its result is not in the record", "bad"
        if result == Deletion.GONE.value:
            back = "deleted, and listed again: the certificate of a later connection"
            return (back, "good") if key in after else ("deleted, and not listed again yet", "doubt")
        return f"deletion: {result}", "quiet" if result == Deletion.NOT_SENT.value else "doubt"
    if key not in after:
        return "no longer listed, and nothing here deleted it", "doubt"
    if key not in before:
        return "new since then; nothing here wrote it, the server adds entries by itself", "doubt"
    return ("unchanged", "plain") if before[key] == after[key] else ("listed with another subject", "doubt")
