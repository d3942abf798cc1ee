"""How every site stands: its newest incident, and when the first of the certificates that were seen in it expires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from runbook_lib.errors import RunbookError
from runbook_lib.models import Inventory, PastIncident, Stage, Standing
from runbook_lib.record import Record

_LOOKS = (Stage.VERIFY, Stage.LIST)
"""The stages that look at all certificates, the later one first."""


def standings(root: Path, incidents: Iterable[PastIncident], sites: Sequence[str] = ()) -> tuple[Standing, ...]:
    """Return how each site stands, by name; ``incidents`` are newest first, ``sites`` are told of without one too.

    Raises nothing for a record that does not verify: nothing is taken from it then.
    """
    newest: dict[str, PastIncident] = {}
    for incident in incidents:
        if incident.site:
            newest.setdefault(incident.site, incident)
    found = {name: _standing(root, incident) for name, incident in newest.items() if not sites or name in sites}
    missing = {name: Standing(site=name) for name in sites if name not in found}
    return tuple(each for _, each in sorted((found | missing).items()))


def _standing(root: Path, incident: PastIncident) -> Standing:
    return Standing(
        site=incident.site,
        incident=incident.incident,
        state=incident.state,
        not_after_utc=None if incident.problem else _first_end(root, incident.incident),
    )


def _first_end(root: Path, incident: str) -> datetime | None:
    try:
        record = Record.open(root, incident)
    except RunbookError:
        return None
    for stage in _LOOKS:
        try:
            judgements = record.read_facts(stage, "inventory", Inventory).judgements
        except RunbookError:
            continue
        return min((each.facts.not_after_utc for each in judgements if each.facts), default=None)
    return None
