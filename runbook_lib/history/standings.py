"""How every site stands: its newest incident, and when the first of the certificates that were seen in it expires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runbook_lib.models import PastIncident, Standing


def standings(incidents: Iterable[PastIncident], sites: Sequence[str] = ()) -> tuple[Standing, ...]:
    """Return how each site stands, by name; ``incidents`` are newest first, ``sites`` are told of without one too."""
    newest: dict[str, PastIncident] = {}
    for incident in incidents:
        if incident.site:
            newest.setdefault(incident.site, incident)
    found = {name: _standing(incident) for name, incident in newest.items() if not sites or name in sites}
    missing = {name: Standing(site=name) for name in sites if name not in found}
    return tuple(each for _, each in sorted((found | missing).items()))


def _standing(incident: PastIncident) -> Standing:
    return Standing(
        site=incident.site,
        incident=incident.incident,
        state=incident.state,
        not_after_utc=incident.not_after_utc,
    )
