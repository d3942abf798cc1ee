"""The one event loop, in a thread of its own; waiting for a state; deadlines and messages over sockets."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

# -- One event loop in a thread of its own, so that the public API can be synchronous. -------------
#
# Notebook kernels and command lines have loops of their own, or none; what talks to devices runs
# here and outlives a single call, so that a connection opened by one call serves the next.

T = TypeVar("T")

_guard = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def loop() -> asyncio.AbstractEventLoop:
    """Return the running background loop; the first call of a process starts it."""
    global _loop
    with _guard:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="runbook-background", daemon=True).start()
        return _loop


def run(coro: Coroutine[Any, Any, T], *, timeout_s: float | None = None) -> T:
    """Run a coroutine on the background loop and return its result, or raise its error.

    When the waiting is interrupted (Ctrl-C, or a signal handler that raises) the coroutine is
    cancelled, its clean-up is waited for, and the interruption is raised again; a second one ends
    that wait too. After ``timeout_s`` seconds the coroutine is cancelled likewise, and
    ``TimeoutError`` raised unless it finished after all. Not to be called on the loop itself.
    Raises RuntimeError there.
    """
    where = loop()
    if _is_running(where):
        coro.close()
        raise RuntimeError("event_loop.run was called on the loop itself; await the coroutine instead")
    task: asyncio.Task[T] | None = None
    ended = threading.Event()

    def end(task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # asked for here: an interruption may be raised in its place
        ended.set()

    def begin() -> None:
        nonlocal task
        task = where.create_task(coro)
        task.add_done_callback(end)

    def cancel() -> None:
        if task is not None:
            task.cancel()
        else:  # the interruption came before the loop was told of the coroutine
            coro.close()
            ended.set()

    def stop() -> None:
        """Cancel the coroutine and wait until it has cleaned up."""
        where.call_soon_threadsafe(cancel)
        ended.wait()

    try:
        where.call_soon_threadsafe(begin)
        late = not ended.wait(timeout_s)
        if late:
            stop()
    except BaseException:
        stop()
        raise
    assert task is not None
    if late and task.cancelled():
        raise TimeoutError(f"not finished within {timeout_s} s")
    return task.result()


def _is_running(where: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is where
    except RuntimeError:
        return False


def _forget() -> None:
    global _guard, _loop
    _guard = threading.Lock()
    _loop = None


os.register_at_fork(after_in_child=_forget)  # threads do not survive a fork: the child starts its own


# -- Work side by side: nothing may still talk to a server once an error was raised


async def side_by_side(*works: Awaitable[T]) -> tuple[T, ...]:
    """Return what the works return, in their order; when all have ended, raises the first error in that order."""
    ends = await asyncio.gather(*works, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return tuple(end for end in ends if not isinstance(end, BaseException))


async def first_of(*works: Coroutine[Any, Any, T]) -> T:
    """Return or raise what ends first; the others are ended before that."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- Waiting for a state: the one way to look again and again until a deadline


async def poll_until(
    look: Callable[[], Awaitable[T]],
    settled: Callable[[T], bool],
    *,
    limit_s: float,
    pause_s: float,
    on_look: Callable[[T, float], None] = lambda _seen, _waited: None,
) -> T:
    """Look until what is seen has settled, at most ``limit_s`` by the monotonic clock; return what was seen last.

    ``on_look`` is given what was seen and the seconds so far before each pause, which is ``pause_s`` at first (see
    ``pause_after``). The time that the looks take counts: at most one of them ends after the deadline. Raises what
    ``look`` raises, and nothing of its own.
    """
    clock = asyncio.get_running_loop().time
    start = clock()
    while True:
        seen = await look()
        waited = clock() - start
        if settled(seen) or waited >= limit_s:
            return seen
        on_look(seen, waited)
        await asyncio.sleep(min(pause_after(waited, pause_s), limit_s - waited))


def pause_after(waited_s: float, least_s: float, most_s: float = math.inf) -> float:
    """Return how many seconds to wait before the next look: more once it has lasted, at most a twentieth of that.

    What takes hours is then looked at some hundred times: each look is work for a server and a part of the record.
    """
    return min(max(least_s, waited_s / 20), most_s)


def abort_connection(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once: TLS would wait half a minute for a server that does not say goodbye."""
    with suppress(AttributeError):  # raised before Python 3.11.4 for one that was closed twice
        writer.transport.abort()


def unjudged_tls(oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    """Return TLS that refuses no certificate: whoever connects judges what is shown before anything is sent.

    Names, dates and signatures of the certificate play no part, so the library must not refuse them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = oldest
    return context


# -- One deadline for a whole exchange over a socket: a limit for each read lets a slow sender go on for ever


class TooLate(OSError):
    """The exchange had not ended by its deadline."""


@contextmanager
def within_time(sock: socket.socket, end: float) -> Iterator[None]:
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


# -- Messages between processes: JSON over sockets that a child inherits ---------------------------

_LENGTH = struct.Struct("!I")
_LONGEST = 1 << 16


def packets() -> tuple[socket.socket, socket.socket]:
    """Return a connected pair on which each message arrives whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def packet(message: dict[str, Any]) -> bytes:
    """Return a short message as one packet."""
    return json.dumps(message).encode()


def receive_packet(connection: socket.socket, flags: int = 0) -> dict[str, Any]:
    """Return the next message; raises BlockingIOError where there is none yet, empty at the end."""
    with suppress(ConnectionResetError):
        if data := connection.recv(_LONGEST, flags):
            return dict(json.loads(data))
    return {}


async def send_long(line: socket.socket, message: dict[str, Any]) -> None:
    """Send a message of any length over a stream that does not block."""
    data = json.dumps(message).encode()
    await asyncio.get_running_loop().sock_sendall(line, _LENGTH.pack(len(data)) + data)


def receive_long(line: socket.socket) -> dict[str, Any]:
    """Wait for a message of any length; raises EOFError where the other side has closed."""
    with line.makefile("rb") as stream:
        head = stream.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 1
        data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return dict(json.loads(data))


async def readable(source: socket.socket | int) -> None:
    """Wait until a socket or descriptor has something to read, or its end; several may wait for one."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    own = os.dup(source if isinstance(source, int) else source.fileno())
    loop.add_reader(own, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(own)
        os.close(own)
