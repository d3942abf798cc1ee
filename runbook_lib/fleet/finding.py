"""What triage says of a site: frozen values, in the words of the issue that they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runbook_lib.models import Verdict


class Condition(StrEnum):
    """In which of four states a site was found; the last ones first need somebody."""

    HEALTHY = "healthy"
    REPAIRABLE = "repairable"
    NEEDS_A_PERSON = "needs a person"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One thing that was asked of a site; ``problem`` is empty where it was answered."""

    name: str
    seconds: float
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """A certificate that a host of a site presents now, and how many days it is good for, below 0 where it is not."""

    target: str
    host: str
    port: int
    sha256: str
    subject: str
    not_after_utc: datetime
    days: int
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One site as triage saw it. ``why`` are sentences; ``deletions`` the entries that a plan would delete."""

    site: str
    where: str
    condition: Condition
    why: tuple[str, ...]
    deletions: tuple[str, ...] = ()
    verdicts: dict[str, Verdict]
    ha: dict[str, str]
    certificates: tuple[Expiry, ...]
    phases: tuple[Phase, ...]

    @property
    def days(self) -> int | None:
        """The days until the first of the site's certificates expires; None where none was seen."""
        return min((certificate.days for certificate in self.certificates), default=None)

    @property
    def contradicted(self) -> bool:
        """Whether a host presents what contradicts the operator's knowledge: a suspected interception."""
        return Verdict.CONTRADICTED in self.verdicts.values()
