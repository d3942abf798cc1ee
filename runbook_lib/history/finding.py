"""From the records to the incidents that are asked for, by the index where it can be trusted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from runbook_lib.errors import RecordNotWritable
from runbook_lib.history.index import PLACE, Index, IndexDamaged, is_busy, opened, remove
from runbook_lib.history.query import Query
from runbook_lib.history.reading import read_entry, signature
from runbook_lib.models import PastIncident
from runbook_lib.record.bundle import INCIDENT

Tell = Callable[[int, int], None]
"""Called with how many records have been read anew, and how many have to be."""

MEMORY = ":memory:"


def past_incidents(root: Path, query: Query | None = None, tell: Tell = lambda *_: None) -> tuple[PastIncident, ...]:
    """Return the incidents under ``root`` that fit ``query``, the newest first; damaged records with their problem.

    Records that are new or have changed are read; of the others the index tells. An index that is missing, old or
    damaged is built anew; where it cannot be used (no place to write, another process holds it) the records are read
    and nothing is kept.
    """
    query = query or Query()
    place = root / PLACE
    for _ in range(2):  # the second time with a new one
        try:
            with opened(place) as index:
                return _look(root, index, query, tell)
        except (IndexDamaged, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error) and is_busy(error):
                break
            remove(place)
        except (OSError, RecordNotWritable):
            break
    with opened(MEMORY) as index:
        return _look(root, index, query, tell)


def _look(root: Path, index: Index, query: Query, tell: Tell) -> tuple[PastIncident, ...]:
    _refresh(root, index, tell)
    return tuple(incident for incident in index.incidents(query.match) if query.fits(incident))


def _refresh(root: Path, index: Index, tell: Tell) -> None:
    now = {name: signature(root / name) for name in _names(root)}
    known = index.signatures()
    index.drop(known.keys() - now.keys())
    changed = [name for name, sign in now.items() if not sign or known.get(name) != sign]
    for count, name in enumerate(changed, start=1):
        index.put(now[name], read_entry(root, name))
        tell(count, len(changed))


def _names(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if INCIDENT.fullmatch(entry.name) and entry.is_dir())
    except FileNotFoundError:
        return []
