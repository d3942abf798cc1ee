"""Trust on first use between the simulated servers: mismatches appear and disappear because certificates do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
import yaml
from cryptography import x509
from lab_clients import DELETE, connected, place, say, shown, shown_through
from waiting import wait_until

from runbook_lib.lab import Lab
from runbook_lib.lab.backend import HaForm
from runbook_lib.lab.truth import read_truth

StartLab = Callable[..., Lab]
NOT_CONFIGURED = {"primary": "HA not Configured", "secondary": "HA not Configured"}

HEALTH_MONITOR_LINES = """\
[system] [HealthMonitorThread] TOFU failed.
Check local trust Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- CN={cn}, OU=Prime Infra, O=Cisco Systems, L=SJ, ST=CA, C=US
javax.net.ssl.SSLHandshakeException: java.security.cert.CertificateException:
Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- CN={cn}
"""

ISE_LINES = """\
TOFU failed.
Check local trust Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- CN=ISE-server
javax.net.ssl.SSLHandshakeException: java.security.cert.
CertificateException: Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- CN=ISE-server
"""


def entry(lab: Lab, server: str) -> str:
    return "{}_{}".format(*place(lab, server, "ise" if server.startswith("ise") else "hm"))


def ha_states(lab: Lab) -> dict[str, str]:
    return {key: lab.world["servers"][key]["ha_state"] for key in ("primary", "secondary")}


def stale(lab: Lab) -> set[tuple[str, str]]:
    """Which stores hold another certificate than their remote host presents."""
    servers = lab.world["servers"]
    by_entry = {entry(lab, key): about["presents_sha256"] for key, about in servers.items()}
    return {
        (holder, key)
        for holder in ("primary", "secondary")
        for key, stored in servers[holder]["tofu"].items()
        if stored["sha256"] != by_entry.get(key, stored["sha256"])
    }


def mismatches(lab: Lab, server: str, name: str = "hm-0-0.log") -> int:
    return lab.log(server, name).count("TOFU failed.")


def test_a_healthy_site_is_quiet(healthy: Lab) -> None:
    """No store is stale, HA is up, ISE answers, and no log tells of a mismatch."""
    assert stale(healthy) == set()
    assert ha_states(healthy) == {"primary": "Primary Active", "secondary": "Secondary Syncing"}
    assert [ise["reachable"] for ise in healthy.world["ise_servers"]] == [True]
    assert mismatches(healthy, "primary") + mismatches(healthy, "secondary") == 0
    assert mismatches(healthy, "primary", "ncs-0-0.log") == 0


def test_a_renewal_breaks_ha_and_says_so_as_published(start_lab: StartLab) -> None:
    """A new certificate on a running secondary: both servers lose each other, the primary's log has the lines."""
    lab = start_lab("healthy")
    before = shown(place(lab, "secondary", "hm"))
    lab.renew("secondary")
    assert shown(place(lab, "secondary", "hm")) == shown(place(lab, "secondary", "web")) != before
    wait_until(lambda: mismatches(lab, "primary") > 1, "mismatches in the primary's log")
    assert ha_states(lab) == {"primary": "Primary Lost Secondary", "secondary": "Secondary Lost Primary"}
    assert HEALTH_MONITOR_LINES.format(cn="prime-sec") in lab.log("primary")
    assert re.search(r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} \[system\]", lab.log("primary"), re.M)
    assert mismatches(lab, "secondary") == 0


@pytest.mark.parametrize(
    ("scenario", "stale_at", "states"),
    [
        (
            "renewed",
            {("primary", "secondary"), ("primary", "ise"), ("secondary", "primary")},
            NOT_CONFIGURED,
        ),
        (
            "renewed-secondary-only",
            {("primary", "secondary")},
            {"primary": "Primary Lost Secondary", "secondary": "Secondary Lost Primary"},
        ),
        (
            "renewed-ise-only",
            {("primary", "ise")},
            {"primary": "Primary Active", "secondary": "Secondary Syncing"},
        ),
        ("after-redeploy", {("primary", "secondary")}, NOT_CONFIGURED),
    ],
)
def test_each_scenario_begins_as_it_is_named(
    start_lab: StartLab, scenario: str, stale_at: set[tuple[str, str]], states: dict[str, str]
) -> None:
    """Exactly those entries are stale, and HA is in the state that follows from it."""
    lab = start_lab(scenario)
    assert stale(lab) == {(holder, entry(lab, remote)) for holder, remote in stale_at}
    assert ha_states(lab) == states


def test_renewed_has_left_its_lines_in_all_three_places(start_lab: StartLab) -> None:
    """Even with monitors that wait, the failed attempts are in the three logs when the lab is up."""
    lab = start_lab("renewed", monitor_style="on_registration")
    assert HEALTH_MONITOR_LINES.format(cn="prime-sec") in lab.log("primary")
    assert HEALTH_MONITOR_LINES.format(cn="prime-pri") in lab.log("secondary")
    assert ISE_LINES in lab.log("primary", "ncs-0-0.log")
    assert re.search(r"\[system\] \[seqtaskexecutor-\d+\] TOFU failed\.", lab.log("primary", "ncs-0-0.log"))


def test_one_line_logs_hold_the_same_words(start_lab: StartLab) -> None:
    """The option joins the page's line breaks."""
    lab = start_lab("renewed", log_lines="one_line", log_time="")
    lines = HEALTH_MONITOR_LINES.format(cn="prime-sec").strip().replace("\n", " ")
    assert lines in lab.log("primary").splitlines()


def test_a_quick_monitor_brings_a_deleted_entry_back(start_lab: StartLab) -> None:
    """The entry returns with the certificate that is presented now, and the mismatch lines cease."""
    lab = start_lab("renewed-secondary-only")
    say(lab, "primary", DELETE.format(entry(lab, "secondary")))
    wait_until(
        lambda: entry(lab, "secondary") in lab.world["servers"]["primary"]["tofu"],
        "the secondary's entry in the primary's store",
    )
    assert stale(lab) == set()
    wait_until(
        lambda: ha_states(lab) == {"primary": "Primary Active", "secondary": "Secondary Syncing"},
        "the pair in its usual states",
    )
    count = mismatches(lab, "primary")
    lab.renew("primary")  # something else to wait for: the secondary's monitor goes on
    wait_until(lambda: mismatches(lab, "secondary") > 1, "mismatches in the secondary's log")
    assert mismatches(lab, "primary") == count


def test_a_monitor_that_waits_leaves_a_deleted_entry_away(start_lab: StartLab) -> None:
    """Without HA nobody connects, so the store stays as the deletion left it."""
    lab = start_lab("renewed", monitor_style="on_registration", monitor_interval_s=0.01)
    say(lab, "primary", DELETE.format(entry(lab, "secondary")))
    assert entry(lab, "secondary") not in lab.world["servers"]["primary"]["tofu"]


def test_a_listed_ise_server_with_a_new_certificate_does_not_answer(start_lab: StartLab) -> None:
    """It stays in the list; deleting its entry lets the task trust it again."""
    lab = start_lab("renewed-ise-only")
    assert [ise["reachable"] for ise in lab.world["ise_servers"]] == [False]
    say(lab, "primary", DELETE.format(entry(lab, "ise")))
    wait_until(lambda: lab.world["ise_servers"][0]["reachable"], "the ISE server to be reachable")
    assert stale(lab) == set()


def test_after_a_redeployment_the_pinned_host_key_is_the_old_one(start_lab: StartLab) -> None:
    """The server shows the key on the desk, and the store of the new server knows only who connected since."""
    lab = start_lab("after-redeploy", monitor_style="on_registration")
    pinned = yaml.safe_load(lab.site_file.read_text())["secondary"]["ssh"]["host_key"]
    noted = (lab.folder / "desk" / "secondary.host_key").read_text().strip()
    assert noted == lab.world["host_keys"]["secondary"]
    assert pinned != [noted]

    async def attempt() -> None:
        address, port = place(lab, "secondary", "ssh")
        key = asyncssh.import_public_key(pinned[0])
        await asyncssh.connect(address, port, known_hosts=([key], [], []), client_keys=None, config=None)

    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        asyncio.run(attempt())


def test_the_desk_holds_what_the_operator_knows(start_lab: StartLab) -> None:
    """Request, certificate and SHA-256 are those of the certificate in service, also after another renewal."""
    lab = start_lab("renewed")
    lab.renew("ise")
    desk = lab.folder / "desk"
    for key, port in (("primary", "hm"), ("secondary", "hm"), ("ise", "ise")):
        csr = x509.load_pem_x509_csr((desk / f"{key}.csr").read_bytes())
        certificate = x509.load_pem_x509_certificate((desk / f"{key}.pem").read_bytes())
        assert csr.is_signature_valid
        assert csr.public_key() == certificate.public_key()
        assert (desk / f"{key}.sha256").read_text().strip() == shown(place(lab, key, port))
    (ise,) = yaml.safe_load(lab.site_file.read_text())["ise"]
    assert ise["expect"]["sha256"] == shown(place(lab, "ise", "ise"))


@pytest.mark.parametrize("seen_from", [("here",), ("peer",), ("self",), ("here", "peer")])
def test_an_impostor_is_seen_from_where_it_stands(start_lab: StartLab, seen_from: tuple[str, ...]) -> None:
    """Only the vantages that are named meet the other certificate, which has the same subject."""
    lab = start_lab("healthy", addresses="single")
    genuine = lab.world["servers"]["secondary"]["presents_sha256"]
    lab.set_fault("impostor", "secondary", seen_from=seen_from)
    where = place(lab, "secondary", "hm")

    async def look(via: str) -> str:
        async with connected(lab, via) as connection:
            return await shown_through(connection, where)

    seen = {"here": shown(where), "peer": asyncio.run(look("primary")), "self": asyncio.run(look("secondary"))}
    assert {vantage for vantage, sha256 in seen.items() if sha256 != genuine} == set(seen_from)


def test_an_impostor_on_the_peers_side_is_refused_by_the_monitor(start_lab: StartLab) -> None:
    """The alarm is real: the primary's monitor writes the mismatch while this machine sees nothing wrong."""
    lab = start_lab("healthy")
    lab.set_fault("impostor", "secondary", seen_from=("peer",))
    wait_until(lambda: mismatches(lab, "primary") > 0, "a mismatch in the primary's log")
    assert shown(place(lab, "secondary", "hm")) == lab.world["servers"]["secondary"]["presents_sha256"]


def test_two_certificates_can_take_turns(start_lab: StartLab) -> None:
    """Two probes in a row see two certificates."""
    lab = start_lab("renewed", monitor_style="on_registration")
    lab.set_fault("alternating", "secondary")
    assert len({shown(place(lab, "secondary", "hm")) for _ in range(2)}) == 2


def test_an_unknown_peer_is_trusted_only_as_first_seen(start_lab: StartLab) -> None:
    """An impostor that answers after a deletion is pinned by the product: the lab shows the danger as it is."""
    lab = start_lab("renewed")
    lab.set_fault("impostor", "secondary", seen_from=("peer",))
    say(lab, "primary", DELETE.format(entry(lab, "secondary")))
    wait_until(
        lambda: entry(lab, "secondary") in lab.world["servers"]["primary"]["tofu"],
        "the secondary's entry in the primary's store",
    )
    say(lab, "secondary", DELETE.format(entry(lab, "primary")))
    form = HaForm(secondary_server=place(lab, "secondary", "hm")[0], auth_key=lab.secret("auth_key"))
    assert lab.on_pages("primary", lambda page: page.register(form)) is None
    wait_until(lambda: any(line.get("impostor") for line in lab.truth()), "a connection to the impostor")
    assert lab.secret("auth_key") not in (lab.folder / "truth.jsonl").read_text()


def test_a_line_of_the_truth_counts_once_it_is_whole(tmp_path: Path) -> None:
    """Who reads while the lab writes can see the beginning of a line: at no byte is it taken for a line."""
    lines = b'{"what": "login"}\n{"what": "\\u2028 said"}\n'
    for end in range(len(lines) + 1):
        (tmp_path / "truth.jsonl").write_bytes(lines[:end])
        assert len(read_truth(tmp_path / "truth.jsonl")) == lines[:end].count(b"\n")
