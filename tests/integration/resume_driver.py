"""Runs stages in a process that dies right after a given line of the journal was written; started by tests only.

One process imports everything and forks a child for each order that it reads, so that a death costs no start.
An order is a line of JSON: ``records`` (the folder), ``site``, ``intents`` and ``lines``: die so many lines after the
so-manieth intent, or after the first so many lines where ``intents`` is 0. The answer is how the child ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from resume_site import run_changing_stages

from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.journal_file import Journal


def die_after(intents: int, lines: int) -> None:
    """Have this process killed as soon as the journal holds that line."""
    append, seen = Journal.append, {"intents": 0, "lines": 0}

    def append_and_die(journal: Journal, kind: Kind, **fields: Any) -> Line:
        line = append(journal, kind, **fields)
        seen["lines"] += seen["intents"] == intents
        seen["intents"] += kind is Kind.INTENT
        if seen["intents"] >= intents and seen["lines"] >= lines:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    Journal.append = append_and_die  # type: ignore[method-assign]


def run_until_death(order: dict[str, Any]) -> None:
    """The child's life."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["RUNBOOK_RECORDS"] = order["records"]
    die_after(order["intents"], order["lines"])
    run_changing_stages(Path(order["site"]))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 1
            try:
                run_until_death(json.loads(line))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"exit": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
