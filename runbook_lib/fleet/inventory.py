"""From a name, a file or a folder to the sites of a fleet: nothing is contacted, and all problems are named at once."""

from __future__ import annotations

import re
from pathlib import Path

from runbook_lib.errors import SiteFileInvalid
from runbook_lib.fleet.duplicates import refuse_duplicates
from runbook_lib.fleet.fleet_file import read_fleet_file
from runbook_lib.fleet.nornir_inventory import HOSTS, read_nornir
from runbook_lib.fleet.problems import Problems
from runbook_lib.fleet.sites import Fleet
from runbook_lib.places import params_dir, params_files


def load_fleet(name_or_path: str | Path) -> Fleet:
    """Return the fleet of a name in ``params/``, of a fleet's file, or of the folder of a nornir inventory.

    Raises SiteFileInvalid, whose ``found`` has one line ``file:line: site: key: what is wrong; what to write
    instead`` for every problem of every site, two names for the same servers included.
    """
    path = fleet_path(name_or_path)
    problems = Problems(path)
    fleet = read_nornir(path.parent, problems) if path.name == HOSTS else read_fleet_file(path, problems)
    refuse_duplicates(fleet.sites, problems)
    problems.raise_for_them()
    return fleet


def fleet_path(name_or_path: str | Path) -> Path:
    """Return the file of a fleet, for a nornir inventory its ``hosts.yaml``; raises SiteFileInvalid without one."""
    text = str(name_or_path)
    is_name = re.fullmatch(r"[\w.-]+", text) is not None and not text.endswith((".yaml", ".yml"))
    path = Path(name_or_path)
    if is_name and not path.is_dir():
        path = params_files().get(text, params_dir() / f"{text}.yaml")
    found = path / HOSTS if path.is_dir() else path
    if found.is_file():
        return found
    raise SiteFileInvalid(
        f"There is no fleet {text!r}",
        where=str(found),
        next_step="give a name in params/, the path of a fleet's file (copy params/fleet.example.yaml), or the folder"
        " of a nornir inventory",
    )
