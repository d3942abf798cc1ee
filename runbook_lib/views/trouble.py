"""Errors as advice in a notebook: what happened, what was found, the next thing to do; the traceback one click away.

A person sees a table with links, and below it one red line. Where nobody watches, the same stands in the red output as
text. Nothing of it holds a secret: all of it goes through ``redact``.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from runbook_lib.errors import RunbookError, printable
from runbook_lib.models import Stage
from runbook_lib.views.as_html import STYLE, html, text_of
from runbook_lib.views.as_text import room, text
from runbook_lib.views.audience import attended
from runbook_lib.views.rows import BAD, Link, Row, Table
from runbook_lib.views.run_all import bring_into_view
from runbook_lib.words import ENGLISH, language, said

GUIDE = "docs/troubleshooting.md"
ANCHORS = {
    1: "exit-code-1-it-was-done-and-it-did-not-help",
    2: "exit-code-2-you-asked-for-something-that-cannot-be",
    3: "exit-code-3-going-on-would-not-be-safe",
    4: "exit-code-4-a-device-did-not-answer-or-refused",
    5: "exit-code-5-the-record",
    6: "exit-code-6-unknown",
}
FAULT = "This is an error in this software, not in your site and not in your servers."
FAULT_NEXT = "Keep the record, and run the cell again: it looks first. If it comes again, report it with its traceback."
WORDS = ("where", "found", "next")
INTERRUPTED = "Stopped by hand."
INTERRUPTED_NEXT = "Run the cell again: it looks first, and goes on from there."

_OURS = Path(__file__).resolve().parent.parent
Redact = Callable[[str], str]


def show_errors_as_advice(redact: Redact) -> None:
    """From now on let the notebook that this runs in show errors as advice; outside of one there is nothing to do."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return

    def show(
        where: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
    ) -> list[str]:
        if not isinstance(error, RunbookError) and not _passes_through_us(trace):
            where.showtraceback((kind, error, trace), tb_offset=tb_offset)  # a slip in a cell of the reader's own
            return []
        without_secrets(error, redact)
        return _show(where, error, redact)

    shell.set_custom_exc((Exception, KeyboardInterrupt), show)


def without_secrets(error: BaseException, redact: Redact) -> None:
    """Take secrets out of what an error of any kind says, in place: the kernel sends that on as well."""
    text = str(error)
    if not isinstance(error, RunbookError) and redact(text) != text:
        error.args = (redact(text),)


def _show(shell: Any, error: BaseException, redact: Redact) -> list[str]:
    table = advice(error, redact)
    stack = redact("".join(traceback.format_exception(error)))
    lines = lines_of(table)
    if attended():
        from IPython.display import display

        bundle = {"text/html": advice_html(table, stack), "text/plain": text(table, room())}
        display(bundle, raw=True)  # type: ignore[no-untyped-call]
        bring_into_view()
        lines = lines[:1]
    elif not isinstance(error, RunbookError | KeyboardInterrupt):
        lines += printable(stack, 20_000).split("\n")
    red = type(type(error).__name__, (Exception,), {"_render_traceback_": lambda _: lines})
    shown = red(redact(str(error)))
    shell.showtraceback((type(shown), shown, None))
    return lines


def advice(error: BaseException, redact: Redact) -> Table:
    """Return an error as a table: what happened is its title, then where, what was found, and what to do next."""
    if isinstance(error, RunbookError):
        told, code = (error.what, error.where, error.found, error.next_step), error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        told, code = (INTERRUPTED, "", "", INTERRUPTED_NEXT), 0
    else:
        told, code = (FAULT, _place(error), str(error), FAULT_NEXT), 1
    what, where, found, following = (redact(part) for part in told)
    rows = [Row(cells=cells) for cells in zip(WORDS, (where, found, following), strict=True) if cells[1]]
    rows += [Row(cells=("notebook", Link(stage, f"{stage}.ipynb"))) for stage in Stage if stage in following]
    if code:
        rows.append(Row(cells=("more", Link("troubleshooting", f"{_to_the_top()}{GUIDE}#{ANCHORS[code]}"))))
    rows = [Row(cells=rows[0].cells, mark=BAD), *rows[1:]] if rows else []
    return Table(title=f"{type(error).__name__}: {what}", headers=("what", "value"), rows=tuple(rows))


def advice_html(table: Table, stack: str) -> str:
    """Return the advice as HTML; the traceback is folded."""
    folded = f"<details><summary>{text_of(said('Traceback'))}</summary><pre>{text_of(stack)}</pre></details>"
    return f'{STYLE}<div role="alert">{html(table)}</div>{folded}'


def lines_of(table: Table) -> list[str]:
    """Return the advice as the lines of a red output, as ``RunbookError`` prints them."""
    lines = [printable(said(table.title))]
    for row in table.rows:
        name, value = (str(cell) for cell in row.cells)
        if name in WORDS:
            shown = printable(said(value), RunbookError.shown_limit).replace("\n", "\n         ")
            lines.append(f"  {said(name) + ':':<6} {shown}")
    return "\n".join(lines).split("\n")


def _to_the_top() -> str:
    """Return the way from the notebook to the project: translated notebooks stand one folder deeper."""
    return "../" if language() == ENGLISH else "../../"


def _place(error: BaseException) -> str:
    """Return the innermost place of ours that an error passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    if not frames:
        return ""
    last = frames[-1]
    return f"{Path(last.filename).resolve().relative_to(_OURS.parent)}:{last.lineno}, in {last.name}"


def _passes_through_us(trace: TracebackType | None) -> bool:
    return any(_is_ours(frame.filename) for frame in traceback.extract_tb(trace))


def _is_ours(file: str) -> bool:
    return Path(file).resolve().is_relative_to(_OURS)
