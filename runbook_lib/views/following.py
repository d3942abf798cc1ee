"""The newest lines of a journal, which follow it for as long as the kernel runs that shows them."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import ipywidgets

from runbook_lib.errors import RecordError
from runbook_lib.record import Journal, Kind, Line
from runbook_lib.views.rows import Row, Table
from runbook_lib.views.table import View

SHOWN = 12
LOOK_S = 1.0
FOLLOWS = "They follow the journal by themselves for as long as this notebook's kernel runs."


def newest(lines: tuple[Line, ...], note: str = "") -> Table:
    """Return the table of the newest lines, the last one lowest."""
    first = max(len(lines) - SHOWN, 0)
    return Table(
        title="The newest lines of the journal",
        headers=("line", "when", "stage", "kind", "what was written"),
        rows=tuple(
            Row(cells=(str(line.n), f"{line.utc:%Y-%m-%d %H:%M:%SZ}", line.stage or "-", line.kind, _words(line)))
            for line in lines[first:]
        ),
        note=note,
    )


def _words(line: Line) -> str:
    said = line.text or (line.artifact.path if line.artifact else "")
    seen = "" if line.kind is Kind.STAGE_STARTED else line.seen  # the process that runs it is of no use here
    return "\n".join(filter(None, (": ".join(filter(None, (line.server, said))), seen)))


class Followed(View[tuple[Line, ...]]):
    """The newest lines now, and a widget that shows those that come: written by whatever notebook or batch job.

    One journal is followed at a time in a kernel; a page that is loaded again goes on with it.
    """

    widget: ipywidgets.HTML
    _stop = threading.Event()

    def __init__(self, journal: Journal) -> None:
        lines = journal.read().lines
        super().__init__(lines, (newest(lines),))  # what is stored follows nothing, and says nothing of it
        shown = ipywidgets.HTML(View(lines, (newest(lines, FOLLOWS),))._repr_html_())
        # The dataclass is frozen; what is shown is no part of its value.
        object.__setattr__(self, "widget", shown)
        Followed._stop.set()
        Followed._stop = stop = threading.Event()
        context = contextvars.copy_context()
        arguments = (_follow, journal, lines, self.widget, stop)
        threading.Thread(target=context.run, args=arguments, name="journal", daemon=True).start()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.widget._repr_mimebundle_(**options) or {}
        return {**bundle, "text/html": self._repr_html_(), "text/plain": self.text()}


def _follow(journal: Journal, lines: tuple[Line, ...], widget: ipywidgets.HTML, stop: threading.Event) -> None:
    while not stop.wait(LOOK_S):
        try:
            now = journal.read().lines
        except RecordError as error:
            widget.value = View(lines, (newest(lines, f"They follow no more: {error.what}."),))._repr_html_()
            return
        if len(now) != len(lines):
            lines = now
            widget.value = View(lines, (newest(lines, FOLLOWS),))._repr_html_()
