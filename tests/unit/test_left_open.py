"""What a file of tests leaves open is found, each kind of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import left_open
import pytest
from left_open import nothing_left

Left = Callable[[ExitStack], object]


def a_process(stack: ExitStack) -> None:
    process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
    stack.callback(process.kill)


def a_thread(stack: ExitStack) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten")
    thread.start()
    stack.callback(thread.join)
    stack.callback(over.set)


def a_socket(stack: ExitStack) -> None:
    stack.enter_context(socket.create_server(("127.0.0.1", 0)))


@contextmanager
def leaving(act: Left) -> Iterator[None]:
    with ExitStack() as later, nothing_left():
        act(later)
        yield


@pytest.mark.parametrize(
    ("act", "words"), [(a_process, "input()"), (a_thread, "thread forgotten"), (a_socket, "socket:")]
)
def test_what_is_left_is_named(act: Left, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process, a thread and a socket that outlive the tests end them, with what they are."""
    monkeypatch.setattr(left_open, "GRACE_S", 0.0)
    with pytest.raises(AssertionError, match="left open: ") as found, leaving(act):
        pass
    assert words in str(found.value)


def test_what_is_closed_is_not() -> None:
    """Whatever was opened meanwhile."""
    with nothing_left(), ExitStack() as now:
        for act in (a_process, a_thread, a_socket):
            act(now)
