"""Stage 60 proves that no mismatch comes in any more: the logs stay as they are for a whole ``quiet_s``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import held_clock
import pytest
from incident_kit import Incident
from test_undecided_end import stage_60

from runbook_lib.errors import DeviceSilent
from runbook_lib.models import Inventory, Stage
from runbook_lib.observations import Check, CheckKind, Diagnosis
from runbook_lib.repair import proof
from runbook_lib.repair.ha_state import entry_checks
from runbook_lib.repair.sent_changes import INVENTORY_FACTS

QUIET_S = 30.0


def counted(incident: Incident, count: int) -> Diagnosis:
    """What is read of the logs when each mismatch stands in them so many times."""
    read = incident.diagnosis(datetime.now(UTC) - timedelta(hours=1))
    return replace(read, mismatches=tuple(replace(mismatch, count=count) for mismatch in read.mismatches))


class Story:
    """Stage 60 over logs that were read with so many mismatches each time, on a clock that the test holds."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, counts: Sequence[int], servers_s: float) -> None:
        incident = Incident(folder)
        self.left = [counted(incident, count) for count in counts]

        async def prove(*_given: object) -> tuple[Check, ...]:
            await held_clock.pass_by(servers_s)
            return ()

        self._context = stage_60(incident, patch, read=lambda _: self.left.pop(0), prove=prove, quiet_s=QUIET_S)
        self._stage: asyncio.Task[tuple[Check, ...]] | None = None

    async def ends_within(self, seconds: float) -> bool:
        """Let so many seconds pass, and say whether the stage has ended."""
        self._stage = self._stage or asyncio.ensure_future(proof.verify(self._context, cast("Any", None)))
        await held_clock.pass_by(seconds)
        return self._stage.done()

    def quiet(self) -> set[bool | None]:
        """What the stage says of new mismatches, over both servers."""
        assert self._stage
        return {check.ok for check in self._stage.result() if check.kind is CheckKind.MISMATCHES}


def test_the_time_that_the_servers_need_is_a_part_of_the_quiet_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logs are read before the servers are asked, and again once ``quiet_s`` has passed since then, not sooner."""

    async def go() -> None:
        story = Story(tmp_path, monkeypatch, [1, 1], servers_s=20)
        assert not await story.ends_within(0)
        assert not await story.ends_within(8)
        assert await story.ends_within(4)
        assert (story.quiet(), story.left) == ({True}, [])

    held_clock.run(go())


@pytest.mark.parametrize(("last", "ok"), [(2, True), (3, False)])
def test_after_a_mismatch_a_whole_quiet_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int, ok: bool
) -> None:
    """One that came in while the servers recovered condemns nothing, and one that comes in after that does."""

    async def go() -> None:
        story = Story(tmp_path, monkeypatch, [1, 2, last], servers_s=QUIET_S + 5)
        assert not await story.ends_within(0)
        assert not await story.ends_within(QUIET_S - 2)
        assert await story.ends_within(4)
        assert (story.quiet(), story.left) == ({ok}, [])

    held_clock.run(go())


def test_each_store_is_read_once_however_many_entries_are_looked_for(tmp_path: Path) -> None:
    """A server that takes the command and does not answer leaves its entries not known, and no others."""
    incident = Incident(tmp_path)
    silent = DeviceSilent("no answer")
    silent.sent = True
    seen = incident.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    asked: list[str] = []

    def prime(server: str) -> Any:
        async def list_tofu() -> object:
            asked.append(server)
            if server == "secondary":
                raise silent
            return seen.store(server)

        return SimpleNamespace(list_tofu=list_tofu)

    context = replace(incident.context, devices=cast("Any", SimpleNamespace(prime=prime)))
    wanted = [("primary", "secondary"), ("secondary", "primary"), ("primary", "ise")]
    checks = asyncio.run(entry_checks(context, wanted))
    assert sorted(asked) == ["primary", "secondary"]
    assert [(check.server, check.target) for check in checks] == wanted
    assert [check.ok for check in checks] == [True, None, True]
    assert checks[1].actual == "no answer"
