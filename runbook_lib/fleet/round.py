"""A round: one evening of one fleet, in a folder of its own beside the incidents.

``records/fleet-<id>/`` is a record as an incident's is: a journal, files that are written once, a seal. It holds
``incident.json`` (which fleet, by whom), ``sites/<name>.json`` (what the fleet's description said of each site when
it was planned), ``rollups/<digest>.json`` (the plans of all sites under one digest) and ``outcomes/`` (how each site
ended). What was done at a site is in the incident of that site; the round names it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from runbook_lib.errors import ParameterRefused
from runbook_lib.record import Kind, Record, operator
from runbook_lib.record.bundle import OPENING, site_slug
from runbook_lib.record.files import make_folder
from runbook_lib.record.redaction import gate_json
from runbook_lib.record.stages import FINAL
from runbook_lib.record.vault import damaged

ROUND = re.compile(r"fleet-\d{8}T\d{6}Z-[A-Za-z0-9-]{1,40}-[0-9a-f]{4}")
STAGE = "fleet"
"""Under this name the journal of a round tells of sites."""


class Round(Record):
    """The record of one round; ``incident`` is its id, ``site`` the fleet's name."""

    def __repr__(self) -> str:
        return f"<Round {self.incident} of fleet {self.site}>"

    @classmethod
    def create(cls, root: Path, site: str, *, what: str = "") -> Round:
        """Begin a round of the fleet called ``site``; ``what`` says by which command."""
        now = datetime.now(UTC)
        identity = f"fleet-{now:%Y%m%dT%H%M%SZ}-{site_slug(site)}-{secrets.token_hex(2)}"
        found = cls(root, identity, site)
        make_folder(found.folder)
        opening = {"incident": identity, "site": site, "opened_utc": now.isoformat(), "by": operator(), "what": what}
        found.keep_json(OPENING, gate_json(opening), kind=Kind.INCIDENT_OPENED, expected=site, text=what)
        return found

    @classmethod
    def open(cls, root: Path, incident: str) -> Round:
        """Open a round by its id. Raises ``ParameterRefused`` if there is none, ``RecordDamaged``."""
        if not ROUND.fullmatch(incident) or not (root / incident).is_dir():
            raise ParameterRefused(
                "there is no such round",
                where=str(root),
                found=incident,
                next_step="take the name of a folder fleet-… there, or leave it out for the fleet's newest one",
            )
        found = cls(root, incident, "")
        opening = found.opening()
        if opening["incident"] != incident:
            raise damaged(found.folder, f"it is the record of {opening['incident']}")
        found.site = opening["site"]
        return found

    @property
    def is_open(self) -> bool:
        """Whether the round goes on: it has no outcome, or one that leaves something to do."""
        return self.outcome() not in FINAL


def rounds_of(root: Path, fleet: str = "") -> Iterable[Round]:
    """Yield the rounds, of one fleet or of all, the newest first."""
    part = f"-{site_slug(fleet)}-" if fleet else ""
    names = (path.name for path in root.iterdir() if part in path.name) if root.is_dir() else ()
    for name in sorted((name for name in names if ROUND.fullmatch(name)), reverse=True):
        found = Round.open(root, name)
        if not fleet or found.site == fleet:
            yield found


def newest_round(root: Path, fleet: str) -> Round | None:
    """Return the newest round of a fleet."""
    return next(iter(rounds_of(root, fleet)), None)
