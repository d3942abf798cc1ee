"""One mutating run per site: the lock names its holder, and only a person frees a stale one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runbook_lib.errors import ParameterRefused, RecordNotWritable, SiteLocked
from runbook_lib.record import SiteLock, free_stale, holder_of
from runbook_lib.record.lock import TOKEN_VARIABLE, lock_path
from runbook_lib.record.process import ProcessName


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "")


HOLD = """
import sys
from pathlib import Path
from runbook_lib.errors import SiteLocked
from runbook_lib.record import SiteLock
try:
    with SiteLock(Path(sys.argv[1]), sys.argv[2], incident="I-1", purpose="delete"):
        print("in", flush=True)
        sys.stdin.readline()
except SiteLocked as error:
    print(error.what, flush=True)
    sys.exit(error.exit_code)
"""

PARENT = """
import subprocess, sys
from pathlib import Path
from runbook_lib.record import SiteLock
with SiteLock(Path(sys.argv[1]), sys.argv[2]):
    subprocess.Popen([sys.executable, "-c", sys.argv[3], sys.argv[1], sys.argv[2]])
    sys.stdout.write("parent in\\n")
    sys.stdout.flush()
    while True:
        sys.stdin.read()
"""


@contextmanager
def holding(root: Path, site: str, script: str = HOLD, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lock, or says why not; ended at the exit."""
    command = [sys.executable, "-c", script, str(root), site, *more]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_second_run_is_refused_with_the_holders_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never lets two runs change one site at the same time, and never takes over a lock by itself.

    While a run holds the site, another is refused, and told who holds it, where, since when and what for.
    """
    monkeypatch.setenv("RUNBOOK_OPERATOR", "A. Nother")
    with holding(tmp_path, "lab") as process:
        assert said(process) == "in"
        with pytest.raises(SiteLocked, match="another run changes site lab now") as caught, SiteLock(tmp_path, "lab"):
            pass
    for part in ("A. Nother", str(process.pid), "delete", "I-1"):
        assert part in caught.value.found
    assert caught.value.exit_code == 3
    assert "unlock" not in caught.value.next_step


def test_only_one_of_many_gets_in(tmp_path: Path) -> None:
    """Of six processes that want the lock at the same time exactly one gets in."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), "lab"]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(6)]
    answers = [said(process) for process in processes]
    for process in processes:
        process.communicate("\n")
    assert sorted(answers) == ["another run changes site lab now"] * 5 + ["in"]
    assert sorted(process.returncode for process in processes) == [0, 3, 3, 3, 3, 3]


def test_lock_is_gone_after_use(tmp_path: Path) -> None:
    """After leaving, also by an error, the lock file and the token are gone, and the next may enter."""
    for _ in range(2):
        with pytest.raises(KeyError), SiteLock(tmp_path, "lab"):
            raise KeyError(holder_of(tmp_path, "lab"))
    assert holder_of(tmp_path, "lab") is None
    assert not lock_path(tmp_path, "lab").exists()
    assert os.environ[TOKEN_VARIABLE] == ""


def test_sites_do_not_share_a_lock(tmp_path: Path) -> None:
    """Each site has a lock of its own, also where their names look alike in a file's name; one run may hold several."""
    with SiteLock(tmp_path, "a b"), SiteLock(tmp_path, "a-b"), holding(tmp_path, "a_b") as process:
        assert said(process) == "in"
    assert os.environ[TOKEN_VARIABLE] == ""


def test_same_process_and_children_may_enter(tmp_path: Path) -> None:
    """Inside the holder, and in a child that carries its token, entering succeeds and leaving frees nothing."""
    with SiteLock(tmp_path, "lab"):
        with SiteLock(tmp_path, "lab"):
            pass
        with holding(tmp_path, "lab") as process:
            assert said(process) == "in"
            process.communicate("\n")
            assert process.returncode == 0
        assert holder_of(tmp_path, "lab") is not None


def test_another_token_does_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of another lock, or the holder's id, does not let anybody in."""
    with holding(tmp_path, "lab") as process:
        assert said(process) == "in"
        holder = holder_of(tmp_path, "lab")
        assert holder is not None
        for token in (holder.id, "0" * 32, holder.token[:-1]):
            monkeypatch.setenv(TOKEN_VARIABLE, token)
            with pytest.raises(SiteLocked), SiteLock(tmp_path, "lab"):
                pass


def test_stale_lock_is_freed_only_by_name(tmp_path: Path) -> None:
    """After ``kill -9`` of the holder nobody gets in until the lock is freed by naming the holder."""
    with holding(tmp_path, "lab") as process:
        assert said(process) == "in"
    with pytest.raises(SiteLocked, match="stale") as caught, SiteLock(tmp_path, "lab"):
        pass
    holder = holder_of(tmp_path, "lab")
    assert holder is not None
    assert f"runbook unlock lab --holder {holder.id}" in caught.value.next_step
    for wrong in ("", "somebody", "unreadable"):
        with pytest.raises(ParameterRefused, match="not held by"):
            free_stale(tmp_path, "lab", wrong)
    assert free_stale(tmp_path, "lab", holder.id) == holder
    with SiteLock(tmp_path, "lab"):
        pass


def test_a_living_holder_is_not_freed(tmp_path: Path) -> None:
    """The lock of a run that lives is not freed by naming it."""
    with holding(tmp_path, "lab") as process:
        assert said(process) == "in"
        holder = holder_of(tmp_path, "lab")
        assert holder is not None
        with pytest.raises(SiteLocked, match="another run changes"):
            free_stale(tmp_path, "lab", holder.token)
        assert holder_of(tmp_path, "lab") == holder


def test_a_child_that_outlives_its_parent_keeps_the_lock(tmp_path: Path) -> None:
    """After ``kill -9`` of a run whose child still works on the site, the lock is not stale."""
    with holding(tmp_path, "lab", PARENT, HOLD) as process:
        assert {said(process), said(process)} == {"parent in", "in"}
        holder = holder_of(tmp_path, "lab")
        assert holder is not None
        os.kill(process.pid, 9)
        process.wait()
        # The child shares the pipe, and ends when it is closed.
        with pytest.raises(SiteLocked, match="another run changes"):
            free_stale(tmp_path, "lab", holder.id)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"process": 7}', b"\xff"])
def test_a_lock_file_that_was_cut_short(tmp_path: Path, content: bytes) -> None:
    """A lock file that cannot be read keeps everybody out, and is freed by the name ``unreadable``."""
    with SiteLock(tmp_path, "lab"):
        pass
    lock_path(tmp_path, "lab").write_bytes(content)
    with pytest.raises(SiteLocked, match="stale") as caught, SiteLock(tmp_path, "lab"):
        pass
    assert "runbook unlock lab --holder unreadable" in caught.value.next_step
    assert free_stale(tmp_path, "lab", "unreadable") is None
    with SiteLock(tmp_path, "lab"):
        pass


def test_lock_of_another_host(tmp_path: Path) -> None:
    """Whether a process on another host lives is not guessed: the message says so, and naming the holder frees it."""
    with SiteLock(tmp_path, "lab"):
        value = json.loads(lock_path(tmp_path, "lab").read_bytes())
    lock_path(tmp_path, "lab").write_text(json.dumps(value | {"process": "elsewhere 1 x"}), encoding="utf-8")
    with pytest.raises(SiteLocked, match="from another host") as caught, SiteLock(tmp_path, "lab"):
        pass
    assert "on elsewhere" in caught.value.found
    free_stale(tmp_path, "lab", value["id"])


def test_freeing_what_nobody_holds(tmp_path: Path) -> None:
    """There is nothing to free where nobody holds the lock."""
    with pytest.raises(ParameterRefused, match="nobody holds"):
        free_stale(tmp_path, "lab", "x")


def test_permissions_and_token(tmp_path: Path) -> None:
    """The lock file, which holds the token, is its owner's alone, and the token is not in what people are shown."""
    with SiteLock(tmp_path, "lab"):
        holder = holder_of(tmp_path, "lab")
        assert holder is not None
        assert stat.S_IMODE(lock_path(tmp_path, "lab").stat().st_mode) == 0o600
        assert holder.token not in str(holder)


def test_a_place_that_takes_no_lock(tmp_path: Path) -> None:
    """Where no lock can be written nothing is changed: the record is not writable."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordNotWritable), SiteLock(tmp_path / "file", "lab"):
        pass
    assert os.environ[TOKEN_VARIABLE] == ""


def test_a_process_is_told_from_a_later_one_of_the_same_number() -> None:
    """A process is alive only if the one with its number started when it did."""
    here = ProcessName.current()
    assert here.is_here
    assert here.alive
    assert ProcessName.parse(str(here)) == here
    assert not ProcessName(host=here.host, pid=here.pid, started="earlier").alive
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert not ProcessName(host=here.host, pid=process.pid, started=here.started).alive
    for text in ("", "host x 1", "host 1", "host ¹ x"):
        assert ProcessName.parse(text) is None
