"""Checking the signed statement of a seal against the manifest beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from runbook_lib.canonical import sha256_hex
from runbook_lib.record.envelope import PREDICATE_TYPE, STATEMENT_TYPE, Envelope, parse
from runbook_lib.record.keys import VerifyingKey
from runbook_lib.record.manifest import Manifest, Readable
from runbook_lib.record.seal import ENVELOPE, MANIFEST
from runbook_lib.record.verification import Verification


def check_statement(
    found: Verification, files: Mapping[str, Readable], manifest: Manifest | None, keys: Sequence[VerifyingKey]
) -> None:
    """Check the newest seal's envelope, if it has one: its signature, and that it is about this manifest."""
    path = f"{found.seal}/{ENVELOPE}"
    if path not in files:
        found.notes.append("NOT SIGNED: the seal has a manifest and no signature; anybody can write such a one anew.")
        if keys:
            found.say(path, "removed, or never written: the seal is not signed, and there is a key to check it with")
        return
    try:
        envelope = parse(files[path].read_bytes())
        value = json.loads(envelope.payload)
    except (OSError, ValueError, RecursionError) as error:
        found.say(path, f"edited: {error}")
        return
    _check_signature(found, path, envelope, keys)
    wrong = _mismatch(found, files, manifest, value)
    if wrong:
        found.say(path, wrong)


def _check_signature(found: Verification, path: str, envelope: Envelope, keys: Sequence[VerifyingKey]) -> None:
    claimed = ", ".join(identity for identity, _ in envelope.signatures) or "nobody"
    found.key = next((key for key in keys if envelope.signed_by(key)), None)
    if found.key:
        return
    if not keys:
        found.say(
            path, f"the signature (by key {claimed}, it says) was not checked: no public key here; give --key FILE"
        )
    else:
        known = ", ".join(key.id for key in keys)
        found.say(path, f"the signature is not by a key that is trusted here: says {claimed}, trusted {known}")


def _mismatch(found: Verification, files: Mapping[str, Readable], manifest: Manifest | None, value: Any) -> str:
    """Why the statement is not about this record's manifest; "" if it is."""
    try:
        subject, predicate = value["subject"], value["predicate"]
        if (value["_type"], value["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
            return "it is another kind of statement"
        if manifest is None:
            return ""
        if predicate["incident"] != manifest.incident:
            return f"it belongs to another record: incident {predicate['incident']}"
        path = f"{found.seal}/{MANIFEST}"
        digest = sha256_hex(files[path].read_bytes())
        if subject != [{"name": path, "digest": {"sha256": digest}}]:
            return f"it is not about {path} as it is now"
        if predicate["journal"] != asdict(manifest.journal):
            return "its journal is not that of the manifest"
    except (KeyError, TypeError, OSError):
        return "it is not a statement about a record"
    return ""
