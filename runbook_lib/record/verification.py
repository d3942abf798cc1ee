"""Checking a record: the journal's chain, every file, the newest seal, its signature and its time stamp."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.x509 import Certificate

from runbook_lib import paths
from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import ParameterRefused
from runbook_lib.paths import read_plain
from runbook_lib.record import seal
from runbook_lib.record.artifacts import Drift, drifts
from runbook_lib.record.attestation import check_statement
from runbook_lib.record.incident import INCIDENT, parse_opening
from runbook_lib.record.journal import JOURNAL, JournalText, Kind, Line, parse_whole_lines
from runbook_lib.record.journal_file import CUT, is_cut, sealed_to
from runbook_lib.record.seal import Stamp
from runbook_lib.record.signing import Trusted, VerifyingKey
from runbook_lib.record.stages import ENVELOPE, MANIFEST, SEAL_FOLDER, STAMP, lost_seals, named_in_words, without_seal

NEVER_SEALED = "It was never sealed: it has no manifest and no signature, only the journal's hash chain."


@dataclass(frozen=True, kw_only=True)
class RecordProblem:
    """A file of the record and what is wrong with it: edited, added, removed or cut short, or what else."""

    path: str
    what: str


@dataclass(kw_only=True)
class Verification:
    """What was found. ``problems`` empty: the record verifies, as far as ``seal``, ``key`` and ``notes`` say.

    ``running`` are the notebooks of runs that are under way or were cut off, which nothing names yet.
    ``noted`` is the ``hash`` of the line up to which this account sealed it, where it has to be there: an archive
    may be from before. ``writer`` is who writes in it at this moment: what is missing may be on its way. ``names``
    are those by which the record is called here, its folder's first. ``later`` are the lines that came after the
    newest seal: they may be true, and nobody has signed them. ``stamp``: a time stamp that was verified.
    ``notebooks``: the versions that ran, beside those that are here now.
    """

    folder: Path
    noted: str = ""
    writer: str = ""
    incident: str = ""
    files: int = 0
    lines: int = 0
    covered_lines: int = 0
    seal: str = ""
    key: VerifyingKey | None = None
    stamp: Stamp | None = None
    notebooks: tuple[Drift, ...] = ()
    problems: list[RecordProblem] = field(default_factory=list)
    told: set[RecordProblem] = field(default_factory=set, repr=False)
    notes: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    later: tuple[Line, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """What was found in a few words."""
        if self.problems:
            return "DOES NOT VERIFY, and is being written at this moment" if self.writer else "DOES NOT VERIFY"
        if self.later:
            count = "one line" if len(self.later) == 1 else f"{len(self.later)} lines"
            return f"sound up to its seal; {count} after it, from {self.later[0].n} on, NOT SIGNED BY ANYBODY"
        if self.key:
            return "sound and signed"
        return "sound in itself, and NOT SIGNED BY ANYBODY"

    def every_note(self) -> list[str]:
        """Return the notes, and one on each notebook of ``running``."""
        return self.notes + [
            f"{path} belongs to a run that is under way or was cut off; nothing names it yet." for path in self.running
        ]

    def say(self, path: str, what: str) -> None:
        """Add a problem of a file, once."""
        problem = RecordProblem(path=path, what=what)
        if problem not in self.told:
            self.told.add(problem)
            self.problems.append(problem)


# -- Checking the time stamp of a seal against the file that it is about ---------------------------


def check_time(
    result: Verification, files: seal.RecordFiles, lines: Sequence[Line], certificates: Sequence[Certificate]
) -> None:
    """Check the newest seal's time stamp, if it has one. One that nobody here vouches for is told, and no problem."""
    path = f"{result.seal}/{STAMP}"
    if path not in files:
        missing = [line.text for line in lines if line.kind is Kind.SEALED and not line.artifact]
        result.notes += [f"A time stamp was requested and not received: {text}" for text in missing[-1:]]
        return
    about = next(name for name in (f"{result.seal}/{ENVELOPE}", f"{result.seal}/{MANIFEST}", path) if name in files)
    try:
        answer = files[path].read_bytes()
        if not certificates:
            stamp = seal.read_stamp(answer)
            result.notes.append(
                f"{path} says that {about} existed at {stamp.utc:%Y-%m-%dT%H:%M:%SZ}, by the clock of "
                f"{stamp.authority or 'an authority without a name'}. It was not checked: give --tsa FILE."
            )
            return
        result.stamp = seal.check_stamp(answer, files[about].read_bytes(), certificates)
    except (seal.NoStamp, OSError) as error:
        result.say(path, f"no time stamp that counts: {error}")


# -- Checking a record as it lies there, wherever it was copied to: no site, no device and no open incident is needed

CALLED = re.compile(rf"(?:fleet-)?{INCIDENT.pattern}")
"""How the folders and archives of records are called."""
_MOST_NAMED = 20
NOT_PROVEN = (
    "when it was written: the times are those of the machine that ran it; a time stamp proves the seal's alone",
    "that it is true: whoever holds the key can make up a record and sign it",
    "that nothing came after: a folder that was put back to an earlier seal of its own verifies",
    "who signed: that is known only as far as you know whose key it is",
)
"""What a signature here does not prove."""


def verify_record(
    folder: Path, keys: Sequence[VerifyingKey] = (), certificates: Sequence[Certificate] = ()
) -> Verification:
    """Check the record in ``folder``; a signature counts if it is one of ``keys``', a stamp by ``certificates``.

    Where keys are given, a record that is not signed by one of them does not verify: otherwise nobody
    would miss a signature that was taken away. Raises ``ParameterRefused`` if the folder holds no record at all.
    """
    name = folder.resolve().name
    result = Verification(folder=folder, names=(name,), noted=sealed_to(name))
    files, others = seal.list_files(folder)
    for path, why in others:
        if SEAL_FOLDER.fullmatch(path) and why == seal.EMPTY:
            result.notes.append(f"{path} is empty: its seal was interrupted before it was written.")
        else:
            result.say(path, why)
    return verify_files(result, files, folder / JOURNAL, Trusted(keys=tuple(keys), certificates=tuple(certificates)))


def verify_files(
    result: Verification, files: seal.RecordFiles, journal_file: seal.ReadableFile | None, trusted: Trusted
) -> Verification:
    """Check a record's files, by their paths in it, and its journal, which is not among them; tell it in ``result``.

    Raises ParameterRefused where there is no record at all.
    """
    data = _journal(result, journal_file)
    if data is None and not any(SEAL_FOLDER.fullmatch(path.split("/")[0]) for path in files):
        raise ParameterRefused(
            "This is not a record",
            where=str(result.folder),
            next_step="give the folder of an incident, an incident's name in the records, or an archive of one",
        )
    journal = _lines(result, data) if data is not None else JournalText(lines=())
    present = {path: _entry(result, path, file) for path, file in files.items()}
    result.files, result.lines = len(present), len(journal.lines)
    _check_names(result, files, journal)
    manifest = _check_seal(result, files, data, journal, trusted)
    _check_manifest(result, manifest, present)
    _check_artifacts(result, manifest, journal, present)
    result.notebooks = drifts(journal.lines, files, paths.notebooks_dir())
    result.problems.sort(key=lambda problem: problem.path)
    return result


def _journal(result: Verification, file: seal.ReadableFile | None) -> bytes | None:
    try:
        if file is not None:
            return read_plain(file) if isinstance(file, Path) else file.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        result.say(JOURNAL, f"it cannot be read: {error.strerror}")
        return None
    result.say(JOURNAL, "removed")
    return None


def _lines(result: Verification, data: bytes) -> JournalText:
    """The journal's lines up to the first that is damaged."""
    journal, problem = parse_whole_lines(data, result.folder / JOURNAL)
    if problem:
        result.say(JOURNAL, f"edited: {problem.what}")
    elif journal.torn:
        result.say(JOURNAL, f"cut short in line {len(journal.lines) + 1}, or by a power cut while it was written")
    first = journal.lines[0] if journal.lines else None
    if first is None or first.kind is not Kind.INCIDENT_OPENED:
        result.say(JOURNAL, "its first line, the opening of an incident, is missing")
    return journal


def _check_names(result: Verification, files: seal.RecordFiles, journal: JournalText) -> None:
    """The record says itself whose it is; nothing that is called after another incident is a record of that."""
    opening = journal.lines[0].artifact if journal.lines else None
    if opening is None or opening.path not in files:
        return  # that it is missing is said elsewhere
    try:
        result.incident = parse_opening(files[opening.path].read_bytes())["incident"]
    except (OSError, ValueError) as error:
        result.say(opening.path, f"edited: {error}")
        return
    for name in dict.fromkeys(result.names):
        if name == result.incident:
            continue
        if CALLED.fullmatch(name):
            result.say(name, f"it is the record of another incident: {result.incident}")
        else:
            result.notes.append(f"The folder is named {name}; it holds the record of {result.incident}.")


def _entry(result: Verification, path: str, file: seal.ReadableFile) -> seal.FileEntry:
    try:
        sha256, size = seal.measured(file)
    except OSError as error:
        result.say(path, f"it cannot be read: {error.strerror}")
        return seal.FileEntry(path=path, sha256="", size=-1)
    return seal.FileEntry(path=path, sha256=sha256, size=size)


def _check_seal(
    result: Verification, files: seal.RecordFiles, data: bytes | None, journal: JournalText, trusted: Trusted
) -> seal.Manifest | None:
    """Check the newest seal, of which the journal or the folder knows; return its manifest, if it can be read."""
    if data is not None and is_cut(journal.lines, result.noted):
        result.say(JOURNAL, CUT)
    named = {line.artifact.path for line in journal.lines if line.kind is Kind.SEALED and line.artifact}
    seals = {_number(path): path.split("/")[0] for path in (*named, *files) if _number(path)}
    if not seals:
        result.notes += [] if result.noted else [NEVER_SEALED]
        if trusted.keys:
            result.say("seal/", "removed, or never written: there is no seal to check with the key")
        return None
    result.seal = seals[max(seals)]
    if max(seals) > 1:
        result.notes.append(f"It was sealed {len(seals)} times; the newest seal counts, and covers the earlier ones.")
    manifest = _manifest(result, files)
    if manifest is not None:
        if result.incident and manifest.incident != result.incident:
            result.say(f"{result.seal}/{MANIFEST}", f"it belongs to another record: incident {manifest.incident}")
        result.incident = result.incident or manifest.incident
        result.covered_lines = manifest.journal.lines
        if data is not None:
            _check_journal_part(result, manifest, data, journal)
            if not any(problem.path == JOURNAL for problem in result.problems):
                for path in lost_seals(files, result.incident, trusted.keys, journal.lines):
                    result.say(path, "it signs lines that the journal does not hold")
    path = f"{result.seal}/{ENVELOPE}"
    if path in files:
        result.key, problems = check_statement(result.seal, files, manifest, trusted.keys)
        for problem in problems:
            result.say(path, problem)
    else:
        result.notes.append("NOT SIGNED: the seal has a manifest and no signature; anybody can rewrite such a seal.")
        if trusted.keys:
            result.say(path, "removed, or never written: the seal is not signed, and there is a key to check it with")
    check_time(result, files, journal.lines, trusted.certificates)
    return manifest


def _number(path: str) -> int:
    """Which seal a file belongs to, from 1; 0: none."""
    folder, _, name = path.partition("/")
    match = SEAL_FOLDER.fullmatch(folder)
    return int(match[1] or 1) if match and name in (MANIFEST, ENVELOPE, STAMP) else 0


def _manifest(result: Verification, files: seal.RecordFiles) -> seal.Manifest | None:
    path = f"{result.seal}/{MANIFEST}"
    try:
        return seal.parse_manifest(files[path].read_bytes())
    except KeyError:
        result.say(path, "removed")
    except (OSError, ValueError) as error:
        result.say(path, f"edited: {error}")
    return None


def _check_journal_part(result: Verification, manifest: seal.Manifest, data: bytes, journal: JournalText) -> None:
    part = manifest.journal
    if len(data) < part.bytes:
        result.say(JOURNAL, f"cut short: {len(data)} bytes of the {part.bytes} that were sealed")
    elif sha256_hex(data[: part.bytes]) != part.sha256:
        result.say(JOURNAL, f"edited: its first {part.lines} lines are not those that were sealed")
    result.later = tuple(without_seal(journal.lines[part.lines :], result.seal, part.head))
    if result.later:
        more = ["…"] if len(result.later) > _MOST_NAMED else []
        named = "; ".join([*map(named_in_words, result.later[:_MOST_NAMED]), *more])
        result.notes.append(
            f"{len(result.later)} lines of the journal, from {result.later[0].n} on, were added after the seal: no "
            f"signature covers them or the files that they name; 70_post_mortem seals again. {named}"
        )


def _check_manifest(result: Verification, manifest: seal.Manifest | None, present: dict[str, seal.FileEntry]) -> None:
    for entry in manifest.files if manifest else ():
        now = present.get(entry.path)
        if now is None:
            result.say(entry.path, "removed")
        elif now != entry:
            result.say(entry.path, _how(entry, now))


def _how(then: seal.FileEntry, now: seal.FileEntry) -> str:
    if now.size < then.size:
        return f"cut short, or edited: {now.size} bytes of {then.size}"
    return f"edited: {now.size} bytes, {then.size} when it was sealed" if now.size != then.size else "edited"


def _check_artifacts(
    result: Verification, manifest: seal.Manifest | None, journal: JournalText, present: dict[str, seal.FileEntry]
) -> None:
    """Check every digest that the journal gives, and that each file is named by the journal or by the manifest."""
    sealed = {entry.path: entry for entry in manifest.files} if manifest else {}
    reported = {problem.path for problem in result.problems}
    named = {JOURNAL}
    if JOURNAL in reported:  # the lines that name the seal's own files may be what is missing
        named |= {f"{result.seal}/{name}" for name in (MANIFEST, ENVELOPE, STAMP)}
    for artifact in dict.fromkeys(line.artifact for line in journal.lines if line.artifact):
        named.add(artifact.path)
        now = present.get(artifact.path)
        if artifact.path in reported:
            continue
        if now is None:
            result.say(artifact.path, "removed")
        elif now.sha256 != artifact.sha256:
            result.say(artifact.path, "edited: the journal gives another SHA-256")
    later = journal.lines[result.covered_lines :]
    working = {f"notebooks/{line.stage}.running.ipynb" for line in later if line.stage}
    for path in present.keys() - named - sealed.keys():
        if path in working:
            result.running.append(path)
        else:
            result.say(path, "added: neither the journal nor the manifest names it")
