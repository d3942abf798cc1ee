"""The seal of a record: a manifest of all its files, and a signed statement about it and the incident.

A seal covers the journal up to its newest line, N, and every file that is there then. It is written to
``seal/`` (a later one to ``seal-2/`` and so on; none is ever changed, the newest counts): ``manifest.json``,
then ``envelope.json`` where there is a key. The lines that name these two follow line N, so a seal says
nothing of its own lines, and nothing of what comes after; the chain alone holds those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runbook_lib import places
from runbook_lib.canonical import canonical_json, sha256_hex
from runbook_lib.errors import ParameterRefused, RecordNotWritable
from runbook_lib.models import Stage
from runbook_lib.record import stages
from runbook_lib.record.bundle import Record
from runbook_lib.record.envelope import sign, statement
from runbook_lib.record.facts import to_json_value
from runbook_lib.record.files import FOLDER_MODE, sync_folder, writing
from runbook_lib.record.keys import key_id, signing_key
from runbook_lib.record.lines import Artifact, Kind, Line, parse_journal
from runbook_lib.record.manifest import Manifest, entries, journal_part, list_files
from runbook_lib.record.redaction import gate_json, gate_text

SEAL_FOLDER = re.compile(r"seal(?:-([2-9]|[1-9][0-9]+))?")
MANIFEST = "manifest.json"
ENVELOPE = "envelope.json"
SITE_FILE = "site.json"
TEMPLATE = "template notebook"
"""The text of the journal's line that gives a template notebook's SHA-256 in ``seen``, before the notebook runs."""


@dataclass(frozen=True, kw_only=True)
class Seal:
    """A seal that was written. ``key`` is the id of the key that signed it; where empty, ``unsigned`` says why."""

    folder: str
    files: int
    lines: int
    key: str = ""
    unsigned: str = ""

    def __str__(self) -> str:
        what = f"{self.folder}/ covers {self.files} files and {self.lines} lines of the journal"
        return f"{what}; signed by key {self.key}" if self.key else f"{what}; NOT SIGNED: {self.unsigned}"


def note_template(record: Record, stage: Stage, template: Path) -> None:
    """Write down which version of a notebook is about to run."""
    digest = sha256_hex(template.read_bytes())
    record.journal.append(Kind.NOTED, stage=stage.value, seen=digest, text=TEMPLATE)


def seal_record(record: Record, site: Mapping[str, Any], *, key_folder: Path | None = None) -> Seal:
    """Seal the record as it is now; ``site`` is the site's file without secrets.

    Without a usable key the manifest is written all the same, and the seal says why it is not signed.
    Raises ``RecordNotWritable``, and ``RecordDamaged`` where the journal does not verify: that is not sealed.
    """
    site_file = record.keep_json(SITE_FILE, to_json_value(dict(site)), text="the site's file, secrets as references")
    data, manifest = _manifest(record)
    folder = _claim_folder(record)
    key, unsigned = _key(key_folder or places.key_dir())
    head = manifest.journal.head
    lines = parse_journal(data[: manifest.journal.bytes], record.journal.path).lines
    kept = record.keep_gated(
        f"{folder}/{MANIFEST}",
        manifest.to_bytes(),
        kind=Kind.SEALED,
        expected=head,
        seen="not signed" if unsigned else "",
        text=f"manifest of {len(manifest.files)} files and {len(lines)} lines",
    )
    if key is None:
        return Seal(folder=folder, files=len(manifest.files), lines=len(lines), unsigned=unsigned)
    predicate = _predicate(record, manifest, lines, site_file)
    payload = canonical_json(statement(kept.path, kept.sha256, predicate))
    identity = key_id(key.public_key())
    record.keep_gated(
        f"{folder}/{ENVELOPE}",
        sign(payload, key),
        kind=Kind.SEALED,
        expected=head,
        seen=identity,
        text="signed statement",
    )
    return Seal(folder=folder, files=len(manifest.files), lines=len(lines), key=identity)


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
            path.mkdir(mode=FOLDER_MODE)
            sync_folder(record.folder)
            return name
    raise AssertionError("numbers do not end")


def _key(folder: Path) -> tuple[Ed25519PrivateKey | None, str]:
    """The private key, or None and why there is none."""
    try:
        key = signing_key(folder)
    except ParameterRefused as error:
        return None, f"{error.what} ({error.where}); {error.next_step}"
    return key, "" if key else f"there is no key in {folder}; runbook key new makes one"


def _predicate(record: Record, manifest: Manifest, lines: tuple[Line, ...], site_file: Artifact) -> dict[str, Any]:
    """What is said of the incident; every text in it came out of the record's gate, and goes through it again."""
    outcome = stages.outcome(lines)
    plans = [line for line in lines if line.kind is Kind.DECIDED and line.artifact and line.text == "plan"]
    told: dict[str, Any] = gate_json(
        {
            "site": record.site,
            "outcome": outcome.value if outcome else None,
            "stages": {name: state.value for name, state in stages.stage_states(lines).items()},
            "sealed_utc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    return told | {
        "incident": record.incident,
        "plan": {"sha256": plans[-1].seen} if plans else None,
        "approvals": [{**to_json_value(each), "digest": each.digest} for each in record.read_approvals()],
        "counts": _counts(manifest, lines),
        "journal": {
            "lines": manifest.journal.lines,
            "bytes": manifest.journal.bytes,
            "sha256": manifest.journal.sha256,
            "head": manifest.journal.head,
        },
        "notebooks": _notebooks(lines),
        "site_file": {"path": site_file.path, "sha256": site_file.sha256},
        "lock_file": _lock_file(),
    }


def _counts(manifest: Manifest, lines: Iterable[Line]) -> dict[str, Any]:
    folders = Counter(entry.path.split("/")[0] for entry in manifest.files if "/" in entry.path)
    return {
        "files": len(manifest.files),
        "bytes": sum(entry.size for entry in manifest.files),
        "files_by_folder": dict(folders),
        "lines_by_kind": dict(Counter(line.kind.value for line in lines)),
    }


def _notebooks(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The template notebooks in the order in which they ran, each with its digest and the journal's line."""
    return [
        {"stage": line.stage, "sha256": line.seen, "line": line.n}
        for line in lines
        if line.kind is Kind.NOTED and line.text == TEMPLATE
    ]


def _lock_file() -> dict[str, str] | None:
    path = places.lock_file()
    try:
        return {"name": path.name, "sha256": sha256_hex(path.read_bytes())}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordNotWritable("the lock file cannot be read", where=str(path), found=str(error.strerror)) from error
