"""Fleets for tests: files with as many sites as wanted at addresses that nobody has, and workers that only pretend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.batch.site_run import SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.models import Stage

DEFAULTS: dict[str, Any] = {
    "primary": {"ssh": {"user": "admin", "password": "env:SSH"}},
    "secondary": {"ssh": {"user": "admin", "password": "env:SSH"}},
    "ha": {"auth_key": "env:KEY"},
}


def inline(number: int, **more: Any) -> dict[str, Any]:
    """One inline site; its addresses follow from its number."""
    site = {
        "name": f"site-{number:04}",
        "primary": {"address": f"10.{number // 250}.{number % 250}.1"},
        "secondary": {"address": f"10.{number // 250}.{number % 250}.2"},
    }
    return site | more


def fleet_file(folder: Path, sites: Iterable[Mapping[str, Any]], **more: Any) -> Path:
    """Write a fleet's file and return its path."""
    path = folder / "evening.yaml"
    content = {"name": "evening", "defaults": DEFAULTS, **more, "sites": [dict(site) for site in sites]}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def task(number: int, *, until: Stage = Stage.VERIFY) -> SiteTask:
    """A task for one site."""
    name = f"site-{number:04}"
    return SiteTask(site=name, site_file="", incident=f"i-{name}", approve="", until=until, records="/nowhere")


class Pretend:
    """Workers that end each site as they are told; ``running`` counts those in flight, ``most`` the most at a time."""

    def __init__(self, states: Mapping[str, SiteState] | None = None, contradicted: Iterable[str] = ()) -> None:
        self.states = dict(states or {})
        self.contradicted = frozenset(contradicted)
        self.started: list[str] = []
        self.refused: list[str] = []
        self.running = self.most = 0
        self.halted = self.aborted = self.closed = False
        self.during: Callable[[SiteTask], None] = lambda task: None

    async def run(self, task: SiteTask, tell: Callable[[SiteEvent], None]) -> SiteResult:
        self.started.append(task.site)
        self.running += 1
        self.most = max(self.most, self.running)
        self.during(task)
        await asyncio.sleep(0)
        self.running -= 1
        state = self.states.get(task.site, SiteState.REPAIRED)
        contradicted = task.site in self.contradicted
        return SiteResult(site=task.site, incident=task.incident, state=state, contradicted=contradicted)

    def halt(self) -> None:
        self.halted = True

    def abort(self) -> None:
        self.aborted = True

    async def close(self) -> None:
        self.closed = True
