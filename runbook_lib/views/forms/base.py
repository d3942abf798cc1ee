"""What all forms have in common: controls with labels, advice in place of errors, and the way without the form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TypeVar

import ipywidgets

from runbook_lib.errors import RunbookError, printable
from runbook_lib.views.forms.look import STYLE
from runbook_lib.views.rows import BAD, COLOURS, GOOD, MARKS, Row, Table
from runbook_lib.views.table import View
from runbook_lib.words import said

T = TypeVar("T")

WIDE = {"width": "44em", "max_width": "98%"}
LABEL = {"description_width": "11em"}
BELOW = {"margin": "0 0 0 11.6em"}  # in line with the fields, beside their labels


class Form(View[T]):
    """A table that says what is asked, below it controls where they can be shown, below them the other tables.

    A button writes, the next cell reads; no cell waits. The last table says which parameter or command does the
    same. No secret goes through a control.
    """

    widget: ipywidgets.Widget

    def __init__(
        self, value: T, tables: tuple[Table, ...], controls: Sequence[Any], first: ipywidgets.HTML | None = None
    ) -> None:
        """``first``: what shows the first table, where the form renews it."""
        super().__init__(value, tables)
        above, below = (View(value, part)._repr_html_() for part in (tables[:1], tables[1:]))
        # The dataclass is frozen; the widgets are no part of its value.
        shown = ipywidgets.VBox([first or ipywidgets.HTML(above), *controls, ipywidgets.HTML(STYLE + below)])
        shown.add_class("rb-form")
        object.__setattr__(self, "widget", shown)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.widget._repr_mimebundle_(**options) or {}
        return {**bundle, "text/html": self._repr_html_(), "text/plain": self.text()}


class Said(ipywidgets.HTML):  # type: ignore[misc]
    """One sentence below a control: a sign and words, so that nothing is said by a colour alone."""

    def say(self, text: str, mark: str = "") -> None:
        """Show a text; ``mark`` is ``good``, ``bad``, ``doubt`` or nothing."""
        lines = escape(printable(said(text))).replace("\n", "<br>")
        sign = f"{MARKS[mark]} " if mark and text else ""
        colour = f"border-left:4px solid {COLOURS[mark]};padding-left:.5em;" if mark and text else ""
        style = f"{colour}line-height:1.45;max-width:60em;overflow-wrap:anywhere"
        self.value = f'<div role="status" style="{style}">{sign}{lines}</div>' if text else ""


def button(words: str, hint: str, act: Callable[[], str], answer: Said) -> ipywidgets.Button:
    """Return a button that acts and says the sentence that came back; an error is shown as its advice."""

    def press(_: Any) -> None:
        try:
            answer.say(act(), GOOD)
        except RunbookError as error:
            answer.say(f"{type(error).__name__}: {error}", BAD)

    made = ipywidgets.Button(
        description=said(words),
        tooltip=said(hint),
        layout={"width": "max-content", "min_width": "16em", "margin": ".3em 0"},
    )
    made.on_click(press)
    return made


def text_field(label: str, placeholder: str = "", **options: Any) -> ipywidgets.Text:
    """Return a field for one line, with its label."""
    return ipywidgets.Text(description=said(label), placeholder=said(placeholder), layout=WIDE, style=LABEL, **options)


def without_form(*ways: tuple[str, str]) -> Table:
    """Return the table that names what does the same without the form."""
    return Table(
        title="The same without the form",
        headers=("how", "what"),
        rows=tuple(Row(cells=way) for way in ways),
        whole=("what",),
    )
