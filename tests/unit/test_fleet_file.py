"""A fleet's file: the merge, the checks, and all problems at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
import pytest
from fleet_kit import fleet_file, inline
from long_way import LONG

from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.sites import resolved_site_file
from runbook_lib.errors import SiteFileInvalid
from runbook_lib.params.load import load_site
from runbook_lib.paths import params_dir


def refused(path: Path) -> str:
    """Return every problem that keeps a fleet's file from being taken."""
    with pytest.raises(SiteFileInvalid) as caught:
        load_fleet(path)
    return caught.value.found


def test_the_later_section_holds_over_the_earlier_one(tmp_path: Path) -> None:
    """Defaults, groups in their order and the site itself are merged key by key, the later on top."""
    groups = {
        "one": {"ha": {"email": ["a@example.com"], "failover": "automatic"}, "deadlines": {"settle_s": 1}},
        "two": {"deadlines": {"settle_s": 2, "quiet_s": 2}},
    }
    path = fleet_file(tmp_path, [inline(1, groups=["one", "two"], deadlines={"quiet_s": 3})], groups=groups)
    site = load_fleet(path).sites[0].site
    assert (site.deadlines.settle_s, site.deadlines.quiet_s) == (2, 3)
    assert (site.ha.failover, site.ha.email, str(site.ha.auth_key)) == ("automatic", ("a@example.com",), "env:KEY")


def test_a_list_is_replaced_whole(tmp_path: Path) -> None:
    """A list of the site takes the place of the group's; nothing is joined."""
    groups = {"one": {"ha": {"email": ["a@example.com", "b@example.com"]}}}
    path = fleet_file(tmp_path, [inline(1, groups=["one"], ha={"email": ["c@example.com"]})], groups=groups)
    assert load_fleet(path).sites[0].site.ha.email == ("c@example.com",)


def test_sites_do_not_share_what_they_were_merged_from(tmp_path: Path) -> None:
    """What one site says of itself is not said of the next one, although both began with the same defaults."""
    path = fleet_file(tmp_path, [inline(1, ha={"failover": "automatic"}), inline(2)])
    assert [each.site.ha.failover for each in load_fleet(path).sites] == ["automatic", "manual"]


def test_every_problem_of_every_site_is_named_with_its_line(tmp_path: Path) -> None:
    """One refusal names each site's problems, each at the line where it stands, in defaults and groups too."""
    path = tmp_path / "evening.yaml"
    path.write_text(
        "name: evening\n"
        "defaults:\n"
        "  primary: {ssh: {user: admin, password: 'env:A'}}\n"
        "  secondary: {ssh: {user: admin, password: 'env:A'}}\n"
        "  ha: {auth_key: 'env:K', failover: sometimes}\n"
        "sites:\n"
        "- name: berlin\n"
        "  primary: {address: 192.0.2.1}\n"
        "  secondary: {address: 192.0.2.300}\n"
        "- name: madrid\n"
        "  groups: [missing]\n"
        "  primary: {adress: 192.0.2.3}\n"
        "  secondary: {address: 192.0.2.4}\n",
        encoding="utf-8",
    )
    found = refused(path)
    assert "evening.yaml:5: berlin: ha.failover: is not one of the possible words" in found
    assert "evening.yaml:9: berlin: secondary.address: looks like an IPv4 address" in found
    assert "evening.yaml:11: there is no group missing" in found
    assert "evening.yaml:12: madrid: primary.adress: unknown key; did you mean address?" in found
    assert "evening.yaml:12: madrid: primary.address: is missing" in found


def test_a_fleets_file_and_a_sites_file_are_told_apart(tmp_path: Path) -> None:
    """Given for one another they are one mistake, which has a name; not an unknown key a line."""
    fleet = fleet_file(tmp_path, [inline(1)])
    site = tmp_path / "paris.yaml"
    site.write_text("name: paris\nprimary: {}\nsecondary: {}\n")
    with pytest.raises(SiteFileInvalid, match="This is a fleet's file"):
        load_site(fleet)
    with pytest.raises(SiteFileInvalid, match="This is a site's file"):
        load_fleet(site)


def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """A secret in the wrong place is a problem whose text does not hold it."""
    site = inline(1)
    site["primary"]["ssh"] = {"password": "hunter2-hunter2"}
    found = refused(fleet_file(tmp_path, [site]))
    assert "primary.ssh.password" in found
    assert "hunter2" not in found


def test_a_sites_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """A site that is given as a file is what runbook run would read; the defaults are not merged into it."""
    fleet = load_fleet(fleet_file(tmp_path, [inline(1)]))
    (tmp_path / "one.yaml").write_bytes(resolved_site_file(fleet.sites[0].site))
    path = fleet_file(tmp_path, [{"file": "one.yaml"}], defaults={"deadlines": {"settle_s": 7}})
    assert load_fleet(path).sites[0].site == load_site(tmp_path / "one.yaml")


@pytest.mark.parametrize("more", [{"name": "x"}, {"groups": []}, {"primary": {"address": "192.0.2.1"}}])
def test_nothing_is_merged_into_a_sites_file(tmp_path: Path, more: dict[str, Any]) -> None:
    """An item with a file and anything beside it is refused."""
    assert "nothing is merged into it" in refused(fleet_file(tmp_path, [{"file": "one.yaml", **more}]))


def test_problems_of_a_sites_file_are_named_too(tmp_path: Path) -> None:
    """What is wrong in a site's file is told with its own lines; each such file is one problem of the fleet's."""
    (tmp_path / "one.yaml").write_text("name: one\nprimry: {}\n", encoding="utf-8")
    path = fleet_file(tmp_path, [{"file": "one.yaml"}, {"file": "absent.yaml"}])
    found = refused(path)
    with pytest.raises(SiteFileInvalid, match="has 2 problems"):
        load_fleet(path)
    assert "one.yaml:2: primry: unknown key" in found
    assert "absent.yaml" in found


def test_the_resolved_form_says_all_of_a_site(tmp_path: Path) -> None:
    """The file that a round keeps of a site reads back as that site, with absolute paths."""
    (tmp_path / "s.csr").write_text("", encoding="utf-8")
    site = inline(1, labels={"auth_key": ["Ha 中"]}, ise=[{"address": "192.0.2.9", "user": "u", "password": "file:x"}])
    site["secondary"]["expect"] = {"csr": "s.csr"}
    loaded = load_fleet(fleet_file(tmp_path, [site])).sites[0].site
    (tmp_path / "kept.json").write_bytes(resolved_site_file(loaded))
    assert load_site(tmp_path / "kept.json") == loaded


def test_the_digest_of_a_site_covers_the_files_of_its_expectations(tmp_path: Path) -> None:
    """A CSR that is exchanged after the plan makes another site of it, although the fleet's file is the same."""
    (tmp_path / "s.csr").write_text("one", encoding="utf-8")
    site = inline(1)
    site["secondary"]["expect"] = {"csr": "s.csr"}
    path = fleet_file(tmp_path, [site])
    before = load_fleet(path).sites[0].sha256
    (tmp_path / "s.csr").write_text("two", encoding="utf-8")
    assert load_fleet(path).sites[0].sha256 != before


def test_a_name_means_one_site(tmp_path: Path) -> None:
    """Two sites of one name are refused; the place of both is told."""
    found = refused(fleet_file(tmp_path, [inline(1), inline(2, name="site-0001")]))
    assert "is the name of two sites" in found


def test_the_same_servers_under_two_names_are_refused(tmp_path: Path) -> None:
    """A server that is another site's too, in either role, is found by its address and port."""
    second = inline(2)
    second["secondary"]["address"] = inline(1)["primary"]["address"]
    found = refused(fleet_file(tmp_path, [inline(1), second]))
    assert "site-0002: its secondary is the primary of site-0001" in found
    assert "both at 10.0.1.1 port 22" in found


def test_the_same_host_key_under_two_addresses_is_refused(tmp_path: Path) -> None:
    """A server that two sites reach at different addresses is found by its SSH host key, however that is written."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    first, second = inline(1), inline(2)
    first["primary"]["ssh"] = {"host_key": [key.export_public_key().decode().strip()]}
    second["primary"]["ssh"] = {"host_key": [key.get_fingerprint()]}
    found = refused(fleet_file(tmp_path, [first, second]))
    assert "site-0002: its primary is the primary of site-0001" in found
    assert "the same SSH host key" in found


def test_one_address_behind_two_jump_hosts_is_two_servers(tmp_path: Path) -> None:
    """Private networks may use the same addresses; through different jump hosts they are different servers."""
    sites = [inline(1), inline(2)]
    for number, site in enumerate(sites):
        jump = {"address": f"192.0.2.{number + 1}", "user": "u", "password": "env:J"}
        site["primary"] = {"address": "10.9.9.1", "ssh": {"jump": jump}}
    assert len(load_fleet(fleet_file(tmp_path, sites)).sites) == 2


def test_a_fleet_may_have_no_sites(tmp_path: Path) -> None:
    """An empty list is a fleet, with nothing to do."""
    assert load_fleet(fleet_file(tmp_path, [])).sites == ()


def test_a_fleet_may_have_thousands_of_sites(tmp_path: Path) -> None:
    """Hundreds of inline sites, on the long way five thousand, are read, each its own."""
    number_of_sites = 5000 if LONG else 500
    fleet = load_fleet(fleet_file(tmp_path, (inline(number) for number in range(number_of_sites))))
    assert len({each.name for each in fleet.sites}) == number_of_sites


@pytest.mark.parametrize("text", ["sites: []\n", "name: x\n", "name: x\nsites: 3\n", "name: x\nsites: []\nsite: []\n"])
def test_the_top_of_the_file_is_checked_too(tmp_path: Path, text: str) -> None:
    """A missing name, missing or misspelt sites and unknown keys are refused."""
    path = tmp_path / "evening.yaml"
    path.write_text(text, encoding="utf-8")
    assert "evening.yaml" in refused(path)


def test_a_fleet_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    """A name, a file and a folder that lead to no fleet say what may be given instead."""
    for name in ("no-such-fleet", tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(SiteFileInvalid, match="There is no fleet"):
            load_fleet(name)


def test_the_example_loads_where_its_files_exist(tmp_path: Path) -> None:
    """Whoever copies the example and has the files that it names has a valid fleet."""
    (tmp_path / "logs").mkdir()
    example = (params_dir() / "fleet.example.yaml").read_text(encoding="utf-8")
    # The example's first site is the example of a site's file, whose files are another test's matter.
    first = load_fleet(fleet_file(tmp_path, [inline(1)])).sites[0]
    (tmp_path / "example.yaml").write_bytes(resolved_site_file(first.site))
    (tmp_path / "fleet.yaml").write_text(example, encoding="utf-8")
    fleet = load_fleet(tmp_path / "fleet.yaml")
    assert [each.name for each in fleet.sites][1:] == ["berlin", "madrid"]
    assert fleet.site("madrid").site.web == "guided"
    assert fleet.site("berlin").site.deadlines.settle_s == 900
