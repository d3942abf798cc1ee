"""``runbook unlock``: which lock is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runbook_lib.cli.approving import unlock_command
from runbook_lib.errors import ParameterRefused
from runbook_lib.record import SiteLock
from runbook_lib.record.lock import lock_path

SITE = """\
name: paris
primary: {address: 192.0.2.10, ssh: {user: admin, password: "env:A"}}
secondary: {address: 192.0.2.11, ssh: {user: admin, password: "env:A"}}
ha: {auth_key: "env:K"}
"""


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path))
    return tmp_path


def leave_a_lock_behind(records: Path) -> str:
    """Leave what a dead run would leave, and return its holder."""
    with SiteLock(records, "paris"):
        left = lock_path(records, "paris").read_bytes()
    lock_path(records, "paris").write_bytes(left)
    return str(json.loads(left)["id"])


def test_the_name_that_the_refusal_prints_is_enough(records: Path) -> None:
    """A site whose file lies anywhere is unlocked by its name alone, as the refusal tells people to."""
    unlock_command("paris", leave_a_lock_behind(records))
    assert not lock_path(records, "paris").exists()


def test_the_file_of_a_site_will_do(records: Path) -> None:
    """The path of a site's file stands for the site's name."""
    (records / "somewhere.yaml").write_text(SITE, encoding="utf-8")
    unlock_command(str(records / "somewhere.yaml"), leave_a_lock_behind(records))
    assert not lock_path(records, "paris").exists()


def test_the_lab_is_not_started_for_it(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody holds the lab's lock, that is said, and no lab is started to find out."""
    monkeypatch.setenv("RUNBOOK_LAB_DIR", str(records / "lab"))
    with pytest.raises(ParameterRefused, match="nobody holds"):
        unlock_command("lab", "1a2b3c4d")
    assert not (records / "lab").exists()
