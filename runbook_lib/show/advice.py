"""Errors as advice in a notebook; Run All ends at a red cell."""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from runbook_lib import paths
from runbook_lib.errors import Redact, RunbookError, printable
from runbook_lib.i18n.language import ENGLISH, gettext, language
from runbook_lib.models import Stage
from runbook_lib.show.document import BAD, READY, Link, Row, Table
from runbook_lib.show.rendering import STYLE, attended, html, notebook_shell, room, text, text_of

# -- Run All ends at a red cell: nothing that was asked for before anybody could see it is run after it.
#
# A kernel stops at an error by itself, but only for what has arrived by then (ipykernel 7 lets go as soon as its queue
# is empty, whatever ``stop_on_error_timeout`` says), and a front end sends the cells of Run All one by one. Where a
# cell in a warm kernel is red at once, those on their way would be run after it. Each request bears the time at which
# the front end sent it; compared with the same clock's time of the red cell that decides, however slow the way is. A
# front end that is busy drawing makes the last of them when the cell is red already, and nobody can have seen it.
#
# The front end itself looks at the last cell then, so the red one is brought into view.

UNSEEN_S = 1.0
"""How long a red cell has to be there before a person who runs a cell can have read it."""
STOPPED = "It stopped here."
HIDE = "Hides this line"
LONGEST_WAY_S = 10.0
"""How long after a red cell a request may still be on its way; longer only where a clock was set meanwhile."""


def end_run_all_at_red() -> None:
    """Make a red cell end Run All in this kernel from now on; outside a kernel, do nothing."""
    shell = notebook_shell()
    kernel = getattr(shell, "kernel", None)
    if kernel is None or isinstance(getattr(kernel.should_handle, "__self__", None), Gate):
        return
    gate = Gate(kernel)
    kernel.should_handle = gate.should_handle
    shell.events.register("post_run_cell", gate.cell_ended)


def bring_into_view() -> None:
    """Show a mark in the cell that runs now, and give it the focus once it is there: so it comes into view."""
    import ipywidgets
    from IPython.display import display

    # Of the widgets that show words, a button alone takes the focus; a click puts it away.
    mark = ipywidgets.Button(description=gettext(STOPPED), tooltip=gettext(HIDE), layout={"width": "max-content"})
    mark.on_click(lambda _: mark.close())
    mark._view_count = 0  # has the front end count the views of it

    def shown(change: dict[str, Any]) -> None:
        if change["new"]:
            mark.unobserve(shown, "_view_count")  # a page that is loaded again keeps its focus
            mark.focus()

    mark.observe(shown, "_view_count")
    bundle: dict[str, Any] = mark._repr_mimebundle_() or {}
    fallback = {"text/html": f"<p>{text_of(gettext(STOPPED))}</p>", "text/plain": gettext(STOPPED)}
    display({**bundle, **fallback}, raw=True)  # type: ignore[no-untyped-call]


class _Red(NamedTuple):
    """When a cell became red, by this process's clock and by the front end's, where nobody can have seen it earlier."""

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
        """Note a request that is taken up now; return whether it was sent before the last red cell was visible."""
        header, content = request.get("header", {}), request.get("content", {})
        sent, client = header.get("date"), str(header.get("session", ""))
        self._running = ""
        if not isinstance(sent, datetime) or sent.tzinfo is None or not content.get("stop_on_error", True):
            return False
        there = sent.timestamp()
        self._lag[client] = min(now - there, self._lag.get(client, now - there))
        red = self._red.get(client)
        unseen_s = UNSEEN_S if content.get("allow_stdin") else 0.0  # a program reads at once
        if red and there < red.there + unseen_s and now - red.here < LONGEST_WAY_S:
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


# -- Errors as advice in a notebook: what happened, what was found, the next thing to do; the traceback one click away.
#
# A person sees a table with links, and below it one red line. Where nobody watches, the same stands in the red output
# as text. Nothing of it holds a secret: all of it goes through ``redact``.

RED_WIDTH = 72
"""Columns of the red line below the advice: as many as a window of 1024 pixels has beside JupyterLab's sidebar."""
GUIDE = "docs/troubleshooting.md"
ANCHORS = {
    1: "exit-code-1-the-repair-did-not-help",
    2: "exit-code-2-you-asked-for-something-that-cannot-be",
    3: "exit-code-3-it-would-not-be-safe-to-continue",
    4: "exit-code-4-a-device-did-not-answer-or-refused",
    5: "exit-code-5-the-record",
    6: "exit-code-6-unknown",
}
FAULT = "This is an error in this software, not in your site and not in your servers."
FAULT_NEXT = (
    "Keep the record, and run the cell again: it looks first. If it happens again, report it with its traceback."
)
WORDS = ("where", "found", "next")
"""The parts of an error in the order of its text, whose end is read first; a table begins with the last of them."""
OF_FIRST_CELLS = frozenset(
    {"rb", "history", "open_runbook", "open_history", "choose_site", "site", "incident", "approve", "expect"}
)
NOT_OPENED = "The first cells of this notebook were not run in this kernel."
NOT_OPENED_NEXT = "Run its cells from the top to this one; each looks first. What was done so far is in the record."
INSTALL_NEXT = (
    "Open it with runbook notebook, which picks the right Python; in a checkout, make setup installs what is missing."
)
INTERRUPTED = "Stopped by hand."
INTERRUPTED_NEXT = "What was sent may go on, on the servers. Run the cell again: it looks first and continues."

_OURS = Path(__file__).resolve().parent.parent


def show_errors_as_advice(redact: Redact, way: str = "") -> None:
    """Make this notebook show errors as advice from now on; outside a notebook, do nothing.

    ``way`` stands before the names of the notebooks to which the advice leads.
    """
    shell = notebook_shell()
    if shell is None:
        return

    def show(
        where: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
    ) -> list[str]:
        if not isinstance(error, RunbookError) and not _passes_through_us(trace) and not _is_not_opened(error):
            where.showtraceback((kind, error, trace), tb_offset=tb_offset)  # a slip in a cell of the reader's own
            return []
        redact_error(error, redact)
        return _show(where, error, redact, way)

    shell.set_custom_exc((Exception, KeyboardInterrupt), show)


def redact_error(error: BaseException, redact: Redact) -> None:
    """Take secrets out of what an error of any kind says, in place: the kernel sends that on as well."""
    text = str(error)
    if not isinstance(error, RunbookError) and redact(text) != text:
        error.args = (redact(text),)


def _show(shell: Any, error: BaseException, redact: Redact, way: str) -> list[str]:
    table = advice(error, redact, way)
    stack = redact("".join(traceback.format_exception(error)))
    lines = text_lines(table)
    if attended():
        from IPython.display import display

        above, below = advice_html(table, stack)
        display({"text/html": above, "text/plain": text(table, room())}, raw=True)  # type: ignore[no-untyped-call]
        # What has the focus stands in the middle of the window, or at its end: above it what to do is always in view.
        bring_into_view()
        display({"text/html": below, "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]
        # Jupyter breaks what is too wide anywhere in a word. No command is in this line: those are in the table.
        lines = wrap(lines[0], RED_WIDTH, break_long_words=False, break_on_hyphens=False)
    elif not isinstance(error, RunbookError | KeyboardInterrupt):
        lines += printable(stack, 20_000).split("\n")
    red = type(type(error).__name__, (Exception,), {"_render_traceback_": lambda _: lines})
    shown = red(redact(str(error)))
    shell.showtraceback((type(shown), shown, None))
    return lines


def advice(error: BaseException, redact: Redact, way: str = "") -> Table:
    """Return an error as a table: what happened is its title, then what to do next, what was found, and where."""
    if isinstance(error, RunbookError):
        parts, code = (error.what, error.where, error.found, error.next_step), error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        parts, code = (INTERRUPTED, "", "\n".join(getattr(error, "__notes__", ())), INTERRUPTED_NEXT), 0
    elif _is_not_opened(error):
        parts, code = (NOT_OPENED, "", str(error), NOT_OPENED_NEXT), 0
    elif isinstance(error, ModuleNotFoundError):
        parts, code = (f"The Python of this kernel has no package {error.name}.", sys.prefix, "", INSTALL_NEXT), 0
    else:
        parts, code = (FAULT, _place(error), str(error), FAULT_NEXT), 1
    what, where, found, following = (redact(part) for part in parts)
    # What to do stands first: it is what a tired reader looks for, and what was found may be long.
    rows = [Row("next", following, mark=READY)] if following else []
    rows += [Row("notebook", Link(stage, f"{way}{stage}.ipynb")) for stage in Stage if stage in following]
    rows += [Row("found", found, mark=BAD)] if found else []
    rows += [Row("where", where)] if where else []
    if code:
        # Translated notebooks stand one folder deeper than the others, and than copies.
        top = "../" if paths.workspace() or language() == ENGLISH else "../../"
        rows.append(Row("more", Link("troubleshooting", f"{top}{GUIDE}#{ANCHORS[code]}")))
    return Table(title=f"{type(error).__name__}: {what}", headers=("what", "value"), rows=tuple(rows))


def advice_html(table: Table, stack: str) -> tuple[str, str]:
    """Return the advice as HTML: what happened and what to do next; then what was found, with the traceback folded."""
    next_step = tuple(row for row in table.rows if row.cells[0] in ("next", "notebook")) or table.rows
    above = f'{STYLE}<div role="alert">{html(replace(table, rows=next_step))}</div>'
    rest = Table(title="What was found", headers=table.headers, rows=table.rows[len(next_step) :])
    folded = f"<details><summary>{text_of(gettext('Traceback'))}</summary><pre>{text_of(stack)}</pre></details>"
    return above, f"{STYLE}{html(rest) if rest.rows else ''}{folded}"


def text_lines(table: Table) -> list[str]:
    """Return the advice as the lines of a red output, as ``RunbookError`` prints them."""
    lines = [printable(gettext(table.title)).replace("\n", "\n         ")]
    values = {str(name): str(value) for name, value in (row.cells for row in table.rows)}
    for name in WORDS:
        if name in values:
            shown = printable(gettext(values[name]), RunbookError.shown_limit).replace("\n", "\n         ")
            lines.append(f"  {gettext(name) + ':':<6} {shown}")
    return "\n".join(lines).split("\n")


def _place(error: BaseException) -> str:
    """Return the innermost place of ours that an error passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    if not frames:
        return ""
    last = frames[-1]
    return f"{Path(last.filename).resolve().relative_to(_OURS.parent)}:{last.lineno}, in {last.name}"


def _is_not_opened(error: BaseException) -> bool:
    """Whether a cell asked for what the first cells of its notebook make, after a kernel was started again, say."""
    return isinstance(error, NameError) and error.name in OF_FIRST_CELLS


def load_ipython_extension(shell: Any) -> None:  # noqa: ARG001 - IPython hands it over
    """Show errors as advice before any cell was run; a kernel of ``runbook notebook`` loads this at its start."""
    show_errors_as_advice(str)


def _passes_through_us(trace: TracebackType | None) -> bool:
    return any(_is_ours(frame.filename) for frame in traceback.extract_tb(trace))


def _is_ours(file: str) -> bool:
    return Path(file).resolve().is_relative_to(_OURS)
