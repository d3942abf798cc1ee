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

from runbook_lib.views.run_all import Gate

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


def request(sent: datetime) -> dict[str, Any]:
    content = {"code": "", "silent": True, "stop_on_error": True}
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
