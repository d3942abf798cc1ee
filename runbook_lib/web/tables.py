"""Read the table of ISE servers off a screen. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runbook_lib.models import IseServer
from runbook_lib.web.labels import Labels
from runbook_lib.web.match import same_line
from runbook_lib.web.screen import Row, Screen, same, says

_LINE_WORDS = 60


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


def _heads(row: Row, labels: Labels) -> bool:
    """Whether a row names columns; layouts without header cells say so by their words alone."""
    texts = labels["column_status"].texts
    return row.header or (len(row.cells) > 1 and any(same(cell, text) for cell in row.cells for text in texts))


def _status_columns(header: Row | None, labels: Labels) -> list[int]:
    if header is None:
        return []
    texts = labels["column_status"].texts
    return [number for number, cell in enumerate(header.cells) if any(same(cell, text) for text in texts)]


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
