"""The index: an SQLite file beside the records, thrown away and built anew whenever there is any doubt about it.

``.index/history.sqlite`` in the folder of the records holds one row per incident, with the signature of the record
that it was read from, and the record's text for full-text search. Each row carries a SHA-256 of itself, so that
bytes which were changed are not believed. Nothing is ever read from the index that is not in the records.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from runbook_lib.canonical import sha256_hex
from runbook_lib.history.reading import Entry, as_json, from_json
from runbook_lib.models import PastIncident
from runbook_lib.record.files import FILE_MODE, make_folder

VERSION = 3
PLACE = Path(".index") / "history.sqlite"
WAIT_S = 2.0  # an index that is busy for longer is done without
_SCHEMA = f"""
CREATE TABLE incident (id INTEGER PRIMARY KEY, incident TEXT UNIQUE, signature TEXT, row TEXT, sha256 TEXT);
CREATE VIRTUAL TABLE said USING fts5 (text);
PRAGMA user_version = {VERSION};
"""


class IndexDamaged(Exception):
    """The index is not what was written; it has to be made anew."""


class Index:
    """An open index. Any ``sqlite3.Error`` that its methods raise says that the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        known = self._one("PRAGMA user_version"), self._one("SELECT count(*) FROM sqlite_master")
        if known == (0, 0):
            connection.executescript(_SCHEMA)
        elif known[0] != VERSION:
            raise IndexDamaged("another version")

    def signatures(self) -> dict[str, str]:
        """Each incident's signature when it was read."""
        return dict(self._connection.execute("SELECT incident, signature FROM incident"))

    def put(self, signature: str, entry: Entry) -> None:
        """Replace what is known of an incident."""
        name, row = entry.incident.incident, as_json(entry.incident)
        self.drop([name])
        with self._connection as change:
            cursor = change.execute(
                "INSERT INTO incident (incident, signature, row, sha256) VALUES (?, ?, ?, ?)",
                (name, signature, row, _digest(name, signature, row)),
            )
            change.execute("INSERT INTO said (rowid, text) VALUES (?, ?)", (cursor.lastrowid, _storable(entry.text)))

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
            return from_json([row[2] for row in rows])
        except ValueError as error:
            raise IndexDamaged("a row of another kind") from error

    def _one(self, command: str) -> int:
        return int(self._connection.execute(command).fetchone()[0])


def _storable(text: str) -> str:
    """Return a text as SQLite takes it: JSON can hold half of a surrogate pair, UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def _digest(incident: str, signature: str, row: str) -> str:
    return sha256_hex("\0".join((incident, signature, row)).encode())


@contextmanager
def opened(place: Path | str) -> Iterator[Index]:
    """Open the index at ``place``, a file or ``:memory:``; raises ``sqlite3.Error``, ``OSError``, ``IndexDamaged``."""
    if isinstance(place, Path):
        make_folder(place.parent)
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    with closing(sqlite3.connect(place, timeout=WAIT_S)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut spoils is built anew
        yield Index(connection)


def remove(place: Path) -> None:
    """Take the index away, with what SQLite left beside it."""
    for path in (place, *place.parent.glob(f"{place.name}-*")):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the index, so that it must not be taken away."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
