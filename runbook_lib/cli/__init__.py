"""The command ``runbook``. Each subcommand imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys

from runbook_lib.cli.app import app
from runbook_lib.errors import RunbookError

__all__ = ["app", "main"]

INTERRUPTED_EXIT = 130


def main() -> None:
    """Run the command line and exit with the documented code; errors are advice, not tracebacks."""
    try:
        app(prog_name="runbook")
    except RunbookError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Interrupted; the record says what was done. Run the same command to go on.", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED_EXIT)
