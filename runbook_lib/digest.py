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
import re
from typing import Any

from runbook_lib.decisions import DELETIONS_ALONE, EVERY_CHANGE, Plan, PlannedChange, PlanRow


def canonical_json(value: Any) -> bytes:
    """``value`` in canonical form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 in 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def is_sha256(text: str) -> bool:
    """Return whether a text is a SHA-256 as it is written here: 64 lower-case hex digits, and nothing else."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def plan_digest(plan: Plan) -> str:
    """The digest that an approval names.

    SHA-256 over the canonical form of ``{"format": "runbook-plan-v2", "site": …, "incident": …,
    "rows": [...], "changes": [...]}``. Each row has exactly the keys ``server``, ``key``, ``subject``, ``target``,
    ``decision``, ``command``, ``verdict`` (null if none), ``confirmed_sha256`` and ``override``; each change
    exactly ``kind``, ``server``, ``target``, ``condition``, ``rests_on``, ``interrupts``, ``settings`` (a list of
    field and value), ``confirmed_sha256``, ``attempt`` and ``expected``. Rows and changes stand in the order of
    their own canonical forms, compared as bytes. So the digest changes with whatever decides on a change, with any
    entry that appears in a store or goes, and with the incident; times, evidence and the wording of reasons are not
    in it. A plan of release 0.1.0 has the format ``runbook-plan-v1`` and no ``changes``. Raises ``ValueError`` for
    a plan of another format, and for one of 0.1.0 with changes, which its digest would not cover.
    """
    if plan.format not in (DELETIONS_ALONE, EVERY_CHANGE):
        raise ValueError(f"a plan of the format {plan.format}")
    content: dict[str, Any] = {
        "format": plan.format,
        "site": plan.site,
        "incident": plan.incident,
        "rows": sorted((_essence(row) for row in plan.rows), key=canonical_json),
    }
    if plan.format == EVERY_CHANGE:
        content["changes"] = sorted((_essence_of_change(change) for change in plan.changes), key=canonical_json)
    elif plan.changes:
        raise ValueError("a plan of release 0.1.0 holds no changes but deletions")
    return sha256_hex(canonical_json(content))


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


def _essence_of_change(change: PlannedChange) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "server": change.server,
        "target": change.target,
        "condition": change.condition,
        "rests_on": change.rests_on,
        "interrupts": change.interrupts,
        "settings": [list(setting) for setting in change.settings],
        "confirmed_sha256": change.confirmed_sha256,
        "attempt": change.attempt,
        "expected": change.expected,
    }
