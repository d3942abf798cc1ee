"""Stages, outcomes, verdicts; what devices and hosts answered, and how earlier incidents ended. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PI_SERVERS = ("primary", "secondary")
"""What the two servers of a site are called, wherever one of them is named."""


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


FINAL = frozenset({Outcome.REPAIRED, Outcome.REPAIRED_UNVERIFIED, Outcome.NOTHING_TO_DO})
"""The outcomes that close an incident. After the others it stays open, unless a person closes it."""


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

    @property
    def accepted(self) -> bool:
        """Whether the certificate is confirmed, or still the one that was there before."""
        return self.confirmed or self is Verdict.UNCHANGED

    @property
    def ok(self) -> bool | None:
        """True where the certificate is accepted, False where something contradicts it, None where nobody knows."""
        if self is Verdict.CONTRADICTED:
            return False
        return True if self.accepted else None


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
    ``not_understood`` are lines among the fixes that no parser knows.
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
    it is empty where nothing was seen. ``others`` are the leaves that it shows to whoever takes another kind of key.
    ``problem`` says why nothing was seen, or why the host was not seen each time.
    ``available`` is false where the vantage itself could not be used (forwarding refused, no SSH access),
    as against a host that did not answer, and ``resolved`` where this machine does not know the host's name,
    so that nothing that stands in between is to blame. ``stable`` is false where two probes differ; ``chain``
    is then the last. ``via`` names the server whose SSH service carried the probe, empty for ``here``.
    """

    host: str
    port: int
    vantage: Vantage
    via: str = ""
    chain: tuple[bytes, ...] = ()
    others: tuple[bytes, ...] = ()
    available: bool = True
    resolved: bool = True
    stable: bool = True
    problem: str = ""
    seen_utc: datetime

    @property
    def served(self) -> tuple[bytes, ...]:
        """Each leaf that was seen, the one of ``chain`` first."""
        return (*self.chain[:1], *self.others)

    @property
    def seen_each_time(self) -> bool:
        """Whether every look saw a certificate: what was seen before one that failed contradicts, confirms nothing."""
        return bool(self.chain) and not self.problem


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one remote host: why, against what, and as seen from where.

    ``facts`` describe the certificate that was judged (None where none was seen); ``others`` holds the SHA-256 of those
    that the host serves beside it, for other kinds of key.
    """

    target: str
    host: str
    port: int
    verdict: Verdict
    reason: str
    expectation: str
    facts: CertificateFacts | None = None
    others: tuple[str, ...] = ()
    seen_from: tuple[Vantage, ...] = ()
    not_available: tuple[tuple[Vantage, str], ...] = ()

    @property
    def in_words(self) -> str:
        """Of which host, the verdict and its reason."""
        return f"{self.target}: {self.verdict}: {self.reason}"


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

    @property
    def contradictions(self) -> list[str]:
        """A sentence for each host that may be an impostor."""
        return [each.in_words for each in self.judgements if each.verdict is Verdict.CONTRADICTED]


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
