"""The journal of an incident: append-only lines in a hash chain; reading, checking and writing them."""

# ``journal.jsonl`` holds JSON objects in the canonical form of ``runbook_lib.digest``, one a line, each ending in a
# line feed. Keys: ``n`` counts from 1; ``utc`` is ``2026-11-23T12:45:01.123456Z``; ``stage``, ``server``,
# ``expected``, ``seen`` and ``text`` are strings; ``kind`` is a ``Kind``; ``artifact`` is null or ``{"path",
# "sha256"}`` of a file in the incident's folder; ``about`` is there where programs go by what a line is about, see
# ``runbook_lib.record.about``; ``prev`` is the ``hash`` of the line before, 64 zeros in the first; ``hash`` is the
# SHA-256 of the canonical form of the line without its ``hash``. A line is on disk before ``append`` returns.

from __future__ import annotations

import fcntl
import json
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from runbook_lib.digest import canonical_json, is_sha256, sha256_hex
from runbook_lib.errors import RecordDamaged
from runbook_lib.models import Outcome, StageState
from runbook_lib.record.about import About, read_about
from runbook_lib.record.files import (
    FILE_MODE,
    gate_bytes,
    gate_text,
    make_folder,
    open_plain,
    share,
    sync_folder,
    write_all,
    write_new,
    writing,
)

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
OPENING_KEYS = ("incident", "site", "opened_utc", "by", "what", "given")
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
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
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


def _line(value: dict[str, Any]) -> Line:
    """The one place where a line's fields become values: whoever reads a record relies on their types and words."""
    for name in (*TEXTS, "utc", "kind", "prev", "hash"):
        if not isinstance(value[name], str):
            raise ValueError(f"its {name} is not text")
    if type(value["n"]) is not int:
        raise ValueError("its n is not a whole number")
    try:
        kind = Kind(value["kind"])
        utc = datetime.strptime(value["utc"], UTC_FORM).replace(tzinfo=UTC)
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
    return path != "journal.jsonl" and all(_PART.fullmatch(part) for part in path.split("/"))


def parse_opening(data: bytes) -> dict[str, str]:
    """Read what an incident was opened with, empty texts for what is not said; ``ValueError`` if it is no opening."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict) or not all(isinstance(value.get(key, ""), str) for key in OPENING_KEYS):
        raise ValueError("it is not the opening of an incident")
    opening = {key: value.get(key, "") for key in OPENING_KEYS}
    if not opening["incident"] or datetime.fromisoformat(opening["opened_utc"]).tzinfo is None:
        raise ValueError("it names no incident, or no time in a zone")
    return opening


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


# -- The journal of an incident: what was intended and what happened, one line each, never changed again ---

_BLOCK = 64 * 1024
_REMEMBERED = 16
_checked: OrderedDict[Path, tuple[bytes, tuple[Line, ...]]] = OrderedDict()
"""Of the journals read last: the bytes that were checked, and their lines. A record is opened many times in a stage."""
_newest: dict[Path, tuple[int, bytes]] = {}
"""Of each journal that this process has read or written: where its newest line ends, and that line. A line is added to
what goes on from there, and to nothing else: the folder may have been moved, or put back from an older copy."""


class Journal:
    """The journal in ``folder``. Several processes and threads may append; each append is one step for all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.jsonl"

    def read(self) -> JournalText:
        """All lines. Raises ``RecordDamaged`` naming the first line that is not what it was when written.

        A last line without its line feed was cut short: it is given as ``torn``, and the next
        ``append`` cuts it off and notes it. The file is read each time; lines whose bytes are those of the last
        time that this process read them are not checked again.
        """
        known = _newest.get(self.path)
        try:
            with open_plain(self.path) as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                data = file.read()
        except FileNotFoundError:
            return JournalText(lines=())
        except OSError as error:
            raise RecordDamaged(
                "the journal cannot be read",
                where=str(self.path),
                found=error.strerror or type(error).__name__,
                next_step="check who owns the file",
            ) from error
        whole, lines = _checked.pop(self.path, (b"", ()))
        if not data.startswith(whole):
            whole, lines = b"", ()
        text = parse_journal(data[len(whole) :], self.path, lines)
        whole = data[: len(data) - len(text.torn)]
        _checked[self.path] = (whole, text.lines)
        if text.lines and (known is None or data[: known[0]].endswith(known[1])):
            _newest[self.path] = (len(whole), whole[whole.rfind(b"\n", 0, -1) + 1 :])
        while len(_checked) > _REMEMBERED:
            _checked.popitem(last=False)
        return text

    def append(
        self,
        kind: Kind,
        *,
        stage: str = "",
        server: str = "",
        expected: str = "",
        seen: str = "",
        artifact: Artifact | None = None,
        text: str | About = "",
    ) -> Line:
        """Add one line; it is on disk when this returns. Raises ``RecordNotWritable`` or ``RecordDamaged``.

        The latter too where the journal that this process has read is gone, or lines of it are. ``text`` may say as
        data what the line is about. Every text goes through the redaction gate.
        """
        fields: dict[str, Any] = {
            "stage": stage,
            "server": server,
            "kind": kind.value,
            "expected": expected,
            "seen": seen,
            "artifact": {"path": artifact.path, "sha256": artifact.sha256} if artifact else None,
            "text": str(text),
        }
        fields |= {name: gate_text(fields[name]) for name in TEXTS}
        if isinstance(text, About) and (about := text.value(gate_text)):
            fields["about"] = about
        with writing(self.path), self._locked() as file:
            self._mend(file)
            return self._add(file, fields)

    def require_known(self) -> None:
        """Raise ``RecordDamaged`` where what lies there does not go on from what this process has read or written."""
        end, line = _newest.get(self.path, (0, b""))
        try:
            with open_plain(self.path) as file:
                file.seek(end - len(line))
                if file.read(len(line)) == line:
                    return
                file.seek(0)
                parse_journal(file.read(), self.path)  # names a line that is damaged
        except FileNotFoundError:
            if not line:
                return
        except OSError:
            return  # whoever needs it says what keeps it from being opened
        raise RecordDamaged(
            "the journal is no longer the one that this process wrote to: its folder was moved or restored from a copy",
            where=str(self.path),
            next_step="put the folder back where it was, and read in it what was sent; then run the same command again,"
            " in a new kernel",
        )

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.require_known()
        make_folder(self.folder)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_size == 0:
                share(file, self.path)
                sync_folder(self.folder)
            yield file
        finally:
            os.close(file)

    def _add(self, file: int, fields: dict[str, Any]) -> Line:
        last = self._last(file)
        body = fields | {
            "n": last.n + 1 if last else 1,
            "utc": datetime.now(UTC).strftime(UTC_FORM),
            "prev": last.hash if last else FIRST_PREV,
        }
        whole = canonical_json(body | {"hash": sha256_hex(canonical_json(body))})
        line = parse_line(whole)  # nothing is written that could not be read
        size = os.fstat(file).st_size
        try:
            write_all(file, whole + b"\n")
            os.fsync(file)
        except OSError:
            # The caller is told that nothing was written, so nothing may stay.
            with suppress(OSError):
                os.ftruncate(file, size)
                os.fsync(file)
            raise
        if os.pread(file, len(whole) + 1, size) != whole + b"\n":
            what = "another process wrote into the journal in the same moment: the disk does not keep its lock"
            then = "find out who works on this incident from another machine, and what they sent; then open a new one"
            raise RecordDamaged(what, where=str(self.path), next_step=then)
        _newest[self.path] = (size + len(whole) + 1, whole + b"\n")
        return line

    def _mend(self, file: int) -> None:
        """Cut off a last line that was not written to its end; what there was of it is kept and noted."""
        size = os.fstat(file).st_size
        end = _after_last_line_feed(file, size)
        if end == size:
            return
        torn = os.pread(file, size - end, end)
        if holds_object(torn):
            self._refuse()
        torn = gate_bytes(torn)
        digest = sha256_hex(torn)
        artifact = Artifact(path=f"torn/{digest}.bin", sha256=digest)
        write_new(self.folder / artifact.path, torn)
        os.ftruncate(file, end)
        fields = dict.fromkeys(TEXTS, "") | {
            "kind": Kind.TORN.value,
            "artifact": {"path": artifact.path, "sha256": digest},
            "text": f"a line of which {size - end} bytes had been written was cut off; it was never acknowledged",
        }
        self._add(file, fields)

    def _last(self, file: int) -> Line | None:
        size = os.fstat(file).st_size
        if size == 0:
            return None
        start = _after_last_line_feed(file, size - 1)
        try:
            return parse_line(os.pread(file, size - start - 1, start))
        except ValueError:
            return self._refuse()

    def _refuse(self) -> Line:
        """Find the damaged line's number; the last line is known not to be right."""
        parse_journal(self.path.read_bytes(), self.path)
        raise AssertionError("a damaged line was read as whole")


def _after_last_line_feed(file: int, end: int) -> int:
    """The offset after the last line feed before ``end``; 0 if there is none."""
    while end > 0:
        start = max(0, end - _BLOCK)
        position = os.pread(file, end - start, start).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0
