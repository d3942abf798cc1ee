"""``runbook unlock``: which lock is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook_lib.cli.plans import unlock_command
from runbook_lib.device.prime import identities
from runbook_lib.errors import ParameterRefused
from runbook_lib.params.load import load_site
from runbook_lib.record.lock import SiteLock, holder_of, lock_paths

SITE = """\
name: paris
primary: {address: 192.0.2.10, ssh: {user: admin, password: "env:A"}}
secondary: {address: 192.0.2.11, ssh: {user: admin, password: "env:A"}}
ha: {auth_key: "env:K"}
"""


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of this machine's locks; the site's file lies there, too."""
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path))
    (tmp_path / "somewhere.yaml").write_text(SITE, encoding="utf-8")
    return tmp_path


def leave_a_lock_behind(locks: Path, content: bytes = b"") -> str:
    """Leave what a dead run would leave, or what is left of it, and return its holder."""
    servers = identities(load_site(locks / "somewhere.yaml"))
    with SiteLock("paris", servers):
        holder = holder_of("paris")
        left = {path: path.read_bytes() for path in lock_paths(servers)}
    for path, said in left.items():
        path.write_bytes(content or said)
    assert holder
    return holder.id


def test_the_name_that_the_refusal_prints_is_enough(locks: Path) -> None:
    """A site whose file lies anywhere is unlocked by its name alone, as the refusal tells people to."""
    unlock_command("paris", leave_a_lock_behind(locks))
    assert list(locks.glob("*.lock")) == []


def test_the_file_of_a_site_will_do(locks: Path) -> None:
    """The path of a site's file stands for its servers, also where what the lock says cannot be read any more."""
    unlock_command(str(locks / "somewhere.yaml"), leave_a_lock_behind(locks))
    assert list(locks.glob("*.lock")) == []
    leave_a_lock_behind(locks, b"cut off")
    unlock_command(str(locks / "somewhere.yaml"), "unreadable")
    assert list(locks.glob("*.lock")) == []


def test_the_lab_is_not_started_for_it(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody holds the lab's lock, that is said, and no lab is started to find out."""
    monkeypatch.setenv("RUNBOOK_LAB_DIR", str(locks / "lab"))
    with pytest.raises(ParameterRefused, match="is free"):
        unlock_command("lab", "1a2b3c4d")
    assert not (locks / "lab").exists()
