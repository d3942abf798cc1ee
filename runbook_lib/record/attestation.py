"""The attestation of a record: sealing it with a manifest and a time stamp; the signed statement, made and checked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runbook_lib import paths
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import ParameterRefused, RecordNotWritable
from runbook_lib.record import signing, stages
from runbook_lib.record.artifacts import TEMPLATES, numbered, trusted_here
from runbook_lib.record.files import gate_json, gate_text, make_new_folder, to_json_value, writing
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Artifact, Kind, Line, LineTopic, parse_journal
from runbook_lib.record.journal_file import note_sealed, sealed_to
from runbook_lib.record.seal import (
    Authority,
    Manifest,
    NoStamp,
    RecordFiles,
    entries,
    journal_part,
    list_files,
    request_stamp,
)
from runbook_lib.record.secret_scan import FoundSecret, scan, scan_files
from runbook_lib.record.signing import Envelope, VerifyingKey
from runbook_lib.record.stages import ENVELOPE, MANIFEST, STAMP

# -- What the signed statement of a seal says of the incident --------------------------------------


def predicate(record: Record, manifest: Manifest, lines: Sequence[Line], site_file: Artifact) -> dict[str, Any]:
    """Return the predicate; every text in it came out of the record's gate, and goes through it again."""
    outcome = stages.outcome(lines)
    plans = [line for line in lines if stages.is_of_plan(line)]
    gated: dict[str, Any] = gate_json(
        {
            "site": record.site,
            "outcome": outcome.value if outcome else None,
            "stages": {name: state.value for name, state in stages.stage_states(lines).items()},
            "sealed_utc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    return gated | {
        "incident": record.incident,
        "plan": {"sha256": plans[-1].seen} if plans else None,
        "approvals": [{**to_json_value(each), "digest": each.digest} for each in record.read_approvals()],
        "counts": {
            "files": len(manifest.files),
            "bytes": sum(entry.size for entry in manifest.files),
            "files_by_folder": dict(Counter(each.path.split("/")[0] for each in manifest.files if "/" in each.path)),
            "lines_by_kind": dict(Counter(line.kind.value for line in lines)),
        },
        "journal": asdict(manifest.journal),
        "notebooks": [  # the templates in the order in which they ran, each with its digest and the journal's line
            {
                "stage": line.stage,
                "sha256": line.seen,
                "line": line.n,
                "by_hand": line.about.topic is LineTopic.TEMPLATE_BY_HAND,
            }
            for line in lines
            if line.about.topic in TEMPLATES
        ],
        "site_file": {"path": site_file.path, "sha256": site_file.sha256},
        "lock_file": _lock_file(),
    }


def _lock_file() -> dict[str, str] | None:
    path = paths.lock_file()
    try:
        return {"name": path.name, "sha256": sha256_hex(path.read_bytes())}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordNotWritable("the lock file cannot be read", where=str(path), found=str(error.strerror)) from error


# -- Checking the signed statement of a seal against the manifest beside it ------------------------


def check_statement(
    seal: str, files: RecordFiles, manifest: Manifest | None, keys: Sequence[VerifyingKey]
) -> tuple[VerifyingKey | None, list[str]]:
    """Return which of ``keys`` signed the statement in the folder ``seal``, and all that is wrong with it."""
    try:
        envelope = signing.parse(files[f"{seal}/{ENVELOPE}"].read_bytes())
        value = json.loads(envelope.payload)
    except (OSError, ValueError, RecursionError) as error:
        return None, [f"edited: {error}"]
    key = next((key for key in keys if envelope.signed_by(key)), None)
    problems = ("" if key else _unsigned(envelope, keys), _mismatch(seal, files, manifest, value))
    return key, list(filter(None, problems))


def _unsigned(envelope: Envelope, keys: Sequence[VerifyingKey]) -> str:
    claimed = ", ".join(identity for identity, _ in envelope.signatures) or "nobody"
    if not keys:
        return f"the signature (by key {claimed}, it says) was not checked: no public key here; give --key FILE"
    known = ", ".join(key.id for key in keys)
    return f"the signature is not by a key that is trusted here: says {claimed}, trusted {known}"


def _mismatch(seal: str, files: RecordFiles, manifest: Manifest | None, value: Any) -> str:
    """Return why the statement is not about this record's manifest, "" if it is."""
    try:
        subject, claim = value["subject"], value["predicate"]
        if (value["_type"], value["predicateType"]) != (signing.STATEMENT_TYPE, signing.PREDICATE_TYPE):
            return "it is another kind of statement"
        if manifest is None:
            return ""
        if claim["incident"] != manifest.incident:
            return f"it belongs to another record: incident {claim['incident']}"
        path = f"{seal}/{MANIFEST}"
        if subject != [{"name": path, "digest": {"sha256": sha256_hex(files[path].read_bytes())}}]:
            return f"it is not about {path} as it is now"
        if claim["journal"] != asdict(manifest.journal):
            return "its journal is not that of the manifest"
    except (KeyError, TypeError, OSError):
        return "it is not a statement about a record"
    return ""


# -- The seal of a record: a manifest of all its files, and a signed statement about it and the incident.
#
# A seal covers the journal up to its newest line, N, and every file that is there then. It is written to ``seal/`` (a
# later one to ``seal-2/`` and so on; none is ever changed, the newest counts): ``manifest.json``, then
# ``envelope.json`` where there is a key, then ``timestamp.tsr`` over the newest of these where the site names an
# authority. The lines that name them follow line N, so a seal says nothing of its own lines, and nothing of what comes
# after; the chain alone holds those.

SITE_FILE = "site.json"
_KEPT_SITE = re.compile(r"site(?:-\d+)?\.json")
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
    leaks: tuple[FoundSecret, ...] = ()

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


def after_newest_seal(record: Record) -> tuple[Line, ...]:
    """Return the lines after the newest seal: the newest that a key signed which is trusted here, where one did.

    Whoever can add lines can add a seal over them too, but no signature.
    """
    keys = trusted_here()
    heads = _signed_heads(record, keys)
    noted = sealed_to(record.incident)
    if keys and noted and not heads:  # whoever took all signatures away may have sealed it anew
        heads = {noted}
    return stages.after_seal(record.journal.read().lines, heads)


def is_vouched_for(record: Record) -> bool:
    """Whether a key that is trusted here signed all of a record; true where there is no key to check with."""
    keys = trusted_here()
    heads = _signed_heads(record, keys)
    return not keys or (bool(heads) and not stages.after_seal(record.journal.read().lines, heads))


def _signed_heads(record: Record, keys: Sequence[VerifyingKey]) -> set[str]:
    return {head for _, head in stages.signed_heads(record.seals(), record.incident, keys)}


def note_after_seal(record: Record) -> tuple[str, ...]:
    """Name what stands after the newest seal, all in the journal and in short in a sentence: a run will seal it."""
    later = after_newest_seal(record)
    if not later:
        return ()
    named = "; ".join(stages.named_in_words(line) for line in later)
    record.journal.append(Kind.NOTED, seen=named, text=f"a run continues after {len(later)} lines that no seal covers")
    return (f"lines after the newest seal: {stages.unsealed_in_words(later)}",)


def seal_anew(record: Record) -> Seal | None:
    """Seal a record once more, with the site's file that its newest seal kept; None where it was never sealed.

    Asks no time-stamping authority. Raises what ``seal_record`` raises.
    """
    lines = record.journal.read().lines
    kept = [line.artifact for line in lines if line.artifact and _KEPT_SITE.fullmatch(line.artifact.path)]
    if not kept:
        return None
    return seal_record(record, json.loads(record.read_bytes(kept[-1])), stamped=False)


def seal_record(
    record: Record, site: Mapping[str, Any], *, key_folder: Path | None = None, stamped: bool = True
) -> Seal:
    """Seal the record as it is now; ``site`` is the site's file without secrets.

    Without a usable key the manifest is written anyway, and the seal says why it is not signed; likewise if a
    time-stamping authority does not answer. A secret that is found is noted by its reference, in the journal
    and in the seal. Raises ``RecordNotWritable``, and ``RecordDamaged`` where the journal does not verify: that is
    not sealed.
    """
    record.require_as_signed()
    site_file = keep_site(record, site)
    leaks = _note_leaks(record, scan(record.folder))
    data, manifest = _manifest(record)
    key, unsigned = _key(key_folder or paths.key_dir())
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
        claim = signing.statement(newest.path, newest.sha256, predicate(record, manifest, lines, site_file))
        identity = signing.key_id(key.public_key())
        newest = work.keep(ENVELOPE, signing.sign(canonical_json(claim), key), seen=identity, text="signed statement")
        made = replace(made, key=identity)
    made = _stamp(work, made, Authority.of(site) if stamped else None, newest)
    note_sealed(record.incident, work.head)
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


def _note_leaks(record: Record, leaks: list[FoundSecret]) -> tuple[FoundSecret, ...]:
    safe = tuple(FoundSecret(path=gate_text(each.path), what=each.what) for each in leaks)
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
    listed = tuple(entries(files.items(), lambda path: path if path in ours else gate_text(path)))
    return data, Manifest(incident=record.incident, journal=part, files=listed)


def _claim_folder(record: Record) -> str:
    """Make the next free folder for a seal, which is nobody else's then."""
    names = numbered(record.folder / "seal")
    while True:
        path = next(names)
        with writing(path), suppress(FileExistsError):
            make_new_folder(path)
            return path.name


def _key(folder: Path) -> tuple[Ed25519PrivateKey | None, str]:
    """The private key, or None and why there is none."""
    try:
        key = signing.signing_key(folder)
    except ParameterRefused as error:
        return None, f"{error.what} ({error.where}); {error.next_step}"
    return key, "" if key else f"there is no key in {folder}: runbook key new makes one"
