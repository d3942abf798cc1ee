"""What is sent to whoever runs one site, and what comes back: plain values, JSON both ways, no secret in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.models import Outcome, Stage


class SiteState(StrEnum):
    """What a roll-up says of a site."""

    REPAIRED = "repaired"
    REPAIRED_UNVERIFIED = "repaired_unverified"
    NOTHING_TO_DO = "nothing_to_do"
    DONE = "done"  # the stages that were asked for are done, and 60 was not among them
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_STARTED = "not_started"


FINISHED = frozenset(
    {SiteState.REPAIRED, SiteState.REPAIRED_UNVERIFIED, SiteState.NOTHING_TO_DO, SiteState.DONE},
)
FAILURES = frozenset({SiteState.FAILED, SiteState.UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    """One site to be run: its file (as the round keeps it), its incident, and the plan that was approved.

    ``approve`` is empty where stage 30 is to find the approval by itself; a site that calls itself the lab would
    approve any plan, so there it is the digest of the one that a person approved. ``token`` lets the one who runs it
    work under the lock that whoever sent the task holds.
    """

    site: str
    site_file: str
    described: str
    incident: str
    approve: str
    until: Stage
    records: str
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class SiteEvent:
    """Something that happened meanwhile: a stage began (``state`` empty) or ended."""

    site: str
    stage: Stage
    state: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SiteResult:
    """How one site ended; ``why`` is a sentence where it is not finished."""

    site: str
    incident: str
    state: SiteState
    why: str = ""
    contradicted: bool = False
    seconds: float = 0.0


def state_of(outcome: Outcome | None) -> SiteState:
    """Return what a roll-up calls the outcome of an incident; None: the stages that were asked for are done."""
    return SiteState.DONE if outcome is None else SiteState(outcome.value)
