from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook_lib.cli.demo import DELETE, require_witness, stale_entries, usual_skin, witness
from runbook_lib.errors import RepairFailed

STALE = {("primary", "127.0.0.12_8082"), ("primary", "127.0.0.21_9443"), ("secondary", "127.0.0.11_8082")}


def line(server: str, what: str, **more: str) -> dict[str, Any]:
    return {"utc": "2026-11-23T13:00:00.000000+00:00", "server": server, "channel": "ssh", "what": what, **more}


def deletion(server: str, entry: str) -> list[dict[str, Any]]:
    """A command as the lab logs it: once as it arrives, once as it takes effect."""
    return [line(server, DELETE + entry), line(server, DELETE + entry, effect=f"deleted {entry}")]


DELETIONS = [one for place in sorted(STALE) for one in deletion(*place)]
REGISTERED = [line("primary", "HA registration completed", effect="registered")]


def test_the_demo_is_content_with_one_deletion_per_stale_entry_and_one_registration() -> None:
    """Each command is counted once, though the lab logs it as it arrives and as it takes effect."""
    require_witness(DELETIONS + REGISTERED, STALE)
    assert len(witness(DELETIONS + REGISTERED).rows) == 4


@pytest.mark.parametrize(
    "seen",
    [
        [],
        DELETIONS,
        DELETIONS[2:] + REGISTERED,
        DELETIONS + REGISTERED + REGISTERED,
        DELETIONS + deletion("primary", "127.0.0.12_8082") + REGISTERED,
        DELETIONS + deletion("primary", "127.0.0.11_8082") + REGISTERED,
        [*DELETIONS, line("primary", "HA registration failed", effect="refused")],
    ],
)
def test_the_demo_fails_where_the_lab_saw_anything_else(seen: list[dict[str, Any]]) -> None:
    """A deletion too few, too many or of another entry, and none or two registrations: exit 1."""
    with pytest.raises(RepairFailed):
        require_witness(seen, STALE)


def test_an_entry_is_stale_when_its_host_presents_another_certificate() -> None:
    """Entries of hosts that the lab does not know, such as the loopback one, are never called stale."""
    tofu = {"127.0.0.12_8082": {"sha256": "old"}, "127.0.0.11_8082": {"sha256": "p"}, "127.0.0.1_8082": {"sha256": "x"}}
    servers = {
        "primary": {"address": "127.0.0.11", "ports": {"hm": 8082}, "presents_sha256": "p", "tofu": tofu},
        "secondary": {"address": "127.0.0.12", "ports": {"hm": 8082}, "presents_sha256": "new", "tofu": {}},
    }
    assert stale_entries({"servers": servers}) == {("primary", "127.0.0.12_8082")}


def test_the_demo_shows_real_widgets_or_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With Dojo in the named folder its skin is shown; without, the plainest one, and what to install is said."""
    for part in ("dojo", "dijit", "dojox"):
        (tmp_path / "there" / part).mkdir(parents=True)
    (tmp_path / "there" / "dojo" / "dojo.js").touch()
    monkeypatch.setenv("RUNBOOK_DOJO", str(tmp_path / "there"))
    assert usual_skin() == "dojo"
    monkeypatch.setenv("RUNBOOK_DOJO", str(tmp_path / "elsewhere"))
    assert usual_skin() == "forms"
    assert "libjs-dojo-dijit" in capsys.readouterr().out
