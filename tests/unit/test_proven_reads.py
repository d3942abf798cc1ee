"""Which commands have the end of their answer proven: every read, at each of its tries, and no change."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import PRIMARYS
from site_kit import site_with

from runbook_lib.device.prime import PrimeServer
from runbook_lib.errors import ConnectionLost
from runbook_lib.params.model import Deadlines

VERBS: dict[str, tuple[Any, list[bool]]] = {
    "list": (PrimeServer.list_tofu, [True, True]),
    "HA status": (PrimeServer.ha_status, [True, True]),
    "version": (PrimeServer.version, [True, True]),
    "deletion": (lambda server: server.delete_tofu(PRIMARYS[1]), [False]),
    "removal of HA": (PrimeServer.remove_ha, [False]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_end_of_every_read_is_proven(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """A read that broke off is sent once more, proven as the first was; the empty line might answer a change."""
    proven: list[bool] = []

    async def run(_command: str, *, prove: bool, **_given: object) -> Any:
        proven.append(prove)
        raise ConnectionLost("it broke off")

    async def console(_server: PrimeServer) -> Any:
        return SimpleNamespace(run=run, unfinished=None)

    monkeypatch.setattr(PrimeServer, "console", console)
    server = PrimeServer("primary", site_with().primary, Deadlines(), cast("Any", lambda *_: None))
    act, expected = VERBS[verb]
    with pytest.raises(ConnectionLost):
        asyncio.run(act(server))
    assert proven == expected
