"""Groups of events to the mismatches of one server: which of the three places, and which groups mean one subject."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.logs.groups import Group, Key, group_at
from runbook_lib.logs.rules import PLACES
from runbook_lib.models import Mismatch
from runbook_lib.parse.names import common_name, fold_value, lone_common_name


def mismatches_of(server: str, zone: str, groups: Iterable[tuple[Key, Group]]) -> tuple[Mismatch, ...]:
    """Return the mismatches of a server, those that mean one subject as one.

    ``zone`` is the one that was named for its logs, or empty. The groups may come from several series of logs.
    """
    together: dict[Key, Group] = {}
    for key, group in groups:
        place = place_of(server, group.kind)
        home = group_at(together, (place, *key[1:]), Group(group.subject, group.name, place, group.cut))
        home.take(group)
    return tuple(
        Mismatch(
            server=server,
            place=g.kind,
            subject=g.subject,
            threads=tuple(g.threads),
            count=g.count,
            first_utc=g.times.first,
            last_utc=g.times.last,
            evidence=(*g.early, *(line for lines in g.late for line in lines)),
            first_said=g.times.first_said,
            last_said=g.times.last_said,
            zone_known=bool(zone) or not g.times.zoneless,
            notes=g.times.notes(zone),
            undated=g.times.unsaid + g.times.undated,
        )
        for g in _merged(list(together.values()))
    )


def place_of(server: str, kind: str) -> str:
    """Return the place that a server and a kind of thread make, as published; every other pair is ``unknown``."""
    return next((place.name for place in PLACES if (place.server, place.thread) == (server, kind)), "unknown")


def _merged(groups: list[Group]) -> list[Group]:
    """Merge what means one subject: a subject cut off, or a CN alone, with the one full subject that it fits."""
    kept = [g for g in groups if not g.cut and not _lone(g)]
    for rest in ([g for g in groups if not g.cut and _lone(g)], [g for g in groups if g.cut]):
        full = list(kept)
        for group in rest:
            means = [g for g in full if _means(group, g)]
            same_place = [g for g in means if g.kind == group.kind]
            home = same_place if group.kind != "unknown" or same_place else means
            if len(home) == 1:
                home[0].take(group)
            else:
                kept.append(group)
    return kept


def _lone(group: Group) -> str:
    return lone_common_name(group.name) if group.name else ""


def _means(group: Group, full: Group) -> bool:
    if group.cut:
        return full.subject.startswith(group.subject)
    return full.name is not None and fold_value(common_name(full.name)) == _lone(group)
