"""A port at which nobody listens, and where nobody else will as long as the test holds it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Yield the port of a socket that is bound and does not listen: connections to it are refused."""
    with socket.socket() as bound:
        bound.bind((host, 0))
        yield bound.getsockname()[1]
