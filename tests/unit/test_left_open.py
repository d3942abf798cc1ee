"""What a file of tests leaves open is found, each kind of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack

import left_open
import pytest
from left_open import nothing_left


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


def leave_all(stack: ExitStack) -> None:
    for act in (a_process, a_thread, a_socket):
        act(stack)


def test_what_is_left_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process, a thread and a socket that outlive the tests end them, with what each is."""
    monkeypatch.setattr(left_open, "GRACE_S", 0.0)
    with pytest.raises(AssertionError, match="left open: ") as found, ExitStack() as later, nothing_left():
        leave_all(later)
    for words in ("input()", "thread forgotten", "socket:"):
        assert words in str(found.value)


def test_what_is_closed_is_not() -> None:
    """Whatever was opened meanwhile."""
    with nothing_left(), ExitStack() as now:
        leave_all(now)
