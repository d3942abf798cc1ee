"""One run at a time for the same servers: the lock names its holder, and only a person frees a stale one."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from another_user import STRANGER, as_stranger, root_only
from site_kit import site_with
from waiting import forbid_waiting_opens

from runbook_lib.decisions import sha256_hex
from runbook_lib.device.prime import identities
from runbook_lib.errors import ParameterRefused, RecordNotWritable, SiteLocked
from runbook_lib.params.model import JumpHost, Site, SshAccess
from runbook_lib.processes import ProcessName, account
from runbook_lib.record import files, lock
from runbook_lib.record.lock import (
    TOKEN_VARIABLE,
    Holder,
    SiteLock,
    free_stale,
    holder_of,
    is_left_behind,
    is_under_lock,
    lock_paths,
)
from runbook_lib.secrets import SecretRef

SERVERS = ("server 192.0.2.10:22", "host key SHA256:a", "server 192.0.2.20:22")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's place for locks, empty, in a process that works under none."""
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path))
    return tmp_path


def locked() -> SiteLock:
    return SiteLock("lab", SERVERS)


HOLD = """
import sys
from runbook_lib.errors import SiteLocked
from runbook_lib.record.lock import SiteLock
try:
    with SiteLock(sys.argv[1], sys.argv[2].split(","), incident="I-1", purpose="delete"):
        print("in", flush=True)
        sys.stdin.readline()
except SiteLocked as error:
    print(error.what, flush=True)
    sys.exit(error.exit_code)
"""

PARENT = """
import subprocess, sys
from runbook_lib.record.lock import SiteLock
with SiteLock(sys.argv[1], sys.argv[2].split(",")):
    subprocess.Popen([sys.executable, "-c", sys.argv[3], sys.argv[1], sys.argv[2]])
    sys.stdout.write("parent in\\n")
    sys.stdout.flush()
    while True:
        sys.stdin.read()
"""


@contextmanager
def holding(
    site: str = "lab", servers: tuple[str, ...] = SERVERS, script: str = HOLD, *more: str
) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lock, or says why not; ended at the exit."""
    command = [sys.executable, "-c", script, site, ",".join(servers), *more]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def holder() -> Holder:
    found = holder_of("lab")
    assert found is not None
    return found


def test_second_run_is_refused_with_the_holders_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It never lets two runs on one machine change the same servers at once, and never takes over a lock by itself.

    While a run holds the site's servers, another is refused, and told who holds them, where, since when and what for.
    """
    monkeypatch.setenv("RUNBOOK_OPERATOR", "A. Nother")
    with holding() as process:
        assert said(process) == "in"
        with pytest.raises(SiteLocked, match="another run changes the servers of site lab now") as caught:
            locked().__enter__()
    for part in ("A. Nother", account(), str(process.pid), "delete", "I-1"):
        assert part in caught.value.found
    assert caught.value.exit_code == 3
    assert "unlock" not in caught.value.next_step


def test_only_one_of_many_gets_in(tmp_path: Path) -> None:
    """Of six processes that want the same servers, each under another name, exactly one gets in; no file is left."""
    command = [sys.executable, "-c", HOLD]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([*command, f"site{n}", ",".join(SERVERS)], stdin=pipe, stdout=pipe, text=True)
        for n in range(6)
    ]
    answers = [said(process) for process in processes]
    for process in processes:
        process.communicate("\n")
    assert sum("another run changes" in answer for answer in answers) == 5
    assert answers.count("in") == 1
    assert sorted(process.returncode for process in processes) == [0, 3, 3, 3, 3, 3]
    assert list(tmp_path.iterdir()) == []


def test_lock_is_gone_after_use(tmp_path: Path) -> None:
    """After leaving, also by an error, the lock's files and the token are gone, and the next may enter."""
    for _ in range(2):
        with pytest.raises(KeyError), locked():
            raise KeyError(holder_of("lab"))
    assert holder_of("lab") is None
    assert list(tmp_path.iterdir()) == []
    assert os.environ[TOKEN_VARIABLE] == ""


def test_a_lock_that_could_not_be_taken_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails behind the link, where the folder is synced, keeps the next run out of nothing."""

    def failing(_folder: Path) -> None:
        raise OSError("Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(files, "sync_folder", failing)
        with pytest.raises(RecordNotWritable), locked():
            pass
    with locked():
        pass


@pytest.mark.parametrize("failed", [True, False])
def test_a_file_that_cannot_be_removed_hides_nothing_and_keeps_no_other(
    monkeypatch: pytest.MonkeyPatch, failed: bool
) -> None:
    """What went wrong under the lock is told before it; every other file of it goes, and one stays for a person."""
    stays, unlink = lock_paths(SERVERS)[0], Path.unlink

    def refuse(path: Path, **kind: bool) -> None:
        if path == stays:
            raise OSError(errno.EIO, "Input/output error")
        unlink(path, **kind)

    def run() -> None:
        with SiteLock("lab", SERVERS):
            if failed:
                raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        with pytest.raises(ZeroDivisionError if failed else RecordNotWritable):
            run()
    assert [path.exists() for path in lock_paths(SERVERS)] == [path == stays for path in lock_paths(SERVERS)]
    assert is_left_behind("lab")
    free_stale("lab", holder().id, SERVERS)


def test_it_belongs_to_the_servers_and_not_to_a_name(tmp_path: Path) -> None:
    """Two runs with one server in common lock each other out, whatever their sites and folders are called.

    One address, or one host key, is enough; a run that is refused holds nothing.
    """
    with holding("paris", (SERVERS[0], "server 192.0.2.99:22")) as process:
        assert said(process) == "in"
        for shared in SERVERS[0], "server 192.0.2.99:22":
            with pytest.raises(SiteLocked, match="servers of site lab") as caught:
                SiteLock("lab", ("server 192.0.2.50:22", shared)).__enter__()
            assert "for delete, paris, I-1" in caught.value.found
        with SiteLock("lab", ("server 192.0.2.50:22",)):
            pass


def test_other_servers_are_free() -> None:
    """Servers that share nothing have locks of their own; one run may hold several."""
    with SiteLock("a", ("1",)), SiteLock("b", ("2",)), holding("a", ("3",)) as process:
        assert said(process) == "in"
    assert os.environ[TOKEN_VARIABLE] == ""


def test_same_process_and_children_may_enter() -> None:
    """Inside the holder, and in a child that carries its token, entering succeeds and leaving frees nothing."""
    with locked():
        with locked():
            pass
        with holding() as process:
            assert said(process) == "in"
            process.communicate("\n")
            assert process.returncode == 0
        assert holder_of("lab") is not None


def test_another_token_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of another lock, the holder's id, or what the file says, does not let anybody in."""
    with holding() as process:
        assert said(process) == "in"
        for token in (holder().id, "0" * 32, holder().token_sha256):
            monkeypatch.setenv(TOKEN_VARIABLE, token)
            with pytest.raises(SiteLocked):
                locked().__enter__()


def test_stale_lock_is_freed_only_by_name() -> None:
    """It never lets two runs on one machine change the same servers at once, and never takes over a lock by itself.

    After ``kill -9`` of the holder nobody gets in until the lock is freed by naming the holder.
    """
    with holding() as process:
        assert said(process) == "in"
    with pytest.raises(SiteLocked, match="stale") as caught:
        locked().__enter__()
    left = holder()
    assert f"runbook unlock lab --holder {left.id}" in caught.value.next_step
    for wrong in ("", "somebody", "unreadable"):
        with pytest.raises(ParameterRefused, match="not held by"):
            free_stale("lab", wrong)
    assert free_stale("lab", left.id) == left
    with locked():
        pass


def test_a_living_holder_is_not_freed() -> None:
    """The lock of a run that lives is not freed by naming it."""
    with holding() as process:
        assert said(process) == "in"
        left = holder()
        with pytest.raises(SiteLocked, match="another run changes"):
            free_stale("lab", left.id)
        assert holder() == left


def test_a_child_that_outlives_its_parent_keeps_the_lock() -> None:
    """After ``kill -9`` of a run whose child still works on the site, the lock is not stale."""
    with holding("lab", SERVERS, PARENT, HOLD) as process:
        assert {said(process), said(process)} == {"parent in", "in"}
        left = holder()
        os.kill(process.pid, 9)
        process.wait()
        # The child shares the pipe, and ends when it is closed.
        with pytest.raises(SiteLocked, match="another run changes"):
            free_stale("lab", left.id)


def leave(change: Callable[[Holder], bytes]) -> Holder:
    """Leave what a dead run leaves, changed."""
    with locked():
        left = holder()
    for path in lock_paths(SERVERS):
        path.write_bytes(change(left))
    return left


def test_the_command_that_is_printed_runs_nothing_else() -> None:
    """Anybody may have written a lock's file, and people paste what frees it into a shell."""
    named = {"site": "$(touch x); touch y #", "id": "'`touch z`"}
    leave(lambda left: replace(left, **named).to_bytes())
    with pytest.raises(SiteLocked, match="stale") as caught:
        locked().__enter__()
    command = caught.value.next_step.partition("free it: ")[2]
    assert shlex.split(command) == ["runbook", "unlock", named["site"], "--holder", named["id"]]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"process": 7}', b"\xff", b"[" * 9999])
def test_a_lock_file_that_cannot_be_read(content: bytes) -> None:
    """It keeps everybody out, and is freed by the name ``unreadable``."""
    leave(lambda _: content)
    with pytest.raises(SiteLocked, match="stale") as caught:
        locked().__enter__()
    assert "runbook unlock lab --holder unreadable" in caught.value.next_step
    assert free_stale("lab", "unreadable", SERVERS) is None
    with locked():
        pass


@pytest.mark.parametrize("who", ["Ada\nsignature: good", "Ada\x1b[2K"])
def test_what_a_lock_says_is_one_line(who: str) -> None:
    """Anybody may have written it: a name with line feeds or escape sequences in it is not shown, but unreadable."""
    leave(lambda left: replace(left, who=who).to_bytes())
    with pytest.raises(SiteLocked) as caught:
        locked().__enter__()
    assert "Ada" not in str(caught.value)


def test_whether_a_holder_on_another_host_lives_is_not_guessed() -> None:
    """Whether a process on another host lives is not guessed: the message says so, and naming the holder frees it."""
    elsewhere = ProcessName(host="elsewhere", pid=1, started="x")
    left = leave(lambda left: replace(left, process=elsewhere).to_bytes())
    with pytest.raises(SiteLocked, match="from another host") as caught:
        locked().__enter__()
    assert "on elsewhere" in caught.value.found
    free_stale("lab", left.id)
    assert holder_of("lab") is None


def test_where_nobody_holds_the_lock_there_is_nothing_to_free() -> None:
    """There is nothing to free where nobody holds the lock."""
    with pytest.raises(ParameterRefused, match="is free"):
        free_stale("lab", "x")


def test_others_may_read_who_holds_it_and_no_token_is_in_it(tmp_path: Path) -> None:
    """The files are for others to read, and hold nothing that would let them in."""
    with locked() as held:
        assert len(list(tmp_path.iterdir())) == len(SERVERS)
        for path in lock_paths(SERVERS):
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
            assert held.token.encode() not in path.read_bytes()


def test_no_secret_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says the lock is for passes the gate."""
    monkeypatch.setenv("PI_PASSWORD", "correct-horse-battery")
    SecretRef.parse("env:PI_PASSWORD").resolve()
    with SiteLock("lab", SERVERS, purpose="delete with correct-horse-battery"):
        assert all(b"correct-horse" not in path.read_bytes() for path in lock_paths(SERVERS))


def test_whoever_asked_whether_he_is_alone_still_lets_children_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask takes the whole lock for a moment; it is shared again afterwards."""
    monkeypatch.setattr(lock, "_SHARE_S", 0.2)
    with locked() as held:
        assert held.alone()
        with locked():
            assert not held.alone()


def test_who_works_under_a_lock_is_known_by_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder and its children work under it; somebody else, and the holder at another site, do not."""
    with locked():
        assert is_under_lock("lab")
        assert not is_under_lock("paris")
        own = os.environ[TOKEN_VARIABLE]
        with SiteLock("paris", ("server 192.0.2.30:22",)):
            assert is_under_lock("paris")
            monkeypatch.setenv(TOKEN_VARIABLE, own)  # as if another run held it
            assert not is_under_lock("paris")
        monkeypatch.setenv(TOKEN_VARIABLE, "")
        assert not is_under_lock("lab")
        monkeypatch.undo()


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_place_that_is_not_safe(tmp_path: Path, mode: int) -> None:
    """Where others could remove a lock none is taken, and nothing is changed."""
    tmp_path.chmod(mode)
    with pytest.raises(RecordNotWritable, match="others could remove it") as caught:
        locked().__enter__()
    assert "RUNBOOK_LOCKS" in caught.value.next_step
    assert os.environ[TOKEN_VARIABLE] == ""
    tmp_path.chmod(0o1777)
    with locked():
        pass


def test_a_place_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is missing is not made: it would be the first one's own, and no second user could write there."""
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path / "missing"))
    with pytest.raises(RecordNotWritable):
        locked().__enter__()


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_a_lock_that_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A link that somebody put there is not followed, a pipe not waited for; all keep everybody out."""
    forbid_waiting_opens(monkeypatch)
    path = lock_paths(SERVERS)[1]
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    {"link": lambda: path.symlink_to("mine"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[what]()
    with pytest.raises(SiteLocked, match="stale"):
        locked().__enter__()
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"
    assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / "mine"])


def test_whoever_keeps_a_file_busy_stops_a_child_and_does_not_hang_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can read a lock's file, and so lock it for all others; a child is refused then after a while."""
    monkeypatch.setattr(lock, "_SHARE_S", 0.2)
    token = "0" * 32
    leave(lambda left: replace(left, token_sha256=sha256_hex(token.encode())).to_bytes())
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with lock_paths(SERVERS)[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SiteLocked):
            locked().__enter__()
    with locked():
        pass


def test_a_child_does_not_enter_by_a_file_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading whose lock it is and taking its part in it a person may have freed it."""
    token = "0" * 32
    leave(lambda left: replace(left, token_sha256=sha256_hex(token.encode())).to_bytes())
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    really, opened = lock._open, []

    def open_and_free(path: Path) -> int:
        opened.append(really(path))
        if len(opened) == 2:  # the first was to read it
            path.unlink()
        return opened[-1]

    monkeypatch.setattr(lock, "_open", open_and_free)
    with pytest.raises(SiteLocked):
        locked().__enter__()


def test_a_lock_that_was_freed_meanwhile_is_not_removed_by_its_first_holder(tmp_path: Path) -> None:
    """Who frees a lock by hand lets somebody else in; the first one's end then leaves that one's lock alone."""
    first = locked().__enter__()
    for path in lock_paths(SERVERS):
        path.unlink()
    os.environ[TOKEN_VARIABLE] = ""
    with locked():
        first.__exit__(None, None, None)
        assert len(list(tmp_path.iterdir())) == len(SERVERS)
        assert holder_of("lab")


def test_a_stale_lock_that_changed_hands_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between naming a dead holder and removing its file another may have freed it and a third have taken it."""
    stale = leave(lambda left: left.to_bytes())
    really = lock._remove

    def changes_hands(path: Path, site: str) -> None:
        if holder().id == stale.id:
            for each in lock_paths(SERVERS):
                each.unlink()
            taken.append(locked().__enter__())
        really(path, site)

    taken: list[SiteLock] = []
    monkeypatch.setattr(lock, "_remove", changes_hands)
    with pytest.raises(SiteLocked, match="another run changes"):
        free_stale("lab", stale.id)
    assert holder().id != stale.id
    taken[0].__exit__(None, None, None)


def test_a_lock_that_others_took_while_it_was_looked_at_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a file removed that another has put there since it was opened: only that one says whether it is stale."""
    stale, taken = leave(lambda left: left.to_bytes()), []
    really, remove = lock._open, lock._remove

    def open_too_late(path: Path) -> int:
        monkeypatch.setattr(lock, "_open", really)
        descriptor = really(path)
        for each in lock_paths(SERVERS):
            each.unlink()
        taken.append(locked().__enter__())
        return descriptor

    def remove_slowly(path: Path, site: str) -> None:
        if not taken:
            monkeypatch.setattr(lock, "_open", open_too_late)
        remove(path, site)

    monkeypatch.setattr(lock, "_remove", remove_slowly)
    with pytest.raises(SiteLocked, match="another run changes"):
        free_stale("lab", stale.id)
    assert all(path.exists() for path in lock_paths(SERVERS))
    taken[0].__exit__(None, None, None)


def test_either_all_files_of_a_stale_lock_are_freed_or_none() -> None:
    """Also where only the last one is kept by somebody who lives: a run that went on would find the others open."""
    stale = leave(lambda left: left.to_bytes())
    with lock_paths(SERVERS)[-1].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(SiteLocked):
            free_stale("lab", stale.id)
    assert all(path.exists() for path in lock_paths(SERVERS))


def test_no_link_or_pipe_names_a_holder(tmp_path: Path) -> None:
    """Whatever valid words they lead to: a lock is the file itself."""
    leave(lambda left: left.to_bytes())
    said = lock_paths(SERVERS)[0].read_bytes()
    for path in lock_paths(SERVERS):
        path.unlink()
    (tmp_path / "elsewhere").write_bytes(said)
    link, pipe, _ = lock_paths(SERVERS)
    link.symlink_to("elsewhere")
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        os.write(writer, said)
        assert holder_of("lab") is None
    finally:
        os.close(writer)


# -- a second user of the machine -------------------------------------------------------------------------


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place like /var/tmp: root's, for all, sticky."""
    folder = Path(tempfile.mkdtemp(prefix="runbook-locks-"))
    folder.chmod(0o1777)
    monkeypatch.setenv("RUNBOOK_LOCKS", str(folder))
    yield folder
    shutil.rmtree(folder)


def enter_and_leave() -> str:
    with locked():
        return "in"


@root_only
def test_a_second_user_is_kept_out_and_let_in(shared: Path) -> None:
    """While one user holds the servers another is told who; before and after, the other gets in and leaves nothing."""
    assert as_stranger(enter_and_leave) == "'in'"
    with locked():
        told = as_stranger(enter_and_leave)
    assert "SiteLocked: another run changes the servers of site lab now" in told
    assert account() in told
    assert as_stranger(enter_and_leave) == "'in'"
    assert list(shared.iterdir()) == []


@root_only
def test_another_user_cannot_free_a_lock(shared: Path) -> None:
    """What one user's dead run left behind another cannot remove, and is told who can."""
    stale = leave(lambda left: left.to_bytes())
    assert "Only root, or root, can free the lock" in as_stranger(lambda: free_stale("lab", stale.id))
    assert len(list(shared.iterdir())) == len(SERVERS)
    assert free_stale("lab", stale.id)


@root_only
def test_a_stale_lock_of_another_user_keeps_us_out(shared: Path) -> None:
    """A second user's run that died is as stale as one's own."""
    as_stranger(lambda: locked().__enter__())
    with pytest.raises(SiteLocked, match="stale lock") as caught:
        locked().__enter__()
    assert f"uid {STRANGER}" in caught.value.found
    assert caught.value.found.endswith(")")


# -- by what the servers are known --------------------------------------------------------------------------

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtk0m4pFoMpLLsoBrWAhFfM1dIvxhBTYWQdTVWiRUy4"


def site(primary: str, port: int = 22, host_key: tuple[str, ...] = (), jump: str = "") -> Site:
    """A site whose primary server is described like this, and whose secondary nobody else has."""
    made = site_with(addresses=(primary, "192.0.2.20", "192.0.2.30", "192.0.2.31"))
    login = SshAccess.model_validate({"user": "a", "password": "env:A", "port": port, "host_key": host_key})
    through = JumpHost.model_validate({"user": "a", "password": "env:A", "address": jump}) if jump else None
    ssh = login.model_copy(update={"jump": through})
    return made.model_copy(update={"primary": made.primary.model_copy(update={"ssh": ssh})})


def share(one: Site, other: Site) -> bool:
    """Whether they share the primary server; the secondary is the same in all of these."""
    return len(set(identities(one)) & set(identities(other))) > len(identities(site_with())[1:])


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows one name, which leads to two addresses."""

    def resolve(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if name == "pi.example.com":
            return [(0, 0, 0, "", (each, 0)) for each in ("192.0.2.10", "2001:db8::10")]
        if name[0].isdigit():
            return [(0, 0, 0, "", (name, 0))]
        raise socket.gaierror(8, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (site("192.0.2.10"), site("192.0.2.10"), True),
        (site("192.0.2.10"), site("192.0.2.11"), False),
        (site("192.0.2.10"), site("192.0.2.10", 2222), False),
        (site("pi.example.com"), site("192.0.2.10"), True),
        (site("PI.example.com"), site("pi.example.com"), True),
        (site("unknown.example.com"), site("Unknown.example.com"), True),
        (site("192.0.2.10", host_key=(KEY,)), site("192.0.2.11", 2222, (KEY,)), True),
        (site("192.0.2.10", jump="192.0.2.1"), site("192.0.2.10", jump="192.0.2.2"), False),
        (site("192.0.2.10", jump="192.0.2.1"), site("192.0.2.10", jump="192.0.2.1"), True),
        (site("192.0.2.10", host_key=(KEY,), jump="192.0.2.1"), site("192.0.2.10", host_key=(KEY,)), True),
    ],
)
def test_two_descriptions_of_one_server(resolver: None, one: Site, other: Site, shared: bool) -> None:
    """An address as resolved with its port, or a pinned host key: one in common, and it is the same server."""
    assert share(one, other) is shared


def test_a_key_and_its_fingerprint_are_the_same_pin(resolver: None) -> None:
    """A host key may be pinned as a key or as its fingerprint."""
    fingerprint = asyncssh.import_public_key(KEY).get_fingerprint("sha256")
    assert share(site("192.0.2.10", host_key=(KEY,)), site("192.0.2.11", host_key=(fingerprint,)))


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
    for text in ("", "host x 1", "host 1", "host ¹ x", "host ٣ x", f"host {'9' * 5000} x"):
        assert ProcessName.parse(text) is None
