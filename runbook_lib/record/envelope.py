"""A DSSE envelope (version 1) around an in-toto Statement v1, signed with Ed25519; pure.

What is signed is not the payload alone but ``DSSEv1 <length> <payload type> <length> <payload>``, lengths in
bytes and decimal digits. The envelope is JSON in canonical form with one line feed at its end.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runbook_lib.canonical import canonical_json
from runbook_lib.record.keys import VerifyingKey, key_id

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:pi-tofu-runbook:incident:v1"


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """An envelope that was read: the payload's bytes, and its signatures as key id and bytes."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def signed_by(self, key: VerifyingKey) -> bool:
        """Whether one of the signatures is that key's, whatever key id it claims."""
        return any(key.verifies(signature, pae(self.payload)) for _, signature in self.signatures)


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that are signed (DSSE's pre-authentication encoding)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def statement(subject: str, sha256: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """An in-toto Statement v1 of one subject."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject, "digest": {"sha256": sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def sign(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The envelope's bytes."""
    signature = {"keyid": key_id(key.public_key()), "sig": _base64(key.sign(pae(payload)))}
    whole = {"payload": _base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
    return canonical_json(whole) + b"\n"


def parse(data: bytes) -> Envelope:
    """Read an envelope; ``ValueError`` says what is wrong with it. No signature is checked."""
    try:
        value = json.loads(data)
        if value["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("its payload is no in-toto statement")
        return Envelope(
            payload=base64.b64decode(value["payload"], validate=True),
            signatures=tuple(
                (str(one["keyid"]), base64.b64decode(one["sig"], validate=True)) for one in value["signatures"]
            ),
        )
    except (KeyError, TypeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError, binascii.Error):
        raise ValueError("it is not a DSSE envelope") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
