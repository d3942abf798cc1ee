"""Who runs sites: the workers of this machine, or those of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runbook_lib.fleet.task import SiteEvent, SiteResult, SiteTask


class Executor(Protocol):
    """Runs one site a task, several at a time. ``refused``: what the address of the records did not take, and why."""

    refused: list[str]

    async def run(self, task: SiteTask, tell: Callable[[SiteEvent], None]) -> SiteResult:
        """Run one site and return how it ended; a worker that dies is a result, not an error."""
        ...

    def halt(self) -> None:
        """Let each site stop before its first change; one that has begun to change goes on to its end."""
        ...

    def abort(self) -> None:
        """End whatever runs now; the results say what is known then."""
        ...

    async def close(self) -> None:
        """Let the workers go."""
        ...
