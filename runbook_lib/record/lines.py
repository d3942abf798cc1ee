"""One line of the journal, and what a whole journal must be: the form, the numbering and the chain; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from runbook_lib.canonical import canonical_json, sha256_hex
from runbook_lib.errors import RecordDamaged
from runbook_lib.models import Outcome, StageState

FIRST_PREV = "0" * 64
_KEYS = {"n", "utc", "stage", "server", "kind", "expected", "seen", "artifact", "text", "prev", "hash"}
TEXTS = ("stage", "server", "expected", "seen", "text")


class Kind(StrEnum):
    """What a line tells."""

    INCIDENT_OPENED = "incident_opened"  # the artifact says of which site, by whom, what for
    STAGE_STARTED = "stage_started"  # ``seen``: the process that runs it
    STAGE_ENDED = "stage_ended"  # ``seen``: done, failed, stopped or interrupted; ``text``: why
    INTERRUPTED = "interrupted"  # a stage was cut short; ``text``: by what
    OBSERVED = "observed"  # a device said something; the artifact is its raw answer
    KEPT = "kept"  # the artifact was put into the record
    DECIDED = "decided"  # a plan was made, or a choice between readings; the artifact is the plan
    APPROVED = "approved"  # somebody approved the plan whose digest is in ``expected``
    INTENT = "intent"  # this change is about to be sent; ``text``: the change, the same in the next two
    SENT = "sent"  # it has left
    RESULT = "result"  # what became of it, on the device's own word, in ``seen``
    PROOF = "proof"  # ``expected`` beside ``seen``
    OUTCOME = "outcome"  # the incident's outcome in ``seen``
    NOTED = "noted"  # anything else that a reader should know
    SEALED = "sealed"  # the artifact is a seal's manifest or envelope; ``expected``: the head of what it covers
    TORN = "torn"  # the line that should stand here was cut short; the artifact is what there was of it


SAYS: Mapping[Kind, frozenset[str]] = {
    Kind.STAGE_ENDED: frozenset(StageState) - {StageState.PENDING, StageState.RUNNING},
    Kind.OUTCOME: frozenset(Outcome),
}
"""What ``seen`` may be, where only certain words mean anything."""
OPENING_KEYS = ("incident", "site", "opened_utc", "by", "what", "given")
UTC_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,120}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file of the record: its path in the incident's folder, with ``/``, and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the journal."""

    n: int
    utc: datetime
    stage: str
    server: str
    kind: Kind
    expected: str
    seen: str
    artifact: Artifact | None
    text: str
    prev: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class JournalText:
    """A journal that was read and whose chain holds: its lines, and the bytes of a last line that was cut short."""

    lines: tuple[Line, ...]
    torn: bytes = b""

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self.lines[-1].hash if self.lines else FIRST_PREV


def parse_journal(data: bytes, path: Path, after: tuple[Line, ...] = ()) -> JournalText:
    """Read a journal's bytes and check its chain. Raises ``RecordDamaged`` naming the line, from 1.

    ``after`` are lines that were read and checked already: ``data`` is what follows them, the result is all of it.
    """
    text, problem = parse_whole_lines(data, path, after)
    if problem:
        raise problem
    return text


def parse_whole_lines(
    data: bytes, path: Path, after: tuple[Line, ...] = ()
) -> tuple[JournalText, RecordDamaged | None]:
    """The same without raising: the lines up to the first damaged one, and what is wrong with that."""
    whole, _, torn = data.rpartition(b"\n")
    lines = [*after]
    prev = after[-1].hash if after else FIRST_PREV
    for n, raw in enumerate(whole.split(b"\n") if whole or data.startswith(b"\n") else [], start=len(after) + 1):
        try:
            line = parse_line(raw)
            if line.n != n:
                raise ValueError(f"it is numbered {line.n}")
            if line.prev != prev:
                raise ValueError("it does not follow from the line before")
        except ValueError as error:
            return JournalText(lines=tuple(lines)), _damaged(path, n, str(error))
        prev = line.hash
        lines.append(line)
    if holds_object(torn):
        return JournalText(lines=tuple(lines)), _damaged(path, len(lines) + 1, "its end is not what was written")
    return JournalText(lines=tuple(lines), torn=torn), None


def parse_line(raw: bytes) -> Line:
    """Read one line without its line feed; ``ValueError`` says how it differs from what ``append`` writes."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict) or value.keys() != _KEYS:
        raise ValueError("it has not the keys of a journal line")
    body = {key: item for key, item in value.items() if key != "hash"}
    try:
        same = sha256_hex(canonical_json(body)) == value["hash"] and canonical_json(value) == raw
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise ValueError("its hash is not that of its content")
    return _line(value)


def _line(value: dict[str, Any]) -> Line:
    """The one place where a line's fields become values: whoever reads a record relies on their types and words."""
    for name in (*TEXTS, "utc", "kind", "prev", "hash"):
        if not isinstance(value[name], str):
            raise ValueError(f"its {name} is no text")
    if type(value["n"]) is not int:
        raise ValueError("its n is no whole number")
    try:
        kind = Kind(value["kind"])
        utc = datetime.strptime(value["utc"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("its kind or its utc is none that a journal line holds") from None
    if utc.strftime(UTC_FORM) != value["utc"]:
        raise ValueError("its utc is not spelled as it is written")
    if kind in SAYS and value["seen"] not in SAYS[kind]:
        raise ValueError(f"its seen is none that a line of the kind {kind} holds")
    return Line(**value | {"kind": kind, "utc": utc, "artifact": _artifact(value["artifact"])})


def _artifact(value: object) -> Artifact | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"path", "sha256"}:
        raise ValueError("its artifact is no file")
    path, sha256 = value["path"], value["sha256"]
    if not isinstance(path, str) or not is_inside(path):
        raise ValueError("its artifact's path leads to no file of a record")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError("its artifact's sha256 is none")
    return Artifact(path=path, sha256=sha256)


def is_inside(path: str) -> bool:
    """Whether a path stays inside the record's folder, in names that every file system takes."""
    return path != "journal.jsonl" and all(_PART.fullmatch(part) for part in path.split("/"))


def parse_opening(data: bytes) -> dict[str, str]:
    """Read what an incident was opened with, empty texts for what is not said; ``ValueError`` if it is no opening."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict) or not all(isinstance(value.get(key, ""), str) for key in OPENING_KEYS):
        raise ValueError("it is not the opening of an incident")
    said = {key: value.get(key, "") for key in OPENING_KEYS}
    if not said["incident"] or datetime.fromisoformat(said["opened_utc"]).tzinfo is None:
        raise ValueError("it names no incident, or no time in a zone")
    return said


def holds_object(torn: bytes) -> bool:
    """Whether a last line without line feed has bytes after a whole object: no cut does that."""
    text = torn.decode("utf-8", "replace")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and end < len(text)


def _damaged(path: Path, n: int, how: str) -> RecordDamaged:
    return RecordDamaged(
        f"line {n} of the journal is damaged: {how}",
        where=f"{path}:{n}",
        next_step="keep this folder as it is and open a new incident; do not rely on line "
        f"{n} or any after it, and observe the site before changing it",
    )
