"""What a person sees while a cell works: what is going on, a bar, how long it has taken, and what is left if known.

The bar is a widget while the cell runs, so that it goes on after the page is loaded again, and plain HTML once the cell
is done, so that a stored notebook holds no dead widget. Whatever shows no widgets shows the same words, renewed at each
change. Headless there is none of this: ``session`` prints a line per change.
"""

from __future__ import annotations

import contextvars
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from runbook_lib.views.as_html import text_of

SHOWN_AFTER_S = 0.5
"""Cells that are done sooner show nothing."""
TICK_S = 1.0
_STYLE = "<style>.rb-bar{width:24em;max-width:60vw;height:1em;margin-right:1em}</style>"
_LEAST_SHARE = 0.02
_LEAST_S = 3.0


@dataclass
class _State:
    """What was told: the newest sentence, how much of the whole is done if that is known, and all sentences."""

    sentence: str = ""
    fraction: float | None = None
    steady: bool = False
    began: float = field(default_factory=time.monotonic)
    told: list[tuple[float, str]] = field(default_factory=list)

    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def left_s(self) -> float | None:
        """Return how many seconds are left, where the work goes on at one pace and enough of it is done to tell."""
        done, elapsed = self.fraction, self.elapsed_s()
        if not self.steady or not done or done < _LEAST_SHARE or elapsed < _LEAST_S:
            return None
        return elapsed * (1 - min(done, 1)) / done


class Progress:
    """Shows what it is told while it is entered, and prints it otherwise. One at a time; from whatever thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._bar: _Bar | None = None

    def __call__(self, sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
        """Tell of a change. What has several lines is for reading: it is printed, and stays."""
        with self._guard:
            bar = self._bar
        if bar is None or "\n" in sentence:
            print(sentence, flush=True)  # noqa: T201 - this is where progress is told
        if bar is not None:
            bar.tell(sentence.split("\n")[0], fraction, steady=steady)

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
        self._words, self._share, self._time = (ipywidgets.HTML() for _ in range(3))
        self._line = ipywidgets.HBox([self._share, self._time])
        self._widget = ipywidgets.VBox([self._words, self._line])
        # What is displayed from the thread belongs to the cell that runs now: Jupyter keeps that in the context.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._draw_on,), name="progress-bar", daemon=True)
        self._thread.start()

    def tell(self, sentence: str, fraction: float | None, *, steady: bool) -> None:
        with self._guard:
            state = self._state
            state.sentence, state.fraction, state.steady = sentence, fraction, steady
            state.told.append((state.elapsed_s(), sentence))
        self._changed.set()

    def end(self, kind: type[BaseException] | None) -> None:
        """Put in the bar's place what was done, and how long it took."""
        self._over.set()
        self._changed.set()
        self._thread.join()
        if self._handle is not None:
            self._handle.update(_ended(self._state, kind), raw=True)
        for widget in (self._widget, self._line, self._words, self._share, self._time):
            widget.close()

    def _draw_on(self) -> None:
        if self._over.wait(SHOWN_AFTER_S):
            return
        drawn = ""
        while not self._over.is_set():
            self._changed.clear()
            with self._guard:
                sentence, share, words = self._state.sentence, share_of(self._state.fraction), _times(self._state)
            # A widget tells the page only what differs: the bar is not begun anew while its share stays.
            self._share.value, self._time.value = share, words
            if sentence != drawn:  # nothing is shown until there is something to say
                self._words.value = f'<p role="status">{text_of(sentence)}</p>'
                self._show(sentence)
                drawn = sentence
            self._changed.wait(TICK_S)

    def _show(self, sentence: str) -> None:
        """Display the bar, or renew the words for whatever shows no widgets."""
        from IPython.display import display

        bundle = {
            **self._widget._repr_mimebundle_(),
            "text/plain": sentence,
            "text/html": f"<p>{text_of(sentence)}</p>",
        }
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)


def share_of(fraction: float | None) -> str:
    """Return the bar; without a share that is known, one that only says that something goes on."""
    share = "" if fraction is None else f' value="{min(max(fraction, 0), 1):.3f}"'
    return f'{_STYLE}<progress class="rb-bar" max="1"{share} aria-label="How far this cell is"></progress>'


def _times(state: _State) -> str:
    share = "" if state.fraction is None else f"{min(max(state.fraction, 0), 1):.0%} · "
    left = state.left_s()
    return f"{share}{clock(state.elapsed_s())} so far" + (f" · about {clock(left)} left" if left is not None else "")


def _ended(state: _State, kind: type[BaseException] | None) -> dict[str, str]:
    """Return what stays of a bar: one sentence, and all that was told."""
    took = clock(state.elapsed_s())
    if kind is None:
        said = f"Done in {took}."
    elif issubclass(kind, Exception):
        said = f"Ended after {took}, at: {state.sentence}"
    else:
        said = (
            f"Stopped after {took}, at: {state.sentence}. Run the cell again: it looks first, and goes on from there."
        )
    told = "".join(f"<li>{clock(at)} {text_of(sentence)}</li>" for at, sentence in state.told)
    steps = (
        f"<details><summary>{text_of(said)}</summary><ul>{told}</ul></details>" if told else f"<p>{text_of(said)}</p>"
    )
    return {"text/html": steps, "text/plain": said}


def clock(seconds: float) -> str:
    """Return a length of time as ``0:42``, ``12:05`` or ``1:02:03``."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
