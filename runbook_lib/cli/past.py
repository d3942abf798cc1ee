"""``runbook history``: the incidents of this machine's records, as a table or as JSON."""

from __future__ import annotations

import json
import sys

from runbook_lib import places
from runbook_lib.cli.running import out
from runbook_lib.history import Query, past_incidents
from runbook_lib.views.incidents import incidents

TELL_FROM = 200
"""So many records to be read anew take long enough to say so."""


def history_command(query: Query, *, last: int, as_json: bool) -> None:
    """Print the incidents that fit, the newest first; ``last``: so many at most (0: all)."""
    found = past_incidents(places.records_dir(), query, _tell)
    if as_json:
        from pydantic_core import to_jsonable_python

        rows = [{**to_jsonable_python(one), "state": one.state} for one in (found[:last] if last else found)]
        out(json.dumps(rows, indent=1))
    else:
        out(incidents(found, most=last).text().rstrip())


def _tell(count: int, total: int) -> None:
    if total >= TELL_FROM and (count == total or count % TELL_FROM == 0):
        print(f"read {count} of {total} records that are new or have changed", file=sys.stderr, flush=True)  # noqa: T201
