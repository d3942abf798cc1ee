"""The site's file: what is accepted, and that every mistake is named with file, line, key and what to write instead."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from runbook_lib.batch.sites import resolved_site_file
from runbook_lib.device.answers import StateKind
from runbook_lib.errors import SecretUnavailable, SiteFileInvalid
from runbook_lib.lab.scenarios import SCENARIOS
from runbook_lib.models import HaStatus
from runbook_lib.params.checks import MOST_GUESSED, check_together
from runbook_lib.params.labels import labels_for
from runbook_lib.params.load import load_site, load_site_or_lab, secret_references, section_at, site_without_secrets
from runbook_lib.params.model import LabOptions, LabRequest, Site
from runbook_lib.params.values import checked_pattern
from runbook_lib.params.yaml_source import LARGEST_FILE, Document, one_as_list
from runbook_lib.paths import known_sites, params_dir, params_files
from runbook_lib.repair.ha_state import kinds_of

GOOD = """\
name: paris
primary:
  address: 192.0.2.10
  ssh:
    user: admin
    password: env:PRIMARY
    host_key: [SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]
  logs: []
secondary:
  address: 192.0.2.11
  ssh:
    user: admin
    password: file:secrets/ssh
ise:
  - address: 192.0.2.20
    user: pi
    password: env:ISE
ha:
  auth_key: env:KEY
  email: [noc@example.com]
deadlines:
  connect_s: 3
"""
SHA256 = "00112233445566778899aabbccddeeff" * 2


def write(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def site_of(folder: Path, text: str) -> Site:
    return load_site(write(folder, text))


def problems(folder: Path, text: str) -> list[str]:
    """Load a text that must be refused, and return the lines of the refusal."""
    with pytest.raises(SiteFileInvalid) as refused:
        load_site(write(folder, text))
    assert refused.value.exit_code == 2
    return refused.value.found.splitlines()


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


# -- what is accepted ---------------------------------------------------------------------------


def test_a_good_file_loads_with_its_defaults(tmp_path: Path) -> None:
    """A file with the needed keys only becomes a production site with the usual ports and deadlines."""
    site = site_of(tmp_path, GOOD)
    assert (site.kind, site.primary.health_monitor_port, site.secondary.ssh.port, site.ise[0].name) == (
        "production",
        8082,
        22,
        "ise",
    )
    assert (site.deadlines.connect_s, site.deadlines.registration_s) == (3.0, 14400.0)


def test_lines_of_a_list_that_mean_nothing_cannot_hide_an_entry(tmp_path: Path) -> None:
    """``listing: ignore:`` takes whole lines and patterns, and refuses those that fit an entry or are none."""
    site = site_of(tmp_path, GOOD + "listing: {ignore: ['== end ==', '/Page [0-9]+/']}\n")
    assert site.listing.ignore == ("== end ==", "/Page [0-9]+/")
    for line, why in (
        ("/.*/", "fits an entry"),
        ("/host=.*/", "fits an entry"),
        ("/(/", "not a regular"),
        ("/(-+)+/", "trying them never ends"),
        (" ", "empty"),
    ):
        (problem,) = problems(tmp_path, GOOD + f"listing: {{ignore: ['{line}']}}\n")
        assert why in problem


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        (r"(a|ab)*x", False),
        (r"(a?a?)*x", False),
        (r"(?:a{1,3})+x", False),
        (r".*.*.*x", False),
        (r"(?:\d{1,3}\.){3}\d{1,3}", True),
        (r"(?:[a-f0-9]{2}:){31}[a-f0-9]{2}", True),
        (r"\[.*\] lost (?:some|\d+) peers|gained .* peers", True),
    ],
)
def test_a_pattern_that_one_line_could_keep_busy_for_ever_is_refused(pattern: str, good: bool) -> None:
    """What can be tried in too many ways is found by reading it; usual patterns stay allowed."""
    with contextlib.nullcontext() if good else pytest.raises(ValueError, match="trying them never ends"):
        checked_pattern(pattern)


@pytest.mark.parametrize("question", ["Reload the server? (yes/no)", "Delete all certificates?", "Save? (y/n)"])
def test_answers_are_for_our_own_changes_only(tmp_path: Path, question: str) -> None:
    """``answers:`` takes a question after a deletion or HA removal, and refuses one about anything else."""
    own = 'answers: {"Remove {key}: [C]onfirm or [A]bort:": C}\n'
    assert site_of(tmp_path, GOOD + own).answers == {"Remove {key}: [C]onfirm or [A]bort:": "C"}
    (problem,) = problems(tmp_path, GOOD + f'answers: {{"{question}": "yes"}}\n')
    assert "never answered" in problem


def test_paths_and_secret_files_are_relative_to_the_sites_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths begin at the folder of the site's file, whatever the caller's folder is."""
    (tmp_path / "logs").mkdir()
    write(tmp_path, changed("logs: []", "logs: [logs]"))
    monkeypatch.chdir(tmp_path.parent)
    site = load_site(Path(tmp_path.name) / "site.yaml")
    assert site.primary.logs == (tmp_path / "logs",)
    assert str(site.secondary.ssh.password) == f"file:{tmp_path / 'secrets/ssh'}"
    assert str(site.primary.ssh.password) == "env:PRIMARY"


@pytest.mark.parametrize(
    "spelling",
    [
        SHA256,
        SHA256.upper(),
        ":".join(SHA256[i : i + 2] for i in range(0, 64, 2)).upper(),
        " ".join(SHA256[i : i + 4] for i in range(0, 64, 4)),
        f"sha256 Fingerprint={SHA256}",
    ],
)
def test_a_fingerprint_has_one_canonical_spelling(tmp_path: Path, spelling: str) -> None:
    """Colons, blanks, capitals and a tool's prefix do not matter: the value becomes 64 lower-case hex digits."""
    site = site_of(tmp_path, changed("  logs: []", f'  expect: {{sha256: "{spelling}"}}'))
    assert site.primary.expect.sha256 == SHA256


@pytest.mark.parametrize("start", ["0", "0b", "08", "9"])
def test_a_fingerprint_needs_no_quotes_whatever_its_first_digits(tmp_path: Path, start: str) -> None:
    """Hex digits with letters among them are a text in every YAML, also where the first is a zero."""
    sha256 = (start + SHA256)[:64]
    site = site_of(tmp_path, changed("  logs: []", f"  expect: {{sha256: {sha256}}}"))
    assert site.primary.expect.sha256 == sha256


def test_an_openssh_public_key_is_a_host_key(tmp_path: Path) -> None:
    """A line of a .pub file is accepted as a pinned host key, comment included."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA" + "A" * 42 + " root@prime"
    site = site_of(tmp_path, changed("SHA256:" + "A" * 43, f'"{key}"'))
    assert site.primary.ssh.host_key == (key,)


@pytest.mark.parametrize(
    "line",
    [
        "256 SHA256:{} root@prime (ED25519)",
        "3072 SHA256:{} no comment (RSA)",
        "256 SHA256:{} (ECDSA)",
        "SHA256:{}=",
        "192.0.2.10 ED25519 SHA256:{} ",
    ],
)
def test_what_ssh_keygen_prints_is_a_host_key(tmp_path: Path, line: str) -> None:
    """The whole line of ssh-keygen -lf or -lF is taken, whatever its comment; what is pinned is the fingerprint."""
    digits = "A" * 43
    site = site_of(tmp_path, changed("SHA256:" + digits, f'"{line.format(digits)}"'))
    assert site.primary.ssh.host_key == (f"SHA256:{digits}",)


@pytest.mark.parametrize("hosts", ["prime-pri", "prime-pri,192.0.2.10", "[192.0.2.10]:2222"])
def test_a_line_of_known_hosts_is_a_host_key(tmp_path: Path, hosts: str) -> None:
    """A line of a known_hosts file that is not hashed is taken; what is pinned is its key."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA" + "A" * 42
    site = site_of(tmp_path, changed("SHA256:" + "A" * 43, f'"{hosts} {key}"'))
    assert site.primary.ssh.host_key == (key,)


def test_a_file_that_only_reads_needs_no_key_and_no_web_login(tmp_path: Path) -> None:
    """Without ha:, web: and an ISE server's login the site is valid; what is not named is never to be had."""
    without = GOOD.replace("ha:\n  auth_key: env:KEY\n  email: [noc@example.com]\n", "")
    site = site_of(tmp_path, without.replace("    user: pi\n    password: env:ISE\n", ""))
    assert [str(each) for each in secret_references(site)] == ["env:PRIMARY", f"file:{tmp_path}/secrets/ssh"]
    for secret in (site.ha.auth_key, site.ise[0].password):
        with pytest.raises(SecretUnavailable, match="does not name"):
            secret.resolve()
    (tmp_path / "again.yaml").write_bytes(resolved_site_file(site))
    assert load_site(tmp_path / "again.yaml") == site


def test_one_value_is_a_list_of_one(tmp_path: Path) -> None:
    """Wherever the file takes a list, one value alone means the same: texts and sections."""
    (tmp_path / "logs").mkdir()
    listed = GOOD.replace("logs: []", "logs: [logs]")
    alone = (
        listed.replace("[SHA256:" + "A" * 43 + "]", "SHA256:" + "A" * 43)
        .replace("logs: [logs]", "logs: logs")
        .replace("[noc@example.com]", "noc@example.com")
        .replace("  - address: 192.0.2.20", "    address: 192.0.2.20")
    )
    assert "[" not in alone
    assert site_of(tmp_path, alone) == site_of(tmp_path, listed)


def test_servers_may_share_an_address_where_no_port_is_shared(tmp_path: Path) -> None:
    """Two servers behind one address are two servers as long as each of their ports differs."""
    text = changed("192.0.2.11", "192.0.2.10\n  health_monitor_port: 18082").replace(
        "admin\n    password: file", "admin\n    port: 1022\n    password: file"
    )
    assert site_of(tmp_path, text).secondary.address == "192.0.2.10"


def test_a_state_of_the_product_can_be_given_a_meaning(tmp_path: Path) -> None:
    """``ha_states`` takes words of the product and one of four kinds; what both servers say is then read with it."""
    site = site_of(tmp_path, GOOD + "ha_states: {Primary Rejoining: in transition, Secondary Active: healthy}\n")
    now = datetime.now(UTC)
    words = ("primary  REJOINING", "Secondary Active")
    said = [HaStatus(server="primary", role="Primary", state=state, read_utc=now) for state in words]
    assert kinds_of(site, said) == (StateKind.IN_TRANSITION, StateKind.HEALTHY)
    (problem,) = problems(tmp_path, GOOD + "ha_states: {Primary Rejoining: fine}\n")
    assert "in transition" in problem


def test_spellings_of_one_state_that_mean_the_same_are_fine(tmp_path: Path) -> None:
    """Only a contradiction is refused."""
    states = "ha_states:\n  Primary Busy: broken\n  primary busy: broken\n"
    assert len(load_site(write(tmp_path, GOOD + states)).ha_states) == 2


def test_every_label_of_the_web_pages_can_be_named(tmp_path: Path) -> None:
    """A site's own word comes before ours, whichever it is."""
    keys = (*labels_for().table, *labels_for().phrases)
    site = load_site(write(tmp_path, f"{GOOD}labels:\n" + "".join(f"  {key}: [Own word]\n" for key in keys)))
    own = labels_for(site.labels)
    assert {own[key].texts[0] for key in own.table} | {words[0] for words in own.phrases.values()} == {"Own word"}


def test_a_plain_word_is_a_name_in_params() -> None:
    """A name means the file of that name in params."""
    assert isinstance(load_site_or_lab("lab"), LabRequest)


def test_an_unknown_site_lists_the_known_ones() -> None:
    """A name without a file is refused, and the known names are told."""
    with pytest.raises(SiteFileInvalid) as refused:
        load_site("no-such-site")
    assert "example, lab" in refused.value.found


def test_a_fleets_file_is_no_site() -> None:
    """What lists sites is not offered as one: not by the refusal, not by the form, not by the shell."""
    assert {"example", "lab"} <= {*known_sites()}
    assert "fleet.example" in params_files()
    assert "fleet.example" not in known_sites()


def test_only_a_file_is_a_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe would keep whoever lists the sites for ever."""
    monkeypatch.setattr("runbook_lib.paths.params_dir", lambda: tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "pipe" not in params_files()


# -- bad input: file, line, key, and what to write instead ----------------------------------------

HOSTILE = "$(reboot)"

CASES: list[tuple[str, str, str, str, str]] = [
    # what is replaced, by what, on which line (a part of it), the key, words of the message
    ("name: paris", "nome: paris", "nome:", "nome", "unknown key; did you mean name?"),
    ("    user: admin", "    usr: admin", "usr:", "primary.ssh.usr", "did you mean user?"),
    ("  logs: []", "  host_key: []", "  host_key: []", "primary.host_key", "it belongs under primary.ssh"),
    ("  connect_s: 3", "  zzz: 3", "zzz", "deadlines.zzz", "known here: connect_s"),
    ("  address: 192.0.2.11\n", "", "secondary:", "secondary.address", "is missing"),
    (
        "  ssh:\n    user: admin\n    password: file:secrets/ssh\n",
        "",
        "secondary",
        "secondary.ssh",
        "its keys",
    ),
    ("    user: pi\n", "", "password: env:ISE", "ise[0].password", "user and password belong together"),
    # wrong types, and what YAML makes of texts
    ("name: paris", "name: 3.10", "name:", "name", 'put it in quotes: "3.10"'),
    ("name: paris", "name: 12", "name:", "name", 'put it in quotes: "12"'),
    ("name: paris", "name: true", "name:", "name", 'put it in quotes: "true"'),
    (
        "name: paris",
        "name: no",
        "name:",
        "name",
        "no is ambiguous in YAML; write true or false, or put a text in quotes",
    ),
    ("name: paris", "name: 12:34:56", "name:", "name", "put a text in quotes"),
    ("name: paris", "name: 0012", "name:", "name", "put a text in quotes"),
    ("name: paris", "name: 2026-01-02", "name:", "name", "put a text in quotes"),
    ("name: paris", "name:", "name:", "name", "has no value"),
    ("name: paris", "name: [paris]", "name:", "name", "must be one text"),
    ("  connect_s: 3", "  connect_s: '3'", "connect_s", "deadlines.connect_s", "must be a number; write it in digits"),
    ("  connect_s: 3", "  connect_s: yes", "connect_s", "deadlines.connect_s", "yes is ambiguous"),
    ("  connect_s: 3", "  connect_s: 0o17", "connect_s", "deadlines.connect_s", "plain decimal digits"),
    ("  connect_s: 3", "  connect_s: .inf", "connect_s", "deadlines.connect_s", "ambiguous"),
    ("  connect_s: 3", "  connect_s: -3", "connect_s", "deadlines.connect_s", "write a positive number"),
    ("  connect_s: 3", "  probe_spacing_s: -0.5", "probe_sp", "deadlines.probe_spacing_s", "write 0 or more"),
    ("  logs: []", "  logs: here", "logs:", "primary.logs[0]", "there is no file or folder here"),
    ("  logs: []", "  logs: {here: 1}", "logs:", "primary.logs[0]", "must be one text"),
    ("ise:\n  - address: 192.0.2.20", "ise:\n    address: 192.0.2.300", "2.300", "ise[0].address", "IPv4"),
    ("ha:", "policy: {second_person: 1}\nha:", "policy", "policy.second_person", "must be true or false"),
    ("ha:", "policy: strict\nha:", "policy", "policy", "must be a section; its keys are second_person"),
    ("ha:", "kind: prod\nha:", "kind", "kind", "write 'production' or 'lab'"),
    ("  email:", "  failover: auto\n  email:", "failover", "ha.failover", "write 'manual' or 'automatic'"),
    # ports
    ("  logs: []", "  health_monitor_port: 0", "health", "primary.health_monitor_port", "write 1 to 65535"),
    ("  logs: []", "  health_monitor_port: 65536", "health", "primary.health_monitor_port", "write 1 to 65535"),
    ("  logs: []", "  health_monitor_port: '8082'", "health", "primary.health_monitor_port", "whole number"),
    ("  logs: []", "  health_monitor_port: 8082.5", "health", "primary.health_monitor_port", "whole number"),
    # hosts
    ("192.0.2.10", "prime pri", "prime pri", "primary.address", "write an address such as"),
    ("192.0.2.10", '"prime\\x1b"', "x1b", "primary.address", "write an address such as"),
    ("192.0.2.10", HOSTILE, HOSTILE, "primary.address", "write an address such as"),
    ("192.0.2.10", '"a;b"', "a;b", "primary.address", "write an address such as"),
    ("192.0.2.10", "-oProxyCommand", "-oProxy", "primary.address", "write an address such as"),
    ("192.0.2.10", "https://prime", "https", "primary.address", "no https://"),
    ("192.0.2.10", "192.0.2.300", "300", "primary.address", "looks like an IPv4 address but is not one"),
    ("192.0.2.10", '"[2001:db8::1]"', "db8", "primary.address", "is not a plain address"),
    ("192.0.2.10", '"１92.0.2.10"', "2.10", "primary.address", "write an address such as"),
    # fingerprints
    ("  logs: []", '  expect: {sha256: ""}', "sha256", "primary.expect.sha256", "is empty"),
    ("  logs: []", f'  expect: {{sha256: "{SHA256[:63]}"}}', "sha256", "primary.expect.sha256", "has 63 hex digits"),
    ("  logs: []", f'  expect: {{sha256: "{"ab" * 20}"}}', "sha256", "primary.expect.sha256", "as SHA-1 has"),
    ("  logs: []", f'  expect: {{sha256: "{"ab:" * 15}ab"}}', "sha256", "primary.expect.sha256", "as MD5 has"),
    ("  logs: []", f'  expect: {{sha256: "{SHA256[:63]}g"}}', "sha256", "primary.expect.sha256", "other than hex"),
    # host keys
    ("SHA256:" + "A" * 43, "SHA256:" + "A" * 42, "host_key", "primary.ssh.host_key[0]", "43 base64 characters"),
    ("SHA256:" + "A" * 43, "'MD5:00:11'", "host_key", "primary.ssh.host_key[0]", "is an MD5 fingerprint"),
    ("SHA256:" + "A" * 43, "ssh-ed25519 AAAA", "host_key", "primary.ssh.host_key[0]", "is damaged"),
    ("SHA256:" + "A" * 43, "pi ssh-rsa AAAA", "host_key", "primary.ssh.host_key[0]", "is damaged"),
    ("SHA256:" + "A" * 43, "'|1|ab=|cd= ssh-rsa AAAA'", "host_key", "primary.ssh.host_key[0]", "is hashed"),
    ("SHA256:" + "A" * 43, "'@revoked pi ssh-rsa AAAA'", "host_key", "primary.ssh.host_key[0]", "is marked @revoked"),
    ("SHA256:" + "A" * 43, "2048 MD5:00:11 root@pi (RSA)", "host_key", "primary.ssh.host_key[0]", "an MD5 fingerprint"),
    ("SHA256:" + "A" * 43, "anything", "host_key", "primary.ssh.host_key[0]", "is not an SSH host key"),
    # HA
    ("noc@example.com", "'a b@example.com'", "email", "ha.email[0]", "is not an e-mail address"),
    ("noc@example.com", "'a@b.c,d@e.f'", "email", "ha.email[0]", "one address an item"),
    ("  email:", "  virtual_ipv6: fe80::1\n  email:", "virtual", "ha.virtual_ipv6", "link-local address (fe80::/10)"),
    ("  email:", "  virtual_ipv6: febf::1\n  email:", "virtual", "ha.virtual_ipv6", "link-local"),
    ("  email:", "  virtual_ipv6: 192.0.2.12\n  email:", "virtual", "ha.virtual_ipv6", "is an IPv4 address"),
    ("  email:", "  virtual_ipv4: 2001:db8::1\n  email:", "virtual", "ha.virtual_ipv4", "is an IPv6 address"),
    ("  email:", "  virtual_ipv4: vip\n  email:", "virtual", "ha.virtual_ipv4", "is not an IP address"),
    ("  email:", "  virtual_ipv4: 192.0.2.10\n  email:", "virtual", "ha.virtual_ipv4", "the address of the primary"),
    ("  email:", "  secondary_address: 192.0.2.10\n  email:", "ry_a", "ha.secondary_address", "the primary's address"),
    (
        "  email:",
        "  secondary_address: 192.0.2.13\n  email:",
        "ry_a",
        "ha.secondary_address",
        "of the secondary; add it",
    ),
    ("  email:", "  virtual_ipv4: 198.51.100.9\n  email:", "virtual", "ha.virtual_ipv4", "or name the subnet"),
    (
        "  email:",
        "  subnets: [192.0.2.0/28]\n  virtual_ipv4: 192.0.2.99\n  email:",
        "virtual",
        "ha.virtual_ipv4",
        "is not in one subnet with both servers; correct it",
    ),
    ("  email:", "  subnets: [192.0.2.0]\n  email:", "subnets", "ha.subnets[0]", "has no prefix length"),
    # servers against each other
    ("ise:\n", "ise:\n  - {address: 192.0.2.21, user: pi, password: env:X}\n", "192.0.2.20", "ise[1].name", "its own"),
    ("    user: pi", "    user: pi\n    name: primary", "name: primary", "ise[0].name", "means another server"),
    ("    user: pi", "    user: pi\n    expect: {self: true}", "self", "ise[0].expect.self", "add its section ssh"),
    # files
    ("  logs: []", "  expect: {csr: no.csr}", "csr", "primary.expect.csr", "there is no file no.csr"),
    ("  logs: []", "  expect: {csr: .}", "csr", "primary.expect.csr", "there is no file ."),
    ("  logs: []", "  expect: {certificate: c.pem}", "c.pem", "primary.expect.certificate", "there is no file c.pem"),
    ("  logs: []", "  expect: {ca: {bundle: b.pem, names: [x]}}", "b.pem", "primary.expect.ca.bundle", "no file b.pem"),
    ("  logs: []", "  expect: {csr: ''}", "csr", "primary.expect.csr", "is not a path"),
    ("  logs: []", "  logs: [gone]", "gone", "primary.logs[0]", "there is no file or folder gone"),
    ("name: paris", "name: paris\nrules: gone", "gone", "rules", "there is no file gone"),
    ("  logs: []", "  log_zone: Mars/Olympus", "Mars", "primary.log_zone", "is not a time zone"),
    # YAML
    ("name: paris", "name: paris\nname: rome", "rome", "name", "given twice (first in line 1); keep one"),
    ("    user: pi", "    user: &x pi", "&x", "ise[0].user", "& begins a YAML anchor"),
    ("    user: pi", "    user: *x", "*x", "ise[0].user", "* begins a YAML alias"),
    ("    user: pi", "    user: !x pi", "!x", "ise[0].user", "! begins a YAML tag"),
    (
        "ha:",
        "labels: {regster: [Los]}\nha:",
        "labels",
        "labels.regster",
        "did you mean register? known here: login_user",
    ),
    ("ha:", "labels: {zzz: [x]}\nha:", "labels", "labels.zzz", "unknown key; known here: login_user"),
    (
        "ha:",
        "ha_states:\n  Primary Busy: broken\n  primary  BUSY: healthy\nha:",
        "BUSY",
        "ha_states.primary  BUSY",
        "is the same state as 'Primary Busy', which has another meaning; keep one",
    ),
    ("name: paris", "name: paris\nlabels: {no: [x]}", "labels", "labels.no", "put it in quotes"),
]


@pytest.mark.parametrize(("old", "new", "at", "key", "words"), CASES, ids=lambda value: str(value)[:30])
def test_a_mistake_is_named_with_file_line_and_key(
    tmp_path: Path, old: str, new: str, at: str, key: str, words: str
) -> None:
    """One mistake in an otherwise good file gives exactly the line file:line: key: problem; what to write instead."""
    text = changed(old, new)
    found = problems(tmp_path, text)
    wanted = f"site.yaml:{line_of(text, at)}: {key}: "
    matching = [line for line in found if line.startswith(wanted) and words in line]
    assert matching, (wanted, words, found)
    assert [line for line in found if line not in matching and ": is missing;" not in line] == []


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    """Problems of the YAML, of single values, of several keys and of the disk stand in one refusal, by line."""
    text = GOOD.replace("name: paris", "name: no").replace("logs: []", "logs: [gone]").replace("env:KEY", "Tr0ub4dor")
    text = text.replace("192.0.2.11", "192.0.2.10").replace("  connect_s: 3", "  connect_s: -1\n  extra: 1")
    keys = [line.split(": ")[1] for line in problems(tmp_path, text)]
    assert keys == [
        "name",
        "primary.logs[0]",
        "secondary.address",
        "ha.auth_key",
        "deadlines.connect_s",
        "deadlines.extra",
    ]


def test_many_problems_are_printed_whole(tmp_path: Path) -> None:
    """A hundred problems are printed, not cut off like a device's answer."""
    text = GOOD + "".join(f"  unknown_key_number_{number}: 1\n" for number in range(90))
    with pytest.raises(SiteFileInvalid) as refused:
        load_site(write(tmp_path, text))
    assert "unknown_key_number_89" in str(refused.value)


def test_time_to_refuse_a_file_grows_with_what_is_wrong_in_it(tmp_path: Path) -> None:
    """Four times as many servers, each with something wrong, take about four times as long."""
    wrong = {"names": "a", "user": "b"}

    def refuse(count: int) -> None:
        servers: list[Any] = [dict(wrong) for _ in range(count)]
        lines: dict[Any, int] = {("ise", number, "names"): number for number in range(count)}
        document = Document(data={"ise": servers}, lines=lines, complete=True)
        one_as_list(document, Site)
        check_together(document, tmp_path)

    assert_linear(refuse, 1500)


def test_only_so_many_unknown_keys_are_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was meant by each is looked for as long as somebody may read it."""
    guessed: list[str] = []
    monkeypatch.setattr(difflib, "get_close_matches", lambda key, *_, **__: guessed.append(key) or [])
    for section in ("", "labels:\n"):
        guessed.clear()
        with pytest.raises(SiteFileInvalid, match="1200 problems"):
            load_site(write(tmp_path, GOOD + section + "".join(f"  unknown{n}: x\n" for n in range(1200))))
        assert 100 < len(guessed) <= MOST_GUESSED


@pytest.mark.parametrize(
    "password",
    ["Tr0ub4dor", "'Tr0ub4dor'", "&Tr0ub4dor x", "*Tr0ub4dor", "!Tr0ub4dor x", "'env:Tr0ub4dor x'", "[Tr0ub4dor]",
     "{Tr0ub4dor: x, y}", "'Tr0ub4dor", '"Tr0ub4dor\\q"', "%Tr0ub4dor", "@Tr0ub4dor", "`Tr0ub4dor", "a: Tr0ub4dor"],
)  # fmt: skip
def test_a_password_in_plain_text_is_refused_and_never_shown(tmp_path: Path, password: str) -> None:
    """A password where a reference belongs is a problem of that line, however YAML takes it, and is not repeated."""
    text = changed("password: env:PRIMARY", f"password: {password}")
    with pytest.raises(SiteFileInvalid) as refused:
        load_site(write(tmp_path, text))
    assert "Tr0ub4dor" not in str(refused.value)
    assert "Tr0ub4dor" not in repr(refused.value)
    assert any(line.startswith(("site.yaml:6:", "site.yaml:7:")) for line in refused.value.found.splitlines())


@pytest.mark.parametrize("password", ["12345678", "0123456", "12:34:56", "3.10", "yes"])
def test_a_password_of_digits_is_refused_and_never_shown(tmp_path: Path, password: str) -> None:
    """A password that YAML takes for a number is not quoted in the advice."""
    found = problems(tmp_path, changed("password: env:PRIMARY", f"password: {password}"))
    assert len(found) == 1
    assert found[0].startswith("site.yaml:6: primary.ssh.password: ")
    assert password not in found[0].removeprefix("site.yaml:6: ")


def test_primary_equal_to_secondary_is_refused(tmp_path: Path) -> None:
    """One address and port for both servers is refused, however the address is spelled."""
    text = GOOD.replace("192.0.2.10", "2001:db8::1").replace("192.0.2.11", "'2001:DB8:0::1'")
    found = problems(tmp_path, text)
    line = line_of(text, "DB8:0")
    words = "is the same server as primary (both at port 8082); write each one's own address"
    assert found == [f"site.yaml:{line}: secondary.address: {words}"]


def test_a_name_of_two_servers_is_refused(tmp_path: Path) -> None:
    """A further name may not mean the other server: its entry would be deleted instead."""
    text = changed("  logs: []", "  names: [192.0.2.11]")
    assert problems(tmp_path, text)[0].startswith("site.yaml:8: primary.names[0]: names secondary too")


def test_more_than_two_ise_servers_are_refused(tmp_path: Path) -> None:
    """Prime Infrastructure takes two ISE servers; a third is refused at the list's line."""
    more = "".join(f"  - {{name: i{n}, address: 192.0.2.3{n}, user: pi, password: env:X}}\n" for n in range(2))
    text = changed("ise:\n", f"ise:\n{more}")
    assert [f"site.yaml:{line_of(text, 'ise:')}: ise: 3 ISE servers; Prime Infrastructure takes at most 2"] == problems(
        tmp_path, text
    )


def test_with_hosts_files_the_secondary_is_typed_as_an_address(tmp_path: Path) -> None:
    """A name of the secondary is good with DNS and refused with hosts files, where nothing resolves it."""
    named = GOOD.replace("address: 192.0.2.11", "address: 192.0.2.11\n  names: [sec]")
    named = named.replace("ha:\n", "ha:\n  secondary_address: sec\n")
    assert site_of(tmp_path, named).ha.secondary_address == "sec"
    found = problems(tmp_path, named.replace("ha:\n", "ha:\n  hosts_files: true\n"))
    assert [line for line in found if "with hosts files it must be an address" in line] == found


@pytest.mark.parametrize(
    ("place", "address"),
    [("primary", "192.0.2.10"), ("primary", "localhost"), ("jump", "192.0.2.99"), ("ise", "192.0.2.20"), ("ha", "pi")],
)
def test_only_a_loopback_site_may_be_the_lab(tmp_path: Path, place: str, address: str) -> None:
    """kind: lab is refused as soon as one address is not a loopback address: the lab answers its own approvals."""
    loopback = {"primary": "127.0.0.1", "jump": "127.0.0.4", "ise": "127.0.0.3", "ha": "127.0.0.2"}
    used = {**loopback, place: address}
    text = (
        GOOD.replace("192.0.2.10", used["primary"])
        .replace("192.0.2.11", "127.0.0.2")
        .replace("192.0.2.20", used["ise"])
    )
    jump = f"    jump: {{address: {used['jump']}, user: a, password: env:J}}\n"
    text = text.replace("    password: env:PRIMARY\n", f"    password: env:PRIMARY\n{jump}")
    text = "kind: lab\n" + text.replace("ha:\n", f"ha:\n  secondary_address: {used['ha']}\n")
    text = text.replace("  address: 127.0.0.2\n", "  address: 127.0.0.2\n  names: [pi]\n")
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert "is not a loopback address" in found[0]
    assert site_of(tmp_path, text.replace(f": {address}", f": {loopback[place]}")).kind == "lab"


# -- files that are no YAML ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "site.yaml: the file is empty"),
        (b"# nothing\n", "site.yaml: the file is empty"),
        (b"- a\n", "site.yaml:1: the file holds no keys"),
        (b"name: a\n\tb: c\n", "site.yaml:2: this is not YAML; indent with blanks"),
        (b"name: a\nb: c: d\n", "site.yaml:2: this is not YAML; put a text that holds ': ' in quotes"),
        (b"name: [a\n", "site.yaml:2: this is not YAML"),
        (b"name: a\nb: \xff\n", "site.yaml:2: the file is not UTF-8 text"),
        (b"name: a\nb: \x07\n", "site.yaml:2: a control character"),
        (b"? [a]\n: b\n", "site.yaml:1: a key that is not a text"),
        (b"a: " + b"[" * 300_000, "site.yaml:1: a[0][0]: more than 20 sections deep"),
        (b"#" * (LARGEST_FILE + 1), "site.yaml: the file is larger than 1 MB"),
        (b"a: &a [x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "site.yaml:1: a: & begins a YAML anchor"),
        (b"a: b\n---\nc: d\n", "site.yaml:1: a second document begins"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_no_site_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    """Files that are empty, too large, damaged or built to blow up are refused with the line of the first problem."""
    path = tmp_path / "site.yaml"
    path.write_bytes(content)
    with pytest.raises(SiteFileInvalid) as refused:
        load_site(path)
    assert refused.value.found.startswith(found)


def test_a_folder_is_no_site(tmp_path: Path) -> None:
    """A path that is a folder is refused like an unknown site."""
    with pytest.raises(SiteFileInvalid, match="There is no site"):
        load_site(tmp_path)


# -- the lab's request ---------------------------------------------------------------------------


def test_a_lab_request_names_a_scenario(tmp_path: Path) -> None:
    """A file of kind lab without servers asks for the lab; only what was given is handed on."""
    text = "kind: lab\nlab: {scenario: healthy, monitor_interval_s: 1}\n"
    request = load_site_or_lab(write(tmp_path, text))
    assert isinstance(request, LabRequest)
    assert request.options() == {"scenario": "healthy", "monitor_interval_s": 1.0}


def test_a_lab_request_is_no_site(tmp_path: Path) -> None:
    """Who asks for a site gets a refusal for a file that only asks for the lab."""
    with pytest.raises(SiteFileInvalid, match="asks for the lab"):
        load_site(write(tmp_path, "kind: lab\nlab: {}\n"))


def test_a_lab_request_names_its_problems(tmp_path: Path) -> None:
    """A request for the lab is checked like a site: unknown keys, types and scenarios by line."""
    text = "kind: lab\nlab:\n  scenario: broken\n  skinn: spa\nprimary: {}\n"
    found = problems(tmp_path, text)
    assert [line.split(" ")[0:2] for line in found] == [
        ["site.yaml:3:", "lab.scenario:"],
        ["site.yaml:4:", "lab.skinn:"],
        ["site.yaml:5:", "primary:"],
    ]


def test_the_scenarios_are_the_labs(tmp_path: Path) -> None:
    """A site's file knows the scenarios that the lab has, no more and no less."""
    for scenario in SCENARIOS:
        assert LabOptions(scenario=scenario).scenario == scenario  # type: ignore[arg-type]
    (message,) = problems(tmp_path, "kind: lab\nlab: {scenario: x}\n")
    assert all(f"'{scenario}'" in message for scenario in SCENARIOS)
    assert message.count("'") == 2 * len(SCENARIOS)


# -- for the record ------------------------------------------------------------------------------


def test_the_record_gets_references_and_no_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain form of a site holds every secret as its reference, and no value."""
    monkeypatch.setenv("PRIMARY", "Tr0ub4dor")
    site = site_of(tmp_path, GOOD)
    site.primary.ssh.password.resolve()
    plain = site_without_secrets(site)
    assert plain["primary"]["ssh"]["password"] == "env:PRIMARY"
    assert "Tr0ub4dor" not in str(plain)
    assert list(plain) == sorted(plain)


def test_the_plain_form_loads_again(tmp_path: Path) -> None:
    """A site's plain form, written as YAML, is the same site."""
    site = site_of(tmp_path, GOOD)
    text = yaml.safe_dump(_without_empty(site_without_secrets(site)))
    assert site_of(tmp_path, text) == site


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item not in (None, "")}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


# -- the example ---------------------------------------------------------------------------------


NAMED_FILE = re.compile(r"^( *)#(?=\S|  \S)", re.M)
"""How the example's lines begin that name files which somebody may have."""


def example_with_files() -> str:
    return NAMED_FILE.sub(r"\1", (params_dir() / "example.yaml").read_text(encoding="utf-8"))


def example_in(folder: Path) -> Path:
    """Copy the example, all of it, to a folder in which the files exist that it names."""
    for name in ("paris-primary.csr", "paris-secondary.pem", "example-ca.pem", "tsa.pem"):
        (folder / "certificates").mkdir(exist_ok=True)
        (folder / "certificates" / name).touch()
    (folder / "logs" / "paris-primary").mkdir(parents=True)
    (folder / "logs" / "paris-secondary.tar.gz").touch()
    (folder / "paris-rules.yaml").touch()
    (folder / "example.yaml").write_text(example_with_files(), encoding="utf-8")
    return folder / "example.yaml"


def test_the_example_loads_where_its_files_exist(tmp_path: Path) -> None:
    """Whoever copies the example and has the files that it names has a valid site."""
    assert load_site(example_in(tmp_path)).name == "paris"


def test_a_copy_of_the_example_is_a_valid_site(tmp_path: Path) -> None:
    """Whoever copies the example, and has none of the files that it could name, has a valid site."""
    site = load_site(Path(shutil.copy(params_dir() / "example.yaml", tmp_path / "paris.yaml")))
    assert site.name == "paris"
    assert site != load_site(example_in(tmp_path)), "the lines that name files are read too once they are taken in"


def test_the_examples_deadlines_are_the_defaults(tmp_path: Path) -> None:
    """The example says that its deadlines are the defaults, and they are."""
    site = load_site(example_in(tmp_path))
    assert site.deadlines == type(site.deadlines)()


def test_every_key_stands_in_the_example() -> None:
    """Each key of each kind of section stands in the example at least once, so that it is explained there."""
    data = yaml.safe_load(example_with_files())
    given: dict[type[BaseModel], set[str]] = {Site: set(data)}
    for model, keys in _sections(data, ()):
        given.setdefault(model, set()).update(keys)
    missing = {
        f"{model.__name__}.{field.alias or name}"
        for model, keys in given.items()
        for name, field in model.model_fields.items()
        if (field.alias or name) not in keys
    }
    assert missing == set()


def _sections(value: Any, where: tuple[str | int, ...]) -> Iterator[tuple[type[BaseModel], set[str]]]:
    if isinstance(value, dict):
        model = section_at(Site, where)
        if model is not None:
            yield model, set(value)
        for key, item in value.items():
            yield from _sections(item, (*where, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _sections(item, (*where, number))


# -- whatever a file holds -------------------------------------------------------------------------

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
WORDS = st.sampled_from(
    ["name: ", "primary:\n  ", "ssh: {", "}", "[", "]", "- ", "&a ", "*a", "!!python/object:os.system ", "'", "no",
     '"\\ud800"', "\t", "\n", "? ", ": ", ">\n ", "<<: ", "---\n", "0x1F", "12:30:45", "kind: lab\n", "lab: ", "#", "%"]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=30).map(lambda words: "".join(words).encode())))
def test_any_bytes_are_a_site_or_a_refusal(content: bytes) -> None:
    """Whatever bytes a file holds, loading it ends in the refusal with its problems, and in no other error."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(SiteFileInvalid):
            load_site_or_lab(Path(file.name))


@given(st.data())
def test_any_value_anywhere_is_a_site_or_a_refusal(data: st.DataObject) -> None:
    """A good file in which any one value is replaced by anything else still loads, or is refused with problems."""
    site = yaml.safe_load(GOOD)
    places = [where for where, _ in _places(site, ())]
    *parents, last = data.draw(st.sampled_from(places))
    inner: Any = site
    for key in parents:
        inner = inner[key]
    inner[last] = data.draw(ANYTHING)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(site, file, allow_unicode=True)
        file.flush()
        with contextlib.suppress(SiteFileInvalid):
            load_site(Path(file.name))


def _places(value: Any, where: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*where, key), item
        yield from _places(item, (*where, key))
