"""A round: one evening of one fleet, in a folder of its own beside the incidents.

``records/fleet-<id>/`` is a record as an incident's is: a journal, files that are written once, a seal. It holds
``incident.json`` (which fleet, by whom), ``sites/<name>.json`` (what the fleet's description said of each site when
it was planned), ``rollups/<digest>.json`` (the plans of all sites under one digest) and ``outcomes/`` (how each site
ended). What was done at a site is in the incident of that site; the round names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from runbook_lib.record import Record
from runbook_lib.record.bundle import INCIDENT, site_slug
from runbook_lib.record.stages import FINAL

STAGE = "fleet"
"""Under this name the journal of a round tells of sites."""


class Round(Record):
    """The record of one round; ``incident`` is its id, ``site`` the fleet's name, for ``create`` and ``open`` too."""

    PREFIX = "fleet-"
    PATTERN = re.compile(rf"{PREFIX}{INCIDENT.pattern}")
    NOT_THERE = "there is no such round"
    TAKE_ANOTHER = "take the name of a folder fleet-… there, or leave it out for the fleet's newest one"

    def __repr__(self) -> str:
        return f"<Round {self.incident} of fleet {self.site}>"

    @property
    def is_open(self) -> bool:
        """Whether the round goes on: it has no outcome, or one that leaves something to do."""
        return self.outcome() not in FINAL


def rounds_of(root: Path, fleet: str = "") -> Iterable[Round]:
    """Yield the rounds, of one fleet or of all, the newest first; one of another fleet is not even opened."""
    of = re.compile(rf"{Round.PREFIX}\d+T\d+Z-{site_slug(fleet)}-[0-9a-f]+" if fleet else "fleet-.*")
    names = (path.name for path in root.iterdir() if of.fullmatch(path.name)) if root.is_dir() else ()
    for name in sorted((name for name in names if Round.PATTERN.fullmatch(name)), reverse=True):
        found = Round.open(root, name)
        if not fleet or found.site == fleet:
            yield found


def newest_round(root: Path, fleet: str) -> Round | None:
    """Return the newest round of a fleet."""
    return next(iter(rounds_of(root, fleet)), None)
