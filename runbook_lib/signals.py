"""Ctrl-C, SIGTERM and SIGHUP: the one way in which this software takes them, for every process of its own.

A signal that the process ignores stays ignored (``nohup``), and the handlers that were there before come back.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

CTRL_C = ("SIGINT",)
ENDING = ("SIGTERM", "SIGHUP")


class Terminated(SystemExit):
    """The process was asked to end by ``signum``; ends it with 128 plus that number unless caught."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def raise_for_signal(signum: int) -> NoReturn:
    """Raise what ends a program by convention: KeyboardInterrupt after Ctrl-C, else Terminated."""
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(signum)


def leave_ctrl_c_to_the_parent() -> None:
    """Ignore Ctrl-C in this process, which a terminal sends to all: whoever started it ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def taken(act: Callable[[int], Any] = raise_for_signal, names: tuple[str, ...] = (*CTRL_C, *ENDING)) -> Iterator[None]:
    """Let ``act`` take each of these signals while this is entered; by default they end the program in good order.

    In another thread than the main one it does nothing, since Python delivers signals to the main thread only.
    """
    before: dict[int, Any] = {}

    def handle(signum: int, _frame: FrameType | None) -> None:
        act(signum)

    try:
        if threading.current_thread() is threading.main_thread():
            for signum in (getattr(signal, name) for name in names if hasattr(signal, name)):
                if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                    before[signum] = signal.signal(signum, handle)
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
