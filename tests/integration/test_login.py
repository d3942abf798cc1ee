"""Logins as real servers make them: texts in any encoding, several host keys, old algorithms, and how far one came."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from pathlib import Path
from typing import NoReturn

import pytest
from real_sshd import Sshd, sshd
from ssh_fakes import PASSWORD, QUICK, FakeAde, closing, key

from runbook_lib.device.command_line import Console
from runbook_lib.device.prime import PrimeServer
from runbook_lib.errors import (
    ConnectionLost,
    DeviceUnreachable,
    HostKeyChanged,
    LoginRefused,
    RunbookError,
    VantageUnavailable,
)
from runbook_lib.params.model import JumpHost, PiServer, SshAccess
from runbook_lib.processes import operator

pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # old servers have nothing else

OLD = {
    "encryption_algs": ["aes128-ctr"],
    "kex_algs": ["diffie-hellman-group14-sha1"],
    "host_key_algs": [b"ssh-rsa"],
    "mac_algs": ["hmac-sha1"],
}
LEGACY = ["ssh-rsa", "diffie-hellman-group14-sha1", "hmac-sha1"]
BANNERS = {"Latin-1": "Zugriff nur für Berechtigte".encode("latin-1"), "GBK": "仅限授权用户".encode("gbk")}


async def release(access: SshAccess) -> str:
    """Log in, ask for the release and return the answer."""
    async with closing(await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)) as console:
        return (await console.run("show version", prove=True)).text


async def refusal(access: SshAccess) -> RunbookError:
    with pytest.raises(RunbookError) as caught:
        await release(access)
    return caught.value


def with_fake(ade: FakeAde, *pins: str, **more: object) -> RunbookError | str:
    """Log in to a scripted server; the answer to ``show version``, or the error."""

    async def talk() -> RunbookError | str:
        async with ade:
            try:
                return await release(ade.access(*pins).model_copy(update=more))
            except RunbookError as error:
                return error

    return asyncio.run(talk())


def fake(**options: object) -> FakeAde:
    return FakeAde({"show version": b"Version : 3.10.6\r\n"}, **options)


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
@pytest.mark.parametrize("encoding", BANNERS)
def test_no_text_before_the_login_ends_a_connection(auth: str, encoding: str) -> None:
    """A banner and a challenge in another encoding than UTF-8 let the login through."""
    ade = fake(auth=auth, banner=BANNERS[encoding], welcome=BANNERS[encoding])
    assert with_fake(ade) == "Version : 3.10.6\n"


def test_a_user_without_a_name_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run a job under a number that no user has: the SSH library asks for a name all the same."""

    def nameless(uid: int) -> NoReturn:
        raise KeyError(uid)

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(pwd, "getpwuid", nameless)
    assert "3.10.6" in str(with_fake(fake()))
    assert operator().startswith(f"{os.getuid()}@")


def test_such_a_text_is_shown_escaped_where_the_login_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's words are in the error, whatever their encoding."""
    monkeypatch.setenv("FAKE_ADE_PASSWORD", "wrong-one")
    error = with_fake(fake(banner=BANNERS["Latin-1"]))
    assert isinstance(error, LoginRefused)
    assert "Zugriff nur f\\xfcr Berechtigte" in error.found


def test_a_fingerprint_is_looked_for_among_all_keys_of_the_server() -> None:
    """It may be that of a key which the server does not prefer; with none that fits, all are shown, and no password."""
    shown = [key("ssh-ed25519"), key("ecdsa-sha2-nistp256"), key("ssh-rsa")]

    async def talk() -> None:
        async with fake() as ade:
            ade._acceptor.update(server_host_keys=shown)
            for one in shown:
                assert "Version" in await release(ade.access(one.get_fingerprint()))
            ade.attempts.clear()
            error = await refusal(ade.access(key("ssh-ed25519", number=1).get_fingerprint()))
            assert isinstance(error, HostKeyChanged)
            assert all(one.get_fingerprint() in error.found for one in shown)
            assert ade.passwords == []

    asyncio.run(talk())


def test_a_server_that_ends_it_behind_its_pinned_key_is_no_stranger() -> None:
    """The key was the pinned one: what came after it is told as it is, and never as another host key."""
    error = with_fake(fake(ends_before_login=True))
    assert isinstance(error, ConnectionLost)


def test_old_algorithms_are_used_where_the_site_names_them_and_nowhere_else() -> None:
    """It never uses an SSH algorithm that rests on SHA-1 unless the site's file names it for that server.

    The error says the words that would be needed and what they mean; the host key stays pinned with them.
    """
    rsa = key("ssh-rsa")
    error = with_fake(fake(host_key=rsa, algorithms=OLD))
    assert isinstance(error, DeviceUnreachable)
    assert "ssh: legacy: [" in error.next_step
    assert all(name in error.next_step for name in LEGACY)
    assert "SHA-1" in error.next_step
    assert with_fake(fake(host_key=rsa, algorithms=OLD), legacy=tuple(LEGACY)) == "Version : 3.10.6\n"
    for name in LEGACY:
        rest = tuple(one for one in LEGACY if one != name)
        partly = with_fake(fake(host_key=rsa, algorithms=OLD), legacy=rest)
        assert isinstance(partly, DeviceUnreachable), name
    pinned = key("ssh-rsa", number=1).get_fingerprint()
    assert isinstance(with_fake(fake(host_key=rsa, algorithms=OLD), pinned, legacy=tuple(LEGACY)), HostKeyChanged)


def test_a_server_that_signs_otherwise_than_agreed_gets_no_password() -> None:
    """Whoever agrees to a safe signature and then signs with SHA-1 is refused, unless the site's file names it."""
    for legacy, passwords in (((), []), (("ssh-rsa",), [PASSWORD])):
        ade = fake(host_key=key("ssh-rsa"), signs_with=b"ssh-rsa")
        answer = with_fake(ade, legacy=legacy)
        assert (answer == "Version : 3.10.6\n") is bool(legacy), answer
        assert ade.passwords == passwords


@pytest.mark.parametrize(
    ("algorithms", "kind"),
    [
        ({"encryption_algs": ["aes128-cbc"]}, "encryption: the server has aes128-cbc; used here: aes256-gcm"),
        ({"kex_algs": ["diffie-hellman-group1-sha1"]}, "key exchange: the server has diffie-hellman-group1-sha1"),
        ({"encryption_algs": ["chacha20-poly1305@openssh.com"]}, "encryption: the server has chacha20"),
    ],
)
def test_what_no_site_may_allow_is_not_offered(algorithms: dict[str, list[str]], kind: str) -> None:
    """CBC and group 1 are in no list; the error names what is not in common, and no word that would allow it."""
    error = with_fake(fake(algorithms=algorithms))
    assert isinstance(error, DeviceUnreachable)
    assert "legacy" not in error.next_step
    assert error.found.startswith(kind)
    assert "\n" not in error.found


def test_a_jump_host_that_forwards_nothing_is_named_as_the_one_who_refused() -> None:
    """The server behind it was not asked, and is not blamed."""

    async def talk() -> None:
        async with fake() as near, fake(host_key=key(number=1)) as far:
            login = near.access()
            jump = JumpHost(
                address="127.0.0.1", port=near.port, user="admin", password=login.password, host_key=login.host_key
            )
            near.forwarding = False
            error = await refusal(far.access().model_copy(update={"jump": jump}))
            assert isinstance(error, VantageUnavailable)
            assert "jump host" in error.what
            assert error.where.startswith("jump host of primary")
            assert not far.connections

    asyncio.run(talk())


def test_a_server_that_takes_no_password_is_told_as_that() -> None:
    """None was sent, so that none may be wrong and no user locked."""
    error = with_fake(fake(auth="publickey"))
    assert isinstance(error, LoginRefused)
    assert "by password or keyboard-interactive" in error.next_step


def test_a_second_factor_is_named_and_the_password_is_not_blamed() -> None:
    """A challenge behind the password is what cannot be answered here; the password was accepted.

    Where both are asked for at once nothing is sent, and the password is blamed for nothing.
    """
    error = with_fake(ade := fake(auth="keyboard-interactive", challenge=["Password: ", "Token: "]))
    assert isinstance(error, LoginRefused)
    assert "something else beside it" in error.what
    assert error.next_step.startswith("use an account for which the password alone is enough")
    assert ade.passwords == []
    error = with_fake(fake(auth="keyboard-interactive", second="Verification code: "))
    assert isinstance(error, LoginRefused)
    assert "password was accepted" in error.what
    assert "second factor" in error.what
    assert "Verification code" in error.found


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_a_password_that_expired_was_accepted(auth: str) -> None:
    """A server that wants a new one says that the old one was right."""
    error = with_fake(fake(auth=auth, expired=True))
    assert isinstance(error, LoginRefused)
    assert "password was accepted" in error.what
    assert "new one" in error.what


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_a_server_that_hangs_up_behind_the_password_is_no_firewall(auth: str) -> None:
    """An account that its rules deny, a login that took too long: the error says that the password had been sent.

    Whether it was right is not known, and it is not tried again.
    """
    ade = fake(auth=auth, ends_behind_password=True)
    error = with_fake(ade)
    assert isinstance(error, LoginRefused)
    assert "after the password was sent" in error.what
    assert "firewall" not in str(error)
    assert ade.passwords == [PASSWORD]


def test_an_account_that_waits_for_a_push_gets_its_password_once() -> None:
    """Each further login would ring the telephone again, or lock an account whose password was wrong."""

    async def ask() -> list[RunbookError]:
        async with (ade := fake(waits_for_a_push=True)):
            deadlines = QUICK.model_copy(update={"connect_s": 0.3})
            server = PrimeServer("primary", PiServer(address="127.0.0.1", ssh=ade.access()), deadlines, lambda *_: None)
            errors = []
            for verb in (server.list_tofu, server.version):
                with pytest.raises(LoginRefused) as refused:
                    await verb()
                errors.append(refused.value)
            assert ade.passwords == [PASSWORD]
            return errors

    for error in asyncio.run(ask()):
        assert "did not answer the password in time" in error.what
        assert "deadlines: connect_s" in error.next_step


@pytest.mark.parametrize("encoding", BANNERS)
def test_a_request_for_a_new_password_may_be_in_any_encoding(encoding: str) -> None:
    """It is read as what it is, and no reason to lose the connection without a word."""
    error = with_fake(fake(auth="password", expired=True, asks_anew=BANNERS[encoding]))
    assert isinstance(error, LoginRefused)
    assert "password was accepted" in error.what


# -- a real server ----------------------------------------------------------------------------------


def against(server: Sshd, kind: str = "ed25519", **more: object) -> RunbookError | str:
    async def talk() -> RunbookError | str:
        try:
            return await release(server.access(kind, **more))
        except RunbookError as error:
            return error

    return asyncio.run(talk())


@pytest.mark.parametrize("encoding", BANNERS)
def test_a_real_server_may_greet_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    """The banner of sshd, and what PAM says before the password, in Latin-1 and GBK."""
    (tmp_path / "banner").write_bytes(BANNERS[encoding])
    with sshd(tmp_path, "Banner FOLDER/banner", message=BANNERS[encoding]) as server:
        assert "Version : 3.10.6" in str(against(server))


def test_a_real_server_with_three_host_keys_is_known_by_any_of_them(tmp_path: Path) -> None:
    """Pinned by the fingerprint of a key that sshd does not prefer."""
    with sshd(tmp_path) as server:
        for kind in server.fingerprints:
            assert "Version : 3.10.6" in str(against(server, kind))


def test_a_real_server_asks_by_keyboard_interactive_alone(tmp_path: Path) -> None:
    """PAM's challenge gets the password, once."""
    with sshd(tmp_path, "AuthenticationMethods keyboard-interactive") as server:
        assert "Version : 3.10.6" in str(against(server))


def test_a_real_server_that_wants_two_steps_took_the_password(tmp_path: Path) -> None:
    """A second step behind the password is named as what cannot be answered here."""
    with sshd(tmp_path, "AuthenticationMethods password,keyboard-interactive") as server:
        error = against(server)
    assert isinstance(error, LoginRefused)
    assert "password was accepted" in error.what
    assert "second factor" in error.what


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_an_account_that_pam_denies_is_no_firewall(tmp_path: Path, method: str) -> None:
    """The error says that the password had been sent, and that the account may be denied."""
    with sshd(tmp_path, f"AuthenticationMethods {method}", account="pam_deny.so") as server:
        error = against(server)
    assert isinstance(error, LoginRefused)
    assert "password" in error.what
    assert "firewall" not in str(error)


def test_a_real_server_that_lets_nobody_finish_is_no_firewall(tmp_path: Path) -> None:
    """One that drops every connection before the login: the error says how far it came, however it was dropped."""
    with sshd(tmp_path, "MaxStartups 1:100:1", "LoginGraceTime 0") as server:

        async def talk() -> RunbookError:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await reader.readline()
            try:
                return await refusal(server.access())
            finally:
                writer.close()

        error = asyncio.run(talk())
    assert isinstance(error, (ConnectionLost, DeviceUnreachable))
    assert re.search("before the (password was sent|server sent anything)", error.what)
    assert "firewall" not in error.next_step


def test_a_real_server_of_old_algorithms_says_which_words_it_needs(tmp_path: Path) -> None:
    """The words of the error, written into the site's file, are those that let the login through."""
    old = (
        "HostKeyAlgorithms ssh-rsa", "KexAlgorithms diffie-hellman-group14-sha1", "MACs hmac-sha1",
        "Ciphers aes128-ctr", "HostKey FOLDER/rsa",
    )  # fmt: skip
    with sshd(tmp_path, *old) as server:
        error = against(server, "rsa")
        assert isinstance(error, DeviceUnreachable)
        assert all(name in error.next_step for name in LEGACY)
        assert "Version : 3.10.6" in str(against(server, "rsa", legacy=tuple(LEGACY)))
