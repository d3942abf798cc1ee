"""One record read for the index: what the incident was, and the text to search in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from runbook_lib.errors import RecordError, RunbookError
from runbook_lib.models import Inventory, Outcome, PastIncident, Stage
from runbook_lib.record import Kind, Line, Record
from runbook_lib.record.manifest import JOURNAL
from runbook_lib.record.stages import FINAL, after_seal, outcome

LONGEST = 200_000
"""Characters of one record that are searched: the journal's first, then what devices and logs said."""
LOOKS = (Stage.VERIFY, Stage.LIST)
"""The stages that look at all certificates, the later one first."""
_SEARCHED = ("incident.json", "answers/", "excerpts/", "approvals/")


class Entry(NamedTuple):
    """An incident and its text."""

    incident: PastIncident
    text: str


def signature(folder: Path) -> str:
    """Return what changes with the record: of its journal and of its folder; empty where there is no journal.

    The time of change (``ctime``) is in it, which nobody can set back without changing the machine's clock.
    """
    try:
        there, journal = folder.stat(), (folder / JOURNAL).stat()
    except OSError:
        return ""
    parts = (there.st_mtime_ns, there.st_ino, journal.st_size, journal.st_mtime_ns, journal.st_ctime_ns, journal.st_ino)
    return " ".join(map(str, parts))


def read_entry(root: Path, incident: str) -> Entry:
    """Read one record; one that does not verify is an entry with a problem."""
    record = Record(root, incident, "")
    try:
        lines = record.journal.read().lines
        opening = record.opening() if lines else {}
        if opening.get("incident") != incident:
            return Entry(PastIncident(incident=incident, problem=_problem(opening)), "")
        found = replace(_incident(incident, opening, lines), not_after_utc=_first_end(record))
    except RecordError as error:
        return Entry(PastIncident(incident=incident, problem=error.what), "")
    return Entry(found, _text(record, lines))


def _problem(opening: dict[str, str]) -> str:
    return f"it is the record of {opening['incident']}" if opening else "it has no journal"


def _incident(incident: str, opening: dict[str, str], lines: Sequence[Line]) -> PastIncident:
    opened = datetime.fromisoformat(opening["opened_utc"])
    said = [line for line in lines if line.kind is Kind.OUTCOME]
    changes = sum(line.kind is Kind.SENT for line in lines)
    closed = next((line.utc for line in said if Outcome(line.seen) in FINAL - {Outcome.NOTHING_TO_DO}), None)
    sealed = [line.seen for line in lines if line.kind is Kind.SEALED and line.text == "signed statement"]
    return PastIncident(
        incident=incident,
        site=opening["site"],
        opened_utc=opened,
        ended_utc=said[-1].utc if said else None,
        outcome=outcome(lines),
        repair_s=(closed - opened).total_seconds() if closed else None,
        by=opening["by"],
        approved_by=tuple(dict.fromkeys(line.seen for line in lines if line.kind is Kind.APPROVED)),
        changes=changes,
        signed_by=sealed[-1] if sealed else "",
        after_seal=len(after_seal(lines)),
    )


def _first_end(record: Record) -> datetime | None:
    for stage in LOOKS:
        try:
            judgements = record.read_facts(stage, "inventory", Inventory).judgements
        except RunbookError:
            continue
        return min((each.facts.not_after_utc for each in judgements if each.facts), default=None)
    return None


def _text(record: Record, lines: Sequence[Line]) -> str:
    pieces = dict.fromkeys(_words(lines))
    length = sum(map(len, pieces))
    for artifact in dict.fromkeys(line.artifact for line in lines if line.artifact):
        if length > LONGEST:
            break
        if artifact.path.startswith(_SEARCHED) and not artifact.path.endswith(".png"):
            try:
                said = record.read_bytes(artifact)[:LONGEST].decode("utf-8", "replace")
            except RecordError:
                continue  # it is the journal that is listed; runbook verify names what is wrong with a file
            pieces[said] = None
            length += len(said)
    return "\n".join(pieces)[:LONGEST]


def _words(lines: Iterable[Line]) -> Iterable[str]:
    for line in lines:
        yield from (line.stage, line.server, line.expected, line.seen, line.text)


def as_json(incident: PastIncident) -> str:
    """Return an incident as one line of JSON."""
    from pydantic_core import to_jsonable_python

    return json.dumps(to_jsonable_python(incident), sort_keys=True)


def from_json(rows: Sequence[str]) -> tuple[PastIncident, ...]:
    """Read many lines of JSON at once; ``ValueError`` if one is none of ours."""
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[PastIncident, ...]).validate_json(f"[{','.join(rows)}]")
