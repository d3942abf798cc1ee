"""``runbook history``: the incidents of this machine's records, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from runbook_lib import places
from runbook_lib.cli.terminal import err, out, out_lines
from runbook_lib.errors import ParameterRefused
from runbook_lib.history import Query, past_incidents
from runbook_lib.history.standings import standings
from runbook_lib.models import Standing
from runbook_lib.views import View
from runbook_lib.views.fleet_map import fleet_map
from runbook_lib.views.incidents import table_of

TELL_FROM = 200
"""So many records to be read anew take long enough to say so."""


def history_command(query: Query, *, last: int, as_json: bool, sites: bool = False, map_file: str = "") -> None:
    """Print the incidents that fit, the newest first; ``last``: so many at most (0: all).

    ``sites``: how each site of these incidents stands instead; ``map_file``: write that as a picture, too.
    """
    found = past_incidents(places.records_dir(), query, _tell)
    if sites or map_file:
        tell_standings(standings(found), map_file)
    elif as_json:
        from pydantic_core import to_jsonable_python

        rows = [{**to_jsonable_python(one), "state": one.state} for one in (found[:last] if last else found)]
        out_lines(json.dumps(rows, indent=1))
    else:
        out_lines(View(found, (table_of(found, last),)).text().rstrip())


def tell_standings(found: Sequence[Standing], map_file: str) -> None:
    """Print how each site stands, and write the map where a file is named."""
    view = fleet_map(found)
    out_lines(view.text().rstrip())
    if map_file:
        write_map(view, map_file)


def write_map(view: View[Sequence[Standing]], map_file: str) -> None:
    """Write the view's picture; raises ParameterRefused where the file cannot be written."""
    path = Path(map_file).expanduser()
    try:
        path.write_text("".join(picture.standalone() for picture in view.pictures), encoding="utf-8")
    except OSError as error:
        raise ParameterRefused("The map cannot be written", where=str(path), found=error.strerror or "") from None
    out(f"map:     {path}")


def _tell(count: int, total: int) -> None:
    if total >= TELL_FROM and (count == total or count % TELL_FROM == 0):
        err(f"read {count} of {total} records that are new or have changed")
