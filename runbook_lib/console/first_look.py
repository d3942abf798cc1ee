"""The SSH host key that a server shows before any is pinned: for a person to compare, trusted by nobody here."""

from __future__ import annotations

import asyncio

import asyncssh

from runbook_lib.console.algorithms import KEY_EXCHANGE, SIGNATURES
from runbook_lib.errors import DeviceUnreachable


async def presented_host_key(address: str, port: int, *, connect_s: float) -> tuple[str, str]:
    """Return the SHA-256 fingerprint (``SHA256:…``) and the type of the host key that a server shows.

    Nobody logs in and nothing of ours is sent. Raises DeviceUnreachable where no key is shown in time.
    """
    problem: object = f"no answer within {connect_s:g} s"
    key = None
    try:
        async with asyncio.timeout(connect_s):
            key = await asyncssh.get_server_host_key(
                address, port, config=None, server_host_key_algs=SIGNATURES, kex_algs=KEY_EXCHANGE
            )
    except TimeoutError:
        pass
    except (OSError, asyncssh.Error) as error:
        problem = error
    if key is None:
        raise DeviceUnreachable(
            "no SSH host key was shown",
            where=f"{address} port {port}",
            found=str(problem),
            next_step="look whether the name resolves here and the server is up; pin its key later (ssh: host_key:)",
        )
    return key.get_fingerprint(), key.get_algorithm()
