"""The Health Monitor's login page: shown in the preflight, with the release that it calls its own; decides nothing."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tls_fakes import Chain

from runbook_lib.device.answers import HealthMonitor, parse_health_monitor
from runbook_lib.device.probe import present
from runbook_lib.lab import Lab
from runbook_lib.models import Presented, Vantage
from runbook_lib.observations import Check
from runbook_lib.params.model import Deadlines
from runbook_lib.repair.preflight import health_monitor_check

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=UTF-8\r\n\r\n"
CAPTURED = b"""<html><head><title>Health Monitor Login Page</title></head><body>
<span class="productName">Cisco Prime Infrastructure</span><span>Health Monitor</span><span class="productVersion">
   Version: %s
</span></body></html>"""


def test_the_labs_health_monitor_tells_its_release(stale: Lab) -> None:
    """Over the connection that presents the certificate that was seen a moment ago."""
    server = stale.world["servers"]["secondary"]
    place = (server["address"], server["ports"]["hm"])
    look = asyncio.run(present(*place, vantage=Vantage.HERE, deadlines=Deadlines(), times=1))
    check = asyncio.run(health_monitor_check("secondary", look, 10.0))
    assert (check.ok, check.actual) == (True, "Health Monitor of Prime Infrastructure, release 3.10.6")
    assert "proves no identity" in check.note


@pytest.mark.parametrize(
    ("answer", "ok", "says"),
    [
        (HEAD + CAPTURED % b"3.1.0", True, "release 3.1.0"),
        (HEAD + CAPTURED % b"3.1.0 Version: 3.2", True, "Health Monitor of Prime Infrastructure"),
        (HEAD + b"<title>Health Monitor</title>", True, "an unnamed product"),
        (HEAD + b"<title>Welcome</title> Version: 3.1.0", None, "another page"),
        (HEAD + b"x" * 300_000, None, "not reported (ValueError)"),
        (b"", None, "another page"),
    ],
    ids=["captured", "two releases", "bare", "another", "endless", "closed"],
)
def test_what_the_page_says_is_told_and_raises_nothing(
    answer: bytes, ok: bool | None, says: str, tmp_path: Path
) -> None:
    """One that is none is not known to be wrong either: nothing is decided by it."""
    check, heard = asyncio.run(_asked(answer, Chain(tmp_path, "primary"), None))
    assert check.ok is ok
    assert says in check.actual
    assert heard.startswith(b"GET /login.jsp HTTP/1.1\r\n")


def test_nothing_is_asked_of_whoever_presents_another_certificate(tmp_path: Path) -> None:
    """The page is only read from the host that was seen."""
    other = Chain(tmp_path, "impostor").der[0]
    check, heard = asyncio.run(_asked(HEAD + CAPTURED % b"3.1.0", Chain(tmp_path, "primary"), other))
    assert (check.ok, check.actual, heard) == (None, "not reported (ValueError)", b"")


async def _asked(answer: bytes, chain: Chain, shown: bytes | None) -> tuple[Check, bytes]:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            heard.extend(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            writer.close()
            await writer.wait_closed()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain.pem)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        look = Presented(
            host="127.0.0.1",
            port=port,
            vantage=Vantage.HERE,
            chain=(shown or chain.der[0],),
            seen_utc=datetime.now(UTC),
        )
        check = await health_monitor_check("primary", look, 10.0)
        gone = replace(look, port=1)
        assert (await health_monitor_check("primary", gone, 10.0)).actual.startswith("not reported")
    return check, bytes(heard)


@pytest.mark.parametrize(
    ("page", "release"),
    [
        ("<title>Health Monitor Login Page</title><b>Version:\n 3.10.6</b>", "3.10.6"),
        ("<title>Health&nbsp;Monitor</title>version 3.5", "3.5"),
        ("<title>Health Monitor</title>Version: 3", ""),
        ("<" * 100_000 + "Health Monitor", ""),
    ],
)
def test_a_page_is_read_whatever_its_markup(page: str, release: str) -> None:
    """Names and releases are looked for in its text."""
    found = parse_health_monitor(page)
    assert found == HealthMonitor(product=False, release=release)
