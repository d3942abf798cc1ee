"""What a cell of a notebook shows of a value: tables, in HTML or in plain text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from runbook_lib.pictures import STYLE as PICTURES_STYLE
from runbook_lib.pictures import Picture
from runbook_lib.views.as_html import STYLE, figure, html
from runbook_lib.views.as_text import room, text
from runbook_lib.views.audience import attended
from runbook_lib.views.pages import is_long
from runbook_lib.views.rows import Link, Row, Table

__all__ = ["Link", "Row", "Table", "View"]

T = TypeVar("T")


@dataclass(frozen=True)
class View(Generic[T]):
    """Tables for people, and pictures that say the same; ``value`` is the thing itself."""

    value: T
    tables: tuple[Table, ...] = field(repr=False)
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    def _repr_html_(self) -> str:
        drawn = "".join(figure(picture) for picture in self.pictures)
        style = f"<style>{PICTURES_STYLE}</style>" if drawn else ""
        return STYLE + style + drawn + "".join(html(table) for table in self.tables)

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Return the same in plain text, no wider than ``width`` columns; None: as wide as there is room.

        The tables say what the pictures show.
        """
        return "\n".join(text(table, room() if width is None else width) for table in self.tables)

    def _ipython_display_(self) -> None:
        """Show the tables, and controls below them to look through those that are long, if a person is there.

        IPython asks for this first; what is refused here is shown in the usual way.
        """
        long = [table for table in self.tables if is_long(table)]
        if not long or not attended():
            raise NotImplementedError
        from IPython.display import display

        from runbook_lib.views.long_list import LongList

        shown: dict[str, Any] = {"text/html": self._repr_html_(), "text/plain": self.text()}
        display(shown, raw=True)  # type: ignore[no-untyped-call]
        for table in long:
            display(LongList(table).bundle(), raw=True)  # type: ignore[no-untyped-call]
