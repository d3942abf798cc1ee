"""Run All ends at a red cell, also where that is the first cell of ours that a kernel runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from ipykernel.kernelbase import Kernel
from jupyter_client.session import Session

from runbook_lib.errors import ParameterRefused
from runbook_lib.notebook import opening
from runbook_lib.show import advice
from runbook_lib.show.advice import LONGEST_WAY_S, UNSEEN_S, Gate

IMPORT = timedelta(hours=1)
SOON = timedelta(seconds=1)


class Silent(Session):
    """Nobody is connected."""

    def send(self, *_given: Any, **_named: Any) -> dict[str, Any]:
        return {"content": {"status": "error"}}


class NewKernel(Kernel):
    """ipykernel's own way from a request to a cell; the import that its one cell begins with took an hour."""

    cell: Callable[[], None]

    def init_metadata(self, parent: dict[str, Any]) -> dict[str, Any]:
        return {"started": datetime.now(UTC) - IMPORT}

    async def execute_request(self, *given: Any) -> None:
        """As the kernel of IPython does."""
        await super().execute_request(*given)  # type: ignore[no-untyped-call]

    async def do_execute(self, *_given: Any, **_named: Any) -> dict[str, Any]:
        self.cell()
        return {"status": "ok"}


def request(sent: datetime, *, by_hand: bool = False) -> dict[str, Any]:
    content = {"code": "", "silent": True, "stop_on_error": True, "allow_stdin": by_hand}
    header = {"msg_type": "execute_request", "session": "page", "date": sent}
    return {"header": header, "content": content, "metadata": {}}


@pytest.mark.parametrize("clock", [timedelta(), timedelta(days=-400), timedelta(hours=3)], ids=str)
def test_the_first_red_cell_of_a_kernel_ends_run_all_however_long_its_import_took(clock: timedelta) -> None:
    """The gate is made at the end of the import; the cell that was sent with this one is not run after it."""
    kernel: Any = NewKernel(session=Silent(), log=logging.getLogger(__name__))  # type: ignore[no-untyped-call]
    pressed = datetime.now(UTC) - IMPORT - SOON + clock
    gates = []

    def cell() -> None:
        gates.append(Gate(kernel))
        gates[0].cell_ended(SimpleNamespace(success=False))

    kernel.cell = cell
    first = request(pressed)
    kernel.set_parent([], first)
    asyncio.run(kernel.execute_request(None, [], first))
    assert not gates[0].should_handle(None, request(pressed + SOON), [])
    assert gates[0].should_handle(None, request(datetime.now(UTC) + clock), []), "a person has seen it"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Callable[[float], None], list[dict[str, Any]]]:
    """A gate in a kernel at work, what lets seconds pass, and what the kernel answered by itself."""
    now = [1000.0]
    monkeypatch.setattr(advice, "time", SimpleNamespace(monotonic=lambda: now[0]))
    answered: list[dict[str, Any]] = []
    session = SimpleNamespace(send=lambda _stream, kind, content, **_: answered.append({"kind": kind, **content}))
    kernel = SimpleNamespace(session=session, get_parent=lambda _channel: None)

    def passes(seconds: float) -> None:
        now[0] += seconds

    return Gate(kernel), passes, answered


PRESSED = datetime(2026, 11, 28, tzinfo=UTC)


def test_what_came_behind_a_red_cell_is_answered_as_aborted_until_somebody_sends_anew(
    gate: tuple[Any, Callable[[float], None], list[dict[str, Any]]],
) -> None:
    """The rest of Run All is answered, not swallowed; the first request of somebody who saw the red cell ends that."""
    one, passes, answered = gate
    assert one.should_handle(None, request(PRESSED), [])
    passes(2)
    one.cell_ended(SimpleNamespace(success=False))
    passes(1)
    assert not one.should_handle(None, request(PRESSED + timedelta(milliseconds=1)), [])
    assert answered == [{"kind": "execute_reply", "status": "aborted"}]
    assert one.should_handle(None, request(PRESSED + timedelta(seconds=3)), [])
    assert one.should_handle(None, request(PRESSED + timedelta(milliseconds=2)), []), "the red cell is over"


def test_a_front_end_that_is_late_with_run_all_runs_nothing_behind_a_red_cell_that_nobody_has_read(
    gate: tuple[Any, Callable[[float], None], list[dict[str, Any]]],
) -> None:
    """A busy browser makes the last requests when the cell is red already; what a program sends then, it means."""
    one, passes, _ = gate
    assert one.should_handle(None, request(PRESSED), [])
    one.cell_ended(SimpleNamespace(success=False))
    passes(UNSEEN_S / 2)
    assert not one.should_handle(None, request(PRESSED + timedelta(seconds=UNSEEN_S / 2), by_hand=True), [])
    passes(UNSEEN_S)
    assert one.should_handle(None, request(PRESSED + timedelta(seconds=UNSEEN_S), by_hand=True), [])
    one.cell_ended(SimpleNamespace(success=False))
    assert one.should_handle(None, request(PRESSED + timedelta(seconds=2 * UNSEEN_S)), [])


def test_a_green_cell_ends_nothing(gate: tuple[Any, Callable[[float], None], list[dict[str, Any]]]) -> None:
    """Run All goes on behind it."""
    one, passes, _ = gate
    assert one.should_handle(None, request(PRESSED), [])
    passes(2)
    one.cell_ended(SimpleNamespace(success=True))
    assert one.should_handle(None, request(PRESSED + timedelta(milliseconds=1)), [])


def test_a_clock_that_was_set_back_keeps_nobody_out(
    gate: tuple[Any, Callable[[float], None], list[dict[str, Any]]],
) -> None:
    """No request is on its way for longer than that: one that seems older was sent by another clock."""
    one, passes, _ = gate
    assert one.should_handle(None, request(PRESSED), [])
    one.cell_ended(SimpleNamespace(success=False))
    passes(LONGEST_WAY_S)
    assert one.should_handle(None, request(PRESSED - IMPORT), [])


def test_a_stage_puts_the_gate_up_before_anything_of_it_can_be_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first cell of ours may be the red one."""
    put_up: list[bool] = []
    monkeypatch.setattr(opening, "end_run_all_at_red", lambda: put_up.append(True))
    with pytest.raises(ParameterRefused):
        opening.open_runbook("no such stage")
    assert put_up == [True]
