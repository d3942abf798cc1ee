"""The command ``runbook``. Each subcommand imports what it needs when it runs, so that ``--help`` is quick.

``runbook diagnose`` reads logs as fast as the disk gives them; the other commands are not even loaded for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runbook_lib.cli.terminal import err, err_lines
from runbook_lib.errors import RunbookError, UsageError
from runbook_lib.i18n.language import ENGLISH, set_language
from runbook_lib.paths import delivered
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
        sys.exit(_diagnose(sys.argv[2:]))
    try:
        from runbook_lib.cli.app import app
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This Python has no package {error.name}: the installation is not complete",
            where=sys.prefix,
            next_step=f"install it again with its dependencies; {delivered('docs/install.md')} says how",
        ) from None
    app(prog_name="runbook")


# -- The command line of ``diagnose``, which is read without the other commands ---------------------

ABOUT = "Find the mismatch in logs: of whom, since when, and what only looks like one. Contacts nothing."
EXAMPLES = (
    "Examples: runbook diagnose bundle.tar.gz · runbook diagnose --server primary=hm-0-0.log --listcerts list.txt"
    " · zcat hm.log.gz | runbook diagnose -"
)
DIAGNOSE_EXIT_CODES = (
    "Exit codes: 0 nothing found · 10 a mismatch was found · 11 only look-alikes · 2 an input could not be read"
    " to its end, does not look like a log, or is a folder without files; and no mismatch in the rest"
)
HELP = {
    "paths": "Files, folders and archives (.gz, .zip, .tar.gz, inside each other too); - is standard input.",
    "server": "Whose logs they are: primary=PATH or secondary=PATH; may be repeated. Else recognised, or guessed.",
    "site": "A site: its logs (where no PATH is given), zones, names and rules.",
    "zone": "The time zone where the logs give none: a name, an offset, or SERVER=ZONE.",
    "listcerts": "What listcerts printed, as FILE or SERVER=FILE: names the entry that a mismatch means.",
    "rules": "A file of further rules (docs/diagnosis.md).",
    "json": "Print JSON (docs/diagnosis.schema.json).",
    "html": "Print an HTML page.",
    "follow": "Keep watching and report what is new; Ctrl-C ends it with the whole answer.",
    "progress": "Show progress on standard error, even where that is no terminal.",
}
"""What every option is for: one text for both command lines that take them."""


@dataclass(frozen=True)
class DiagnoseRequest:
    """What was asked for, as it stood on the command line."""

    paths: tuple[str, ...] = ()
    server: tuple[str, ...] = ()
    site: str = ""
    zone: tuple[str, ...] = ()
    listcerts: tuple[str, ...] = ()
    rules: str = ""
    json: bool = False
    html: bool = False
    follow: bool = False
    progress: bool = False


def _diagnose(arguments: Sequence[str]) -> int:
    """Read the command line, diagnose, print, and return the exit code."""
    from runbook_lib.cli.diagnosing import diagnose_command

    given: dict[str, Any] = {}
    for name, value in vars(_parser().parse_args(arguments)).items():
        given[name] = tuple(value) if isinstance(value, list) else value
    try:
        return diagnose_command(DiagnoseRequest(**given))
    except KeyboardInterrupt:
        err("Interrupted: the logs were not read to their end, so nothing can be said of them.")
        return INTERRUPTED_EXIT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runbook diagnose", description=ABOUT, epilog=f"{EXAMPLES} | {DIAGNOSE_EXIT_CODES}", allow_abbrev=False
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help=HELP["paths"])
    for name, shape in (("server", "SERVER=PATH"), ("zone", "ZONE"), ("listcerts", "FILE")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar=shape, help=HELP[name])
    for name, shape in (("site", "SITE"), ("rules", "FILE")):
        parser.add_argument(f"--{name}", default="", metavar=shape, help=HELP[name])
    for name in ("json", "html", "follow", "progress"):
        parser.add_argument(f"--{name}", action="store_true", help=HELP[name])
    return parser
