"""The seal of a record: a manifest of all its files, and a signed statement about it and the incident.

A seal covers the journal up to its newest line, N, and every file that is there then. It is written to
``seal/`` (a later one to ``seal-2/`` and so on; none is ever changed, the newest counts): ``manifest.json``,
then ``envelope.json`` where there is a key, then ``timestamp.tsr`` over the newest of these where the site names an
authority. The lines that name them follow line N, so a seal says nothing of its own lines, and nothing of what comes
after; the chain alone holds those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runbook_lib import places
from runbook_lib.canonical import canonical_json
from runbook_lib.errors import ParameterRefused
from runbook_lib.record.bundle import Record
from runbook_lib.record.envelope import sign, statement
from runbook_lib.record.facts import to_json_value
from runbook_lib.record.files import make_new_folder, writing
from runbook_lib.record.keys import key_id, signing_key
from runbook_lib.record.lines import Artifact, Kind, parse_journal
from runbook_lib.record.manifest import Manifest, entries, journal_part, list_files
from runbook_lib.record.predicate import predicate
from runbook_lib.record.redaction import gate_text
from runbook_lib.record.scan import Finding, scan, scan_files
from runbook_lib.record.stages import after_seal, named_in_words
from runbook_lib.record.timestamp import Authority, NoStamp, request_stamp

SEAL_FOLDER = re.compile(r"seal(?:-([2-9]|[1-9][0-9]+))?")
MANIFEST = "manifest.json"
ENVELOPE = "envelope.json"
STAMP = "timestamp.tsr"
SITE_FILE = "site.json"
LEAK = "SECRET FOUND by the scan of the record"


@dataclass(frozen=True, kw_only=True)
class Seal:
    """A seal that was written. ``key`` is the id of the key that signed it; where empty, ``unsigned`` says why.

    ``stamped`` is the authority that said when; where empty, ``unstamped`` says why, if one was to. ``leaks`` are
    the secrets that were found in the record.
    """

    folder: str
    files: int
    lines: int
    key: str = ""
    unsigned: str = ""
    stamped: str = ""
    unstamped: str = ""
    leaks: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        what = f"{self.folder}/ covers {self.files} files and {self.lines} lines of the journal"
        parts = [what, f"signed by key {self.key}" if self.key else f"NOT SIGNED: {self.unsigned}"]
        if self.stamped:
            parts.append(f"time stamp by {self.stamped}")
        if self.unstamped:
            parts.append(f"NO TIME STAMP: {self.unstamped}")
        parts += [f"{LEAK}: {leak.what} in {leak.path}" for leak in self.leaks]
        return "; ".join(parts)


def keep_site(record: Record, site: Mapping[str, Any]) -> Artifact:
    """Keep the site's file without secrets, as it is now."""
    return record.keep_json(SITE_FILE, to_json_value(dict(site)), text="the site's file, secrets as references")


def note_after_seal(record: Record) -> tuple[str, ...]:
    """Name what stands after the newest seal, in the journal and in sentences: a run that goes on will seal it."""
    later = after_seal(record.journal.read().lines)
    if not later:
        return ()
    named = "; ".join(named_in_words(line) for line in later)
    record.journal.append(Kind.NOTED, seen=named, text=f"a run goes on after {len(later)} lines that no seal covers")
    return (f"after the newest seal, signed by nobody: {named}",)


def seal_record(record: Record, site: Mapping[str, Any], *, key_folder: Path | None = None) -> Seal:
    """Seal the record as it is now; ``site`` is the site's file without secrets.

    Without a usable key the manifest is written all the same, and the seal says why it is not signed; so it is with
    a time-stamping authority that does not answer. A secret that is found is noted by its reference, in the journal
    and in the seal. Raises ``RecordNotWritable``, and ``RecordDamaged`` where the journal does not verify: that is
    not sealed.
    """
    site_file = keep_site(record, site)
    leaks = _note_leaks(record, scan(record.folder))
    data, manifest = _manifest(record)
    key, unsigned = _key(key_folder or places.key_dir())
    lines = parse_journal(data[: manifest.journal.bytes], record.journal.path).lines
    work = _Sealing(record, _claim_folder(record), manifest.journal.head)
    newest = work.keep(
        MANIFEST,
        manifest.to_bytes(),
        seen="not signed" if unsigned else "",
        text=f"manifest of {len(manifest.files)} files and {len(lines)} lines",
    )
    made = Seal(folder=work.folder, files=len(manifest.files), lines=len(lines), unsigned=unsigned)
    if key is not None:
        told = statement(newest.path, newest.sha256, predicate(record, manifest, lines, site_file))
        identity = key_id(key.public_key())
        newest = work.keep(ENVELOPE, sign(canonical_json(told), key), seen=identity, text="signed statement")
        made = replace(made, key=identity)
    made = _stamp(work, made, Authority.of(site), newest)
    own = sorted((record.folder / work.folder).iterdir())
    return replace(made, leaks=(*leaks, *_note_leaks(record, scan_files(record.folder, own))))


@dataclass(frozen=True)
class _Sealing:
    """A seal that is being written: its folder, and the ``hash`` of the last line that it covers."""

    record: Record
    folder: str
    head: str

    def keep(self, name: str, data: bytes, *, seen: str, text: str) -> Artifact:
        path = f"{self.folder}/{name}"
        return self.record.keep_gated(path, data, kind=Kind.SEALED, expected=self.head, seen=seen, text=text)


def _stamp(work: _Sealing, made: Seal, authority: Authority | None, newest: Artifact) -> Seal:
    """Have the newest file of the seal stamped; without an answer the seal stands, and the journal says why."""
    if authority is None:
        return made
    try:
        answer = request_stamp(authority, work.record.read_bytes(newest))
    except NoStamp as error:
        why = f"{authority.url}: {error}"
        work.record.journal.append(Kind.SEALED, expected=work.head, seen="not stamped", text=f"no time stamp: {why}")
        return replace(made, unstamped=why)
    work.keep(STAMP, answer, seen=authority.url, text=f"time stamp over {newest.path}")
    return replace(made, stamped=authority.url)


def _note_leaks(record: Record, found: list[Finding]) -> tuple[Finding, ...]:
    safe = tuple(Finding(path=gate_text(each.path), what=each.what) for each in found)
    for leak in safe:
        record.journal.append(Kind.NOTED, seen=leak.what, text=f"{LEAK}, in {leak.path}")
    return safe


def _manifest(record: Record) -> tuple[bytes, Manifest]:
    with writing(record.journal.path):
        text = record.journal.read()
        data = record.journal.path.read_bytes()
    # Another process may have added lines between the two looks; a seal covers the lines of the first.
    end = sum(len(line) for line in data.splitlines(keepends=True)[: len(text.lines)])
    part = journal_part(data[:end] + text.torn, text)
    ours = {line.artifact.path for line in text.lines if line.artifact}
    files, _ = list_files(record.folder)
    listed = entries(files.items(), lambda path: path if path in ours else gate_text(path))
    return data, Manifest(incident=record.incident, journal=part, files=listed)


def _claim_folder(record: Record) -> str:
    """Make the next free folder for a seal, which is nobody else's then."""
    for number in count(1):
        name = "seal" if number == 1 else f"seal-{number}"
        path = record.folder / name
        with writing(path), suppress(FileExistsError):
            make_new_folder(path)
            return name
    raise AssertionError("numbers do not end")


def _key(folder: Path) -> tuple[Ed25519PrivateKey | None, str]:
    """The private key, or None and why there is none."""
    try:
        key = signing_key(folder)
    except ParameterRefused as error:
        return None, f"{error.what} ({error.where}); {error.next_step}"
    return key, "" if key else f"there is no key in {folder}; runbook key new makes one"
