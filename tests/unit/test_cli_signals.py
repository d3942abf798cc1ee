"""What ends the command from outside, a signal or a limit of open files: nothing is left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from runbook_lib import cli
from runbook_lib.device import probe, ssh
from runbook_lib.errors import MORE_FILES, DeviceUnreachable, RecordNotWritable
from runbook_lib.models import Vantage
from runbook_lib.params.model import Deadlines, SshAccess
from runbook_lib.processes import require_open_files, signals_taken
from runbook_lib.record.files import writing
from runbook_lib.record.lock import SiteLock, holder_of
from runbook_lib.secrets import SecretRef
from runbook_lib.web.relay import PinnedRelay


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


def test_a_command_that_may_open_few_files_says_so_before_it_takes_a_lock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A library of its kernel aborts without them, and the lock would stay behind."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (24, 24))
    monkeypatch.setattr(sys, "argv", ["runbook", "unlock", "paris", "--holder", "nobody"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "ulimit -n" in capsys.readouterr().err


@pytest.mark.parametrize("limits", [(64, 512), (64, 1 << 20), (256, resource.RLIM_INFINITY), (1 << 16, 1 << 16)])
def test_a_command_lets_itself_open_what_it_may(limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual limit is raised to 4096, or to the highest that is allowed; it is never lowered."""
    usual, most = limits
    after = [usual]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: after.append(both[0]))
    require_open_files()
    assert after[-1] == max(usual, 4096 if most in (resource.RLIM_INFINITY, 1 << 20) else most)


def test_too_many_open_files_are_no_firewall_and_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever this machine may open no more, the next step is to let it; the server and the disk are not blamed."""

    async def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio, "open_connection", no_more)
    monkeypatch.setattr(asyncssh, "connect", no_more)
    monkeypatch.setattr(asyncssh, "get_server_host_key", no_more)
    access = SshAccess(user="admin", password=SecretRef.parse("env:PASSWORD"))
    for call in (
        ssh.connect("primary", "192.0.2.1", access, connect_s=1.0),
        ssh.presented_host_key("192.0.2.1", 22, connect_s=1.0),
    ):
        with pytest.raises(DeviceUnreachable) as refused:
            asyncio.run(call)
        assert refused.value.next_step == MORE_FILES
    seen = asyncio.run(probe.present("192.0.2.1", 8082, vantage=Vantage.HERE, deadlines=Deadlines()))
    assert seen.problem == f"{os.strerror(errno.EMFILE)}: {MORE_FILES}"
    relay = PinnedRelay("192.0.2.1", 443, "0" * 64, connect_s=1.0)
    assert asyncio.run(relay._connect()) is None
    with pytest.raises(RecordNotWritable) as unwritten, writing(tmp_path):
        asyncio.run(no_more())
    assert relay.problem
    assert relay.problem.next_step == unwritten.value.next_step == MORE_FILES


def hold_the_lock_until(signum: signal.Signals, records: Path) -> None:
    with signals_taken(), SiteLock("paris", ("paris",)):
        assert holder_of("paris")
        os.kill(os.getpid(), signum)
