"""The connections of a stage: closed with it, or handed to the stage that follows in the same kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass

from runbook_lib import event_loop
from runbook_lib.device.prime import Keep
from runbook_lib.models import Stage
from runbook_lib.params.model import Site
from runbook_lib.repair.context import Context, Devices, ProgressCallback
from runbook_lib.repair.primary_pages import PrimaryPages

# A run has one kernel for all of its stages. What a stage that is done leaves open there (the command lines, the
# browser and its session) serves the next one, if that is of the same site, to the letter of its file, and of the same
# incident. Nothing that was found out goes with it: each stage confirms certificates by itself, and reads anew.

LAST_STAGE = "RUNBOOK_LAST_STAGE"
"""The variable by which a run tells its kernel the last of its stages; without it each stage closes what it opened."""


@dataclass(frozen=True)
class _Left:
    site: Site
    incident: str
    devices: Devices
    pages: PrimaryPages


_left: _Left | None = None


def devices_for(site: Site, incident: str, keep: Keep, tell: ProgressCallback) -> Devices:
    """Return the devices that the stage before left open, if they are of this site and incident, else new ones."""
    if _left is not None and (_left.site, _left.incident) != (site, incident):
        close(_left.devices, _left.pages)
    devices = Devices(site, keep) if _left is None else _left.devices
    devices.serve(keep, tell)
    return devices


def pages_for(context: Context) -> PrimaryPages:
    """Return the primary's pages for a stage; those that came with its devices go on with it."""
    if _left is None or _left.devices is not context.devices:
        return PrimaryPages(context)
    _left.pages.serve(context)
    return _left.pages


def leave(context: Context, pages: PrimaryPages) -> None:
    """At the end of a stage that is done: leave everything open where the run goes on, else close it."""
    global _left
    if _goes_on(context.stage):
        _left = _Left(context.site, context.record.incident, context.devices, pages)
    else:
        close(context.devices, pages)


def close(devices: Devices, pages: PrimaryPages) -> None:
    """Close the browser and every command line of a stage; nothing is left open for another one."""
    global _left
    _left = None

    async def both() -> None:
        await pages.close()
        await devices.close()

    event_loop.run(both())


def _goes_on(stage: Stage) -> bool:
    last = os.environ.get(LAST_STAGE)
    return last is not None and stage != last
