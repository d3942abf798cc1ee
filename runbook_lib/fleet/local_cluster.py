"""A Dask cluster of this machine's processes that no other user of the machine can talk to.

Whoever reaches a scheduler runs what he likes with the rights of the one who started it, and a port on loopback is
reached by every local user. So each part asks for a certificate that is made for this one cluster. Its key lies in the
memory of the processes that belong to it; where the TLS library reads a file, that is in a folder of mode 0700, for a
moment. The pages that Dask serves beside it know no password, so there are none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any

from distributed import Nanny, Scheduler, Security, SpecCluster, Worker

_HOST = "127.0.0.1"


class _NoPages:
    """A part of the cluster that opens no port for web pages."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Serve nothing: Dask has no other way to leave its web server out."""


class _Scheduler(_NoPages, Scheduler):
    """Tells the workers what to do."""


class _Worker(_NoPages, Worker):
    """Runs the sites, in a process that keeps the ``variables`` and no other of the environment that it came with."""

    def __init__(self, *args: Any, variables: Iterable[str], **options: Any) -> None:
        kept = {name: os.environ[name] for name in variables if name in os.environ}
        os.environ.clear()
        os.environ.update(kept)
        super().__init__(*args, **options)


def start_local_cluster(workers: int, variables: Iterable[str]) -> SpecCluster:
    """Return a running cluster of so many worker processes, which keep these variables; it has to be closed."""
    own: dict[str, Any] = {"host": _HOST, "protocol": "tls://", "security": Security.temporary()}
    quiet = logging.CRITICAL  # what matters is told by the results
    worker = {"nthreads": 1, "silence_logs": quiet, "worker_class": _Worker, "dashboard": False, **own}
    worker["variables"] = tuple(variables)
    return SpecCluster(
        scheduler={"cls": _Scheduler, "options": {"port": 0, "dashboard": False, **own}},
        workers={name: {"cls": Nanny, "options": dict(worker)} for name in range(workers)},
        security=own["security"],
        silence_logs=quiet,
    )
