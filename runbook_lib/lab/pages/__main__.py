"""Look at the pages alone: ``python -m runbook_lib.lab.pages --skin spa``.

They are served over plain HTTP, on loopback only, before a site that lives in memory. Its login and keys are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from ipaddress import ip_address

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from runbook_lib.lab.backend import PagesBackend
from runbook_lib.lab.pages import handlers
from runbook_lib.lab.pages.memory import MemoryBackend


def serve(backend: PagesBackend, *, port: int = 0, address: str = "127.0.0.1") -> tuple[HTTPServer, int]:
    """Serve the pages over plain HTTP on the running event loop; return the server and its port.

    ``ValueError`` for an address that is not loopback: passwords travel in the clear here.
    """
    if not ip_address(address).is_loopback:
        raise ValueError(f"{address} is not a loopback address, and these pages are served without TLS")
    sockets = bind_sockets(port, address)
    server = HTTPServer(Application(handlers(backend, backend.server_key)))
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])


async def _show(options: argparse.Namespace) -> None:
    hosts = dict.fromkeys(["192.0.2.30", "192.0.2.31", "192.0.2.32", "192.0.2.33"], "isepass")
    backend = MemoryBackend(
        skin=options.skin,
        page_delay_s=options.delay,
        step_s=options.step,
        ise_hosts=hosts,
        ise_stale={"192.0.2.33"},
    )
    _server, port = serve(backend, port=options.port)
    print(f"http://127.0.0.1:{port}/  user root  password Public123  authentication key hakey-1", flush=True)  # noqa: T201
    print("ISE servers 192.0.2.30 to .32, password isepass; .33 has another certificate", flush=True)  # noqa: T201
    await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m runbook_lib.lab.pages", description="Show the simulated web pages."
    )
    parser.add_argument("--skin", default="forms", help="forms, tables, spa or dojo, as in 'dojo?grid=table'")
    parser.add_argument("--port", type=int, default=0, help="a port of 127.0.0.1 (default: any free one)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="how long a page takes")
    parser.add_argument("--step", type=float, default=0.4, metavar="SECONDS", help="how long 20 percent take")
    try:
        asyncio.run(_show(parser.parse_args(arguments)))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
