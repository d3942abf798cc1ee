"""How the sites stand: the map, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from runbook_lib.models import Standing
from runbook_lib.pictures.fleet import TITLE, TONES, draw_fleet
from runbook_lib.views.rows import BAD, DOUBT, GOOD, PLAIN, Row, Table
from runbook_lib.views.table import View

_MARKS = {"good": GOOD, "bad": BAD, "doubt": DOUBT}


def fleet_map(value: Sequence[Standing], now_utc: datetime | None = None) -> View[Sequence[Standing]]:
    """The map of sites by outcome and by days to expiry, and a table of them, what expires first on top."""
    now = now_utc or datetime.now(UTC)
    ordered = sorted(value, key=lambda each: (each.not_after_utc is None, each.not_after_utc or now, each.site))
    table = Table(
        title=TITLE,
        headers=("site", "outcome", "first expires in days", "newest incident"),
        rows=tuple(
            Row(
                cells=(each.site, each.state, _days(each, now), each.incident or "-"),
                mark=_MARKS.get(TONES.get(each.state, ""), PLAIN),
            )
            for each in ordered
        ),
        empty="no site is known",
        note="The days count from the certificates that were seen in the newest incident.",
    )
    return View(value, (table,), (draw_fleet(value, now),))


def _days(each: Standing, now: datetime) -> str:
    days = each.days(now)
    return "not seen" if days is None else str(days)
