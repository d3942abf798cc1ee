"""One deadline for a whole exchange over a socket: a limit for each read lets a slow sender go on for ever."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TooLate(OSError):
    """The exchange was not over at its deadline."""


@contextmanager
def in_time(sock: socket.socket, end: float) -> Iterator[None]:
    """Cut the connection of ``sock`` at ``end`` (of the monotonic clock), if what is within is not over by then.

    Raises TooLate then, whatever the cut has led to within. ``sock`` may be handed on to TLS meanwhile.
    """
    late = threading.Event()
    ours = sock.dup()

    def cut() -> None:
        late.set()
        with suppress(OSError):  # it has ended by itself
            ours.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, end - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        # On a busy machine a limit of the socket's own may be told before the cut is made.
        if late.is_set() or time.monotonic() >= end:
            raise TooLate("no whole answer in time") from None
        raise
    finally:
        timer.cancel()
        timer.join()
        ours.close()
    if late.is_set():
        raise TooLate("no whole answer in time")
