"""The whole repair, cell by cell of the notebooks, in labs of every kind; the lab's own log is the witness.

A browser works the pages once, in the lab as published; how each look of them is worked is tested with the pages.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import yaml
from direct_pages import direct_pages
from repair_site import StartLab, changes, repair

from runbook_lib.errors import HostKeyChanged
from runbook_lib.lab import Lab
from runbook_lib.models import Outcome


def entry(lab: Lab, server: str) -> str:
    """Under which key the others list a server."""
    about = lab.world["servers"][server]
    return f"{about['address']}_{about['ports'].get('hm') or about['ports']['ise']}"


def stale_entries(lab: Lab) -> set[tuple[str, str]]:
    """The three deletions of the published procedure."""
    return {
        ("primary", entry(lab, "secondary")),
        ("primary", entry(lab, "ise")),
        ("secondary", entry(lab, "primary")),
    }


def assert_trust_is_right(lab: Lab) -> None:
    """Every entry holds the certificate that its host presents, HA is up, and the ISE server answers."""
    servers = lab.world["servers"]
    for observer, host in (("primary", "secondary"), ("primary", "ise"), ("secondary", "primary")):
        assert servers[observer]["tofu"][entry(lab, host)]["sha256"] == servers[host]["presents_sha256"]
    assert (servers["primary"]["ha_state"], servers["secondary"]["ha_state"]) == ("Primary Active", "Secondary Syncing")
    assert [row["reachable"] for row in lab.world["ise_servers"]] == [True]


KINDS: dict[str, dict[str, Any]] = {
    "as published": {"keys": "rsa"},
    "one address, a question, other spellings": {
        "addresses": "single",
        "deletecert": "question",
        "listing": "spaced",
        "log_lines": "one_line",
        "resume_question": True,
    },
    "silent, paged, timeless": {
        "deletecert": "silent",
        "listing": "bare",
        "banner": False,
        "log_time": "",
        "terminal_length": 5,
        "login_banner": "Authorized use only.\nhost=192.0.2.1_8082; subject=CN=nobody # \n",
        "monitor_style": "slow",
        "monitor_interval_s": 0.05,
    },
    "monitors that meet at registration only, ISO times": {
        "monitor_style": "on_registration",
        "log_time": "%Y-%m-%dT%H:%M:%S.%LZ ",
        "command_delay_s": 0.05,
        "subject_alt_names": False,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_renewed_site_is_repaired_by_three_deletions_one_registration_and_one_ise_server(
    start_lab: StartLab, kind: str
) -> None:
    """Whatever the site is like, exactly the stale entries go, HA is registered once, ISE added once."""
    lab = start_lab("renewed", **KINDS[kind])
    expected = stale_entries(lab)

    with nullcontext() if kind == "as published" else direct_pages(lab):
        record = repair(lab.site_file)

    seen = changes(lab.truth())
    assert (set(seen.deleted), len(seen.deleted), seen.sent) == (expected, 3, 3)
    assert seen.registered == ["registered"]
    assert seen.ise == [f"add ISE {lab.world['servers']['ise']['address']}"]
    assert record.outcome() is Outcome.REPAIRED
    assert_trust_is_right(lab)


def test_healthy_site_is_left_as_it_is(start_lab: StartLab) -> None:
    """Where nothing is wrong nothing is changed, and the outcome says so."""
    lab = start_lab("healthy")
    with direct_pages(lab):
        record = repair(lab.site_file)
    assert record.outcome() is Outcome.NOTHING_TO_DO
    assert changes(lab.truth()).nothing


def test_one_renewed_ise_server_costs_one_deletion(start_lab: StartLab) -> None:
    """It recovers by itself once the one stale entry is gone; nothing else is touched.

    So does HA: ``test_faults_deletion`` has the secondary.
    """
    lab = start_lab("renewed-ise-only")
    with direct_pages(lab):
        record = repair(lab.site_file)
    seen = changes(lab.truth())
    assert seen.deleted == [("primary", entry(lab, "ise"))]
    assert (seen.sent, seen.registered, seen.ise) == (1, [], [])
    assert record.outcome() is Outcome.REPAIRED
    assert_trust_is_right(lab)


def test_redeployed_server_is_not_logged_in_to_until_its_new_host_key_is_pinned(start_lab: StartLab) -> None:
    """A changed SSH host key stops the repair with no password sent; with it pinned, the repair goes through."""
    lab = start_lab("after-redeploy")
    with pytest.raises(HostKeyChanged) as stopped:
        repair(lab.site_file)
    assert "secondary" in str(stopped.value)
    logins = [line for line in lab.truth() if line["server"] == "secondary" and line["what"] == "login"]
    assert logins == []
    assert changes(lab.truth()).nothing

    pin_new_host_key(lab, "secondary")
    with direct_pages(lab):
        record = repair(lab.site_file)

    seen = changes(lab.truth())
    assert seen.deleted == [("primary", entry(lab, "secondary"))]
    assert (seen.sent, seen.registered, seen.ise) == (1, ["registered"], [])
    assert record.outcome() is Outcome.REPAIRED
    assert_trust_is_right(lab)


def pin_new_host_key(lab: Lab, server: str) -> None:
    """What the operator does who has compared the new key on the server's console: put it into the site's file."""
    site = yaml.safe_load(lab.site_file.read_text())
    site[server]["ssh"]["host_key"] = [(lab.folder / "desk" / f"{server}.host_key").read_text().strip()]
    lab.site_file.write_text(yaml.safe_dump(site, sort_keys=False))
