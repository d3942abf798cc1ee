"""What a signal does to the command: it ends, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook_lib.processes import signals_taken
from runbook_lib.record.lock import SiteLock, holder_of


@pytest.fixture(autouse=True)
def _as_from_a_terminal() -> Iterator[None]:
    """Under nohup SIGHUP comes ignored, and stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_command_and_frees_the_lock(tmp_path: Path, signum: signal.Signals, code: int) -> None:
    """SIGTERM and SIGHUP end a run by its exit code, and the site's lock does not stay behind."""
    with pytest.raises(SystemExit) as ended:
        hold_the_lock_until(signum, tmp_path)
    assert ended.value.code == code
    assert holder_of("paris") is None


def test_the_handlers_before_come_back() -> None:
    """After the command the process has the handlers that it had, and an ignored signal stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_taken():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def hold_the_lock_until(signum: signal.Signals, records: Path) -> None:
    with signals_taken(), SiteLock("paris", ("paris",)):
        assert holder_of("paris")
        os.kill(os.getpid(), signum)
