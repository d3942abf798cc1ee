"""All incidents of a place for records: the query, the index, the records behind it, how each site stands."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import ParameterRefused, RecordError, RecordNotWritable, RunbookError
from runbook_lib.models import FINAL, Inventory, Outcome, PastIncident, SiteStatus, Stage, Unended
from runbook_lib.record.artifacts import trusted_here
from runbook_lib.record.files import FILE_MODE, from_json_bytes, own_place, plain_json_value, to_json_bytes
from runbook_lib.record.incident import Record, named_there, site_slug, slug_in
from runbook_lib.record.journal import JOURNAL, Kind, Line
from runbook_lib.record.journal_file import sealed_to
from runbook_lib.record.stages import ENVELOPE, after_seal, closed_by, files_of_seals, outcome

# -- Which incidents are asked for -----------------------------------------------------------------

INCIDENT_STATES = (*Outcome, *Unended)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WORDS = re.compile(r'"([^"]+)"|(\S+)')


@dataclass(frozen=True, kw_only=True)
class Query:
    """What an incident has to be; whatever is left empty is not asked. Times are compared with its opening.

    ``text``: every word of it stands somewhere in the record, as a whole or as the beginning of a word; words in
    double quotes stand there one after the other.
    """

    site: str = ""
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    @classmethod
    def parse(cls, *, site: str = "", outcome: str = "", since: str = "", until: str = "", text: str = "") -> Query:
        """Read what was typed; raises ``ParameterRefused``. A day alone means all of it, in UTC."""
        if outcome and outcome not in INCIDENT_STATES:
            raise ParameterRefused(
                "There is no such outcome", found=outcome, next_step=f"one of: {', '.join(INCIDENT_STATES)}"
            )
        return cls(site=site, state=outcome, since=_moment(since, time.min), until=_moment(until, time.max), text=text)

    def fits(self, incident: PastIncident) -> bool:
        """Whether the query asks for an incident, apart from ``text``; one whose time is not known fits no time.

        A damaged one is of the site that it is named after.
        """
        opened = incident.opened_utc
        named = bool(incident.problem) and slug_in(incident.incident) == site_slug(self.site)
        if not (named or self.site in ("", incident.site)) or self.state not in ("", incident.state):
            return False
        if opened is None:
            return self.since is None and self.until is None
        return (self.since or opened) <= opened <= (self.until or opened)

    @property
    def match(self) -> str:
        """The text in the words of SQLite's full-text search: nothing of it is an operator there."""
        printable = "".join(char if char.isprintable() else " " for char in self.text)
        words = [phrase or word for phrase, word in _WORDS.findall(printable)]
        return " ".join('"{}"*'.format(word.replace('"', '""')) for word in words)


def _moment(text: str, otherwise: time) -> datetime | None:
    if not text:
        return None
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), otherwise, UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterRefused(
            "This is not a time",
            found=text,
            next_step="write 2026-11-23, or 2026-11-23T12:45 (UTC where nothing is said)",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# -- One record read for the index: what the incident was, and the text to search in ---------------

LONGEST = 200_000
"""Characters of one record that are searched: the journal's first, then what devices and logs said."""
_SEARCHED = ("incident.json", "answers/", "excerpts/", "approvals/")


def signature(folder: Path, trusted: Iterable[str]) -> str:
    """Return what changes with journal, folder, seal and trusted keys (their ids); empty without a journal.

    The time of change (``ctime``) is in it, which nobody can set back without changing the machine's clock.
    """
    with suppress(OSError):
        here, file = folder.stat(), (folder / JOURNAL).stat()
        parts = (here.st_mtime_ns, here.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns, file.st_ino)
        return " ".join(map(str, (*parts, sealed_to(folder.name), *trusted)))
    return ""


def read_entry(root: Path, incident: str) -> tuple[PastIncident, str]:
    """Return what one record tells of its incident, and its text; of one that does not verify the problem, and none."""
    record = Record(root, incident, "")
    try:
        lines = record.journal.read().lines
        opening = record.opening() if lines else {}
        if opening.get("incident") != incident:
            problem = f"it is the record of {opening['incident']}" if opening else "it has no journal"
            return PastIncident(incident=incident, problem=problem), ""
        record.require_as_signed()
        past = replace(_incident(incident, opening, lines), not_after_utc=_first_end(record))
    except RecordError as error:
        return PastIncident(incident=incident, problem=error.what), ""
    return past, _text(record, lines)


def _incident(incident: str, opening: dict[str, str], lines: Sequence[Line]) -> PastIncident:
    opened = datetime.fromisoformat(opening["opened_utc"])
    outcomes = [line for line in lines if line.kind is Kind.OUTCOME]
    closed = next((line.utc for line in outcomes if Outcome(line.seen) in FINAL - {Outcome.NOTHING_TO_DO}), None)
    by_hand = closed_by(lines)
    sealed = [line.seen for line in files_of_seals(lines, ENVELOPE)]
    return PastIncident(
        incident=incident,
        site=opening["site"],
        opened_utc=opened,
        ended_utc=outcomes[-1].utc if outcomes else None,
        outcome=outcome(lines),
        closed_by=by_hand.text if by_hand else "",
        repair_s=(closed - opened).total_seconds() if closed and closed >= opened else None,
        by=opening["by"],
        approved_by=tuple(dict.fromkeys(line.seen for line in lines if line.kind is Kind.APPROVED)),
        changes=sum(line.kind is Kind.SENT for line in lines),
        signed_by=sealed[-1] if sealed else "",
        after_seal=len(after_seal(lines)),
    )


def _first_end(record: Record) -> datetime | None:
    for stage in (Stage.VERIFY, Stage.LIST):  # they look at all certificates; the later one counts
        try:
            judgements = record.read_facts(stage, "inventory", Inventory).judgements
        except RunbookError:
            continue
        return min((each.facts.not_after_utc for each in judgements if each.facts), default=None)
    return None


def _text(record: Record, lines: Sequence[Line]) -> str:
    pieces: dict[str, None] = {}
    for line in lines:
        pieces |= dict.fromkeys((line.stage, line.server, line.expected, line.seen, line.text))
    length = sum(map(len, pieces))
    for artifact in dict.fromkeys(line.artifact for line in lines if line.artifact):
        if length > LONGEST:
            break
        if artifact.path.startswith(_SEARCHED) and not artifact.path.endswith(".png"):
            try:
                text = record.read_bytes(artifact)[:LONGEST].decode("utf-8", "replace")
            except RecordError:
                continue  # it is the journal that is listed; runbook verify names what is wrong with a file
            pieces[text] = None
            length += len(text)
    return "\n".join(pieces)[:LONGEST]


# -- The index: an SQLite file beside the records, thrown away and built anew whenever there is any doubt about it.
#
# ``.index/history.sqlite`` in the folder of the records holds one row per incident, with the signature of the record
# that it was read from, and the record's text for full-text search. Each row carries a SHA-256 of itself, so that
# bytes which were changed are not believed. Nothing is ever read from the index that is not in the records.

INDEX_VERSION = 4
INDEX_PLACE = Path(".index") / "history.sqlite"
WAIT_S = 2.0  # an index that is busy for longer is done without
_SCHEMA = f"""
CREATE TABLE incident (id INTEGER PRIMARY KEY, incident TEXT UNIQUE, signature TEXT, row TEXT, sha256 TEXT);
CREATE VIRTUAL TABLE said USING fts5 (text);
PRAGMA user_version = {INDEX_VERSION};
"""


class IndexDamaged(Exception):
    """The index is not what was written; it has to be made anew."""


class Index:
    """An open index. Any ``sqlite3.Error`` that its methods raise says that the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        asked = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        version, tables = connection.execute(asked).fetchone()
        if version == 0 and tables == 0:
            connection.executescript(_SCHEMA)
        elif version != INDEX_VERSION:
            raise IndexDamaged("another version")

    def signatures(self) -> dict[str, str]:
        """Each incident's signature when it was read."""
        return dict(self._connection.execute("SELECT incident, signature FROM incident"))

    def put(self, signature: str, past: PastIncident, text: str) -> None:
        """Replace what is known of an incident."""
        name = past.incident
        row = to_json_bytes(plain_json_value(past)).decode()
        text = text.encode("utf-8", "backslashreplace").decode()  # JSON can hold half of a surrogate pair
        self.drop([name])
        with self._connection as change:
            cursor = change.execute(
                "INSERT INTO incident (incident, signature, row, sha256) VALUES (?, ?, ?, ?)",
                (name, signature, row, _digest(name, signature, row)),
            )
            change.execute("INSERT INTO said (rowid, text) VALUES (?, ?)", (cursor.lastrowid, text))

    def drop(self, incidents: Iterable[str]) -> None:
        """Forget incidents."""
        with self._connection as change:
            for name in incidents:
                change.execute("DELETE FROM said WHERE rowid = (SELECT id FROM incident WHERE incident = ?)", (name,))
                change.execute("DELETE FROM incident WHERE incident = ?", (name,))

    def incidents(self, match: str = "") -> tuple[PastIncident, ...]:
        """Return what is known, the newest first; with ``match`` those whose text fits it.

        Raises ``IndexDamaged`` for a row that is not what was written.
        """
        asked = "SELECT incident, signature, row, sha256 FROM incident"
        if match:
            self._connection.execute("INSERT INTO said (said) VALUES ('integrity-check')")
            asked += " WHERE id IN (SELECT rowid FROM said WHERE said MATCH ?)"
        rows = self._connection.execute(f"{asked} ORDER BY incident DESC", (match,) if match else ()).fetchall()
        if any(_digest(*row[:3]) != row[3] for row in rows):
            raise IndexDamaged("a row was changed")
        try:
            return from_json_bytes(f"[{','.join(row[2] for row in rows)}]".encode(), tuple[PastIncident, ...])
        except ValueError as error:
            raise IndexDamaged("a row of another kind") from error


def _digest(incident: str, signature: str, row: str) -> str:
    return sha256_hex("\0".join((incident, signature, row)).encode())


@contextmanager
def opened(place: Path | str) -> Iterator[Index]:
    """Open the index at ``place``, a file or ``:memory:``; raises ``sqlite3.Error``, ``OSError``, ``IndexDamaged``."""
    if isinstance(place, Path):
        os.close(os.open(own_place(place), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE))
    with closing(sqlite3.connect(place, timeout=WAIT_S)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut spoils is built anew
        yield Index(connection)


def remove(place: Path) -> None:
    """Take the index away, with what SQLite left beside it."""
    for path in (place, *place.parent.glob(f"{place.name}-*")):
        with suppress(OSError):
            path.unlink(missing_ok=True)


# -- From the records to the incidents that are asked for, by the index where it can be trusted ----

IndexProgress = Callable[[int, int], None]
"""Called with how many records have been read anew, and how many have to be."""


def past_incidents(
    root: Path, query: Query | None = None, progress: IndexProgress = lambda *_: None
) -> tuple[PastIncident, ...]:
    """Return the incidents under ``root`` that fit ``query``, the newest first; damaged records with their problem.

    Records that are new or have changed are read; of the others the index tells. An index that is missing, old or
    damaged is built anew; where it cannot be used (no place to write, another process holds it) the records are read
    and nothing is kept.
    """
    query = query or Query()
    place = root / INDEX_PLACE
    for _ in range(2):  # the second time with a new one
        try:
            with opened(place) as index:
                return _look(root, index, query, progress)
        except (IndexDamaged, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                break  # another process holds it, so it must not be taken away
            remove(place)
        except (OSError, RecordNotWritable):
            break
    with opened(":memory:") as index:
        return _look(root, index, query, progress)


def _look(root: Path, index: Index, query: Query, progress: IndexProgress) -> tuple[PastIncident, ...]:
    trusted = [key.id for key in trusted_here()]
    now = {name: signature(root / name, trusted) for name in named_there(root)}
    known = index.signatures()
    index.drop(known.keys() - now.keys())
    changed = [name for name, sign in now.items() if not sign or known.get(name) != sign]
    for count, name in enumerate(changed, start=1):
        index.put(now[name], *read_entry(root, name))
        progress(count, len(changed))
    return tuple(incident for incident in index.incidents(query.match) if query.fits(incident))


# -- How every site stands: its newest incident, and when the first of the certificates that were seen in it expires


def site_statuses(incidents: Sequence[PastIncident], sites: Sequence[str] = ()) -> tuple[SiteStatus, ...]:
    """Return how each site stands, by name; ``incidents`` are newest first, ``sites`` are told of without one too.

    A damaged record counts for every site that it may be of by its name, so that no older one is taken for the newest.
    """
    names = set(sites) or {each.site for each in incidents if each.site}
    newest: dict[str, PastIncident] = {}
    for incident in incidents:
        its_sites = names & {incident.site}
        if incident.problem:
            slug = slug_in(incident.incident)
            its_sites = {name for name in names if site_slug(name) == slug}
            if not its_sites and not sites:
                its_sites = {slug}
        for name in its_sites:
            newest.setdefault(name, incident)
    return tuple(_standing(name, newest.get(name)) for name in sorted(names | newest.keys()))


def incident_that_counts(site: str, incidents: Iterable[PastIncident]) -> PastIncident | None:
    """Return the incident that says how a site stands, None where it has none; ``incidents`` are newest first.

    Its newest where that is damaged, else the open one that a run goes on in, else its newest.
    """
    of_site = [each for each in incidents if Query(site=site).fits(each)]
    if of_site and of_site[0].problem:
        return of_site[0]
    return next((each for each in of_site if each.is_open), of_site[0] if of_site else None)


def _standing(site: str, incident: PastIncident | None) -> SiteStatus:
    if incident is None:
        return SiteStatus(site=site)
    return SiteStatus(site=site, incident=incident.incident, state=incident.state, not_after_utc=incident.not_after_utc)
