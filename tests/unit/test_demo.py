"""``runbook demo``: content only where the lab itself saw one deletion per stale entry and one registration."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runbook_lib.cli import lab, running
from runbook_lib.cli.lab import DELETE, changes_seen, checked_skin, require_changes_seen, stale_entries
from runbook_lib.errors import BrowserMissing, ParameterRefused, RepairFailed
from runbook_lib.lab.errors import LabError, LabOptionInvalid
from runbook_lib.lab.pages.dojo import KNOBS
from runbook_lib.notebook import warm_kernels
from runbook_lib.record.incident import list_records

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
    require_changes_seen(DELETIONS + REGISTERED, STALE)
    assert len(changes_seen(DELETIONS + REGISTERED).rows) == 4


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
        require_changes_seen(seen, STALE)


def test_an_entry_is_stale_when_its_host_presents_another_certificate() -> None:
    """Entries of hosts that the lab does not know, such as the loopback one, are never called stale."""
    tofu = {"127.0.0.12_8082": {"sha256": "old"}, "127.0.0.11_8082": {"sha256": "p"}, "127.0.0.1_8082": {"sha256": "x"}}
    servers = {
        "primary": {"address": "127.0.0.11", "ports": {"hm": 8082}, "presents_sha256": "p", "tofu": tofu},
        "secondary": {"address": "127.0.0.12", "ports": {"hm": 8082}, "presents_sha256": "new", "tofu": {}},
    }
    assert stale_entries({"servers": servers}) == {("primary", "127.0.0.12_8082")}


def test_an_incident_whose_lab_has_ended_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the run ended: the next command of a site must not lead to servers that are gone."""

    def fail(*_: Any) -> Any:
        raise BrowserMissing("there is none")

    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path))
    monkeypatch.setattr(lab, "load_site", lambda _: SimpleNamespace(name="lab", kind="lab"))
    monkeypatch.setattr(lab, "_show_incident", lambda *_: None)
    monkeypatch.setattr(running, "run_and_tell", fail)
    with pytest.raises(BrowserMissing):
        lab._repair(tmp_path, {})
    [incident] = list_records(tmp_path)
    assert not incident.is_open


def test_what_kernels_are_forked_from_begins_beside_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second, in which the lab starts; and it ends with the demonstration, however that ends."""
    begun: list[bool] = []

    def up(*_: Any) -> Any:
        begun.append(warm_kernels.is_wanted())
        raise LabError("it does not start")

    monkeypatch.setenv("RUNBOOK_LAB_DIR", str(tmp_path))
    monkeypatch.setattr(warm_kernels, "_running", lambda _: None)
    monkeypatch.setattr(lab.lab, "up", up)
    with pytest.raises(ParameterRefused, match="does not start"):
        lab.demo_command("forms")
    assert begun == [True]
    assert not warm_kernels.is_wanted()


def place_dojo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("dojo", "dijit", "dojox"):
        (folder / "there" / part).mkdir(parents=True)
    (folder / "there" / "dojo" / "dojo.js").touch()
    monkeypatch.setenv("RUNBOOK_DOJO", str(folder / "there"))


def test_a_lab_shows_real_widgets_or_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With Dojo in the named folder its skin is shown; without, the plainest one, and what to install is said."""
    place_dojo(tmp_path, monkeypatch)
    assert checked_skin("") == "dojo"
    monkeypatch.setenv("RUNBOOK_DOJO", str(tmp_path / "elsewhere"))
    assert checked_skin("") == "forms"
    assert "libjs-dojo-dijit" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["xwt", "dojo?menu=none", "dojo?colour=red", "forms?menu=title"])
def test_a_skin_or_a_knob_that_is_not_there_is_refused(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started; what there is is named."""
    place_dojo(tmp_path, monkeypatch)
    with pytest.raises(LabOptionInvalid, match=r"spa|icon, title, tabindex"):
        checked_skin(words)


def test_knobs_follow_the_name_of_the_skin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to build the pages of real widgets is an option of the command."""
    place_dojo(tmp_path, monkeypatch)
    for knob, values in KNOBS.items():
        for value in values:
            assert checked_skin(f"dojo?{knob}={value}") == f"dojo?{knob}={value}"
