"""What a list of earlier incidents looks like: a table, newest first, and a picture of when and how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from runbook_lib.models import PastIncident
from runbook_lib.pictures import Picture
from runbook_lib.pictures.axis import span
from runbook_lib.pictures.history import TONES, draw_history
from runbook_lib.views.rows import Row, Table
from runbook_lib.views.table import View

MOST_SHOWN = 50
MOST_DRAWN = 500
HEADERS = ("incident", "opened (UTC)", "site", "outcome", "time to repair", "who", "approved by")
_MARKS = {"good": "good", "bad": "bad", "doubt": "doubt"}


def incidents(found: Sequence[PastIncident], *, most: int = MOST_SHOWN) -> View[tuple[PastIncident, ...]]:
    """Show incidents, the newest first; ``most`` of them in the table (0: all), and more in the picture."""
    return View(tuple(found), (table_of(found, most),), (_picture(found),) if found else ())


def table_of(found: Sequence[PastIncident], most: int = MOST_SHOWN) -> Table:
    """Return the table alone."""
    shown = found[:most] if most else found
    left_out = len(found) - len(shown)
    return Table(
        title=f"Incidents so far: {len(found):,}",
        headers=HEADERS,
        rows=tuple(map(_row, shown)),
        empty="none",
        whole=("incident",),
        note=f"The newest {len(shown):,}; {left_out:,} older ones are not shown." if left_out else "",
    )


def _picture(found: Sequence[PastIncident]) -> Picture:
    drawn = found[:MOST_DRAWN]
    return draw_history(
        drawn, "Incidents so far" if len(drawn) == len(found) else f"The newest {len(drawn):,} incidents"
    )


def _state(one: PastIncident) -> str:
    if one.problem:
        return f"damaged: {one.problem}"
    return f"{one.state}, {one.after_seal} lines after its seal" if one.after_seal else one.state


def _row(one: PastIncident) -> Row:
    return Row(
        cells=(
            one.incident,
            f"{one.opened_utc:%Y-%m-%d %H:%M}" if one.opened_utc else "",
            one.site,
            _state(one),
            "" if one.repair_s is None else span(timedelta(seconds=one.repair_s)),
            one.by,
            ", ".join(one.approved_by),
        ),
        mark=_MARKS.get(TONES[one.state], ""),
    )
