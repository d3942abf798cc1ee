"""Run All ends at a red cell: nothing that was asked for before anybody could see it is run after it.

A kernel stops at an error by itself, but only for what has arrived by then (ipykernel 7 lets go as soon as its queue
is empty, whatever ``stop_on_error_timeout`` says), and a front end sends the cells of Run All one by one. Where a cell
in a warm kernel is red at once, those on their way would be run after it. Each request bears the time at which the
front end sent it; compared with the same clock's time of the red cell that decides, however slow the way is.

The front end itself looks at the last cell then, so the red one is brought into view.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NamedTuple

from runbook_lib.views.as_html import text_of
from runbook_lib.words import said

STOPPED = "It stopped here."
HIDE = "Hides this line"
LONGEST_WAY_S = 10.0
"""How long after a red cell a request may still be on its way; longer only where a clock was set meanwhile."""


def end_run_all_at_red() -> None:
    """From now on, in the kernel that this runs in, a red cell ends Run All; outside of one there is nothing to do."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None or isinstance(getattr(kernel.should_handle, "__self__", None), Gate):
        return
    gate = Gate(kernel)
    kernel.should_handle = gate.should_handle
    assert shell is not None
    shell.events.register("post_run_cell", gate.cell_ended)


def bring_into_view() -> None:
    """Show a mark in the cell that runs now, and give it the focus once it is there: so it comes into view."""
    import ipywidgets
    from IPython.display import display

    # Of the widgets that show words, a button alone takes the focus; a click puts it away.
    mark = ipywidgets.Button(description=said(STOPPED), tooltip=said(HIDE), layout={"width": "max-content"})
    mark.on_click(lambda _: mark.close())
    mark._view_count = 0  # has the front end count the views of it

    def shown(change: dict[str, Any]) -> None:
        if change["new"]:
            mark.unobserve(shown, "_view_count")  # a page that is loaded again keeps its focus
            mark.focus()

    mark.observe(shown, "_view_count")
    bundle: dict[str, Any] = mark._repr_mimebundle_() or {}
    fallback = {"text/html": f"<p>{text_of(said(STOPPED))}</p>", "text/plain": said(STOPPED)}
    display({**bundle, **fallback}, raw=True)  # type: ignore[no-untyped-call]


class _Red(NamedTuple):
    """A red cell: by this process's clock, and by the front end's a time before which nobody there can have seen it."""

    here: float
    there: float


class Gate:
    """Between a kernel's queue and its handlers. Each front end has a clock of its own, and never sees another's."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._lag: dict[str, float] = {}
        """By front end: the least time that a request was on its way, with the difference of both clocks in it."""
        self._red: dict[str, _Red] = {}
        self._running = ""
        self._is_late(kernel.get_parent("shell") or {}, _began())

    def should_handle(self, stream: Any, request: dict[str, Any], idents: Any) -> bool:
        """Whether the kernel is to handle a request; one that comes too late is answered with ``aborted``."""
        if request["header"]["msg_type"] != "execute_request" or not self._is_late(request, time.monotonic()):
            return True
        aborted = {"status": "aborted"}
        self._kernel.session.send(stream, "execute_reply", aborted, parent=request, ident=idents, metadata=aborted)
        return False

    def cell_ended(self, result: Any) -> None:
        """Note that a cell has become red; called after each cell."""
        if self._running and not result.success:
            now = time.monotonic()
            self._red[self._running] = _Red(now, now - self._lag[self._running])

    def _is_late(self, request: dict[str, Any], now: float) -> bool:
        """Note a request that is taken up now; return whether it was sent before the last red cell could be seen."""
        header, content = request.get("header", {}), request.get("content", {})
        sent, client = header.get("date"), str(header.get("session", ""))
        self._running = ""
        if not isinstance(sent, datetime) or sent.tzinfo is None or not content.get("stop_on_error", True):
            return False
        there = sent.timestamp()
        self._lag[client] = min(now - there, self._lag.get(client, now - there))
        red = self._red.get(client)
        if red and there < red.there and now - red.here < LONGEST_WAY_S:
            return True
        self._red.pop(client, None)
        self._running = client
        return False


def _began() -> float:
    """Return when the cell that runs now began, by this process's clock; this moment, where the kernel does not say.

    ipykernel keeps it in a variable of the method that answers the request, and nowhere else.
    """
    frame: FrameType | None = sys._getframe()
    while frame and not (frame.f_code.co_name == "execute_request" and "metadata" in frame.f_locals):
        frame = frame.f_back
    started = frame.f_locals["metadata"].get("started") if frame else None
    ago_s = (datetime.now(UTC) - started).total_seconds() if started else 0.0
    return time.monotonic() - max(ago_s, 0.0)
