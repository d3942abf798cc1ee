"""Ctrl-C, SIGTERM and SIGHUP while a notebook runs: noted, and acted on in an orderly way."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import ExitStack

from runbook_lib.errors import RunbookError
from runbook_lib.signals import Terminated, taken


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

    The signals noted are not sent again on exit, see ``raise_for_signal``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken = ExitStack()

    def __enter__(self) -> StopSignals:
        self._taken.enter_context(taken(self.note))
        return self

    def __exit__(self, *exc: object) -> None:
        self._taken.close()


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
