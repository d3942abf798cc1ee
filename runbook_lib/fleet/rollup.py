"""The plans of many sites under one digest, which one approval can name. Pure.

The digest is SHA-256 over the canonical form (``runbook_lib.canonical``) of ``{"format": "runbook-fleet-plan-v1",
"fleet": …, "round": …, "sites": [...]}``. Each site has exactly the keys ``site``, ``incident``, ``plan`` (the digest
of its plan) and ``described`` (the digest of what the fleet's description said of it); the sites stand in the
order of their own canonical forms, compared as bytes. Sites without a plan that could be carried out are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from runbook_lib.canonical import canonical_json, sha256_hex

FORMAT = "runbook-fleet-plan-v1"


@dataclass(frozen=True, kw_only=True)
class PlannedSite:
    """One site's part of a roll-up, whose plan's digest covers it all.

    For people: ``deletions`` (``server: command``) and ``changes``, what may follow them. ``needs_approval``: something
    is to be done as things stand; a roll-up of release 0.1.0 knows deletions alone, and does not say.
    """

    site: str
    incident: str
    plan: str
    described: str
    deletions: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    needs_approval: bool | None = None

    @property
    def to_approve(self) -> bool:
        """Whether its plan has to be approved before anything is done at this site."""
        return bool(self.deletions) if self.needs_approval is None else self.needs_approval


@dataclass(frozen=True, kw_only=True)
class NotPlanned:
    """A site that no approval of the roll-up covers, and why."""

    site: str
    incident: str
    why: str
    contradicted: bool = False


@dataclass(frozen=True, kw_only=True)
class Rollup:
    """All plans of one round, and the digest that an approval names."""

    fleet: str
    round: str
    made_utc: datetime
    digest: str
    sites: tuple[PlannedSite, ...]
    not_planned: tuple[NotPlanned, ...] = ()

    def site(self, name: str) -> PlannedSite | None:
        return next((each for each in self.sites if each.site == name), None)


def rollup_digest(sites: Iterable[PlannedSite], *, fleet: str, round_id: str) -> str:
    """The digest that an approval of a whole round names."""
    parts = sorted((_part(each) for each in sites), key=canonical_json)
    return sha256_hex(canonical_json({"format": FORMAT, "fleet": fleet, "round": round_id, "sites": parts}))


def _part(each: PlannedSite) -> dict[str, str]:
    return {"site": each.site, "incident": each.incident, "plan": each.plan, "described": each.described}
