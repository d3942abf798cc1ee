"""The whole incident repaired with nothing but SSH and the pages' verbs, and the ways in which that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from lab_clients import DELETE, LIST, connected, listed, place, say, terminal, until
from test_trust import entry, ha_states, mismatches, stale
from waiting import wait_until

from runbook_lib.lab import Lab
from runbook_lib.lab.backend import HaForm, HaView

StartLab = Callable[..., Lab]


def form(lab: Lab, key: str | None = None, **more: str | bool) -> HaForm:
    address = place(lab, "secondary", "hm")[0]
    given = {"secondary_server": address, "auth_key": key or lab.secret("auth_key"), "email": "noc@example.com"}
    return HaForm(**(given | more))  # type: ignore[arg-type]


def register(lab: Lab, filled: HaForm) -> HaView:
    """Register and wait for the end."""
    assert lab.on_pages("primary", lambda page: page.register(filled)) is None
    wait_until(lambda: not lab.world["registration"]["under_way"], "the end of the registration")
    return lab.on_pages("primary", lambda page: page.ha_state())


def add_ise(lab: Lab, password: str | None = None) -> str | None:
    address, port = place(lab, "ise", "ise")
    return lab.on_pages("primary", lambda p: p.add_ise(address, "piadmin", password or lab.secret("ise"), port))


def delete_stale(lab: Lab) -> None:
    say(lab, "primary", DELETE.format(entry(lab, "secondary")), DELETE.format(entry(lab, "ise")))
    say(lab, "secondary", DELETE.format(entry(lab, "primary")))


@pytest.mark.parametrize("options", [{}, {"addresses": "single"}, {"monitor_style": "on_registration"}])
def test_the_incident_is_repaired(start_lab: StartLab, options: dict[str, str]) -> None:
    """Three deletions, one registration, one ISE server added: everything is trusted and up again."""
    lab = start_lab("renewed", **options)
    assert len(stale(lab)) == 3
    delete_stale(lab)
    view = register(lab, form(lab))
    assert [(bar.name, bar.percent) for bar in view.milestones] == [
        ("Pre-HA Registration", 100),
        ("Database Replication", 100),
        ("Post HA Registration", 100),
    ]
    assert view.configuration_mode == "Primary Active"
    assert view.form.auth_key == ""
    assert add_ise(lab) is None
    assert ha_states(lab) == {"primary": "Primary Active", "secondary": "Secondary Syncing"}
    assert stale(lab) == set()
    assert {entry(lab, "secondary"), entry(lab, "ise")} <= set(listed(lab, "primary"))
    done = [line["what"] for line in lab.truth() if line.get("effect", "").startswith("deleted")]
    assert done == [DELETE.format(entry(lab, remote)) for remote in ("secondary", "ise", "primary")]


def test_the_logs_are_quiet_after_the_repair(start_lab: StartLab) -> None:
    """No mismatch is written any more while the monitors go on."""
    lab = start_lab("renewed")
    delete_stale(lab)
    register(lab, form(lab))
    counts = mismatches(lab, "primary"), mismatches(lab, "secondary")
    lines = len(lab.log("primary"))
    wait_until(lambda: len(lab.log("primary")) > lines, "a new line in the primary's log")
    assert (mismatches(lab, "primary"), mismatches(lab, "secondary")) == counts


@pytest.mark.parametrize("left", ["primary", "secondary"])
def test_registration_needs_both_directions_of_trust(start_lab: StartLab, left: str) -> None:
    """One stale entry, on whichever side, makes it fail at the first milestone."""
    lab = start_lab("renewed")
    other = {"primary": "secondary", "secondary": "primary"}
    say(lab, other[left], DELETE.format(entry(lab, left)))
    view = register(lab, form(lab))
    assert [bar.failed for bar in view.milestones] == [True, False, False]
    assert view.configuration_mode == "HA not Configured"
    assert mismatches(lab, left) > 0


def test_a_wrong_key_is_reported_in_the_published_words(start_lab: StartLab) -> None:
    """And `ncs ha authkey` on the secondary makes the key right."""
    lab = start_lab("renewed")
    delete_stale(lab)
    primary, secondary = place(lab, "primary", "hm")[0], place(lab, "secondary", "hm")[0]
    view = register(lab, form(lab, "An0therKey"))
    expected = f"Authentication key does not match between primary {primary} and secondary servers {secondary}"
    assert view.message == expected
    say(lab, "secondary", "ncs ha authkey An0therKey")
    assert register(lab, form(lab, "An0therKey")).configuration_mode == "Primary Active"


@pytest.mark.parametrize(
    "wrong",
    [
        {"secondary_server": ""},
        {"failover": "Perhaps"},
        {"virtual_ip": True},
        {"virtual_ip": True, "virtual_ipv4": "10.1.2.3"},
    ],
)
def test_a_form_that_cannot_be_is_refused_at_once(start_lab: StartLab, wrong: dict[str, str | bool]) -> None:
    """Nothing is started."""
    lab = start_lab("renewed")
    before = lab.world["registration"]
    assert lab.on_pages("primary", lambda page: page.register(form(lab, **wrong)))
    assert lab.world["registration"] == before


def test_a_link_local_virtual_address_is_refused(start_lab: StartLab) -> None:
    """The published procedure forbids fe80."""
    lab = start_lab("renewed")
    virtual = place(lab, "primary", "hm")[0].rsplit(".", 1)[0] + ".50"
    filled = form(lab, virtual_ip=True, virtual_ipv4=virtual, virtual_ipv6="fe80::1")
    assert "fe80" in (lab.on_pages("primary", lambda page: page.register(filled)) or "")


def test_an_unknown_secondary_is_not_reachable(start_lab: StartLab) -> None:
    """Registration starts and fails with the address in its message."""
    lab = start_lab("renewed")
    assert "127.9.9.9" in register(lab, form(lab, secondary_server="127.9.9.9")).message


def test_readiness_tells_whether_the_secondary_answers(healthy: Lab) -> None:
    """The reachability item is a real connection; the others are always ready."""
    good = lab_items(healthy, form(healthy))
    bad = lab_items(healthy, form(healthy, secondary_server="127.9.9.9"))
    assert all(good.values())
    assert [name for name, passed in bad.items() if not passed] == ["Reachability"]


def lab_items(lab: Lab, filled: HaForm) -> dict[str, bool]:
    items = lab.on_pages("primary", lambda page: page.check_readiness(filled))
    return {item.item: item.passed for item in items}


def test_ise_is_refused_for_a_stale_certificate_and_a_wrong_password(start_lab: StartLab) -> None:
    """First the certificate, and once that is trusted the password; then a second time is once too often."""
    lab = start_lab("renewed")
    count = mismatches(lab, "primary", "ncs-0-0.log")
    assert "different from what was used earlier" in (add_ise(lab) or "")
    assert mismatches(lab, "primary", "ncs-0-0.log") == count + 1
    say(lab, "primary", DELETE.format(entry(lab, "ise")))
    assert "Authentication" in (add_ise(lab, "wrong") or "")
    assert lab.world["ise_servers"] == []
    assert add_ise(lab) is None
    assert "already exists" in (add_ise(lab) or "")


def test_an_ise_server_that_is_down_is_unreachable(start_lab: StartLab) -> None:
    """A reset connection is reported as that."""
    lab = start_lab("renewed")
    lab.set_fault("refuse", "ise", service="ise")
    assert "unreachable" in (add_ise(lab) or "")


def test_two_ise_servers_and_no_third(start_lab: StartLab) -> None:
    """Both are integrated and both entries are listed, also where all share one address."""
    lab = start_lab("healthy", ise_servers=2, addresses="single")
    assert [ise["reachable"] for ise in lab.world["ise_servers"]] == [True, True]
    assert {entry(lab, "ise"), entry(lab, "ise2")} <= set(listed(lab, "primary"))
    assert "No more than 2" in (lab.on_pages("primary", lambda p: p.add_ise("127.0.0.1", "x", "y", 1)) or "")


def test_removing_ha_on_the_page_unconfigures_both_servers(start_lab: StartLab) -> None:
    """The command line says so afterwards."""
    lab = start_lab("healthy")
    assert lab.on_pages("primary", lambda page: page.remove_ha()) is None
    assert set(ha_states(lab).values()) == {"HA not Configured"}
    assert say(lab, "primary", "ncs ha status") == ["[Role] Primary [State] HA not Configured\n"]


@pytest.mark.parametrize(("answer", "state"), [("Y", "HA not Configured"), ("N", "Primary Active")])
def test_ha_remove_on_the_command_line_asks_first(start_lab: StartLab, answer: str, state: str) -> None:
    """Only a yes removes HA."""
    lab = start_lab("healthy")

    async def remove() -> None:
        async with connected(lab, "primary") as connection:
            process = await terminal(connection)
            await until(process, "prime-pri/admin# ")
            process.stdin.write(b"ncs ha remove\r")
            await until(process, "Do you wish to continue? (Y/N) ")
            process.stdin.write(answer.encode() + b"\r")
            await until(process, "prime-pri/admin# ")

    asyncio.run(remove())
    assert ha_states(lab)["primary"] == state


def test_wrong_web_logins_lock_the_account(start_lab: StartLab) -> None:
    """After five wrong passwords the right one does not help."""
    lab = start_lab("healthy")
    right = lab.secret("primary_web")
    assert lab.on_pages("primary", lambda page: page.check_login("root", right)).ok
    for _ in range(5):
        assert not lab.on_pages("primary", lambda page: page.check_login("root", "wrong")).ok
    assert "locked" in lab.on_pages("primary", lambda page: page.check_login("root", right)).message


def test_garbage_in_the_listing(start_lab: StartLab) -> None:
    """The fault's own text comes instead of a list."""
    lab = start_lab("healthy")
    lab.set_fault("listcerts_garbage", "primary", text="Segmentation fault\n")
    assert say(lab, "primary", LIST) == ["Segmentation fault\n"]
    lab.clear_fault()
    assert "host=" in say(lab, "primary", LIST)[0]
