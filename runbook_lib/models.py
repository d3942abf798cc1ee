"""The values that the layers hand to each other, as observed: frozen, plain, and without behaviour of their own."""

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
    it is empty where nothing was seen. ``problem`` says why, or why the host was not seen each time.
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
    available: bool = True
    resolved: bool = True
    stable: bool = True
    problem: str = ""
    seen_utc: datetime

    @property
    def seen_each_time(self) -> bool:
        """Whether every look saw a certificate: what was seen before one that failed contradicts, confirms nothing."""
        return bool(self.chain) and not self.problem


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


# -- what the logs say ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of evidence: which file of the sources, its number from 1, its text (cut at 1,000 characters)."""

    source: str
    number: int
    text: str

    @property
    def place(self) -> str:
        """Where it stands, as ``/logs/hm-0-0.log:12``."""
        return f"{self.source}:{self.number}"


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """What to do next: a sentence, and the notebook that does it with its parameters (empty: no notebook does).

    ``place`` names the place of a mismatch, whose advice differs from another's in its end only.
    """

    advice: str
    place: str = ""
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
    written, and UTC was assumed. ``undated`` of its events have no time, or none with a date: they may be from
    just now. ``entries`` are those of the lists at hand that may be meant. ``guessed``: nobody says whose log it is,
    and only what the log shows tells its server.
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
    guessed: bool = False


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """A message that resembles the mismatch, or accompanies it, and that no deletion repairs.

    ``confidence`` is ``certain``, ``likely`` or ``possible``: how surely the message means what ``meaning`` says.
    Times are those of the evidence; ``zone_known`` and ``guessed`` as in a Mismatch.
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
    guessed: bool = False


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
    be read to its end: what follows there is unknown. ``zones`` are the zones in which the times without
    an offset were read, as they were named; a server that is missing there was read as UTC without anybody's word.
    ``ends_assumed`` names the servers of whose ``log_end_utc`` that is so. ``recognised_files`` of all ``files_read``
    look like logs, with ``recognised_lines``; ``not_logs`` are the others, the first of them where they are many.
    ``read_utc`` is when they had been read, by this machine's clock; None where that decides nothing.
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
    read_utc: datetime | None = None

    def unread(self, server: str) -> tuple[str, ...]:
        """Return what of a server's logs, or of logs of which nobody knows whose they are, was not read whole."""
        return tuple(damage.source for damage in self.damaged if damage.server in (server, "unknown"))


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
