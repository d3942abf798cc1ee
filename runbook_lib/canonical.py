"""The canonical form over which this project's digests are made, and the plan's digest.

Canonical form: JSON, keys in the order of their code points, no blank between the tokens, every
character outside printable ASCII as ``\\uXXXX`` in lower-case hex, no line break. In Python
``json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)``. Only strings, whole
numbers, true, false, null, lists and objects occur. A digest is SHA-256 over these bytes, written
as 64 lower-case hex digits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from runbook_lib.models import PlanRow

PLAN_FORMAT = "runbook-plan-v1"


def canonical_json(value: Any) -> bytes:
    """``value`` in canonical form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def plan_digest(rows: Sequence[PlanRow], *, site: str, incident: str) -> str:
    """The digest that an approval names.

    SHA-256 over the canonical form of ``{"format": "runbook-plan-v1", "site": …, "incident": …,
    "rows": [...]}``. Each row has exactly the keys ``server``, ``key``, ``subject``, ``target``,
    ``decision``, ``command``, ``verdict`` (null if none), ``confirmed_sha256`` and ``override``; the
    rows stand in the order of their own canonical forms, compared as bytes. So the digest changes
    with whatever decides on a deletion, with any entry that appears in a store or goes, and with the
    incident; times, evidence and the wording of reasons are not in it.
    """
    essence = sorted((_essence(row) for row in rows), key=canonical_json)
    return sha256_hex(
        canonical_json({"format": PLAN_FORMAT, "site": site, "incident": incident, "rows": essence}),
    )


def _essence(row: PlanRow) -> dict[str, str | None]:
    return {
        "server": row.server,
        "key": row.key,
        "subject": row.subject,
        "target": row.target,
        "decision": row.decision.value,
        "command": row.command,
        "verdict": row.verdict.value if row.verdict else None,
        "confirmed_sha256": row.confirmed_sha256,
        "override": row.override,
    }
