"""What every step is given: the site, its record, its devices, and a way to tell of progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from runbook_lib.console.identity import identities
from runbook_lib.models import Stage
from runbook_lib.params import Site
from runbook_lib.record import Line, Record, SiteLock
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.progress import Tell, say_nothing


def now_utc() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """One stage at work on one incident of one site. ``attended``: a person runs it and sees what it tells.

    ``later``: the lines after the record's newest seal, as they were when the stage was opened by hand.
    """

    site: Site
    record: Record
    stage: Stage
    devices: Devices
    operator: str
    records_root: Path
    tell: Tell = say_nothing
    attended: bool = False
    later: tuple[Line, ...] = ()
    now: Callable[[], datetime] = field(default=now_utc)

    def lock(self, purpose: str) -> SiteLock:
        """Return the lock of the site's servers, to be entered around whatever changes them."""
        return SiteLock(self.site.name, identities(self.site), purpose=purpose, incident=self.record.incident)
