"""Whose word an approval is: signed by the approver's key, or seen written by this account on this machine.

An approval is one file and one line of the journal, and whoever can write in the record's folder can write both. So
neither counts by itself. Where the approver has a key, the approval is signed with it. What this account approves is
besides noted in a file of its own, beside the keys and outside of every record; an approval without a signature counts
only where it stands there.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runbook_lib.canonical import canonical_json
from runbook_lib.models import Approval
from runbook_lib.private import read_private
from runbook_lib.record.envelope import pae
from runbook_lib.record.facts import plain_json_value
from runbook_lib.record.files import FILE_MODE, make_folder, write_all, writing
from runbook_lib.record.keys import VerifyingKey, key_id
from runbook_lib.record.redaction import gate_text

TYPE = "application/vnd.pi-tofu-runbook.approval.v1+json"
SEEN = "approvals-seen"
"""In the folder of the keys: a line for each approval, the SHA-256 of its file and the id of a key or a hyphen."""
_LARGEST = 64 << 20
_LINE = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64}|-)")


def signed(approval: Approval, key: Ed25519PrivateKey | None) -> Approval:
    """Return the approval as it is to be kept: its texts through the gate and, where there is a key, signed with it."""
    gated = replace(approval, by=gate_text(approval.by), how=gate_text(approval.how), reason=gate_text(approval.reason))
    if key is None:
        return gated
    named = replace(gated, key=key_id(key.public_key()))
    return replace(named, signature=base64.b64encode(key.sign(_payload(named))).decode("ascii"))


def signer(approval: Approval, trusted: Iterable[VerifyingKey]) -> VerifyingKey | None:
    """Return the trusted key that signed this approval as it stands, or None."""
    try:
        signature = base64.b64decode(approval.signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    payload = _payload(approval)
    return next((key for key in trusted if key.id == approval.key and key.verifies(signature, payload)), None)


def _payload(approval: Approval) -> bytes:
    body = {name: value for name, value in plain_json_value(approval).items() if name != "signature"}
    return pae(canonical_json(body), TYPE)


def note_seen(folder: Path, approvals: Mapping[str, str]) -> None:
    """Note approvals as seen by this account, by the SHA-256 of their files, each with the key that vouches or "".

    Raises ``RecordNotWritable``.
    """
    lines = "".join(f"{sha256} {key or '-'}\n" for sha256, key in approvals.items())
    make_folder(folder)
    with writing(folder / SEEN):
        file = os.open(folder / SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            write_all(file, lines.encode("ascii"))
            os.fsync(file)
        finally:
            os.close(file)


def seen_here(folder: Path) -> dict[str, str]:
    """Return what was noted; nothing where there is no such file. Raises ``NotPrivate`` where others could write it."""
    try:
        text = read_private(folder / SEEN, _LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    found = (match for line in text.split("\n") if (match := _LINE.fullmatch(line)))
    return {match[1]: "" if match[2] == "-" else match[2] for match in found}
