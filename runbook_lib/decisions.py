"""Plan, approval, override and deletion as values; the canonical form, and the digest that an approval names."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from runbook_lib.models import Verdict

# -- the plan and its approval ---------------------------------------------------------------


class Decision(StrEnum):
    """What is to happen to one entry."""

    DELETE = "would delete"
    CANNOT_TELL = "cannot tell"
    ALREADY_RIGHT = "already right"
    LEFT_ALONE = "left alone"


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One entry of one store: what is to happen to it, and why.

    ``command`` is empty unless ``decision`` is ``would delete``. ``confirmed_sha256`` is the certificate
    that the host must still show when the command is sent. ``override`` names who allowed an
    ``unconfirmed`` deletion and why. ``by_verdict``: the host's verdict alone keeps the entry from being
    deleted; None in records that were written before it was said. ``not_seen_from`` are the vantages from which the
    host was looked at and not seen, each with the reason.
    """

    server: str
    key: str
    subject: str
    target: str
    decision: Decision
    reason: str
    command: str = ""
    verdict: Verdict | None = None
    confirmed_sha256: str = ""
    seen_from: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    override: str = ""
    by_verdict: bool | None = None
    not_seen_from: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Which server, and which entry of its store."""
        return (self.server, self.key)


class ChangeKind(StrEnum):
    """What stages 40 and 50 may change."""

    REMOVE_HA = "remove high availability"
    REGISTER_HA = "register high availability"
    READD_ISE = "add the ISE server again"


@dataclass(frozen=True, kw_only=True)
class PlannedChange:
    """One change of stage 40 or 50, planned before the deletions: it is made where ``condition`` holds then.

    ``server`` is where it is made, ``target`` the host that it is about, which must still show
    ``confirmed_sha256`` then (empty: the plan confirmed none, so the change cannot be made by it).
    ``settings`` are the fields that are typed and their values, secrets by their references.
    ``expected``: it is needed as things stand; else only if what is seen after the deletions asks for it.
    ``attempt``: 1, or one more than it was sent in this incident. ``rests_on`` is the servers' state by
    its meaning, ``seen`` the same in the servers' words.
    """

    kind: ChangeKind
    server: str
    target: str
    condition: str
    rests_on: str
    reason: str
    interrupts: str
    settings: tuple[tuple[str, str], ...] = ()
    confirmed_sha256: str = ""
    attempt: int = 1
    expected: bool = False
    seen: str = ""


DELETIONS_ALONE, EVERY_CHANGE = "runbook-plan-v1", "runbook-plan-v2"
"""The forms of a plan: that of release 0.1.0, which knows deletions alone, and the one that is written now."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every change of one incident with its evidence, and one SHA-256 digest over them.

    ``rows`` are the entries of both stores, those to be deleted among them; ``changes`` what stages 40
    and 50 may do. ``blocked`` names why nothing may be changed although something is stale; ``notes`` say what
    was seen beside the rows. Neither is under the digest. A plan of 0.1.0 names no ``format``.
    """

    site: str
    incident: str
    made_utc: datetime
    rows: tuple[PlanRow, ...]
    digest: str
    blocked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    changes: tuple[PlannedChange, ...] = ()
    format: str = DELETIONS_ALONE

    @property
    def deletions(self) -> tuple[PlanRow, ...]:
        """The rows whose entries are deleted."""
        return tuple(row for row in self.rows if row.decision is Decision.DELETE)

    @property
    def every_change(self) -> tuple[PlanRow | PlannedChange, ...]:
        """The deletions, and what stages 40 and 50 may do after them."""
        return (*self.deletions, *self.changes)

    @property
    def empty(self) -> bool:
        """Whether it holds nothing that an approval could allow."""
        return not self.every_change

    @property
    def needs_approval(self) -> bool:
        """Whether something in it is to be done as things stand, whatever is seen later."""
        return bool(self.deletions) or any(change.expected for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A name, a time and the plan's digest; ``how`` says by which door it came.

    ``account``, ``host`` and ``process`` are where it was typed, as the system says. ``key`` is the id of the key that
    ``signature`` (base64) is by; it is over all the rest. Records of before have none of these.
    """

    digest: str
    by: str
    at_utc: datetime
    how: str
    reason: str = ""
    account: str = ""
    host: str = ""
    process: str = ""
    key: str = ""
    signature: str = ""


@dataclass(frozen=True, kw_only=True)
class Override:
    """A person's word, in the place of a confirmation, for one entry and the one certificate that was seen then."""

    server: str
    key: str
    sha256: str
    by: str
    at_utc: datetime
    reason: str


class Deletion(StrEnum):
    """What became of one deletion, on the store's own word."""

    GONE = "gone"
    NOT_DELETED_OR_CAME_BACK = "unknown: still listed, or back already"
    COLLATERAL = "other entries changed too"
    NOT_SENT = "not sent"


@dataclass(frozen=True, kw_only=True)
class DeletionResult:
    """One sent command, and what the store said before and after."""

    server: str
    key: str
    command: str
    result: Deletion
    said: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    sent_utc: datetime
    read_back_utc: datetime

    @property
    def place(self) -> tuple[str, str]:
        """Which server, and which entry of its store."""
        return (self.server, self.key)


@dataclass(frozen=True, kw_only=True)
class WayOut:
    """How one host's certificate can be confirmed by another way: what to compare where, and what to write then.

    ``self_note`` says why its own SSH server cannot show it; empty where it can.
    """

    target: str
    presented_sha256: str
    at_console: str
    in_file: str
    as_parameter: str
    self_note: str = ""


UNPROVEN = (
    "The product shows no fingerprint of what it pinned: that the new entries hold the confirmed certificates"
    " follows from what the hosts present and from both servers' own HA state, and is not shown by the product."
)
LASTING_REPAIR = (
    "The lasting repair: certificates issued by a CA, and certificate validation instead of trust on first use;"
    " then a renewed certificate is accepted because its issuer is, and a stranger's is not."
)


# -- The canonical form over which this project's digests are made, and the plan's digest.
#
# Canonical form: JSON, keys in the order of their code points, no blank between the tokens, every character outside
# printable ASCII as ``\uXXXX`` in lower-case hex, no line break. In Python ``json.dumps(value, sort_keys=True,
# separators=(",", ":"), ensure_ascii=True)``. Only strings, whole numbers, true, false, null, lists and objects occur.
# A digest is SHA-256 over these bytes, written as 64 lower-case hex digits.


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
