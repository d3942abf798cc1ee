"""Which types of host keys a server is asked for, and when it has no further one to show."""

from __future__ import annotations

from functools import cache

import asyncssh
import pytest

from runbook_lib.device.login import ALGORITHMS, HostKeyPins
from runbook_lib.device_prompts import host_key_in_shell

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
