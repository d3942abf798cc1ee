"""What `runbook new` sees of a server: its host key without a login, its certificate's names, `self` behind a pin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from closed_port import closed_port
from ssh_fakes import FakeAde
from tls_fakes import Chain, TlsServer

from runbook_lib.device.ssh import presented_host_key
from runbook_lib.errors import DeviceUnreachable
from runbook_lib.params.model import Expectation
from runbook_lib.repair.confirmation import Look, look_at_certificate
from runbook_lib.repair.context import Target

QUICK_S = 60.0


def seen(chains: tuple[Chain, ...], ade: FakeAde, *, login: bool) -> Look:
    """Look at a host whose TLS server shows each of the chains in turn."""

    async def look() -> Look:
        async with TlsServer(*chains) as tls, ade:
            target = Target(
                name="primary",
                address="127.0.0.1",
                hosts=("127.0.0.1",),
                port=tls.port,
                expect=Expectation(),
                ssh=ade.access(),
                observers=(),
            )
            return await look_at_certificate(target, login=login)

    return asyncio.run(look())


def test_the_host_key_is_shown_without_a_login() -> None:
    """Its SHA-256 and its type, as ssh-keygen -l prints them; no user and no password is tried."""
    ade = FakeAde()

    async def ask() -> tuple[str, str]:
        async with ade:
            return await presented_host_key("127.0.0.1", ade.port, connect_s=QUICK_S)

    assert asyncio.run(ask()) == (ade.host_key.get_fingerprint(), "ssh-ed25519")
    assert ade.attempts == []


def test_a_server_that_shows_none_is_unreachable() -> None:
    """A closed port is told as one, and so is a name that cannot be one."""
    with pytest.raises(DeviceUnreachable, match="no SSH host key"):
        asyncio.run(presented_host_key("a" * 64, 22, connect_s=QUICK_S))
    with closed_port() as port, pytest.raises(DeviceUnreachable, match="no SSH host key"):
        asyncio.run(presented_host_key("127.0.0.1", port, connect_s=QUICK_S))


def test_only_a_login_tells_whether_the_host_itself_shows_it(tmp_path: Path) -> None:
    """Without a login only the certificate is seen; with one, whether the host's own SSH server shows the same."""
    one, other = Chain(tmp_path, "prime-pri"), Chain(tmp_path, "prime-xyz")
    quiet = FakeAde()
    assert seen((one,), quiet, login=False).own == ""
    assert quiet.attempts == []
    same = seen((one,), FakeAde(), login=True)
    assert (same.own, same.names, same.problem) == ("same", ("prime-pri",), "")
    assert seen((one, other), FakeAde(), login=True).own == "other"
    refused = seen((one,), FakeAde(forwarding=False), login=True)
    assert (refused.own, bool(refused.problem)) == ("", True)
