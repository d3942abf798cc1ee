"""How every site stands: its newest incident, and when the first of the certificates that were seen in it expires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runbook_lib.models import PastIncident, Standing
from runbook_lib.record.bundle import site_slug, slug_in


def standings(incidents: Iterable[PastIncident], sites: Sequence[str] = ()) -> tuple[Standing, ...]:
    """Return how each site stands, by name; ``incidents`` are newest first, ``sites`` are told of without one too.

    A damaged record counts for every site that it may be of by its name, so that no older one is taken for the newest.
    """
    found = tuple(incidents)
    names = set(sites) or {each.site for each in found if each.site}
    called: dict[str, list[str]] = {}
    for name in names:
        called.setdefault(site_slug(name), []).append(name)
    newest: dict[str, PastIncident] = {}
    for incident in found:
        slug = slug_in(incident.incident)
        unknown = [] if sites else [slug]
        for name in called.get(slug, unknown) if incident.problem else names & {incident.site}:
            newest.setdefault(name, incident)
    return tuple(_standing(name, newest.get(name)) for name in sorted(names | newest.keys()))


def _standing(site: str, incident: PastIncident | None) -> Standing:
    if incident is None:
        return Standing(site=site)
    return Standing(site=site, incident=incident.incident, state=incident.state, not_after_utc=incident.not_after_utc)
