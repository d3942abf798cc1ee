"""Files that are the owner's alone: looked at before they are opened, and refused where others have a hand in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from certificate_kit import key_of
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from waiting import forbid_waiting_opens

from runbook_lib.errors import ParameterRefused, SecretUnavailable
from runbook_lib.record.files import write_new
from runbook_lib.record.signing import PRIVATE, PUBLIC, new_key, signing_key, trusted_keys
from runbook_lib.secrets import NotPrivate, SecretRef, read_private

STRANGER = 65534


def mine(path: Path, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(b"Tr0ub4dor&3\n")
    path.chmod(mode)
    return path


def give_away(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the path belong to another user: really where that is allowed, else by being somebody else."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, STRANGER)
    else:
        patch.setattr(os, "geteuid", lambda: STRANGER)


def refused(path: Path) -> str:
    with pytest.raises(NotPrivate) as caught:
        read_private(path, 1000)
    return caught.value.why


def test_a_private_file_is_read_also_through_links(tmp_path: Path) -> None:
    """A file of mode 0600 in one's own folders is read, by its name or by a symbolic link to it or to its folder."""
    path = mine(tmp_path / "a" / "password")
    (tmp_path / "link").symlink_to("a/password")
    (tmp_path / "folder").symlink_to(tmp_path / "a")
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b" / "link").symlink_to("../a/password")
    for name in (
        path,
        tmp_path / "link",
        tmp_path / "b" / "link",
        tmp_path / "folder" / "password",
        tmp_path / "a" / ".." / "a" / "password",
    ):
        assert read_private(name, 1000) == b"Tr0ub4dor&3\n"


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe is not opened at all, so nothing waits for its other end; neither is a device."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("it was opened"))
    for path in (tmp_path / "pipe", Path("/dev/null")):
        assert refused(path) == "it is not a regular file"


def test_a_pipe_that_took_the_place_of_the_file_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is opened is looked at again, and opening never waits: the file may be replaced between two looks."""
    path = mine(tmp_path / "password")
    forbid_waiting_opens(monkeypatch)
    really = os.open

    def swapped(name: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path, 0o600)
        return really(name, flags)

    monkeypatch.setattr(os, "open", swapped)
    assert refused(path) == "it is not a regular file"


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the file can give it any content at any time."""
    path = mine(tmp_path / "password")
    give_away(path, monkeypatch)
    assert "belongs to another user" in refused(path)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("where", ["a", "a/b"])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, where: str, mode: int) -> None:
    """Whoever may write in a folder on the way can put another file, or folder, in the place of this one."""
    path = mine(tmp_path / "a" / "b" / "password")
    (tmp_path / where).chmod(mode)
    assert f"others may write in the folder {tmp_path / where} (mode {mode:04o})" in refused(path)
    (tmp_path / where).chmod(mode | 0o1000)
    assert read_private(path, 1000)  # the sticky bit keeps others from replacing what is not theirs


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So can its owner, whatever its mode says now."""
    path = mine(tmp_path / "a" / "password")
    give_away(tmp_path / "a", monkeypatch)
    assert "belongs to another user" in refused(path)


def test_a_link_in_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """The folder that holds a link counts as much as the one that it leads to."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(mine(tmp_path / "a" / "password"))
    (tmp_path / "a" / "link").symlink_to(mine(tmp_path / "open" / "password"))
    (tmp_path / "open").chmod(0o777)
    assert "others may write in the folder" in refused(tmp_path / "open" / "link")
    assert "others may write in the folder" in refused(tmp_path / "a" / "link")


def test_links_that_lead_round_and_files_that_are_too_long(tmp_path: Path) -> None:
    """A circle of links is an error of the system's, and a file has a length that is asked for."""
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="links"):
        read_private(tmp_path / "circle", 1000)
    with pytest.raises(NotPrivate, match="longer than 5 bytes"):
        read_private(mine(tmp_path / "password"), 5)


def test_secrets_and_keys_are_read_this_way(tmp_path: Path) -> None:
    """A ``file:`` secret that is a pipe, and a key or a trusted key where others may write, are refused by name."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SecretUnavailable, match="not a regular file"):
        SecretRef.parse(f"file:{tmp_path / 'pipe'}").resolve()
    keys = tmp_path / "keys"
    new_key(keys)
    assert signing_key(keys)
    assert len(trusted_keys(keys)) == 1
    keys.chmod(0o770)
    for ask, name in ((signing_key, PRIVATE), (trusted_keys, PUBLIC)):
        with pytest.raises(ParameterRefused, match="others may write in the folder") as caught:
            ask(keys)
        assert caught.value.where == str(keys / name)
        assert "chmod go-w" in caught.value.next_step


@pytest.mark.parametrize("by", ["mode", "user"])
def test_a_key_itself_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A signing key that others may read is refused, a public key only where they may write it or have made it."""
    new_key(tmp_path / "keys")
    private, public = (tmp_path / "keys" / name for name in (PRIVATE, PUBLIC))
    public.chmod(0o644)
    assert len(trusted_keys(tmp_path / "keys")) == 1
    if by == "mode":
        private.chmod(0o640)
        public.chmod(0o664)
    else:
        give_away(private, monkeypatch)
        give_away(public, monkeypatch)
    for ask, path in ((signing_key, private), (trusted_keys, public)):
        with pytest.raises(ParameterRefused, match="others may use" if by == "mode" else "another user") as caught:
            ask(tmp_path / "keys")
        assert caught.value.where == str(path)


def test_no_key_is_replaced_and_no_other_kind_is_used(tmp_path: Path) -> None:
    """Neither where the public half alone is left, which others hold; a key of another kind is refused by name."""
    first = new_key(tmp_path / "keys")
    (tmp_path / "keys" / PRIVATE).unlink()
    with pytest.raises(ParameterRefused, match="ever overwritten"):
        new_key(tmp_path / "keys")
    assert trusted_keys(tmp_path / "keys")[0].id == first.id
    other = key_of("ec").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(tmp_path / "keys" / PRIVATE, other)
    with pytest.raises(ParameterRefused, match="cannot be used") as caught:
        signing_key(tmp_path / "keys")
    assert "not an Ed25519 private key" in caught.value.found
