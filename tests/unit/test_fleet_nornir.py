"""A nornir inventory as the description of a fleet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.errors import SiteFileInvalid

HOSTS = """\
berlin-pri:
  hostname: 192.0.2.10
  groups: [berlin, primaries]
berlin-sec:
  hostname: 192.0.2.11
  port: 2222
  groups: [berlin]
  data: {role: secondary, expect: {self: true}}
berlin-ise:
  hostname: 192.0.2.12
  username: pi-reader
  password: env:ISE
  groups: [berlin]
  data: {role: ise}
switch-7:
  hostname: 192.0.2.99
"""
GROUPS = """\
everywhere:
  data: {log_zone: Europe/Berlin, host_key: [SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]}
berlin:
  groups: [everywhere]
  data: {site: berlin, ha: {auth_key: env:KEY}}
primaries:
  data: {role: primary, health_monitor_port: 8083, host_key: [SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB]}
"""
DEFAULTS = "username: admin\npassword: env:SSH\nport: 22\n"


def inventory(folder: Path, hosts: str = HOSTS, groups: str = GROUPS, defaults: str = DEFAULTS) -> Path:
    """Write an inventory and return its folder."""
    for name, text in (("hosts", hosts), ("groups", groups), ("defaults", defaults)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_hosts_become_sites_by_their_data(tmp_path: Path) -> None:
    """Hosts of one site in their roles are that site; a host without site and role is left alone."""
    fleet = load_fleet(inventory(tmp_path))
    assert [each.name for each in fleet.sites] == ["berlin"]
    site = fleet.sites[0].site
    assert (site.primary.address, site.secondary.address) == ("192.0.2.10", "192.0.2.11")
    assert [(ise.name, ise.address, ise.user) for ise in site.ise] == [("berlin-ise", "192.0.2.12", "pi-reader")]
    assert (str(site.ha.auth_key), site.primary.health_monitor_port) == ("env:KEY", 8083)


def test_groups_and_defaults_are_inherited_as_nornir_inherits_them(tmp_path: Path) -> None:
    """The host's own comes first, then its groups and theirs, then the defaults; values are taken whole."""
    site = load_fleet(inventory(tmp_path)).sites[0].site
    assert (site.primary.ssh.user, str(site.primary.ssh.password), site.primary.ssh.port) == ("admin", "env:SSH", 22)
    assert (site.secondary.ssh.port, site.secondary.expect.self_) == (2222, True)
    assert site.primary.log_zone == site.secondary.log_zone == "Europe/Berlin"
    assert [server.ssh.host_key[0][7] for server in (site.primary, site.secondary)] == [
        "A",
        "A",
    ]  # the first group that has it


def test_the_file_of_the_hosts_may_be_given_as_well(tmp_path: Path) -> None:
    """The path of hosts.yaml means the inventory around it."""
    assert load_fleet(inventory(tmp_path) / "hosts.yaml").sites[0].name == "berlin"


def test_problems_name_the_line_of_the_host(tmp_path: Path) -> None:
    """A host without a role, a second primary and a missing secondary are named with hosts.yaml and the line."""
    hosts = "a:\n  data: {site: x}\nb:\n  data: {site: y, role: primary}\nc:\n  data: {site: y, role: primary}\n"
    with pytest.raises(SiteFileInvalid) as caught:
        load_fleet(inventory(tmp_path, hosts))
    assert "hosts.yaml:1: a: its data needs site" in caught.value.found
    assert "hosts.yaml:5: y: c is a second primary" in caught.value.found
    assert "hosts.yaml:3: y: secondary: is missing" in caught.value.found


def test_a_password_in_the_inventory_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """Only a reference to a secret is taken from an inventory."""
    with pytest.raises(SiteFileInvalid) as caught:
        load_fleet(inventory(tmp_path, defaults="username: admin\npassword: hunter2-hunter2\n"))
    assert "primary.ssh.password: a secret must be a reference" in caught.value.found
    assert "hunter2" not in str(caught.value)


def test_an_inventory_that_nornir_cannot_read_is_refused(tmp_path: Path) -> None:
    """A broken file is a problem, without its text, which might hold a password."""
    with pytest.raises(SiteFileInvalid) as caught:
        load_fleet(inventory(tmp_path, hosts="a: {data: [hunter2-hunter2}\n"))
    assert "nornir cannot read this inventory" in caught.value.found
    assert "hunter2" not in str(caught.value)


def test_an_inventory_of_pipes_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Whatever lies where a file is meant: the inventory cannot be read."""
    folder = inventory(tmp_path)
    (folder / "groups.yaml").unlink()
    os.mkfifo(folder / "groups.yaml")
    with pytest.raises(SiteFileInvalid) as caught:
        load_fleet(folder)
    assert "nornir cannot read this inventory" in caught.value.found
