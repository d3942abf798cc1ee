"""The command ``runbook``. Each subcommand imports what it needs when it runs, so that ``--help`` is quick.

``runbook diagnose`` reads logs as fast as the disk gives them; the other commands are not even loaded for it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runbook_lib.errors import RunbookError
from runbook_lib.words import ENGLISH, speak

__all__ = ["main"]

INTERRUPTED_EXIT = 130
_ENDING = ("SIGTERM", "SIGHUP")


def main() -> None:
    """Run the command line and exit with the documented code; errors are advice, not tracebacks."""
    speak(ENGLISH)  # the help and the exit codes' words are; what the notebooks say follows RUNBOOK_LANG
    try:
        with signals_as_exits():
            _run()
    except RunbookError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Interrupted; the record says what was done. Run the same command to go on.", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED_EXIT)


def _run() -> None:
    if sys.argv[1:2] == ["diagnose"]:
        from runbook_lib.cli.diagnosing import main as diagnose

        sys.exit(diagnose(sys.argv[2:]))
    from runbook_lib.cli.app import app

    app(prog_name="runbook")


@contextmanager
def signals_as_exits() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command by SystemExit (143, 129), so that locks are freed and the record is told.

    A signal that the process ignores stays ignored (``nohup``). The handlers that were there before come back.
    """
    known = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    before = {signum: signal.getsignal(signum) for signum in known}
    for signum, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, _exit)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _exit(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
