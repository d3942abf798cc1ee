"""Which host an entry stands for: the server itself, another host of the site, or a stranger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from site_kit import ISE, ISE2, PRIMARY, SECONDARY, site_with

from runbook_lib.device.prime import PrimeServer
from runbook_lib.device.tofu import parse_tofu_list
from runbook_lib.models import TofuEntry, TofuStore, Vantage
from runbook_lib.params.values import same_host
from runbook_lib.repair.context import Devices, is_own, target_named, target_of, target_of_key, targets

SITE = site_with()
SIX = site_with(addresses=("2001:db8::10", "2001:db8::20", "2001:db8::30", "2001:db8::31"))
SHARED = site_with(addresses=("198.51.100.1",) * 4, ports=(8082, 18082, 10443, 10444), names=((),) * 4)
LOOPBACK = site_with(addresses=("127.0.0.1",) * 4, ports=(18082, 28082, 10443, 10444), names=((),) * 4)
MANY_LOOPBACKS = site_with(addresses=("127.9.9.1", "127.9.9.2", "127.9.9.3", "127.9.9.4"), names=((),) * 4)


def entry(host: str, port: int = 8082) -> TofuEntry:
    return TofuEntry(key=f"{host}_{port}", host=host, port=port, subject="CN=x", line="")


def stands_for(site: Any, observer: str, host: str, port: int = 8082) -> str | None:
    found = target_of(site, observer, entry(host, port))
    return found.name if found else None


@pytest.mark.parametrize(
    ("observer", "host", "port", "name"),
    [
        ("primary", SECONDARY, 8082, "secondary"),
        ("primary", "prime-sec", 8082, "secondary"),
        ("primary", "PRIME-SEC.", 8082, "secondary"),
        ("primary", ISE, 443, "ise"),
        ("primary", "ISE-2.example.com", 443, "ise2"),
        ("secondary", PRIMARY, 8082, "primary"),
    ],
)
def test_entries_of_the_sites_other_hosts(observer: str, host: str, port: int, name: str) -> None:
    """Host and port together say which host an entry stands for, by address or by a name of the site's file."""
    assert stands_for(SITE, observer, host, port) == name


@pytest.mark.parametrize(
    ("observer", "host", "port"),
    [
        ("primary", SECONDARY, 443),
        ("primary", ISE, 8082),
        ("primary", "192.0.2.2", 8082),
        ("primary", "prime-sec.example.com", 8082),
        ("primary", "sprime-sec", 8082),
        ("primary", "prime-\u017fec", 8082),
        ("primary", "\uff11\uff19\uff12.0.2.20", 8082),
        ("primary", "192.0.2.020", 8082),
        ("primary", "3221225992", 8082),
        ("primary", f"{SECONDARY}\n", 8082),
        ("primary", "*", 8082),
        ("primary", "$(reload)", 8082),
        ("primary", f"{SECONDARY};reload", 8082),
        ("primary", "", 8082),
        ("secondary", ISE, 443),
        ("secondary", ISE2, 443),
    ],
)
def test_strangers_and_odd_spellings_stand_for_nobody(observer: str, host: str, port: int) -> None:
    """Another port, a similar name, another alphabet, hostile text, or a host that this server does not pin: nobody."""
    assert stands_for(SITE, observer, host, port) is None
    assert not is_own(SITE, observer, entry(host, port))


OWN_HOSTS = {
    "primary": (PRIMARY, "prime-pri", "Prime-Pri.", f"::ffff:{PRIMARY}", f"[{PRIMARY}]"),
    "secondary": (SECONDARY, "prime-sec", "PRIME-SEC"),
}
LOCALHOSTS = (
    "127.0.0.1",
    "127.1.2.3",
    "::1",
    "0:0:0:0:0:0:0:1",
    "[::1]",
    "::ffff:127.0.0.1",
    "localhost",
    "LocalHost.",
    "localhost.localdomain",
    "ip6-localhost",
    "x.localhost",
    "0.0.0.0",
    "::",
)


@pytest.mark.parametrize("port", [8082, 443, 1])
@pytest.mark.parametrize(
    ("observer", "host"),
    [*((server, host) for server in OWN_HOSTS for host in (*OWN_HOSTS[server], *LOCALHOSTS))],
)
def test_own_entries_are_own_and_stand_for_nobody(observer: str, host: str, port: int) -> None:
    """A server's own address, names and loopback, however spelled and at any port, are never another host."""
    assert is_own(SITE, observer, entry(host, port))
    assert stands_for(SITE, observer, host, port) is None


@pytest.mark.parametrize("spelling", ["2001:db8::20", "2001:DB8:0:0::20", "2001:0DB8:0::0:0020", "[2001:db8::20]"])
def test_ipv6_is_compared_by_value(spelling: str) -> None:
    """However an IPv6 address is spelled, it is the same host; own ones too."""
    assert stands_for(SIX, "primary", spelling) == "secondary"
    assert is_own(SIX, "secondary", entry(spelling))


@pytest.mark.parametrize("spelling", ["2001:db8::20%eth0", "2001:db8::20%$(x)", "2001:db8::200", "2001:db8::20:8082"])
def test_ipv6_with_a_zone_or_more_is_another_host(spelling: str) -> None:
    """A zone may hold any text, so an address with one is nobody's."""
    assert stands_for(SIX, "primary", spelling) is None


@pytest.mark.parametrize("site", [SHARED, LOOPBACK], ids=["one address", "all on 127.0.0.1"])
def test_on_one_address_the_port_tells_servers_apart(site: Any) -> None:
    """Where all servers share an address, each entry is the one of its port, and the server's own port its own."""
    host = site.primary.address
    own, other = site.primary.health_monitor_port, site.secondary.health_monitor_port
    assert stands_for(site, "primary", host, other) == "secondary"
    assert stands_for(site, "secondary", host, own) == "primary"
    assert stands_for(site, "primary", host, 10443) == "ise"
    for observer, port in (("primary", own), ("secondary", other), ("primary", 9), ("secondary", 10443)):
        assert stands_for(site, observer, host, port) is None
    assert is_own(site, "primary", entry(host, own))
    assert is_own(site, "secondary", entry(host, other))


def test_servers_on_addresses_of_loopback_are_told_apart() -> None:
    """Another host's address in 127.0.0.0/8 is that host's; 127.0.0.1 with the own port is the server's own."""
    assert stands_for(MANY_LOOPBACKS, "primary", "127.9.9.2") == "secondary"
    for observer, host in (("primary", "127.9.9.1"), ("secondary", "127.9.9.2"), ("secondary", "127.0.0.1")):
        assert is_own(MANY_LOOPBACKS, observer, entry(host))


def test_loopback_with_the_own_port_is_own_even_where_another_server_is_named_so() -> None:
    """A site's file that gives localhost as the primary's name does not make the secondary's own entry deletable."""
    site = site_with(names=(("127.0.0.1", "localhost"), (), (), ()))
    for host in ("127.0.0.1", "localhost", "::1"):
        assert is_own(site, "secondary", entry(host))
        assert stands_for(site, "secondary", host) is None


def test_published_lists_hold_own_entries_and_one_of_the_other_host() -> None:
    """In the secondary's published list two entries are its own and one is the primary's."""
    text = (
        "host=192.0.2.20_8082;  subject= /C=US/O=Cisco Systems/CN=prime-sec\n"
        "host=127.0.0.1_8082;  subject= /C=US/O=Cisco Systems/CN=prime-sec\n"
        "host=192.0.2.10_8082; subject= /C=US/O=Cisco Systems/CN=prime-pri\nprime-sec/admin#"
    )
    from certificate_kit import NOW

    entries = parse_tofu_list(text, "secondary", NOW).entries
    assert [is_own(SITE, "secondary", one) for one in entries] == [True, True, False]
    assert target_of(SITE, "secondary", entries[2]) == target_named(SITE, "primary")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (f"{SECONDARY}_8082", "secondary"),
        (f"{SECONDARY}_08082", "secondary"),
        (f"{SECONDARY}_", None),
        (f"{SECONDARY}", None),
        ("_8082", None),
        (f"{SECONDARY}_" + "9" * 5000, None),
        (f"{SECONDARY}_\uff18082", None),
        (f"{SECONDARY}_80 82", None),
        (f"{PRIMARY}_8082", None),
        (f"x_{SECONDARY}_8082", None),
    ],
)
def test_a_key_that_is_no_host_and_port_stands_for_nobody(key: str, name: str | None) -> None:
    """A key is a host and a port of ASCII digits; anything else stands for nobody, and nothing raises."""
    found = target_of_key(SITE, "primary", key)
    assert (found.name if found else None) == name


def test_targets_and_who_pins_them() -> None:
    """Both PI servers pin each other, and the primary the ISE servers."""
    assert [(t.name, t.port, t.observers) for t in targets(SITE)] == [
        ("primary", 8082, ("secondary",)),
        ("secondary", 8082, ("primary",)),
        ("ise", 443, ("primary",)),
        ("ise2", 443, ("primary",)),
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A.example.com", "a.EXAMPLE.com.", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.1.", False),
        ("stra\u00dfe", "strasse", False),
        ("\u212aelvin", "kelvin", False),
        ("a", "b", False),
    ],
)
def test_addresses_are_compared_by_value_and_names_without_case(one: str, other: str, same: bool) -> None:
    """Addresses by value, names of ASCII without regard to case; letters that only fold alike are others."""
    assert same_host(one, other) is same_host(other, one) is same


def test_a_host_is_looked_at_by_the_name_in_the_list_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that pins it connects to that name: whoever answers for it there would be pinned in its place."""
    listed = tuple(entry(host) for host in ("prime-sec", SECONDARY, f"[::ffff:{SECONDARY}]", "prime-pri", "192.0.2.2"))
    devices = Devices(SITE, keep=lambda *_: None)
    asked: list[tuple[Vantage, str]] = []

    async def read(prime: PrimeServer, *_: object) -> TofuStore:
        return TofuStore(server=prime.key, entries=listed, read_utc=datetime.now(UTC))

    async def look(_devices: Devices, target: Any, vantage: Vantage, *_: object) -> None:
        asked.append((vantage, target.address))

    async def through(_devices: Devices, target: Any, _carrier: str, vantage: Vantage) -> None:
        asked.append((vantage, target.address))

    monkeypatch.setattr(PrimeServer, "_read", read)
    monkeypatch.setattr(Devices, "_present", look)
    monkeypatch.setattr(Devices, "_through", through)
    usual = [(vantage, SECONDARY) for vantage in Vantage]
    asyncio.run(devices.look(target_named(SITE, "secondary")))
    assert asked == usual
    asyncio.run(devices.prime("primary").list_tofu())
    asyncio.run(devices.look(target_named(SITE, "secondary")))
    assert asked == [*usual, *usual, (Vantage.PEER, "prime-sec")]
