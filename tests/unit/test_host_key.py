"""What SSH asks of its client: which host keys it is asked to show, which questions get the password, and how often."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import asyncssh
import pytest

from runbook_lib.device import ssh
from runbook_lib.device.login import ALGORITHMS, HostKeyPins, Login, host_key_in_shell
from runbook_lib.errors import DeviceUnreachable
from runbook_lib.params.model import SshAccess
from runbook_lib.secrets import REDACTOR, SecretRef

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


@cache
def key(kind: str, number: int = 0) -> asyncssh.SSHKey:
    del number
    return asyncssh.generate_private_key(kind).convert_to_public()


def fingerprint(kind: str = "ssh-ed25519") -> HostKeyPins:
    """The pins of a server of which the fingerprint of one key is known, and that key is shown by nobody here."""
    return HostKeyPins("primary", [key(kind, 1).get_fingerprint()])


def test_a_type_that_was_shown_is_not_asked_for_again() -> None:
    """With each key that is not the pinned one its type goes, until none is left to be asked for."""
    pins = fingerprint()
    for number, kind in enumerate(KINDS, 1):
        assert not pins.accepts(key(kind))
        assert pins.may_be_another
        assert not {name for shown in KINDS[:number] for name in ALGORITHMS[shown]} & set(pins.algorithms)
    for kind in ALGORITHMS.keys() - {*KINDS}:
        pins.accepts(key(kind))
    assert pins.algorithms == []
    assert not pins.may_be_another


def test_a_server_that_shows_a_type_again_is_asked_no_more() -> None:
    """It claims to have another key and shows the same one: whoever answers so would keep the client for ever."""
    pins = fingerprint()
    pins.accepts(key("ssh-ed25519"))
    assert pins.may_be_another
    pins.accepts(key("ssh-ed25519"))
    assert not pins.may_be_another


def test_a_pinned_key_tells_its_type() -> None:
    """No other type is tried where the key itself is pinned, and its own comes first."""
    pins = HostKeyPins("primary", [key("ssh-rsa", 1).export_public_key().decode()])
    assert pins.algorithms[0] == "rsa-sha2-512"
    pins.accepts(key("ssh-ed25519"))
    assert not pins.may_be_another


@pytest.mark.parametrize("sha1", [False, True])
def test_a_signature_that_rests_on_sha1_is_asked_for_where_it_is_named_alone(sha1: bool) -> None:
    """Never by default, whatever is pinned."""
    for pin in (key("ssh-rsa").get_fingerprint(), key("ssh-rsa").export_public_key().decode()):
        assert ("ssh-rsa" in HostKeyPins("primary", [pin], sha1=sha1).algorithms) is sha1


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ssh-ed25519", "ed25519"), ("ssh-rsa", "rsa"), ("rsa-sha2-512", "rsa"), ("ecdsa-sha2-nistp256", "ecdsa")],
)
def test_the_command_at_the_console_is_for_the_key_that_is_shown(kind: str, name: str) -> None:
    """The fingerprint of another of the server's keys would look like somebody in between."""
    assert host_key_in_shell(kind) == f"ssh-keygen -lf /etc/ssh/ssh_host_{name}_key.pub"


PASSWORD = ("Password: ", False)


@pytest.mark.parametrize(
    ("prompts", "given"),
    [
        ([PASSWORD], True),
        ([("admin@prime-pri's password:", False)], True),
        ([PASSWORD, PASSWORD], False),
        ([PASSWORD, ("Domain: ", False)], False),
        ([("Password: ", True)], False),  # what is typed would be shown
        ([("Verification code: ", False)], False),
        ([("RSA SecurID passcode:", False)], False),
        ([], False),
    ],
)
def test_one_question_for_the_password_gets_it_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, prompts: list[tuple[str, bool]], given: bool
) -> None:
    """Another question, more than one, or one whose answer is shown: the password is not even looked up."""
    monkeypatch.setenv("SSH", "a-password-of-tests")

    async def ask() -> tuple[object, bool]:
        async with asyncio.timeout(None) as patience:
            login = Login(HostKeyPins("primary", []), SecretRef("env", "SSH"), patience)
            first = await login.kbdint_challenge_received("", "", "", prompts)
            if given:  # and once alone
                assert await login.kbdint_challenge_received("", "", "", prompts) is None
                assert await login._once() is None
            return first, login.password_sent

    answer = ["a-password-of-tests"] if given else None if prompts else []
    try:
        assert asyncio.run(ask()) == (answer, given)
    finally:
        REDACTOR.forget()


def test_nothing_of_the_users_own_set_up_is_read_and_old_algorithms_are_not_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither configuration nor known hosts, keys, agent or tickets; no SHA-1, no CBC, no compression."""
    asked: dict[str, Any] = {}

    async def connect(*_place: object, **how: Any) -> None:
        asked.update(how)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncssh, "connect", connect)
    access = SshAccess.model_validate({"user": "admin", "password": "env:SSH"})
    with pytest.raises(DeviceUnreachable):
        asyncio.run(ssh.connect("primary", "192.0.2.10", access, connect_s=60))
    for name in ("config", "client_keys", "agent_path"):
        assert asked[name] is None
    for name in ("public_key_auth", "host_based_auth", "gss_auth", "gss_kex", "agent_forwarding"):
        assert asked[name] is False
    assert asked["known_hosts"] == ([], [], [])
    assert asked["compression_algs"] == ["none"]
    offered = [*asked["kex_algs"], *asked["encryption_algs"], *asked["mac_algs"], *asked["server_host_key_algs"]]
    assert len(offered) > 20
    assert not [name for name in offered if "sha1" in name or "cbc" in name or name in ("ssh-rsa", "ssh-dss")]
