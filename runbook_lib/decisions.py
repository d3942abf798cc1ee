"""The values of deciding and changing: plan, approval, override, deletion, rows of the pages, checks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum

from runbook_lib.models import FINAL, Outcome, Verdict

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


# -- the web pages -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReadinessItem:
    """One row of *Check Readiness*: its words, and whether the page calls it passed."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """One of the three milestones of HA registration, in percent from 0 to 100."""

    name: str
    percent: int
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class HaPage:
    """The High Availability page as read once; ``message`` is what the page says in words, if anything."""

    configuration_mode: str
    milestones: tuple[Milestone, ...] = ()
    message: str = ""
    under_way: bool = False
    read_utc: datetime


@dataclass(frozen=True, kw_only=True)
class ListedIseServer:
    """One row of the ISE Servers page. ``status`` is the page's own word, ``answers`` what it means, if known."""

    address: str
    status: str = ""
    answers: bool | None = None


class CheckKind(Enum):
    """What a check of stage 60 is about. Outcomes and pictures go by this, never by the name that people read."""

    ENTRY = "entry"
    CERTIFICATE = "certificate"
    HA_STATE = "ha_state"
    MISMATCHES = "new_mismatches"
    DELETION = "deletion"
    ISE_PAGE = "ise_page"
    ISE_API = "ise_api"
    ISE_IMPORTED = "ise_imported"


_CHECK_NAMES = {
    CheckKind.ENTRY: "entry of {target} on the {server}",
    CheckKind.CERTIFICATE: "certificate of {target}",
    CheckKind.HA_STATE: "HA state of the {server}",
    CheckKind.MISMATCHES: "new mismatches in the {server}'s logs",
    CheckKind.DELETION: "deletion of {target} on the {server}",
    CheckKind.ISE_PAGE: "ISE server {target}",
    CheckKind.ISE_API: "what ISE reports about its certificate: {target}",
    CheckKind.ISE_IMPORTED: "ISE's imported certificate: {target}",
}


def check_name(kind: CheckKind, *, server: str = "", target: str = "") -> str:
    """Return what people read as a check's name."""
    return _CHECK_NAMES[kind].format(server=server, target=target)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a proof or a preflight: what was expected beside what was seen; ``name`` follows from its kind.

    ``kind`` says what it is about, ``server`` who was asked, ``target`` about whom; ``values`` are what was seen as
    data: the keys of entries, or the SHA-256 of a certificate, whose judgement is ``verdict``. Records written before
    these fields have none of them: see ``with_kinds``.
    """

    name: str = ""
    expected: str
    actual: str
    ok: bool | None
    note: str = ""
    kind: CheckKind | None = None
    server: str = ""
    target: str = ""
    verdict: Verdict | None = None
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind and not self.name:
            object.__setattr__(self, "name", check_name(self.kind, server=self.server, target=self.target))


_NAMES_WITHOUT_KIND = (
    (CheckKind.ENTRY, re.compile(r"entry of (?P<target>.+) on the (?P<server>primary|secondary)")),
    (CheckKind.CERTIFICATE, re.compile(r"certificate of (?P<target>.+)")),
    (CheckKind.HA_STATE, re.compile(r"HA state of the (?P<server>primary|secondary)")),
    (CheckKind.MISMATCHES, re.compile(r"new mismatches in the (?:(?P<server>primary|secondary)'s )?logs")),
    (CheckKind.DELETION, re.compile(r"deletion of (?P<target>.+) on the (?P<server>primary|secondary)")),
    (CheckKind.ISE_PAGE, re.compile(r"ISE server (?P<target>.+?)(?: \(.*\))?")),
    (CheckKind.ISE_API, re.compile(r"ISE's own word on its certificate: (?P<target>.+)")),
    (CheckKind.ISE_IMPORTED, re.compile(r"ISE's imported certificate: (?P<target>.+)")),
)
"""The names of checks as they were when a check had no kind. Records hold them: they never change."""


def with_kinds(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks of a record; those that were written before a check had a kind get it from their name."""
    return tuple(check if check.kind else _with_kind(check) for check in checks)


def _with_kind(check: Check) -> Check:
    for kind, pattern in _NAMES_WITHOUT_KIND:
        if named := pattern.fullmatch(check.name):
            return _of_kind(check, kind, **named.groupdict(""))
    return check


def _of_kind(check: Check, kind: CheckKind, server: str = "", target: str = "") -> Check:
    verdict, values = None, tuple[str, ...]()
    if kind is CheckKind.CERTIFICATE:
        word = check.note.partition(",")[0]
        verdict = Verdict(word) if word in tuple(Verdict) else None
        values = (check.actual,) if re.fullmatch("[0-9a-f]{64}", check.actual) else ()
    elif kind is CheckKind.ENTRY and check.ok:
        values = tuple(check.actual.split(", "))
    return replace(check, kind=kind, verdict=verdict, values=values, server=server, target=target)


# -- earlier incidents -------------------------------------------------------------------------


class Unended(StrEnum):
    """How an incident without an outcome stands."""

    OPEN = "open"
    DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class PastIncident:
    """One incident as its record tells of it. ``problem`` says why a record does not verify; then little else is known.

    ``ended_utc`` is when the newest outcome was written. ``repair_s``: seconds from the opening to the first outcome
    that closed it after something was changed; None where nothing was repaired. ``changes``: how many were sent.
    ``approved_by`` are the names on approvals, each once. ``signed_by``: the id of the key that the newest seal
    claims; not checked here. ``not_after_utc``: when the first of the certificates that were seen in it expires; None
    where none was seen. ``after_seal``: how many lines came after the newest seal, which nobody has signed.
    ``closed_by``: the line that says who closed it unfinished and why; empty where nobody did.
    """

    incident: str
    site: str = ""
    opened_utc: datetime | None = None
    ended_utc: datetime | None = None
    outcome: Outcome | None = None
    repair_s: float | None = None
    by: str = ""
    approved_by: tuple[str, ...] = ()
    changes: int = 0
    signed_by: str = ""
    not_after_utc: datetime | None = None
    after_seal: int = 0
    closed_by: str = ""
    problem: str = ""

    @property
    def state(self) -> str:
        """The outcome in a word; ``open`` without one, ``damaged`` where the record does not verify."""
        if self.problem:
            return Unended.DAMAGED
        return self.outcome.value if self.outcome else Unended.OPEN

    @property
    def is_open(self) -> bool:
        """Whether the repair may still go on in it; never in a damaged one."""
        return not self.problem and not self.closed_by and self.outcome not in FINAL


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """How one site stands by its newest incident: the word of its end, and when its first certificate expires.

    ``state`` is that of the incident, or ``no incident``; ``not_after_utc`` is None where no certificate was seen.
    """

    site: str
    incident: str = ""
    state: str = "no incident"
    not_after_utc: datetime | None = None

    def days(self, now_utc: datetime) -> int | None:
        """The days until the first certificate expires, below 0 where it has; None where none was seen."""
        return None if self.not_after_utc is None else (self.not_after_utc - now_utc).days


UNPROVEN = (
    "The product shows no fingerprint of what it pinned: that the new entries hold the confirmed certificates"
    " follows from what the hosts present and from both servers' own HA state, and is not shown by the product."
)
LASTING_REPAIR = (
    "The lasting repair: certificates issued by a CA, and certificate validation instead of trust on first use;"
    " then a renewed certificate is accepted because its issuer is, and a stranger's is not."
)
