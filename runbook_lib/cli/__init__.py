"""The command ``runbook``. Each subcommand imports what it needs when it runs, so that ``--help`` is quick.

``runbook diagnose`` has to be quick, also for a log of one line; the other commands are not even loaded for it.
"""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from runbook_lib.cli.terminal import err, err_lines, require_printed
from runbook_lib.errors import RecordNotWritable, RunbookError, UsageError, cut
from runbook_lib.i18n.language import ENGLISH, asked_language, set_language
from runbook_lib.paths import delivered
from runbook_lib.processes import gate_streams, require_open_files, signals_taken

__all__ = ["main"]

INTERRUPTED_EXIT = 130


def main() -> None:
    """Run the command line and exit with the documented code; errors are advice, not tracebacks."""
    gate_streams()
    set_language(ENGLISH)  # the help and the exit codes' words are; what the notebooks say follows RUNBOOK_LANG
    try:
        asked_language()  # an unknown language is refused here: perhaps no notebook runs that would refuse it
        with signals_taken():
            _run()
    except RunbookError as error:
        err_lines(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT)


def _run() -> None:
    try:
        if sys.argv[1:2] == ["diagnose"]:
            sys.exit(_diagnose(sys.argv[2:]))
        require_open_files()
        _every_command()
    except SystemExit as end:
        if not end.code:
            require_printed(RecordNotWritable)
        raise
    except OSError as error:
        problems = {errno.ENAMETOOLONG: "is longer than this system takes", errno.EACCES: "is shut to this user"}
        if error.errno not in problems:
            raise
        # Any look at a path may be the first that meets it.
        then = "Give another one: of what the command names, or of a variable such as RUNBOOK_RECORDS."
        where = cut(str(error.filename), 80)
        raise UsageError(f"A path {problems[error.errno]}", where=where, next_step=then) from None


def _every_command() -> None:
    try:
        from runbook_lib.cli.app import whole_command
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This Python has no package {error.name}: the installation is not complete",
            where=sys.prefix,
            next_step=f"install it again with its dependencies; {delivered('docs/install.md')} says how",
        ) from None
    whole_command()(prog_name="runbook")


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


def _given(default: Any, about: str, form: str = "") -> Any:
    """Return the field of one option: what it is for, and the ``form`` of its value, where it takes one."""
    return field(default=default, metadata={"help": about, "form": form})


@dataclass(frozen=True)
class DiagnoseRequest:
    """What was asked for. Each field is an option, save ``path``; one that is a tuple may be given several times.

    Both command lines that take them are made of this: the quick one here, and for completion and the list of all
    commands the one in ``app``, which takes 0.14 s to load.
    """

    path: tuple[str, ...] = _given(
        (), "Files, folders and archives (.gz, .zip, .tar.gz, inside each other too); - is standard input.", "PATH"
    )
    server: tuple[str, ...] = _given(
        (),
        "Whose logs they are: primary=PATH or secondary=PATH; may be repeated. Else recognised, or guessed.",
        "SERVER=PATH",
    )
    site: str = _given("", "A site: its logs (where no PATH is given), zones, names and rules.", "SITE")
    zone: tuple[str, ...] = _given(
        (), "The time zone where the logs give none: a name, an offset, or SERVER=ZONE.", "ZONE"
    )
    listcerts: tuple[str, ...] = _given(
        (), "What listcerts printed, as FILE or SERVER=FILE: names the entry that a mismatch means.", "FILE"
    )
    rules: str = _given("", "A file of further rules (docs/diagnosis.md).", "FILE")
    json: bool = _given(False, "Print JSON (docs/diagnosis.schema.json).")
    html: bool = _given(False, "Print an HTML page.")
    follow: bool = _given(False, "Keep watching and report what is new; Ctrl-C ends it with the whole answer.")
    progress: bool = _given(False, "Show progress on standard error, even where that is no terminal.")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> DiagnoseRequest:
        """Return the request from what a command line was given, by the names of the fields."""
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return cls(**{name: value for name, value in given.items() if value is not None} | lists)


def _diagnose(arguments: Sequence[str]) -> int:
    """Read the command line, diagnose, print, and return the exit code."""
    from runbook_lib.cli.diagnosing import diagnose_command

    request = DiagnoseRequest.of(vars(_parser().parse_args(arguments)))
    try:
        return diagnose_command(request)
    except KeyboardInterrupt:
        err("Interrupted: the logs were not read to their end, so nothing can be said of them.")
        return INTERRUPTED_EXIT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runbook diagnose", description=ABOUT, epilog=f"{DIAGNOSE_EXIT_CODES}. {EXAMPLES}", allow_abbrev=False
    )
    for each in fields(DiagnoseRequest):
        flag = f"--{each.name}"
        kind = {"metavar": each.metadata["form"]} if each.metadata["form"] else {"action": "store_true"}
        if each.name == "path":
            flag = each.name
            kind["nargs"] = "*"
        elif isinstance(each.default, tuple):
            kind["action"] = "append"
        parser.add_argument(flag, help=each.metadata["help"], **kind)
    return parser
