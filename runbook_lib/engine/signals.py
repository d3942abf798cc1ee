"""Ctrl-C, SIGTERM and SIGHUP while a notebook runs: noted, and acted on in an orderly way."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

from runbook_lib.errors import RunbookError

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Terminated(SystemExit):
    """The process was asked to end by ``signum``; ends it with 128 plus that number unless caught."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


class Stop:
    """Whether a run is to end before its end, and why: noted from anywhere, waited for by the run."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    def note(self, signum: int) -> None:
        """Say that the run is to end, as if by this signal; said again, it ends the wait for the cell."""
        self.first = self.first or signal.Signals(signum)
        if self._loop is None:
            self._event.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def next(self) -> signal.Signals:
        """Wait for the next one, at once if one came before, and return the first of all."""
        self._loop = asyncio.get_running_loop()
        await self._event.wait()
        self._event.clear()
        assert self.first is not None
        return self.first


class StopSignals(Stop):
    """A context in which the signals that end a run are noted rather than raised.

    In another thread than the main one it does nothing, since Python delivers signals to the main
    thread only. A signal that the process ignores stays ignored (``nohup``). On exit the handlers that
    were there before are back; the signals noted are not sent again, see ``raise_for_signal``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for signum in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                    self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 (the form of a handler)
        self.note(signum)


def raise_for_signal(signum: signal.Signals) -> NoReturn:
    """Raise what ends a program by convention: KeyboardInterrupt after Ctrl-C, else Terminated."""
    if signum is signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(signum)


def exit_as_command(error: BaseException) -> None:
    """End the papermill command by our exit code for ``error``; return where something else runs us.

    papermill's command knows none of our errors and turns Ctrl-C into exit code 1.
    """
    import click

    command = getattr(sys.modules.get("papermill.cli"), "papermill", None)
    context = click.get_current_context(silent=True)
    if command is None or context is None or context.command is not command:
        return
    if isinstance(error, KeyboardInterrupt | Terminated):
        sys.stderr.write("Stopped; the executed notebook says where.\n")
        raise error if isinstance(error, Terminated) else Terminated(signal.SIGINT) from None
    if isinstance(error, RunbookError):
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
