"""Read tables off a screen: the readiness check, the ISE servers. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from runbook_lib.models import IseServer, ReadinessItem
from runbook_lib.web.labels import Labels
from runbook_lib.web.match import same_line
from runbook_lib.web.screen import Row, Screen, same, says

_LINE_WORDS = 60


def readiness(screen: Screen, labels: Labels) -> tuple[tuple[ReadinessItem, ...], bool]:
    """Return the rows of the readiness check, and whether all of them have ended.

    A row without a state that is known does not count as passed. No rows: nothing is shown yet.
    """
    tables: dict[tuple[int, int], list[Row]] = {}
    for row in screen.rows:
        tables.setdefault((row.frame, row.table), []).append(row)
    candidates = [*tables.values(), *_joined(screen.rows), *_lists_of_lines(screen, labels)]
    judged = [_judged(rows, labels) for rows in candidates]
    most = max(judged, key=lambda rows: sum(state != "" for _, state in rows), default=[])
    if not any(state for _, state in most):
        return (), False
    return tuple(item for item, _ in most), all(state != "pending" for _, state in most)


def ise_servers(screen: Screen, labels: Labels) -> tuple[IseServer, ...]:
    """Return the rows of the table of ISE servers: every row that holds an address.

    Where no table holds one, lines of text count as rows, below a head of columns or with a state that is known.
    """
    found = _ise_servers(screen.rows, labels)
    lines = () if found else tuple(row for row in _lines(screen) if len(row.cells) > 1)
    headed = any(_heads(row, labels) for row in lines)
    return found or tuple(row for row in _ise_servers(lines, labels) if headed or row.answers is not None)


def _ise_servers(rows: Sequence[Row], labels: Labels) -> tuple[IseServer, ...]:
    found: list[IseServer] = []
    header: Row | None = None
    for row in rows:
        if _heads(row, labels):
            header = row
            continue
        if header is not None and (header.table, header.frame) != (row.table, row.frame):
            # Products draw a table's head and body as two tables: it still counts where the columns agree.
            header = header if len(header.cells) == len(row.cells) and header.frame == row.frame else None
        server = None if row.listed else _ise_server(row, header, labels)
        if server is not None and server.address not in [known.address for known in found]:
            found.append(server)
    return tuple(found)


def _joined(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that follow each other and have as many cells: grids are drawn with a table for each row, too."""
    for _, run in groupby(rows, key=lambda row: (row.frame, row.listed, len(row.cells))):
        yield list(run)


def _judged(rows: Sequence[Row], labels: Labels) -> list[tuple[ReadinessItem, str]]:
    header = next((row for row in rows if _heads(row, labels)), None)
    found = []
    for row in rows:
        filled = [cell for cell in row.cells if cell]
        if row is header or row.header or not filled:
            continue
        name, state, detail = _row_state(row, header, labels)
        if name:
            found.append((ReadinessItem(name=name, passed=state == "passed", detail=detail), state))
    states = [state for _, state in found if state]
    return found if len(states) * 2 >= len(found) else []


def _row_state(row: Row, header: Row | None, labels: Labels, *, loose: bool = True) -> tuple[str, str, str]:
    """Return a row's name, state and detail; ``loose`` takes a short text for a state that only holds the word."""
    if len(row.cells) == 1:
        return _text_state(row.cells[0], labels)
    order = [number for number in _status_columns(header, labels) if number < len(row.cells)]
    order += [number for number in range(1, len(row.cells)) if number not in order] + [0]
    for exact in (True, False) if loose else (True,):
        for number in order:
            state = _state(row.cells[number], labels, exact=exact)
            if state:
                rest = [cell for place, cell in enumerate(row.cells) if place != number and cell]
                word = row.cells[number] if state != "passed" else ""
                return rest[0] if rest else "", state, ", ".join([*filter(None, [word]), *rest[1:]])
    filled = [cell for cell in row.cells if cell]
    return filled[0], "", ", ".join(["no state that is known", *filled[1:]])


def _heads(row: Row, labels: Labels) -> bool:
    """Whether a row names columns; layouts without header cells say so by their words alone."""
    texts = labels["column_status"].texts
    return row.header or (len(row.cells) > 1 and any(same(cell, text) for cell in row.cells for text in texts))


def _status_columns(header: Row | None, labels: Labels) -> list[int]:
    if header is None:
        return []
    texts = labels["column_status"].texts
    return [number for number, cell in enumerate(header.cells) if any(same(cell, text) for text in texts)]


def _state(text: str, labels: Labels, *, exact: bool) -> str:
    for state in ("pending", "failed", "passed"):
        phrases = labels.phrases[state]
        if any(same(text, phrase) for phrase in phrases):
            return state
        if not exact and len(text.split()) <= 4 and says(text, phrases):
            return state
    return ""


def _text_state(text: str, labels: Labels) -> tuple[str, str, str]:
    """Split a text such as ``CPU: passed`` into its name and its state."""
    words = text.split()
    for count in (3, 2, 1):
        if len(words) > count:
            last = " ".join(words[-count:])
            state = _state(last, labels, exact=True)
            if state:
                return " ".join(words[:-count]).rstrip(" :-–—."), state, last if state != "passed" else ""
    return (text, "", "no state that is known")


def _lists_of_lines(screen: Screen, labels: Labels) -> Iterator[list[Row]]:
    """In each frame the lines from the first to the last that ends in a state: what stands around them is no list."""
    lines = list(_lines(screen))
    for frame in screen.frames:
        rows = [row for row in lines if row.frame == frame]
        states = [number for number, row in enumerate(rows) if _row_state(row, None, labels, loose=False)[1]]
        if states:
            yield rows[states[0] : states[-1] + 1]


def _lines(screen: Screen) -> Iterator[Row]:
    """Texts outside of tables that stand on one line, as rows."""
    for number, items in screen.frames.items():
        loose = [item for item in items if item.kind == "text" and item.row < 0]
        while loose:
            line = [item for item in loose if same_line(item, loose[0])]
            loose = [item for item in loose if item not in line]
            cells = tuple(item.text for item in sorted(line, key=lambda item: item.left))
            row = Row(cells=cells, frame=number, table=-1)
            if len(cells) > 1 or len(cells[0].split()) <= _LINE_WORDS:
                yield row


def _ise_server(row: Row, header: Row | None, labels: Labels) -> IseServer | None:
    cells = dict(enumerate(row.cells))
    if header is not None and len(header.cells) == len(row.cells):
        named = [n for n, cell in enumerate(header.cells) if any(same(cell, t) for t in labels["column_address"].texts)]
    else:
        named = []
    at = next((n for n, cell in cells.items() if _is_address(cell)), None)
    if at is None:
        at = next((n for n in named if cells[n] and " " not in cells[n]), None)
    if at is None:
        return None
    order = [n for n in _status_columns(header, labels) if n in cells] + [n for n in cells if n != at]
    server = IseServer(address=cells[at])
    for number in order:
        answers = _answers(cells[number], labels)
        if answers is not None:
            return replace(server, status=cells[number], answers=answers)
    status = next((cells[n] for n in _status_columns(header, labels) if n in cells), "")
    return replace(server, status=status)


def _answers(text: str, labels: Labels) -> bool | None:
    if says(text, labels.phrases["not_answering"]):
        return False
    return True if says(text, labels.phrases["answering"]) else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return True
