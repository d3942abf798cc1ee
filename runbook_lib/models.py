"""The values that the layers hand to each other: frozen, plain, and without behaviour of their own.

They are standard dataclasses so that importing them costs nothing; the record stores and reads
them through ``pydantic.TypeAdapter``. Times are UTC and aware. The words are those of the
project: site, incident, stage, store, entry, presented certificate, vantage, verdict, plan,
approval.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """The numbered notebooks, in the order in which they run; the value is the file's stem."""

    START = "00_start_here"
    DIAGNOSE = "10_diagnose_logs"
    LIST = "20_list_certificates"
    DELETE = "30_delete_stale_certificates"
    REGISTER = "40_register_ha"
    READD_ISE = "50_readd_ise"
    VERIFY = "60_verify"
    POST_MORTEM = "70_post_mortem"


class StageState(StrEnum):
    """How one stage ended, or that it has not."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How one incident ended."""

    REPAIRED = "repaired"
    REPAIRED_UNVERIFIED = "repaired_unverified"
    NOTHING_TO_DO = "nothing_to_do"
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Vantage(StrEnum):
    """Where a presented certificate was seen from."""

    HERE = "here"
    SELF = "self"
    PEER = "peer"


class Verdict(StrEnum):
    """The comparison of what is presented with what was expected; see ``certificates``."""

    CONFIRMED_KEY = "confirmed_key"
    CONFIRMED_CHAIN = "confirmed_chain"
    CONFIRMED_FINGERPRINT = "confirmed_fingerprint"
    CONFIRMED_SELF = "confirmed_self"
    UNCONFIRMED = "unconfirmed"
    CONTRADICTED = "contradicted"
    UNSTABLE = "unstable"
    UNREACHABLE = "unreachable"
    UNCHANGED = "unchanged"

    @property
    def confirmed(self) -> bool:
        """Whether this verdict alone allows the deletion."""
        return self.value.startswith("confirmed_")


# -- what a device said ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One command's answer over SSH.

    ``raw`` is every byte between the command and the next prompt, ``text`` the same decoded,
    without the echoed command, terminal control sequences and paging. ``questions`` are the
    questions that the command asked and the answers that were given, in order.
    """

    server: str
    command: str
    raw: bytes
    text: str
    started_utc: datetime
    finished_utc: datetime
    questions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class TofuEntry:
    """One line of a TOFU list. ``key`` is the ``<host>_<port>`` to the letter, as the device printed it."""

    key: str
    host: str
    port: int
    subject: str
    line: str


@dataclass(frozen=True, kw_only=True)
class TofuStore:
    """The TOFU list of one PI server as read once. ``entries`` keep the device's order.

    ``ignored`` are the lines that were left out since the site's file says that lines like them mean nothing.
    """

    server: str
    entries: tuple[TofuEntry, ...]
    read_utc: datetime
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HaStatus:
    """What one server says of high availability: the words of the device, unjudged.

    ``role`` and ``state`` are empty where the device did not say. ``failover`` likewise.
    """

    server: str
    role: str
    state: str
    failover: str = ""
    text: str = ""
    read_utc: datetime


@dataclass(frozen=True, kw_only=True)
class ProductVersion:
    """``show version``: the release of Prime Infrastructure as (3, 10, 1), and the line it came from.

    ``release`` is what runs: the highest of ``base``, which an update leaves as it was, and the ``fixes``.
    ``not_understood`` are lines among the fixes of which nobody knows what they are.
    """

    server: str
    release: tuple[int, ...]
    line: str
    base: tuple[int, ...] = ()
    fixes: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()


# -- certificates --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CertificateFacts:
    """What an engineer wants to know of an X.509 certificate. ``warnings`` are sentences.

    ``sha256`` is over the DER, ``spki_sha256`` over the public key's SubjectPublicKeyInfo; both
    64 lower-case hex digits.
    """

    sha256: str
    spki_sha256: str
    subject: str
    issuer: str
    serial: str
    not_before_utc: datetime
    not_after_utc: datetime
    key_type: str
    key_bits: int | None
    signature_hash: str
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Presented:
    """What one host answered in TLS handshakes from one vantage.

    ``chain`` holds the DER certificates in the order in which the host sent them, leaf first;
    it is empty where nothing was seen, and ``problem`` then says why. ``available`` is false where
    the vantage itself could not be used (forwarding refused, no SSH access), as against a host
    that did not answer. ``stable`` is false where two probes differ; ``chain`` is then the last.
    ``via`` names the server whose SSH service carried the probe, empty for ``here``.
    """

    host: str
    port: int
    vantage: Vantage
    via: str = ""
    chain: tuple[bytes, ...] = ()
    available: bool = True
    stable: bool = True
    problem: str = ""
    seen_utc: datetime


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one remote host: why, against what, and as seen from where.

    ``facts`` describe the certificate that was judged (None where none was seen).
    """

    target: str
    host: str
    port: int
    verdict: Verdict
    reason: str
    expectation: str
    facts: CertificateFacts | None = None
    seen_from: tuple[Vantage, ...] = ()
    not_available: tuple[tuple[Vantage, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """One look at a site: what both servers trust, what every host presents, and the verdicts."""

    stores: tuple[TofuStore, ...]
    presented: tuple[Presented, ...]
    judgements: tuple[Judgement, ...]
    ha: tuple[HaStatus, ...]

    def store(self, server: str) -> TofuStore:
        """Return the store of ``primary`` or ``secondary``."""
        return next(store for store in self.stores if store.server == server)

    def judgement(self, target: str) -> Judgement:
        """Return the verdict on ``primary``, ``secondary`` or an ISE server by its name."""
        return next(judgement for judgement in self.judgements if judgement.target == target)


# -- what the logs say ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of evidence: which file of the sources, its number from 1, its text (cut at 1,000 characters)."""

    source: str
    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """What to do next: a sentence, and the notebook that does it with its parameters (empty: no notebook does)."""

    advice: str
    notebook: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EntryMatch:
    """An entry of a store that a subject may mean. ``fit`` is ``exact`` or ``cn_only``; neither proves anything."""

    server: str
    key: str
    subject: str
    fit: str


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """All mismatch messages in one server's logs about one subject.

    ``server`` is ``primary``, ``secondary`` or, where nothing says whose log it is, ``unknown``; ``place`` is
    one of ``primary_health_monitor``, ``primary_infrastructure``, ``secondary_health_monitor``, ``unknown``.
    Times are None where the lines hold none; ``first_said`` and ``last_said`` are the times as they are written
    there, and ``notes`` say what is not known of them; without ``zone_known`` nobody says in which zone they were
    written, and UTC was assumed. ``undated`` of its events hold no time, or none with a date: they may be from
    just now. ``entries`` are those of the lists at hand that may be meant.
    """

    server: str
    place: str
    subject: str
    threads: tuple[str, ...]
    count: int
    first_utc: datetime | None
    last_utc: datetime | None
    evidence: tuple[LogLine, ...]
    first_said: str = ""
    last_said: str = ""
    zone_known: bool = True
    notes: tuple[str, ...] = ()
    entries: tuple[EntryMatch, ...] = ()
    undated: int = 0


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """A message that resembles the mismatch, or accompanies it, and that no deletion repairs.

    ``confidence`` is ``certain``, ``likely`` or ``possible``: how surely the message means what ``meaning`` says.
    Times are those of the evidence; ``zone_known`` as in a Mismatch.
    """

    server: str
    rule: str
    meaning: str
    advice: str
    count: int
    evidence: tuple[LogLine, ...]
    confidence: str = "likely"
    next_step: NextStep | None = None
    first_utc: datetime | None = None
    last_utc: datetime | None = None
    zone_known: bool = True


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A log that could be read in part only, or not at all, and why; ``server`` is whose, as in a Mismatch."""

    source: str
    problem: str
    server: str = "unknown"


@dataclass(frozen=True, kw_only=True)
class NotALog:
    """A file that does not look like a log, and what it looks like; ``server`` is whose, as in a Mismatch."""

    source: str
    looks_like: str
    server: str = "unknown"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the logs say. ``no_logs`` names the servers whose logs were not at hand: nothing read looks like one.

    ``log_end_utc`` is, per server, the time of the last line that holds one. ``damaged`` names what could not
    be read to its end: nothing is known of what follows there. ``zones`` are the zones in which the times without
    an offset were read, as they were named; a server that is missing there was read as UTC without anybody's word.
    ``ends_assumed`` names the servers of whose ``log_end_utc`` that is so. ``recognised_files`` of all ``files_read``
    look like logs, with ``recognised_lines``; ``not_logs`` are the others, the first of them where they are many.
    """

    mismatches: tuple[Mismatch, ...]
    look_alikes: tuple[LookAlike, ...] = ()
    no_logs: tuple[str, ...] = ()
    log_end_utc: dict[str, datetime] = field(default_factory=dict)
    lines_read: int = 0
    bytes_read: int = 0
    damaged: tuple[Damage, ...] = ()
    zones: dict[str, str] = field(default_factory=dict)
    ends_assumed: tuple[str, ...] = ()
    files_read: int = 0
    recognised_files: int = 0
    recognised_lines: int = 0
    not_logs: tuple[NotALog, ...] = ()


# -- the plan and its approval ---------------------------------------------------------------


class Decision(StrEnum):
    """The four outcomes of a plan's row, kept apart."""

    DELETE = "would delete"
    ALREADY_RIGHT = "already right"
    CANNOT_TELL = "cannot tell"
    LEFT_ALONE = "left alone"


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One entry of one store: what is to happen to it, and why.

    ``command`` is empty unless ``decision`` is ``would delete``. ``confirmed_sha256`` is the certificate
    that the host must still show when the command is sent. ``override`` names who allowed an
    ``unconfirmed`` deletion and why.
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
class IseServer:
    """One row of the ISE Servers page. ``status`` is the page's own word, ``answers`` what it means, if known."""

    address: str
    status: str = ""
    answers: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a proof or a preflight: what was expected beside what was seen."""

    name: str
    expected: str
    actual: str
    ok: bool | None
    note: str = ""


# -- earlier incidents -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PastIncident:
    """One incident as its record tells of it. ``problem`` says why a record does not verify; then little else is known.

    ``ended_utc`` is when the newest outcome was written. ``repair_s``: seconds from the opening to the first outcome
    that closed it after something was changed; None where nothing was repaired. ``changes``: how many were sent.
    ``approved_by`` are the names on approvals, each once. ``signed_by``: the id of the key that the newest seal
    claims; not checked here. ``not_after_utc``: when the first of the certificates that were seen in it expires; None
    where none was seen. ``after_seal``: how many lines came after the newest seal, which nobody has signed.
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
    problem: str = ""

    @property
    def state(self) -> str:
        """The outcome in a word; ``open`` without one, ``damaged`` where the record does not verify."""
        return "damaged" if self.problem else self.outcome.value if self.outcome else "open"


@dataclass(frozen=True, kw_only=True)
class Standing:
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
