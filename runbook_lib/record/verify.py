"""Checking a record: the journal's chain, every file, the newest seal and its signature; nothing is written.

It reads the folder as it lies there, wherever it was copied to, and needs no site, no device and no open incident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.x509 import Certificate

from runbook_lib import places
from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import ParameterRefused
from runbook_lib.record.bundle import INCIDENT
from runbook_lib.record.keys import VerifyingKey
from runbook_lib.record.lines import JournalText, Kind, Line, parse_opening, parse_whole_lines
from runbook_lib.record.manifest import (
    EMPTY,
    JOURNAL,
    FileEntry,
    Manifest,
    Readable,
    list_files,
    measured,
    parse_manifest,
)
from runbook_lib.record.seal import ENVELOPE, MANIFEST, SEAL_FOLDER, STAMP
from runbook_lib.record.stages import named_in_words
from runbook_lib.record.stamped import check_time
from runbook_lib.record.statement import check_statement
from runbook_lib.record.templates import drifts
from runbook_lib.record.trusted import Trusted
from runbook_lib.record.verification import Verification

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

    Where keys are given, a record that is not signed by one of them does not verify: a signature that was
    taken away would else not be missed. Raises ``ParameterRefused`` if the folder holds no record at all.
    """
    files, others = list_files(folder)
    found = Verification(folder=folder, names=(folder.resolve().name,))
    for path, why in others:
        if SEAL_FOLDER.fullmatch(path) and why == EMPTY:
            found.notes.append(f"{path} is empty: a seal that was cut off before it was written.")
        else:
            found.say(path, why)
    return verify_files(found, files, folder / JOURNAL, Trusted(keys=tuple(keys), certificates=tuple(certificates)))


def verify_files(
    found: Verification, files: Mapping[str, Readable], journal_file: Readable | None, trusted: Trusted
) -> Verification:
    """Check a record's files, by their paths in it, and its journal, which is not among them; tell it in ``found``."""
    data = _journal(found, journal_file)
    if data is None and not any(SEAL_FOLDER.fullmatch(path.split("/")[0]) for path in files):
        raise ParameterRefused(
            "There is no record in this place",
            where=str(found.folder),
            next_step="give the folder of an incident, an incident's name in the records, or an archive of one",
        )
    journal = _lines(found, data) if data is not None else JournalText(lines=())
    present = {path: _entry(found, path, file) for path, file in files.items()}
    found.files, found.lines = len(present), len(journal.lines)
    _check_names(found, files, journal)
    manifest = _check_seal(found, files, data, journal, trusted)
    _check_manifest(found, manifest, present)
    _check_artifacts(found, manifest, journal, present)
    found.notebooks = drifts(journal.lines, files, places.notebooks_dir())
    found.problems.sort(key=lambda problem: problem.path)
    return found


def _journal(found: Verification, file: Readable | None) -> bytes | None:
    try:
        if file is not None:
            return file.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        found.say(JOURNAL, f"it cannot be read: {error.strerror}")
        return None
    found.say(JOURNAL, "removed")
    return None


def _lines(found: Verification, data: bytes) -> JournalText:
    """The journal's lines up to the first that is damaged."""
    journal, problem = parse_whole_lines(data, found.folder / JOURNAL)
    if problem:
        found.say(JOURNAL, f"edited: {problem.what}")
    elif journal.torn:
        found.say(JOURNAL, f"cut short in line {len(journal.lines) + 1}, or by a power cut while it was written")
    first = journal.lines[0] if journal.lines else None
    if first is None or first.kind is not Kind.INCIDENT_OPENED:
        found.say(JOURNAL, "its first line, the opening of an incident, is missing")
    return journal


def _check_names(found: Verification, files: Mapping[str, Readable], journal: JournalText) -> None:
    """The record says itself whose it is; nothing that is called after another incident is a record of that."""
    opening = journal.lines[0].artifact if journal.lines else None
    if opening is None or opening.path not in files:
        return  # that it is missing is said elsewhere
    try:
        found.incident = parse_opening(files[opening.path].read_bytes())["incident"]
    except (OSError, ValueError) as error:
        found.say(opening.path, f"edited: {error}")
        return
    for name in dict.fromkeys(found.names):
        if name == found.incident:
            continue
        if CALLED.fullmatch(name):
            found.say(name, f"it is the record of another incident: {found.incident}")
        else:
            found.notes.append(f"It lies here as {name}; it is the record of {found.incident}.")


def _entry(found: Verification, path: str, file: Readable) -> FileEntry:
    try:
        sha256, size = measured(file)
    except OSError as error:
        found.say(path, f"it cannot be read: {error.strerror}")
        return FileEntry(path=path, sha256="", size=-1)
    return FileEntry(path=path, sha256=sha256, size=size)


def _check_seal(
    found: Verification,
    files: Mapping[str, Readable],
    data: bytes | None,
    journal: JournalText,
    trusted: Trusted,
) -> Manifest | None:
    """Check the newest seal, of which the journal or the folder knows; return its manifest, if it can be read."""
    named = {line.artifact.path for line in journal.lines if line.kind is Kind.SEALED and line.artifact}
    seals = {_number(path): path.split("/")[0] for path in (*named, *files) if _number(path)}
    if not seals:
        found.notes.append("It was never sealed: no manifest and no signature, only the journal's chain holds it.")
        if trusted.keys:
            found.say("seal/", "removed, or never written: there is no seal to check with the key")
        return None
    found.seal = seals[max(seals)]
    if max(seals) > 1:
        found.notes.append(f"It was sealed {len(seals)} times; the newest seal counts, and covers the earlier ones.")
    manifest = _manifest(found, files)
    if manifest is not None:
        if found.incident and manifest.incident != found.incident:
            found.say(f"{found.seal}/{MANIFEST}", f"it belongs to another record: incident {manifest.incident}")
        found.incident = found.incident or manifest.incident
        found.covered_lines = manifest.journal.lines
        if data is not None:
            _check_journal_part(found, manifest, data, journal)
    check_statement(found, files, manifest, trusted.keys)
    check_time(found, files, journal.lines, trusted.certificates)
    return manifest


def _number(path: str) -> int:
    """Which seal a file belongs to, from 1; 0: none."""
    folder, _, name = path.partition("/")
    match = SEAL_FOLDER.fullmatch(folder)
    return int(match[1] or 1) if match and name in (MANIFEST, ENVELOPE, STAMP) else 0


def _manifest(found: Verification, files: Mapping[str, Readable]) -> Manifest | None:
    path = f"{found.seal}/{MANIFEST}"
    if path not in files:
        found.say(path, "removed")
        return None
    try:
        return parse_manifest(files[path].read_bytes())
    except (OSError, ValueError) as error:
        found.say(path, f"edited: {error}")
        return None


def _check_journal_part(found: Verification, manifest: Manifest, data: bytes, journal: JournalText) -> None:
    part = manifest.journal
    if len(data) < part.bytes:
        found.say(JOURNAL, f"cut short: {len(data)} bytes of the {part.bytes} that were sealed")
    elif sha256_hex(data[: part.bytes]) != part.sha256:
        found.say(JOURNAL, f"edited: its first {part.lines} lines are not those that were sealed")
    found.later = tuple(line for line in journal.lines[part.lines :] if not _is_of(found.seal, line))
    if found.later:
        found.notes.append(
            f"{len(found.later)} lines of the journal, from {found.later[0].n} on, came after the seal: no signature "
            "covers them or the files that they name; a new run of stage 60 seals again. "
            + "; ".join(named_in_words(line) for line in found.later[:_MOST_NAMED])
            + ("; …" if len(found.later) > _MOST_NAMED else "")
        )


def _is_of(seal: str, line: Line) -> bool:
    """Whether a line is one of the seal's own; one without a file says why the seal has no time stamp."""
    return line.kind is Kind.SEALED and (line.artifact is None or line.artifact.path.startswith(f"{seal}/"))


def _check_manifest(found: Verification, manifest: Manifest | None, present: dict[str, FileEntry]) -> None:
    for entry in manifest.files if manifest else ():
        now = present.get(entry.path)
        if now is None:
            found.say(entry.path, "removed")
        elif now != entry:
            found.say(entry.path, _how(entry, now))


def _how(then: FileEntry, now: FileEntry) -> str:
    if now.size < then.size:
        return f"cut short, or edited: {now.size} bytes of {then.size}"
    return f"edited: {now.size} bytes, {then.size} when it was sealed" if now.size != then.size else "edited"


def _check_artifacts(
    found: Verification, manifest: Manifest | None, journal: JournalText, present: dict[str, FileEntry]
) -> None:
    """Check every digest that the journal gives, and that each file is named by the journal or by the manifest."""
    sealed = {entry.path: entry for entry in manifest.files} if manifest else {}
    told = {problem.path for problem in found.problems}
    named = {JOURNAL}
    if JOURNAL in told:  # the lines that name the seal's own files may be what is missing
        named |= {f"{found.seal}/{name}" for name in (MANIFEST, ENVELOPE, STAMP)}
    for artifact in dict.fromkeys(line.artifact for line in journal.lines if line.artifact):
        named.add(artifact.path)
        now = present.get(artifact.path)
        if artifact.path in told:
            continue
        if now is None:
            found.say(artifact.path, "removed")
        elif now.sha256 != artifact.sha256:
            found.say(artifact.path, "edited: the journal gives another SHA-256")
    later = journal.lines[found.covered_lines :]
    working = {f"notebooks/{line.stage}.running.ipynb" for line in later if line.kind is Kind.STAGE_STARTED}
    for path in present.keys() - named - sealed.keys():
        if path in working:
            found.notes.append(f"{path} is of a run that goes on or was cut off; it belongs to nothing, so far.")
        else:
            found.say(path, "added: neither the journal nor the manifest names it")
