"""The journal of an incident on the disk: reading it, checking it, and adding lines that are never changed again."""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from typing import Any

from runbook_lib import paths
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import RecordDamaged, RecordNotWritable
from runbook_lib.paths import open_plain
from runbook_lib.record import files
from runbook_lib.record.journal import (
    FIRST_PREV,
    JOURNAL,
    TEXTS,
    UTC_FORM,
    About,
    Artifact,
    JournalText,
    Kind,
    Line,
    holds_object,
    parse_journal,
    parse_line,
)
from runbook_lib.secrets import NotPrivate, read_private

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
        self.path = folder / JOURNAL
        self._locked_by = 0  # the thread that adds a line

    def read(self) -> JournalText:
        """All lines. Raises ``RecordDamaged`` naming the first line that is not what it was when written.

        A last line without its line feed was cut short: it is given as ``torn``, and the next
        ``append`` cuts it off and notes it. The file is read each time; lines whose bytes are those of the last
        time that this process read them are not checked again.
        """
        known = _newest.get(self.path)
        try:
            with open_plain(self.path) as file:
                if self._locked_by != get_ident():
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
        beside: Artifact | None = None,
        text: str | About = "",
        unless: Callable[[], None] | None = None,
    ) -> Line:
        """Add one line; it is on disk when this returns. Raises ``RecordNotWritable`` or ``RecordDamaged``.

        The latter too where the journal that this process has read is gone, or lines of it are. ``text`` may say as
        data what the line is about. Every text goes through the redaction gate. ``unless`` raises what keeps the line
        out; it reads this very journal, into which nobody else writes then. What was kept ``beside`` the artifact gets
        a line of its own in the same step; that is returned then.
        """
        fields: dict[str, Any] = {
            "stage": stage,
            "server": server,
            "kind": kind.value,
            "expected": expected,
            "seen": seen,
            "artifact": asdict(artifact) if artifact else None,
            "text": str(text),
        }
        fields |= {name: files.gate_text(fields[name]) for name in TEXTS}
        if isinstance(text, About) and (about := text.value(files.gate_text)):
            fields["about"] = about
        with files.writing(self.path), self._locked() as file:
            self._mend(file)
            if unless:
                unless()
            if beside is None:
                return self._add(file, fields)
            return self._add(file, fields, fields | {"kind": Kind.KEPT.value, "seen": "", "artifact": asdict(beside)})

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
        files.make_folder(self.folder)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, files.FILE_MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_size == 0:
                files.share(file, self.path)
                files.sync_folder(self.folder)
            self._locked_by = get_ident()
            yield file
        finally:
            self._locked_by = 0
            os.close(file)

    def _add(self, file: int, *added: dict[str, Any]) -> Line:
        line = self._last(file)
        lines = []
        for fields in added:
            body = fields | {
                "n": line.n + 1 if line else 1,
                "utc": datetime.now(UTC).strftime(UTC_FORM),
                "prev": line.hash if line else FIRST_PREV,
            }
            whole = canonical_json(body | {"hash": sha256_hex(canonical_json(body))})
            line = parse_line(whole)  # nothing is written that could not be read
            lines.append(whole + b"\n")
        assert line is not None
        data = b"".join(lines)
        size = os.fstat(file).st_size
        try:
            files.write_all(file, data)
            os.fsync(file)
        except OSError:
            # The caller is told that nothing was written, so nothing may stay.
            with suppress(OSError):
                os.ftruncate(file, size)
                os.fsync(file)
            raise
        if os.pread(file, len(data), size) != data:
            what = "another process wrote into the journal in the same moment: the disk does not keep its lock"
            then = "find out who works on this incident from another machine, and what they sent; then open a new one"
            raise RecordDamaged(what, where=str(self.path), next_step=then)
        _newest[self.path] = (size + len(data), lines[-1])
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
        torn = files.gate_bytes(torn)
        digest = sha256_hex(torn)
        artifact = Artifact(path=f"torn/{digest}.bin", sha256=digest)
        files.write_new(self.folder / artifact.path, torn)
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


# -- Up to which line this account sealed a record, noted outside of it: seals can be taken away with their lines.
#
# ``sealed/<incident>`` in the folder of the keys holds that line's ``hash``. Where nothing can be written there, or
# others could have, nothing is noted and nothing is missed. No note is cleared away: it is 64 bytes, read by its name
# alone, and has to outlast lines that were taken away.


def note_sealed(incident: str, head: str) -> None:
    """Note the last line that a seal covers, in the place of what was noted before."""
    with suppress(RecordNotWritable, OSError):
        files.write_new(paths.key_dir() / "sealed" / incident, head.encode("ascii"), over=True)


def sealed_to(incident: str) -> str:
    """Return that line's ``hash``, "" where none is noted; to be read before the journal, which is sealed meanwhile."""
    with suppress(NotPrivate, OSError):
        return read_private(paths.key_dir() / "sealed" / incident, len(FIRST_PREV)).decode("ascii", "replace")
    return ""


CUT = "cut short, or a copy from before: it lacks the line up to which this account sealed it, or that seal's own lines"


def is_cut(lines: Sequence[Line], head: str) -> bool:
    """Whether a journal lacks the line that was noted, or every line that names a seal up to there."""
    sealed = {line.expected for line in lines if line.kind is Kind.SEALED}
    return bool(head) and head not in sealed.intersection(line.hash for line in lines)
