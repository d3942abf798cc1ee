"""What the terminal says of a run that did not end well: what is done, what is not, what is unknown, and what to run.

From the record alone, for somebody at night: 80 columns, lists are counted, with their first three.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from runbook_lib.errors import MOST_LINES, StageOutOfOrder, one_line
from runbook_lib.models import Deletion
from runbook_lib.record import Record
from runbook_lib.record.stages import pending_changes
from runbook_lib.secrets import REDACTOR
from runbook_lib.session.nexts import next_run
from runbook_lib.steps.history import change_intents, deletion_intents, recorded_deletions

SHOWN = 3
_WIDTH, _INDENT, _FURTHER = 80, " " * 12, " " * 9


def left_behind(record: Record) -> str:
    """Return the text; where nothing was sent and nothing is planned, the next command alone."""
    results = {(each.server, each.key): each.result for each in recorded_deletions(record)}
    sent = deletion_intents(record)
    pending = [(change.server, change.text) for change in pending_changes(record.journal.read().lines)]
    unseen = [place for place in sent if results.get(place) is not Deletion.GONE and place not in pending]
    changes = [("primary", words) for words, _ in change_intents(record) if ("primary", words) not in pending]
    told = [
        ("done", [place for place in sent if place not in unseen and place not in pending] + changes),
        ("not done", [place for place in _planned(record) if place not in sent]),
        ("unknown", pending + unseen),
    ]
    lines = [line for name, places in told if places for line in _row(name, _listed(places, record))]
    return "\n".join([*lines, *_row("next", next_run(record).splitlines())])


def shortened(problem: str, folder: Path) -> str:
    """Return an error's text, and of a long list that it found the first and the last three and where all of it is.

    ``folder`` is where a stage keeps what was found; where it kept nothing, the text stays as it is.
    """
    lines = problem.split("\n")
    begin = next((n for n, line in enumerate(lines) if line.startswith("  found: ")), len(lines))
    end = begin + 1
    while end < len(lines) and lines[end].startswith(_FURTHER):
        end += 1
    if end - begin <= MOST_LINES or not folder.is_dir():
        return problem
    cut = lines[end - 1].endswith(" more characters)")
    many = "more" if cut else f"{end - begin - 2 * SHOWN} more of {end - begin}"
    more = f"{_FURTHER}and {many}: {one_line(str(folder))}"
    return "\n".join([*lines[: begin + SHOWN], more, *lines[end - SHOWN :]])


def _planned(record: Record) -> list[tuple[str, str]]:
    try:
        plan = record.read_plan()
    except StageOutOfOrder:
        return []
    return [(row.server, row.key) for row in plan.deletions]


def _listed(places: Sequence[tuple[str, str]], record: Record) -> Iterable[str]:
    """Yield the first three, and how many there are beside them and where those stand."""
    for server, what in islice(places, SHOWN):
        whole = REDACTOR.redact_text(one_line(f"{server}: {what}"))  # before it is broken into lines
        yield from textwrap.wrap(whole, _WIDTH - len(_INDENT), subsequent_indent="  ")
    if len(places) > SHOWN:
        yield f"and {len(places) - SHOWN} more of {len(places)}: runbook plan {record.incident}"


def _row(name: str, lines: Iterable[str]) -> list[str]:
    return [f"{'' if number else name + ':':<{len(_INDENT)}}{line}" for number, line in enumerate(lines)]
