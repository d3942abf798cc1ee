"""A line of the journal: its form, the chain that a whole journal is, and what a line is about. Pure."""

# ``journal.jsonl`` holds JSON objects in the canonical form of ``runbook_lib.decisions``, one a line, each ending in a
# line feed. Keys: ``n`` counts from 1; ``utc`` is ``2026-11-23T12:45:01.123456Z``; ``stage``, ``server``,
# ``expected``, ``seen`` and ``text`` are strings; ``kind`` is a ``Kind``; ``artifact`` is null or ``{"path",
# "sha256"}`` of a file in the incident's folder; ``about`` is there where programs go by what a line is about, see
# ``About``; ``prev`` is the ``hash`` of the line before, 64 zeros in the first; ``hash`` is the SHA-256 of the
# canonical form of the line without its ``hash``.

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

from runbook_lib.decisions import canonical_json, is_sha256, sha256_hex
from runbook_lib.errors import RecordDamaged
from runbook_lib.models import Outcome, StageState

JOURNAL = "journal.jsonl"

# -- What a line is about, as data: readers go by this, and never by the sentences beside it. ------


class LineTopic(Enum):
    """What a line is about; the value stands in the journal."""

    DELETE = "delete"
    REMOVE_HA = "remove_ha"
    REGISTER_HA = "register_ha"
    REGISTER_HA_BY_HAND = "register_ha_by_hand"
    CHECK_READINESS = "check_readiness"
    MILESTONES = "milestones"
    ADD_ISE = "add_ise"
    REMOVE_ISE = "remove_ise"
    ADD_ISE_BY_HAND = "add_ise_by_hand"
    CERTIFICATE = "certificate"
    TEMPLATE = "template"
    TEMPLATE_BY_HAND = "template_by_hand"
    OLD_ALGORITHMS = "old_algorithms"
    OTHER = "other"


NOT_SENT, AS_EXPECTED = "not_sent", "as_expected"
"""What ``About.seen`` says of a change that never left, and of one whose result is right, however it is worded."""

_SENTENCES = {
    LineTopic.DELETE: "{name}",
    LineTopic.REMOVE_HA: "ncs ha remove",
    LineTopic.REGISTER_HA: "register HA",
    LineTopic.REGISTER_HA_BY_HAND: "register HA by hand",
    LineTopic.CHECK_READINESS: "check readiness",
    LineTopic.MILESTONES: "milestones of the registration, as the page says",
    LineTopic.ADD_ISE: "add ISE server {name}",
    LineTopic.REMOVE_ISE: "remove ISE server {name}",
    LineTopic.ADD_ISE_BY_HAND: "add ISE servers by hand",
    LineTopic.CERTIFICATE: "certificate of {name}",
    LineTopic.TEMPLATE: "template notebook",
    LineTopic.TEMPLATE_BY_HAND: "template notebook, by hand: as on disk at that time",
    LineTopic.OLD_ALGORITHMS: "the site's file allows old SSH algorithms",
    LineTopic.OTHER: "{name}",
}


@dataclass(frozen=True, kw_only=True)
class About:
    """The topic of a line; ``name`` says which one of the kind: an entry's key, an ISE server, a host.

    ``command`` is what is typed on the server for it. ``seen`` is what became of it where that decides something:
    ``not_sent``, ``as_expected``, a verdict. A line without a topic is about its text: that is its ``name``.
    """

    topic: LineTopic = LineTopic.OTHER
    name: str = ""
    command: str = ""
    seen: str = ""

    def __str__(self) -> str:
        """Return it as people read it."""
        return _SENTENCES[self.topic].format(name=self.name)

    @property
    def subject(self) -> About:
        """What an intent, its ``sent`` and its result have in common."""
        return replace(self, command="", seen="")

    def value(self, gate: Callable[[str], str]) -> dict[str, str]:
        """Return what stands in the line, nothing for a line without a topic; every text goes through ``gate``."""
        if self.topic is LineTopic.OTHER:
            return {}
        texts = {"name": gate(self.name), "command": gate(self.command), "seen": gate(self.seen)}
        return {"topic": self.topic.value} | {key: text for key, text in texts.items() if text}


def read_about(line: Mapping[str, object]) -> About:
    """Return what a line is about; raises ``ValueError`` if its ``about`` is not one that this software writes."""
    if "about" not in line:
        return _by_text(*(str(line[key]) for key in ("kind", "stage", "expected", "seen", "text")))
    value = line["about"]
    if not isinstance(value, dict) or not value.keys() <= {"topic", "name", "command", "seen"}:
        raise ValueError("its about is not one that a journal line holds")
    if not all(text and isinstance(text, str) for text in value.values()):
        raise ValueError("its about holds something that is not text")
    topic = next((each for each in LineTopic if each.value == value.get("topic")), LineTopic.OTHER)
    if topic is LineTopic.OTHER:
        raise ValueError("its about names an unknown topic")
    return About(**value | {"topic": topic})


# -- Lines that were written before a line had an ``about``. Records hold these sentences: they never change.

_CHANGES = (
    (LineTopic.REMOVE_HA, re.compile("ncs ha remove")),
    (LineTopic.REGISTER_HA, re.compile("register HA")),
    (LineTopic.REGISTER_HA_BY_HAND, re.compile("register HA by hand")),
    (LineTopic.ADD_ISE, re.compile("add ISE server (?P<name>.+)")),
    (LineTopic.REMOVE_ISE, re.compile("remove ISE server (?P<name>.+)")),
    (LineTopic.ADD_ISE_BY_HAND, re.compile("add ISE servers by hand")),
)
_NOTES = (
    (LineTopic.MILESTONES, re.compile("milestones of the registration, as the page says")),
    (LineTopic.TEMPLATE, re.compile("template notebook")),
    (LineTopic.TEMPLATE_BY_HAND, re.compile("template notebook, by hand: as on disk at that time")),
    (LineTopic.OLD_ALGORITHMS, re.compile("the site's file allows old SSH algorithms")),
)
_LOOK = ((LineTopic.CERTIFICATE, re.compile("certificate of (?P<name>.+)")),)
_SENTENCES_WITHOUT_ABOUT = {"noted": _NOTES, "decided": _NOTES, "observed": _LOOK}


def _by_text(kind: str, stage: str, expected: str, seen: str, text: str) -> About:
    is_change = kind in ("intent", "sent", "result")
    if is_change and stage == "30_delete_stale_certificates":
        command = expected.partition(" (")[0] if kind == "intent" else ""
        about = About(topic=LineTopic.DELETE, name=text, command=command)
    else:
        known = _CHANGES if is_change else _SENTENCES_WITHOUT_ABOUT.get(kind, ())
        matches = ((topic, pattern.fullmatch(text)) for topic, pattern in known)
        named = (About(topic=topic, **match.groupdict("")) for topic, match in matches if match)
        about = next(named, About(name=text))
    if kind == "observed":
        return replace(about, seen=seen.partition(":")[0]) if about.topic is LineTopic.CERTIFICATE else about
    is_unsent = kind == "result" and seen.partition(": ")[0] == "not sent"
    return replace(about, seen=NOT_SENT) if is_unsent else about


# -- One line of the journal, and what a whole journal must be: the form, the numbering and the chain; pure

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
UTC_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,120}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file of the record: its path in the incident's folder, with ``/``, and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the journal. ``about`` says as data what ``text`` and ``seen`` say in words."""

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
    about: About

    @property
    def path(self) -> str:
        """The file that the line names, empty where it names none."""
        return self.artifact.path if self.artifact else ""


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
    """Return the lines up to the first damaged one, and what is wrong with that; None where none is."""
    whole, _, torn = data.rpartition(b"\n")
    lines = [*after]
    prev = after[-1].hash if after else FIRST_PREV
    raws = whole.split(b"\n") if whole or data.startswith(b"\n") else []
    for n, raw in enumerate(raws, start=len(after) + 1):
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
    value = read_json_value(raw)
    if not isinstance(value, dict) or value.keys() - {"about"} != _KEYS:
        raise ValueError("it does not have the keys of a journal line")
    body = {key: item for key, item in value.items() if key != "hash"}
    try:
        same = sha256_hex(canonical_json(body)) == value["hash"] and canonical_json(value) == raw
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise ValueError("its hash is not that of its content")
    return _line(value)


def read_json_value(data: bytes) -> Any:
    """Return what JSON says; ``ValueError`` for anything else."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _line(value: dict[str, Any]) -> Line:
    """The one place where a line's fields become values: whoever reads a record relies on their types and words."""
    for name in (*TEXTS, "utc", "kind", "prev", "hash"):
        if not isinstance(value[name], str):
            raise ValueError(f"its {name} is not text")
    if type(value["n"]) is not int:
        raise ValueError("its n is not a whole number")
    try:
        kind = Kind(value["kind"])
        utc = datetime.fromisoformat(value["utc"]).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("its kind or its utc is not one that a journal line holds") from None
    if utc.strftime(UTC_FORM) != value["utc"]:
        raise ValueError("its utc is not spelled as it is written")
    if kind in SAYS and value["seen"] not in SAYS[kind]:
        raise ValueError(f"its seen is not one that a line of the kind {kind} holds")
    read = {"kind": kind, "utc": utc, "artifact": _artifact(value["artifact"]), "about": read_about(value)}
    return Line(**value | read)


def _artifact(value: object) -> Artifact | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"path", "sha256"}:
        raise ValueError("its artifact is not a file")
    path, sha256 = value["path"], value["sha256"]
    if not isinstance(path, str) or not is_inside(path):
        raise ValueError("its artifact's path leads to no file of a record")
    if not isinstance(sha256, str) or not is_sha256(sha256):
        raise ValueError("its artifact's sha256 is not a digest")
    return Artifact(path=path, sha256=sha256)


def is_inside(path: str) -> bool:
    """Whether a path stays inside the record's folder, in names that every file system takes."""
    return path != JOURNAL and all(_PART.fullmatch(part) for part in path.split("/"))


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
