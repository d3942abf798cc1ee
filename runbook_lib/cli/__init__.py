"""The command ``runbook``. Each subcommand imports what it needs when it runs, so that ``--help`` is quick.

``runbook diagnose`` reads logs as fast as the disk gives them; the other commands are not even loaded for it.
"""

from __future__ import annotations

import sys

from runbook_lib.cli.terminal import err_lines
from runbook_lib.errors import RunbookError
from runbook_lib.i18n.language import ENGLISH, set_language
from runbook_lib.processes import gate_streams, taken

__all__ = ["main"]

INTERRUPTED_EXIT = 130


def main() -> None:
    """Run the command line and exit with the documented code; errors are advice, not tracebacks."""
    gate_streams()
    set_language(ENGLISH)  # the help and the exit codes' words are; what the notebooks say follows RUNBOOK_LANG
    try:
        with taken():
            _run()
    except RunbookError as error:
        err_lines(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT)


def _run() -> None:
    if sys.argv[1:2] == ["diagnose"]:
        from runbook_lib.cli.diagnosing import main as diagnose

        sys.exit(diagnose(sys.argv[2:]))
    from runbook_lib.cli.app import app

    app(prog_name="runbook")
