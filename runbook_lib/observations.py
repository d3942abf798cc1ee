"""What the logs, the web pages and the checks of a stage showed: frozen values, handed from layer to layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from runbook_lib.models import Verdict

# -- the logs ---------------------------------------------------------------------------


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
        """Return which of a server's logs, or of logs whose server is not known, were not read whole."""
        return tuple(damage.source for damage in self.damaged if damage.server in (server, "unknown"))


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


# -- checks ----------------------------------------------------------------------------------------


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
