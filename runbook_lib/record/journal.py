"""The journal of an incident: what was intended and what happened, one line each, never changed again.

``journal.jsonl`` holds JSON objects in the canonical form of ``runbook_lib.canonical``, one a line,
each ending in a line feed. Keys: ``n`` counts from 1; ``utc`` is ``2026-11-23T12:45:01.123456Z``;
``stage``, ``server``, ``expected``, ``seen`` and ``text`` are strings; ``kind`` is a ``Kind``;
``artifact`` is null or ``{"path", "sha256"}`` of a file in the incident's folder; ``prev`` is the
``hash`` of the line before, 64 zeros in the first; ``hash`` is the SHA-256 of the canonical form
of the line without its ``hash``. A line is on disk before ``append`` returns.
"""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.canonical import canonical_json, sha256_hex
from runbook_lib.errors import RecordDamaged
from runbook_lib.record.files import FILE_MODE, make_folder, share, sync_folder, write_all, write_new, writing
from runbook_lib.record.lines import (
    FIRST_PREV,
    TEXTS,
    UTC_FORM,
    Artifact,
    JournalText,
    Kind,
    Line,
    holds_object,
    parse_journal,
    parse_line,
)
from runbook_lib.record.redaction import gate_bytes, gate_text

_BLOCK = 64 * 1024
_REMEMBERED = 16
_checked: OrderedDict[Path, tuple[bytes, tuple[Line, ...]]] = OrderedDict()
"""Of the journals read last: the bytes that were checked, and their lines. A record is opened many times in a stage."""


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
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                data = file.read()
        except FileNotFoundError:
            return JournalText(lines=())
        except OSError as error:
            raise _unreadable(self.path, error) from error
        whole, lines = _checked.pop(self.path, (b"", ()))
        if not data.startswith(whole):
            whole, lines = b"", ()
        text = parse_journal(data[len(whole) :], self.path, lines)
        _checked[self.path] = (data[: len(data) - len(text.torn)], text.lines)
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
        text: str = "",
    ) -> Line:
        """Add one line; it is on disk when this returns. Raises ``RecordNotWritable`` or ``RecordDamaged``.

        Every text goes through the redaction gate.
        """
        fields: dict[str, Any] = {
            "stage": stage,
            "server": server,
            "kind": kind.value,
            "expected": expected,
            "seen": seen,
            "artifact": {"path": artifact.path, "sha256": artifact.sha256} if artifact else None,
            "text": text,
        }
        fields |= {name: gate_text(fields[name]) for name in TEXTS}
        with writing(self.path), self._locked() as file:
            self._mend(file)
            return self._add(file, fields)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        make_folder(self.folder)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
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
            "text": f"a line of which {size - end} bytes had been written was cut off; it had not been acknowledged",
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
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _unreadable(path: Path, error: OSError) -> RecordDamaged:
    return RecordDamaged(
        "the journal cannot be read",
        where=str(path),
        found=error.strerror or type(error).__name__,
        next_step="check who owns the file",
    )
