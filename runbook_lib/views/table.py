"""What a cell of a notebook shows of a value: tables, in HTML or in plain text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from runbook_lib.views.as_html import STYLE, html
from runbook_lib.views.as_text import room, text
from runbook_lib.views.rows import Link, Row, Table

__all__ = ["Link", "Row", "Table", "View"]

T = TypeVar("T")


@dataclass(frozen=True)
class View(Generic[T]):
    """Tables for people; ``value`` is the thing itself."""

    value: T
    tables: tuple[Table, ...] = field(repr=False)

    def _repr_html_(self) -> str:
        return STYLE + "".join(html(table) for table in self.tables)

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Return the same in plain text, no wider than ``width`` columns; None: as wide as there is room."""
        return "\n".join(text(table, room() if width is None else width) for table in self.tables)
