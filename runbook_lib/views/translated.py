"""A table in the reader's language. What is compared or copied, and what a device said, stays as it is."""

from __future__ import annotations

from dataclasses import replace

from runbook_lib.views.rows import Cell, Link, Row, Table
from runbook_lib.words import ENGLISH, language, said


def in_language(table: Table) -> Table:
    """Return the table as the reader's language says it; columns that are ``whole`` keep their cells."""
    if language() == ENGLISH:
        return table
    kept = {place for place, header in enumerate(table.headers) if header in table.whole}
    return replace(
        table,
        title=said(table.title),
        headers=tuple(map(said, table.headers)),
        rows=tuple(_row(row, kept) for row in table.rows),
        note=said(table.note),
        empty=said(table.empty),
        whole=tuple(map(said, table.whole)),
    )


def _row(row: Row, kept: set[int]) -> Row:
    return replace(row, cells=tuple(cell if place in kept else _cell(cell) for place, cell in enumerate(row.cells)))


def _cell(cell: Cell) -> Cell:
    return Link(said(cell.text), cell.href) if isinstance(cell, Link) else said(cell)
