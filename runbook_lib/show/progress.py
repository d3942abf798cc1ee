"""What moves in a notebook: progress of a cell, and the journal's newest lines."""

from __future__ import annotations

import contextvars
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runbook_lib.errors import RecordError, printable
from runbook_lib.i18n.language import gettext
from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.journal_file import Journal
from runbook_lib.show.document import Row, Table
from runbook_lib.show.forms import LiveView
from runbook_lib.show.rendering import View, text_of

if TYPE_CHECKING:
    import ipywidgets

# -- What a person sees while a cell works: what is going on, a bar, how long it has taken, and what is left if known.
#
# The bar is an output of HTML that is renewed, and no widget. A page that is loaded again while the cell works cannot
# ask the kernel for widgets until the cell is done, and a stored notebook would hold a dead one. An output stays as it
# was stored, and says so; once the cell is done, what was told stands folded in its place. Whatever shows no HTML shows
# the same words. Headless there is none of this: ``report_progress`` prints a line per change.

SHOWN_AFTER_S = 0.5
"""Cells that are done sooner show nothing."""
TICK_S, LEAST_S = 2.0, 0.25
"""How often the clock is renewed, and how long two changes are apart at least."""
HINT_AFTER_S, KNOWN_AFTER_S = 5.0, 3.0
RELOADED = (
    "If you reload this page, the bar stays as it was at the time that it shows, while the cell keeps working; the"
    " journal in 90_history goes on too. Once the kernel is idle, run the cell again: it looks first, and shows how"
    " it ended."
)
_STYLE = "<style>.rb-bar{width:24em;max-width:60vw;height:1em;margin-right:1em}</style>"
_LEAST_SHARE = 0.02


@dataclass
class _State:
    """What was told: the newest sentence, how much of the whole is done if that is known, and all sentences."""

    sentence: str = ""
    fraction: float | None = None
    steady: bool = False
    began: float = field(default_factory=time.monotonic)
    sentences: list[tuple[float, str]] = field(default_factory=list)

    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def left_s(self) -> float | None:
        """Return how many seconds are left, where the work goes on at one pace and enough of it is done to tell."""
        done, elapsed = self.fraction, self.elapsed_s()
        if not self.steady or not done or done < _LEAST_SHARE or elapsed < KNOWN_AFTER_S:
            return None
        return elapsed * (1 - min(done, 1)) / done


class Progress:
    """Shows what it is told while it is entered, and prints it otherwise. One at a time; from whatever thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._bar: _Bar | None = None

    def __call__(self, sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
        """Show a change; a text of several lines is printed and stays, since it is meant to be read."""
        with self._guard:
            bar = self._bar
        if bar is None or "\n" in sentence:
            print(printable(gettext(sentence)), flush=True)  # noqa: T201 - this is where progress is told
        if bar is not None:
            bar.update(printable(sentence.split("\n")[0]), fraction, steady=steady)  # a device's words may be in it

    def __enter__(self) -> None:
        with self._guard:
            self._bar = _Bar()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._guard:
            bar, self._bar = self._bar, None
        if bar is not None:
            bar.end(kind)


class _Bar:
    """The bar of one cell, drawn by a thread of its own, so that it moves whatever the cell waits for."""

    def __init__(self) -> None:
        self._state = _State()
        self._changed = threading.Event()
        self._over = threading.Event()
        self._guard = threading.Lock()
        self._handle: Any = None
        # What is displayed from the thread belongs to the cell that runs now: Jupyter keeps that in the context.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._draw_on,), name="progress-bar", daemon=True)
        self._thread.start()

    def update(self, sentence: str, fraction: float | None, *, steady: bool) -> None:
        with self._guard:
            state = self._state
            state.sentence, state.fraction, state.steady = sentence, fraction, steady
            state.sentences.append((state.elapsed_s(), sentence))
        self._changed.set()

    def end(self, kind: type[BaseException] | None) -> None:
        """Put in the bar's place what was done, and how long it took."""
        self._over.set()
        self._changed.set()
        self._thread.join()
        if self._handle is not None:
            self._handle.update(_ended(self._state, kind), raw=True)

    def _draw_on(self) -> None:
        if self._over.wait(SHOWN_AFTER_S):
            return
        while not self._over.is_set():
            self._changed.clear()
            with self._guard:
                bundle = _going_on(self._state) if self._state.sentences else None
            if bundle is not None:
                self._show(bundle)
            self._over.wait(LEAST_S)
            self._changed.wait(TICK_S - LEAST_S)

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)


def _going_on(state: _State) -> dict[str, str]:
    """Return what is shown while the cell works; without a share that is known, the bar only says that it does."""
    fraction = None if state.fraction is None else min(max(state.fraction, 0.0), 1.0)
    value = "" if fraction is None else f' value="{fraction:.3f}"'
    times = _times(fraction, state.elapsed_s(), state.left_s())
    name = text_of(gettext("Progress of this cell"))
    bar = f'<progress class="rb-bar" max="1"{value} aria-label="{name}"></progress>'
    hint = f"<p><small>{text_of(gettext(RELOADED))}</small></p>" if state.elapsed_s() > HINT_AFTER_S else ""
    return {
        "text/html": f"{_STYLE}<p>{text_of(gettext(state.sentence))}</p><p>{bar} {text_of(times)}</p>{hint}",
        "text/plain": f"{gettext(state.sentence)}\n{times}",
    }


def _times(fraction: float | None, elapsed_s: float, left_s: float | None) -> str:
    parts = [] if fraction is None else [f"{fraction:.0%}"]
    parts.append(gettext(f"{clock(elapsed_s)} so far"))
    if left_s is not None:
        parts.append(gettext(f"about {clock(left_s)} left"))
    parts.append(gettext(f"drawn at {datetime.now(UTC):%H:%M:%SZ}"))
    return " · ".join(parts)


def _ended(state: _State, kind: type[BaseException] | None) -> dict[str, str]:
    """Return what stays of a bar: one sentence, and all that was told."""
    took = clock(state.elapsed_s())
    if kind is None:
        words = f"Done in {took}." if state.elapsed_s() >= 1 else "Done in less than a second."
    elif issubclass(kind, Exception):
        words = f"Ended after {took}, at: {state.sentence}"
    else:
        words = f"Stopped after {took}, at: {state.sentence}"
    words = gettext(words)
    listed = "".join(f"<li>{clock(at)} {text_of(gettext(sentence))}</li>" for at, sentence in state.sentences)
    steps = (
        f"<details><summary>{text_of(words)}</summary><ul>{listed}</ul></details>"
        if listed
        else f"<p>{text_of(words)}</p>"
    )
    return {"text/html": f'<div role="status">{steps}</div>', "text/plain": words}


def clock(seconds: float) -> str:
    """Return a length of time as ``0:42``, ``12:05`` or ``1:02:03``."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


# -- The newest lines of a journal, which follow it for as long as the kernel runs that shows them

SHOWN = 12
LOOK_S = 1.0
FOLLOWS = "New lines appear by themselves for as long as this notebook's kernel runs."


def newest(lines: tuple[Line, ...], note: str = "") -> Table:
    """Return the table of the newest lines, the last one lowest."""
    first = max(len(lines) - SHOWN, 0)
    return Table(
        title="The newest lines of the journal",
        headers=("line", "when", "stage", "kind", "what was written"),
        rows=tuple(
            Row(str(line.n), f"{line.utc:%Y-%m-%d %H:%M:%SZ}", line.stage[:2] or "-", line.kind, _words(line))
            for line in lines[first:]
        ),
        note=note,
    )


def _words(line: Line) -> str:
    what = line.text or line.path
    seen = "" if line.kind is Kind.STAGE_STARTED else line.seen  # the process that runs it is of no use here
    return "\n".join(filter(None, (": ".join(filter(None, (line.server, what))), seen)))


class Followed(LiveView[tuple[Line, ...]]):
    """The newest lines now, and a widget that shows those that come: written by whatever notebook or batch job.

    One journal is followed at a time in a kernel; a page that is loaded again goes on with it.
    """

    _stop = threading.Event()

    def __init__(self, journal: Journal) -> None:
        import ipywidgets

        lines = journal.read().lines
        super().__init__(lines, (newest(lines),))  # what is stored follows nothing, and says nothing of it
        shown = ipywidgets.HTML(View(lines, (newest(lines, FOLLOWS),))._repr_html_())
        # The dataclass is frozen; what is shown is no part of its value.
        object.__setattr__(self, "widget", shown)
        Followed._stop.set()
        Followed._stop = stop = threading.Event()
        context = contextvars.copy_context()
        arguments = (_follow, journal, lines, shown, stop)
        threading.Thread(target=context.run, args=arguments, name="journal", daemon=True).start()


def _follow(journal: Journal, lines: tuple[Line, ...], widget: ipywidgets.HTML, stop: threading.Event) -> None:
    while not stop.wait(LOOK_S):
        try:
            now = journal.read().lines
        except RecordError as error:
            widget.value = View(lines, (newest(lines, f"New lines no longer appear: {error.what}."),))._repr_html_()
            return
        if len(now) != len(lines):
            lines = now
            widget.value = View(lines, (newest(lines, FOLLOWS),))._repr_html_()
