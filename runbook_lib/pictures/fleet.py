"""The map of sites: by how their newest incident ended, and by the days until their first certificate expires."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runbook_lib.models import Standing
from runbook_lib.pictures import svg
from runbook_lib.pictures.history import TONES as OUTCOME_TONES
from runbook_lib.pictures.picture import Picture
from runbook_lib.pictures.text import shorten

TITLE = "Sites by outcome and by days to expiry"
TONES = OUTCOME_TONES | {"no incident": "quiet"}
BANDS = (("expired", -1), ("0 to 7", 7), ("8 to 30", 30), ("31 to 90", 90), ("91 to 365", 365), ("later", 10**9))
"""The columns, each with the most days that belong to it; what was never seen has one of its own."""
NOT_SEEN = "not seen"
MOST_NAMED = 4
_LEFT, _TOP, _WIDE, _LINE, _PAD = 182.0, 96.0, 112.0, 18.0, 10.0


def band_of(days: int | None) -> str:
    """Return the column of so many days."""
    return NOT_SEEN if days is None else next(name for name, most in BANDS if days <= most)


def draw_fleet(sites: Sequence[Standing], now_utc: datetime, title: str = TITLE) -> Picture:
    """Return the map: a row for each outcome that there is, a column for each span of days; few sites are named."""
    columns = [name for name, _ in BANDS] + [NOT_SEEN]
    cells: dict[tuple[str, str], list[str]] = {}
    for each in sites:
        cells.setdefault((each.state, band_of(each.days(now_utc))), []).append(each.site)
    rows = [state for state in TONES if any(state == row for row, _ in cells)]
    body, top = [_head(columns)], _TOP
    for state in rows:
        height = _PAD * 2 + _LINE * max(_lines(cells.get((state, column), ())) for column in columns)
        body.append(svg.mark(TONES[state], 22, top + 22) + svg.label(state, 36, top + 26, size=13))
        for number, column in enumerate(columns):
            if names := cells.get((state, column)):
                body.append(_cell(state, names, _LEFT + number * _WIDE, top, height))
        top += height + 6
    if not rows:
        body.append(svg.label("no sites", _LEFT, _TOP + 20))
        top += 40
    width = _LEFT + len(columns) * _WIDE + 10
    return Picture(title=title, words=_words(sites, cells, now_utc), width=width, height=top + 14, body="".join(body))


def _head(columns: Sequence[str]) -> str:
    about = svg.label("days until the first certificate expires", _LEFT, 48, tone="quiet", size=12)
    names = (svg.label(name, _LEFT + n * _WIDE + 8, 76, bold=True, size=13) for n, name in enumerate(columns))
    rule = svg.line(((_LEFT, 86), (_LEFT + len(columns) * _WIDE, 86)))
    return svg.label("outcome", 22, 76, bold=True, size=13) + about + "".join(names) + rule


def _cell(state: str, names: Sequence[str], x: float, y: float, height: float) -> str:
    area = svg.rectangle(x + 2, y, _WIDE - 4, height, tone=TONES[state])
    count = svg.label(f"{len(names)}", x + 10, y + 22, bold=True, size=14)
    shown = [shorten(name, _WIDE - 24, 11) for name in sorted(names)[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        shown[-1] = f"and {len(names) - MOST_NAMED + 1} more"
    lines = (svg.label(name, x + 10, y + 22 + _LINE * (n + 1), size=11) for n, name in enumerate(shown))
    return area + count + "".join(lines)


def _lines(names: Sequence[str]) -> int:
    return 1 + min(len(names), MOST_NAMED)


def _words(sites: Sequence[Standing], cells: dict[tuple[str, str], list[str]], now_utc: datetime) -> tuple[str, ...]:
    if not sites:
        return ("No site is known.",)
    counts = {state: sum(len(names) for (row, _), names in cells.items() if row == state) for state in TONES}
    words = [f"{len(sites)} sites: {', '.join(f'{n} {state}' for state, n in counts.items() if n)}."]
    known = sorted((days, each.site) for each in sites if (days := each.days(now_utc)) is not None)
    if known:
        days, site = known[0]
        end = f"has expired {-days} days ago" if days < 0 else f"expires in {days} days"
        words.append(f"The certificate that ends first, at {site}, {end}.")
    return tuple(words)
