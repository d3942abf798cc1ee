"""The beginning of a session over SSH: who answers, the login, and the way there, through a jump host too."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh
import pytest
from closed_port import closed_port
from held_clock import pass_by, run, silence, turns
from ssh_fakes import (
    LONGER_THAN_A_PROMPT_S,
    PASSWORD,
    PASSWORD_REF,
    QUICK,
    FakeAde,
    Terminal,
    ask,
    closing,
    failing,
    key,
    login,
    mute_server,
)
from waiting import PATIENCE_S, awaited

from runbook_lib.device import dialog
from runbook_lib.device.command_line import Console
from runbook_lib.errors import (
    ConnectionLost,
    DeviceSilent,
    DeviceUnreachable,
    HostKeyChanged,
    HostKeyUnknown,
    LoginQuestion,
    LoginRefused,
    SecretUnavailable,
    SiteFileInvalid,
    VantageUnavailable,
)
from runbook_lib.params.model import Deadlines, JumpHost, SshAccess

# -- login -------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_the_password_is_given_once_either_way(auth: str) -> None:
    """Password and keyboard-interactive logins both work, and send the password one time."""
    ade = FakeAde({"show": b"x\r\n"}, auth=auth)
    assert ask(ade, "show") == ["x\n"]
    assert ade.passwords == [PASSWORD]


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_a_wrong_password_is_not_tried_again(auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused password is sent once in all: a second attempt may lock the user."""
    monkeypatch.setenv("FAKE_ADE_PASSWORD", "wrong-one")
    ade = FakeAde(auth=auth)
    error = failing(ade)
    assert isinstance(error, LoginRefused)
    assert ade.passwords == ["wrong-one"]
    assert ade.challenges == (auth == "keyboard-interactive")
    assert "wrong-one" not in str(error)


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_an_expired_password_is_refused_and_not_changed(auth: str) -> None:
    """Where the server wants a new password none is sent, and the error shows what the server said."""
    ade = FakeAde(auth=auth, expired=True)
    error = failing(ade)
    assert isinstance(error, LoginRefused)
    assert "assword" in error.found
    assert ade.passwords == [PASSWORD]


def test_a_password_that_expired_on_the_command_line_is_refused() -> None:
    """A shell that asks for a new password instead of showing a prompt is told from a question or silence."""

    async def nag(terminal: Terminal) -> None:
        terminal.write(b"Your password has expired.\r\nEnter new password: ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        await terminal.read_line()

    error = failing(FakeAde(before_prompt=nag))
    assert isinstance(error, LoginRefused)
    assert "Your password has expired." in error.found


def test_a_secret_that_cannot_be_had_is_said_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing password is the site's problem, not the device's refusal."""
    monkeypatch.delenv("FAKE_ADE_PASSWORD")
    ade = FakeAde()
    assert isinstance(failing(ade), SecretUnavailable)
    assert ade.passwords == []


def test_a_banner_and_the_resume_question_come_before_the_prompt() -> None:
    """A banner that holds a prompt of its own is passed over, and an old session is not resumed."""
    replies = []

    async def greet(terminal: Terminal) -> None:
        terminal.write(b"\r\n*** WELCOME: type at prime-pri/admin# \r\nother/admin# ")
        await turns()
        terminal.write(b"\r\nLast login\r\n1. pts/1 12:00\r\n")
        terminal.write(b"Enter session number to resume or press <Enter> to start a new one: ")
        replies.append(await terminal.read_line())

    assert ask(FakeAde({"show": b"x\r\n"}, before_prompt=greet), "show", "show") == ["x\n", "x\n"]
    assert replies == [b""]


def test_a_banner_that_ends_like_a_prompt_does_not_shift_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands like a prompt for a while before the real one comes is not learned, and every answer is its own."""
    monkeypatch.setattr(dialog, "DOUBTFUL_SETTLE_S", PATIENCE_S)

    async def greet(terminal: Terminal) -> None:
        terminal.write(b"jump/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\nprime-pri/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\n")

    async def talk() -> None:
        ade = FakeAde({"show a": b"a\r\n", "show b": b"b\r\n"}, before_prompt=greet)
        async with ade, closing(await login(ade)) as console:
            assert [(await console.run(f"show {c}")).text for c in "abab"] == ["a\n", "b\n", "a\n", "b\n"]
            assert console.prompt == "prime-pri/admin# "

    run(talk())


def test_the_prompt_of_a_named_host_is_waited_for() -> None:
    """Where the site names the host in the prompt, another host's prompt opens no session."""

    async def talk() -> None:
        async def other(terminal: Terminal) -> None:
            terminal.write(b"prime-sec/admin# ")
            await silence()

        async with FakeAde(before_prompt=other) as ade:
            access = ade.access().model_copy(update={"prompt_host": "prime-pri"})
            with pytest.raises(LoginQuestion) as caught:
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            assert "prime-sec/admin#" in caught.value.found
            assert caught.value.next_step.endswith("prime-pri/<user>#")

    run(talk())


def test_a_server_that_opens_no_terminal_is_given_up() -> None:
    """A login that is followed by nothing ends at the deadline, one that is followed by a no at once."""

    mute, no = FakeAde(session=silence), FakeAde(session=lambda: False)
    assert isinstance(failing(mute), DeviceSilent)
    assert isinstance(failing(no), LoginRefused)


def test_a_session_limit_is_reported_in_the_servers_words() -> None:
    """A server that says why it lets nobody in and hangs up is quoted."""

    async def full(terminal: Terminal) -> None:
        terminal.write(b"Maximum number of sessions reached\r\n")
        terminal.process.exit(1)
        await asyncio.Event().wait()

    error = failing(FakeAde(before_prompt=full))
    assert isinstance(error, ConnectionLost)
    assert "Maximum number of sessions" in error.found
    assert not error.sent


def test_silence_while_logging_in_is_no_lost_command() -> None:
    """What the login itself types does not count as a command of the caller's."""
    error = failing(FakeAde({"terminal length 0": silence}))
    assert isinstance(error, DeviceSilent)
    assert not error.sent


def test_sessions_are_left_with_exit() -> None:
    """Closing says exit first, so that no session is offered for resumption later."""
    ade = FakeAde()
    ask(ade)
    assert ade.commands[-1] == "exit"


# -- who answers ---------------------------------------------------------------------------------


def test_an_unpinned_host_key_stops_before_the_password() -> None:
    """With no pin the presented fingerprint is shown with what to do, and no login is tried."""

    async def talk() -> HostKeyUnknown:
        async with FakeAde() as ade:
            access = ade.access().model_copy(update={"host_key": ()})
            with pytest.raises(HostKeyUnknown) as caught:
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            assert ade.attempts == []
            assert len(ade.connections) == 1
        return caught.value

    error = run(talk())
    assert key().get_fingerprint() in error.found
    assert "another way" in error.next_step
    assert "host_key:" in error.next_step


@pytest.mark.parametrize("as_fingerprint", [False, True])
def test_a_changed_host_key_stops_before_the_password(as_fingerprint: bool) -> None:
    """It never sends a password over SSH to a server whose host key is not the pinned one.

    A key other than the pinned one is shown beside it; no login is tried, and not a second time.
    """
    old = key(number=1)
    pin = old.get_fingerprint() if as_fingerprint else old.export_public_key().decode().strip()
    ade = FakeAde()
    error = failing(ade, "", pin)
    assert isinstance(error, HostKeyChanged)
    assert old.get_fingerprint() in error.found
    assert key().get_fingerprint() in error.found
    assert ade.attempts == []
    # A fingerprint does not tell the type of its key: the other types are asked for, too.
    assert as_fingerprint or len(ade.connections) == 1


def test_a_fingerprint_is_a_pin_too() -> None:
    """A SHA256: fingerprint pins as well as a key line, alone or beside others."""

    async def talk() -> None:
        async with FakeAde() as ade:
            pins = (key(number=1).export_public_key().decode().strip(), key().get_fingerprint())
            async with closing(await login(ade, *pins)) as console:
                assert console.is_open

    run(talk())


def test_a_pinned_rsa_key_is_asked_for_where_the_server_has_others() -> None:
    """The types of pinned keys come first, so that a server with several keys shows the pinned one."""
    rsa = key("ssh-rsa")

    async def talk() -> None:
        async with FakeAde() as ade:
            ade._acceptor.update(server_host_keys=[key(), rsa])
            async with closing(await login(ade, rsa.export_public_key().decode().strip())) as console:
                assert console.is_open

    run(talk())


@pytest.mark.parametrize("pin", ["MD5:" + ":".join(["aa"] * 16), "SHA256:abc", "ssh-ed25519", "yes", ""])
def test_a_pin_that_is_none_is_refused_before_a_connection(pin: str) -> None:
    """MD5, a short or an empty pin is a mistake, not a pin that fits nothing, also where no site's file was read."""

    async def talk() -> None:
        async with FakeAde() as ade:
            access = ade.access().model_copy(update={"host_key": (pin,)})
            with pytest.raises(SiteFileInvalid):
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            assert ade.connections == []

    run(talk())


@pytest.mark.parametrize(
    "algorithms",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"host_key_algs": [b"ssh-rsa"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]},
        {"encryption_algs": ["aes128-cbc"]},
    ],
)
def test_sha1_and_worse_are_refused(algorithms: dict[str, list[str]]) -> None:
    """A server that offers only SHA-1 for keys, key exchange or integrity, or CBC, gets no password."""
    ade = FakeAde(host_key=key("ssh-rsa"), algorithms=algorithms)
    error = failing(ade)
    assert isinstance(error, DeviceUnreachable)
    assert "algorithm" in error.what
    assert ade.attempts == []


# -- reaching it -----------------------------------------------------------------------------------


def test_nobody_there_is_unreachable() -> None:
    """A refused connection is an error of its own."""

    async def talk() -> None:
        with closed_port() as port:
            access = SshAccess(port=port, user="admin", password=PASSWORD_REF, host_key=(key().get_fingerprint(),))
            with pytest.raises(DeviceUnreachable):
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)

    run(talk())


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    """Silence before the login is an error within the connection deadline."""

    async def talk() -> None:
        async with mute_server() as (port, closed):
            access = SshAccess(port=port, user="admin", password=PASSWORD_REF)
            with pytest.raises(DeviceSilent):
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            await awaited(closed.wait(), "the end of the connection")

    run(talk())


def test_ipv6_addresses_work() -> None:
    """A server on the IPv6 loopback is reached like any other."""
    ade = FakeAde({"show": b"x\r\n"}, listen="::1")
    try:
        assert ask(ade, "show") == ["x\n"]
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")


def through(far: FakeAde, near: FakeAde, *pins: str) -> SshAccess:
    """How to log in to ``far`` through ``near``, whose key is pinned unless there are other ``pins`` for it."""
    login = near.access(*pins)
    jump = JumpHost(
        address="127.0.0.1", port=login.port, user=login.user, password=login.password, host_key=login.host_key
    )
    return far.access().model_copy(update={"jump": jump})


def test_a_jump_host_carries_the_connection_and_is_left_with_it() -> None:
    """Through the site's jump host the far server is reached, and nothing stays connected to either afterwards."""

    async def talk() -> None:
        far = FakeAde({"show": b"far\r\n"}, host="prime-sec", host_key=key(number=1))
        async with FakeAde() as near, far:
            async with closing(
                await Console.open("secondary", "127.0.0.1", through(far, near), deadlines=QUICK)
            ) as console:
                assert (await console.run("show")).text == "far\n"
                jump = console._connection._tunnel
            assert near.forwarded == [("127.0.0.1", far.port)]
            await awaited(jump.wait_closed(), "the end of the connection to the jump host")

    run(talk())


def test_both_keys_are_checked_behind_a_jump_host() -> None:
    """Another key of the far server or of the jump host: its own error, and the far server gets no password."""

    async def talk() -> None:
        far = FakeAde(host="prime-sec", host_key=key(number=1))
        async with FakeAde() as near, far:
            for access in (
                through(far, near).model_copy(update={"host_key": (key().get_fingerprint(),)}),
                through(far, near, key(number=1).get_fingerprint()),
            ):
                with pytest.raises(HostKeyChanged):
                    await Console.open("secondary", "127.0.0.1", access, deadlines=QUICK)
            assert not far.passwords

    run(talk())


def test_forwarding_that_is_refused_is_told_from_a_host_that_is_down() -> None:
    """The server's no and the far end's absence are two errors."""

    async def talk() -> None:
        async with FakeAde() as ade, closing(await login(ade)) as console:
            with closed_port() as port, pytest.raises(DeviceUnreachable):
                await console.open_channel("127.0.0.1", port)
            ade.forwarding = False
            with pytest.raises(VantageUnavailable):
                await console.open_channel("127.0.0.1", ade.port)

    run(talk())


def test_many_sessions_are_light() -> None:
    """200 sessions of three commands each all get their own answers."""

    async def talk() -> None:
        async with FakeAde({f"show {n}": b"%d\r\n" % n for n in range(3)}) as ade:
            room = asyncio.Semaphore(40)

            async def session() -> list[str]:
                async with room, closing(await login(ade, deadlines=Deadlines())) as console:
                    return [(await console.run(f"show {n}")).text for n in range(3)]

            assert await asyncio.gather(*(session() for _ in range(200))) == [["0\n", "1\n", "2\n"]] * 200

    run(talk())


def test_asyncssh_takes_nothing_from_the_user(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's ssh config, keys and known hosts change nothing."""
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "config").write_text("Host *\n  ProxyCommand false\n  User mallory\n")
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "id_ed25519")
    monkeypatch.setenv("HOME", str(tmp_path))
    ade = FakeAde({"show": b"x\r\n"})
    assert ask(ade, "show") == ["x\n"]
    assert ade.attempts == [("user", "admin"), ("password", PASSWORD)]
