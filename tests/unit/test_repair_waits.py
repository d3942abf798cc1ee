"""Waiting until what the devices show has settled, on a clock that the test holds in its hands."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import Incident

from runbook_lib.batch import local
from runbook_lib.errors import ConnectionLost, DeviceError, DeviceSilent, DeviceUnreachable
from runbook_lib.models import PI_SERVERS, HaStatus, Inventory, Stage, TofuStore
from runbook_lib.observations import Diagnosis, HaPage
from runbook_lib.repair import ha_state, proof
from runbook_lib.repair.context import POLL_S, Context, wait_until
from runbook_lib.repair.ha_state import _watch_servers, entry_checks, settled_states
from runbook_lib.web.pages import _Watch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Jumps(selectors.DefaultSelector):
    """Waits for nothing: where a wait would begin, it is over, and the clock shows how long it would have taken."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0
        return super().select(0)


class _HeldClock(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everything on it waits."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now

    def pass_by(self, seconds: float) -> None:
        """Let so much time pass at once, as a call does that keeps the loop busy."""
        self._jumps.now += seconds


class Watched:
    """Devices that show one state after another, the last for good; ``told`` and ``looks`` hold the time of each."""

    def __init__(self, folder: Path, states: Sequence[str], *, settle_s: float, look_s: float = 0) -> None:
        self.states, self.look_s = list(states), look_s
        self.told: list[tuple[str, float]] = []
        self.looks: list[float] = []
        context = Incident(folder, listed=False).context
        deadlines = context.site.deadlines.model_copy(update={"settle_s": settle_s})
        site = context.site.model_copy(update={"deadlines": deadlines})
        self.context: Context = replace(context, site=site, progress=lambda text, done: self.told.append((text, done)))

    def wait(self) -> tuple[str, float]:
        """Wait for the state "up": what was seen in the end, and after how many seconds."""

        async def wait() -> tuple[str, float]:
            clock = asyncio.get_running_loop().time
            start = clock()

            async def look() -> str:
                self.looks.append(clock() - start)
                await asyncio.sleep(self.look_s)
                return self.states.pop(0) if len(self.states) > 1 else self.states[0]

            last = await wait_until(self.context, look, lambda state: "" if state == "up" else f"it is {state}")
            return last, clock() - start

        with asyncio.Runner(loop_factory=_HeldClock) as runner:
            return runner.run(wait())


def test_what_is_waited_for_is_told_until_it_has_settled(tmp_path: Path) -> None:
    """Each look tells what it saw and how much of the time is over; the one that shows it settled ends the waiting."""
    watched = Watched(tmp_path, ["down", "starting", "up"], settle_s=100 * POLL_S)
    assert watched.wait() == ("up", pytest.approx(2 * POLL_S))
    assert watched.told == [("it is down", 0.0), ("it is starting", pytest.approx(0.01))]


def test_what_never_settles_is_looked_at_once_more_at_the_deadline(tmp_path: Path) -> None:
    """It is returned as it was last seen, and the last look begins at the deadline, not before it."""
    watched = Watched(tmp_path, ["down"], settle_s=2.5 * POLL_S)
    assert watched.wait() == ("down", pytest.approx(2.5 * POLL_S))
    assert watched.looks == pytest.approx([0, POLL_S, 2 * POLL_S, 2.5 * POLL_S])


def test_no_time_to_wait_is_one_look(tmp_path: Path) -> None:
    """With ``settle_s: 0`` what is seen first is what is returned, and nothing is told."""
    watched = Watched(tmp_path, ["down", "up"], settle_s=0)
    assert watched.wait() == ("down", 0)
    assert watched.told == []


@pytest.mark.parametrize("look_s", [0.2, POLL_S, 30.0, 1000.0])
def test_time_that_the_looks_take_counts(tmp_path: Path, look_s: float) -> None:
    """Servers that answer slowly do not stretch the deadline: at most one look ends after it."""
    watched = Watched(tmp_path, ["down"], settle_s=600, look_s=look_s)
    last, took = watched.wait()
    assert last == "down"
    assert max(watched.looks) <= 600 + 1e-6
    assert took == pytest.approx(max(watched.looks) + look_s)
    assert took >= 600
    assert all(0 <= done <= 1 for _, done in watched.told)


def test_what_takes_hours_is_looked_at_less_and_less_often(tmp_path: Path) -> None:
    """Each is work for a server and a part of the record; what comes up is seen within a twentieth of the time."""
    watched = Watched(tmp_path, ["down"], settle_s=4 * 3600)
    watched.wait()
    gaps = [(after - before) / max(20 * POLL_S, before) for before, after in pairwise(watched.looks)]
    assert max(gaps) <= 1 / 20 + 1e-6
    assert len(watched.looks) < 200


@pytest.mark.parametrize("lively", [True, False])
def test_the_page_of_a_long_registration_is_opened_anew_now_and_then(lively: bool) -> None:
    """Never while it shows something new; else within a minute, for four hours, and each time from the first page."""
    opened: list[float] = []

    async def watch() -> None:
        clock = asyncio.get_running_loop().time

        async def observe(reopen: bool) -> HaPage:
            opened.extend([clock()] if reopen else [])
            seen = f"at {clock()}" if lively else "Primary Syncing"
            return HaPage(configuration_mode=seen, message="", read_utc=NOW, under_way=True)

        deadlines = SimpleNamespace(registration_s=4 * 3600.0)
        pages = SimpleNamespace(_poll_s=2.0, _observe=observe, is_active=lambda _: False)
        pages._browser = SimpleNamespace(deadlines=deadlines, base_url="https://a")
        pages._view, pages._ha = SimpleNamespace(wait_for_change=asyncio.sleep), SimpleNamespace(failure=lambda _: None)
        await _Watch(cast("Any", pages), lambda _: None).run()

    with asyncio.Runner(loop_factory=_HeldClock) as runner, pytest.raises(DeviceSilent):
        runner.run(watch())
    assert bool(opened) != lively
    assert max((after - before for before, after in pairwise(opened)), default=0) <= 60 + 10
    assert len(opened) < 400


def test_both_servers_of_a_long_registration_are_asked_some_hundred_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds apart at first, two minutes at last."""
    asked: list[float] = []

    async def observe(_: Context) -> tuple[HaStatus, ...]:
        asked.append(asyncio.get_running_loop().time())
        return ()

    async def watch() -> None:
        context = Incident(tmp_path, listed=False).context
        page = HaPage(configuration_mode="", message="", read_utc=NOW, under_way=True)
        async with asyncio.timeout(4 * 3600):
            await _watch_servers(context, [page], asyncio.Lock())

    monkeypatch.setattr(ha_state, "observe_ha", observe)
    with asyncio.Runner(loop_factory=_HeldClock) as runner, pytest.raises(TimeoutError):
        runner.run(watch())
    gaps = [after - before for before, after in pairwise(asked)]
    assert (min(gaps), max(gaps)) == pytest.approx((10, 120))
    assert len(asked) < 300


def test_whoever_waits_for_a_sites_processes_goes_by_the_clock() -> None:
    """Where each look takes as long as a third of the deadline, the third is the last: looks count as well."""
    looks: list[float] = []

    async def waited() -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _HeldClock)

        def busy() -> bool:
            looks.append(loop.time())
            loop.pass_by(local.STRAGGLERS_S / 3)
            return False

        return await local.wait_until_alone(cast("Any", SimpleNamespace(token="t", alone=busy)))

    with asyncio.Runner(loop_factory=_HeldClock) as runner:
        assert not runner.run(waited())
    assert len(looks) == 3


@pytest.mark.parametrize("stage", [Stage.REGISTER, Stage.VERIFY])
def test_servers_that_are_away_for_a_moment_end_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    """Neither while HA settles nor at the last look of stage 60 at the stores: they are asked again."""
    incident = Incident(tmp_path)
    away: list[DeviceError] = [ConnectionLost("gone"), DeviceUnreachable("gone")]
    seen = incident.record.read_facts(Stage.LIST, "inventory", Inventory)

    def prime(server: str) -> SimpleNamespace:
        async def ask(of: str) -> object:
            if away and server == "secondary":
                raise away.pop()
            return seen.store(server) if of == "store" else next(each for each in seen.ha if each.server == server)

        return SimpleNamespace(list_tofu=lambda: ask("store"), ha_status=lambda: ask("HA"))

    async def nothing(*_given: object, **_named: object) -> tuple[object, ...]:
        return ()

    async def looked(*_given: object) -> tuple[object, ...]:
        return (), seen.judgements

    context = replace(incident.context, stage=stage, devices=cast("Any", SimpleNamespace(prime=prime)))
    monkeypatch.setattr(proof, "read_logs", lambda _context: Diagnosis(mismatches=(), no_logs=PI_SERVERS))
    for name in ("observe_ha", "entry_checks", "prove_ise"):
        monkeypatch.setattr(proof, name, nothing)
    monkeypatch.setattr(proof, "look_at_all", looked)
    with asyncio.Runner(loop_factory=_HeldClock) as runner:
        if stage is Stage.REGISTER:
            assert runner.run(settled_states(context)) == seen.ha
        else:
            assert len(runner.run(proof.verify(context, cast("Any", None)))) > 1
    assert away == []


@pytest.mark.parametrize(("error", "sent", "ok"), [(ConnectionLost, True, True), (DeviceSilent, True, None)])
def test_a_store_is_read_again_where_its_server_was_away(
    tmp_path: Path, error: type[DeviceError], sent: bool, ok: bool | None
) -> None:
    """What a service that starts again did not say is no gap in the proof; a command that was not answered is one."""
    incident = Incident(tmp_path)
    away = [error("gone") for _ in range(3)]
    for each in away:
        each.sent = sent

    async def list_tofu() -> TofuStore:
        if away:
            raise away.pop()
        return incident.record.read_facts(Stage.LIST, "inventory", Inventory).store("primary")

    devices = SimpleNamespace(prime=lambda _name: SimpleNamespace(list_tofu=list_tofu))
    context = replace(incident.context, devices=cast("Any", devices))
    with asyncio.Runner(loop_factory=_HeldClock) as runner:
        (check,) = runner.run(entry_checks(context, [("primary", "secondary")]))
    assert check.ok is ok
