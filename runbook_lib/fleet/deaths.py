"""What is known of a site whose worker died: asked of the site's record, once nothing works there any more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from runbook_lib.console.identity import identities
from runbook_lib.errors import RunbookError
from runbook_lib.fleet.site_run import settled_state
from runbook_lib.fleet.task import FINISHED, SiteResult, SiteState, SiteTask
from runbook_lib.models import Outcome
from runbook_lib.params import load_site
from runbook_lib.record import Record, SiteLock

STRAGGLERS_S = 90.0
"""A kernel outlives its dead parent by a moment; a Dask worker without a scheduler gives what it runs 30 s to end."""
_DIED = "the process that ran it died"


def take_lock(task: SiteTask, purpose: str) -> SiteLock:
    """Return the lock of a site's servers, entered; raises SiteLocked where another run has one of them."""
    servers = identities(load_site(Path(task.site_file)))
    return SiteLock(task.site, servers, incident=task.incident, purpose=purpose).__enter__()


async def alone(lock: SiteLock) -> bool:
    """Wait until no process works at the site any more.

    Who works under another's lock himself cannot tell, and leaves it to that one.
    """
    for _ in range(round(STRAGGLERS_S / 0.1)):
        if not lock.token or lock.alone():
            return True
        await asyncio.sleep(0.1)
    return False


def locked(task: SiteTask, error: RunbookError) -> SiteResult:
    """Return the result of a site whose lock cannot be had: mostly because another run has it."""
    why = f"{type(error).__name__}: {error.what}: {error.found}"
    return SiteResult(site=task.site, incident=task.incident, state=SiteState.STOPPED, why=why)


def left_behind(task: SiteTask) -> SiteResult:
    """Return the result of a site at which something still works that nobody steers."""
    why = f"{_DIED}, and something that it had started still works at the site"
    return SiteResult(site=task.site, incident=task.incident, state=SiteState.UNKNOWN, why=why)


def after_death(task: SiteTask) -> SiteResult:
    """Say what is known after a worker died, in the site's record too: it could not do so itself."""
    state = settled_state(task)
    if state in FINISHED:
        why = f"{_DIED} after stage 60 had found it {state}"
        return SiteResult(site=task.site, incident=task.incident, state=state, why=why)
    why = _DIED
    if state is SiteState.UNKNOWN:
        why += " while a change may have been under way; the next run looks at the site anew before it repeats anything"
    with suppress(RunbookError):
        record = Record.open(Path(task.records), task.incident)
        record.set_outcome(Outcome.UNKNOWN if state is SiteState.UNKNOWN else Outcome.FAILED, why)
    return SiteResult(site=task.site, incident=task.incident, state=state, why=why)
