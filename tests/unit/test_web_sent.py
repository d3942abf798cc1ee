"""What leaves the browser: a secret goes to no other server than it was filled in for, however a page writes that."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from runbook_lib.web.relay import _with_body
from runbook_lib.web.traffic import NAMES, Traffic

KEY, PLANNED, OTHER = 'k3y "&/+ä', "198.51.100.2", "10.9.9.9"


def field(*, holds: str, named: tuple[str, ...] = ()) -> Any:
    async def evaluate(script: str) -> object:
        return list(named) if script == NAMES else holds

    return SimpleNamespace(evaluate=evaluate)


def objection(seen: Traffic, request: bytes) -> str:
    return asyncio.run(seen.objection(request))


def traffic(named: tuple[str, ...] = (), **typed: str) -> Traffic:
    seen = Traffic(cast("Any", SimpleNamespace(on=lambda *_: None, url="https://198.51.100.1/webacs/")))
    for key, value in ({"secondary_server": PLANNED, "auth_key": KEY, "virtual_ipv4": "198.51.100.9"} | typed).items():
        asyncio.run(seen.note_typed(key, value, field(holds=value, named=named)))
    return seen


def request(body: str, line: str = "POST /ha HTTP/1.1") -> bytes:
    return f"{line}\r\nHost: 198.51.100.1\r\nReferer: https://198.51.100.1/?at={PLANNED}\r\n\r\n{body}".encode()


def bodies(host: str) -> dict[str, bytes]:
    """The form with a server in it, in the ways in which pages send one."""
    fields = {"server": host, "key": KEY, "failover": "Manual"}
    quoted = urlencode(fields)
    return {
        "form": request(quoted),
        "address": request("", f"GET /ha?{quoted} HTTP/1.1"),
        "json": request(json.dumps(fields)),
        "json as it is": request(json.dumps(fields, ensure_ascii=False)),
        "dwr": request(f"c0-param0=string:{host}\nc0-param1=string:{urlencode({'': KEY})[1:]}\nbatchId=4\n"),
        "xml": request(f"<ha><server>{host}</server><key>k3y &quot;&amp;/+ä</key></ha>"),
        "multipart": request(
            f'--x\r\nContent-Disposition: form-data; name="server"\r\n\r\n{host}\r\n--x\r\n\r\n{KEY}\r\n--x--\r\n'
        ),
    }


@pytest.mark.parametrize("way", bodies(OTHER))
def test_the_key_goes_with_no_other_server(way: str) -> None:
    """Whatever the body is written in; with the planned one, or with none that can be read, it goes."""
    assert f"to send {OTHER} in the place of {PLANNED}" in objection(traffic(), bodies(OTHER)[way])
    assert "to send fd00::9 in" in objection(traffic(), bodies("fd00::9")[way])
    assert not objection(traffic(), bodies(PLANNED)[way])
    assert not objection(traffic(), bodies("pi-sec.example.com")[way])
    assert not objection(traffic(secondary_server="2001:db8::2"), bodies("2001:DB8:0:0::2")[way])


@pytest.mark.parametrize("way", ["form", "address", "json", "multipart"])
def test_the_key_goes_with_no_other_name_in_the_field_of_its_server(way: str) -> None:
    """As the field is called where it is sent, whatever else the request names; what means the planned one goes."""
    seen = traffic(("other", "server"))
    for other in ("old.example.com", "pi-old", "pi-old:8082"):
        assert f"to send {other} in the place of {PLANNED}" in objection(seen, bodies(other)[way])
    beside = bodies("old.example.com")[way].replace(b"Manual", PLANNED.encode()).replace(b"--x--", PLANNED.encode())
    assert objection(seen, beside)
    assert not objection(
        seen, bodies("s1")[way].replace(b"Manual", PLANNED.encode()).replace(b"--x--", PLANNED.encode())
    )
    for meant in (f" {PLANNED}", f"{PLANNED}:8082", "42", "", "-- select --", f"https://{PLANNED}/"):
        assert not objection(seen, bodies(meant)[way]), meant
    seen = traffic(("server",), secondary_server="pi-sec", ise_address="198.51.100.7", ise_password=KEY)
    seen.servers = [("pi-sec.example.com", PLANNED, "pi-sec"), ("198.51.100.7",)]
    for meant in ("PI-SEC ", "pi-sec.example.com", "pi-sec.lan", PLANNED, "198.51.100.7"):
        assert not objection(seen, bodies(meant)[way]), meant
    assert objection(seen, bodies("pi-second")[way])


def test_what_may_be_right_goes() -> None:
    """Another server beside the planned one, or without the key; what is no server; the server's own address."""
    seen = traffic(ise_address="198.51.100.7", ise_password="ise-Secret")
    key = json.dumps(KEY)
    right = (
        f'{{"server": "{PLANNED}", "was": "{OTHER}", "key": {key}}}',
        f'{{"servers": ["{OTHER}"]}}',
        f'{{"key": {key}, "virtual": "198.51.100.9", "mask": "255.255.255.0", "from": "198.51.100.1", "to": "::1"}}',
        f'{{"key": {key}, "release": "3.10.0.0.205", "at": "12:34:56"}}',
        '{"password": "ise-Secret", "server": "198.51.100.7:443"}',
    )
    assert [body for body in right if objection(seen, request(body))] == []
    assert objection(seen, request(f'{{"key": {key}, "server": "198.51.100.7"}}'))
    assert objection(seen, request('{"password": "ise-Secret", "server": "198.51.100.77"}'))
    short = traffic(auth_key="cisco")
    assert not objection(short, request('{"class": "com.cisco.Alarms", "of": "10.9.9.9", "user": "ciscoadmin"}'))
    assert objection(short, request('{"key": "cisco", "server": "10.9.9.9"}'))
    same = traffic(ise_address="198.51.100.7", ise_password=KEY)
    assert not objection(same, request(f'{{"password": {key}, "server": "198.51.100.7"}}'))


def test_a_name_is_told_by_the_field_that_was_filled_in() -> None:
    """In a body that does not name the planned server; what has been emptied by then says nothing."""
    for held, kept in (("old.example.com", True), ("", False), (f" {PLANNED}", False)):
        seen = traffic()
        asyncio.run(seen.note_typed("secondary_server", PLANNED, field(holds=held)))
        assert bool(objection(seen, bodies("old.example.com")["form"])) is kept
        assert not objection(seen, bodies(PLANNED)["form"])


def test_a_request_is_judged_whole() -> None:
    """A browser may send its body in pieces; what ends before it is whole is handed on as it came."""

    async def read(first: bytes, *more: bytes) -> bytes:
        reader = asyncio.StreamReader()
        for piece in more:
            reader.feed_data(piece)
        reader.feed_eof()
        return await _with_body(reader, first)

    head = b"POST /x HTTP/1.1\r\nContent-Length: 6\r\n\r\n"
    assert asyncio.run(read(head, b"abcdef")) == head + b"abcdef"
    assert asyncio.run(read(head + b"ab", b"c")) == head + b"abc"
    assert asyncio.run(read(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n", b"next")) == b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
