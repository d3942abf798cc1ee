"""Looking through a long table in a live kernel: a filter, a column to sort by, and pages. Only one page is drawn."""

from __future__ import annotations

from typing import Any

import ipywidgets

from runbook_lib.views.as_html import STYLE, html_of, text_of
from runbook_lib.views.pages import Pages
from runbook_lib.views.rows import Table
from runbook_lib.words import said

_AS_IT_STANDS = "what needs a look first"
_WIDE = {"width": "26em"}
_LABELS = {"description_width": "6em"}
_ELSEWHERE = (
    "A filter, an order and further pages need a kernel and a front end that shows controls: run the cell there."
)


class LongList:
    """Controls over one table, and one page of it. The first page stands above: this one is empty until it is asked.

    ``widget`` holds, in the order of the tab key: the filter, the sorting, the buttons, and the page.
    """

    def __init__(self, table: Table) -> None:
        self._pages = Pages(table)
        self._number = 0
        self.filter = ipywidgets.Text(
            description=said("Filter"),
            placeholder=said("part of any cell"),
            tooltip=said(f"Show the rows of this table that hold this text: {table.title}"),
            layout=_WIDE,
            style=_LABELS,
        )
        self.sort = ipywidgets.Dropdown(
            description=said("Sort by"),
            options=[(said(_AS_IT_STANDS), ""), *((said(header), header) for header in table.headers)],
            tooltip=said("The column by which the rows are sorted"),
            layout=_WIDE,
            style=_LABELS,
        )
        self.back = ipywidgets.Button(
            description=said("Previous page"), tooltip=said("Show the rows before these"), disabled=True
        )
        self.forth = ipywidgets.Button(description=said("Next page"), tooltip=said("Show the rows after these"))
        self.page = ipywidgets.HTML()
        self.widget = ipywidgets.VBox(
            [
                ipywidgets.HTML(text_of(said(f"Look through all {len(table.rows):,} rows of: {table.title}"))),
                ipywidgets.HBox([self.filter, self.sort, self.back, self.forth], layout={"flex_flow": "row wrap"}),
                self.page,
            ]
        )
        self.filter.observe(self._anew, "value")
        self.sort.observe(self._anew, "value")
        self.back.on_click(lambda _: self._turn(-1))
        self.forth.on_click(lambda _: self._turn(1))

    def bundle(self) -> dict[str, Any]:
        """Return what a cell displays: the controls, or where none can be shown a sentence in their place."""
        shown: dict[str, Any] = self.widget._repr_mimebundle_() or {}
        return {**shown, "text/html": f"<p>{text_of(said(_ELSEWHERE))}</p>", "text/plain": said(_ELSEWHERE)}

    def _anew(self, _: Any) -> None:
        self._number = 0
        self._draw()

    def _turn(self, pages: int) -> None:
        self._number += pages
        self._draw()

    def _draw(self) -> None:
        table = self._pages.table
        page = self._pages.page(self._number, needle=self.filter.value, by=self.sort.value)
        self.back.disabled = page.first == 1
        self.forth.disabled = page.first + len(page.rows) > page.matching
        which = f'<p role="status">{text_of(said(page.said))}</p>'
        self.page.value = STYLE + which + (html_of(table, page.rows) if page.rows else "")
