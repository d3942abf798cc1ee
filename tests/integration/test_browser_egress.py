"""What leaves a browser, counted at the sockets: by listeners that a hostile page calls, and by its system calls."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import tornado.web
from descendants import each_descendant
from tls_site import Identity, serving

from runbook_lib.errors import BrowserUnsafe
from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.show.report_page import print_pdf
from runbook_lib.web import launching
from runbook_lib.web.actions import PageActions
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.launching import launch_arguments
from runbook_lib.web.view import PageView

DEADLINES = Deadlines(connect_s=30, page_s=60)
WEBRTC = "webrtc-ip-handling-policy"
SECRET = "Typed-into-a-page-7"
HOSTILE = """<!doctype html>
<link rel=dns-prefetch href="//prefetch.example.com"><link rel=preconnect href="https://preconnect.example.com">
<link rel=prefetch href="https://later.example.com/x">
<form><label>Password <input type=password></label></form><img src="http://192.0.2.77/x.png">
<iframe src="https://frame.example.com/"></iframe><a href="#" ping="https://ping.example.com/">x</a>
<script>
window.tries = (async () => {
  const udp = %(udp)d, tcp = %(tcp)d, said = [];
  const servers = [`stun:127.0.0.1:${udp}`, "stun:stun.example.com:3478"].map((urls) => ({urls}));
  for (const way of ["udp", "tcp"])
    for (const place of [`127.0.0.1:${way === "udp" ? udp : tcp}`, "turn.example.com:3478"])
      servers.push({urls: `turn:${place}?transport=${way}`, username: "u", credential: "c"});
  const call = new RTCPeerConnection({iceServers: servers});
  call.createDataChannel("x");
  await call.setLocalDescription(await call.createOffer());
  const foreign = `v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\n` +
    `m=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\n` +
    `c=IN IP4 127.0.0.1\\r\\na=ice-ufrag:abcd\\r\\na=ice-pwd:0123456789012345678901\\r\\na=fingerprint:sha-256 ` +
    Array(32).fill("AA").join(":") + `\\r\\na=setup:passive\\r\\na=mid:0\\r\\na=sctp-port:5000\\r\\n` +
    `a=candidate:1 1 udp 2113937151 127.0.0.1 ${udp} typ host\\r\\n` +
    `a=candidate:2 1 tcp 1518280447 127.0.0.1 ${tcp} typ host tcptype passive\\r\\n`;
  await call.setRemoteDescription({type: "answer", sdp: foreign}).catch((error) => said.push(String(error)));
  const ways = [
    () => fetch(`http://127.0.0.1:${tcp}/`, {mode: "no-cors"}),
    () => fetch("https://fetch.example.com/", {mode: "no-cors"}),
    () => navigator.sendBeacon(`http://127.0.0.1:${tcp}/`, "x"),
    () => new Promise((done) => { new WebSocket(`ws://127.0.0.1:${tcp}/`).onerror = done; }),
    () => new Promise((done) => { new EventSource(`http://127.0.0.1:${tcp}/`).onerror = done; }),
    () => { const way = new WebTransport(`https://127.0.0.1:${udp}/`); way.closed.catch(() => 0); return way.ready; },
    () => import(`http://127.0.0.1:${tcp}/x.js`),
  ];
  for (const way of ways) try { await way(); } catch (error) { said.push(String(error)); }
  document.querySelector("a").click();
  await new Promise((done) => setTimeout(done, 1500));
  return said;
})();
</script>"""


class Page(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish(self.application.settings["body"])


@dataclass
class Listeners:
    """A port for UDP and one for TCP on loopback; both only count."""

    udp: socket.socket
    tcp: socket.socket

    @property
    def page(self) -> str:
        return HOSTILE % {"udp": self.udp.getsockname()[1], "tcp": self.tcp.getsockname()[1]}

    def heard(self) -> tuple[int, int]:
        """Return how many packets and connections arrived."""
        return self._count(lambda: self.udp.recv(4096)), self._count(lambda: self.tcp.accept()[0].close())

    @staticmethod
    def _count(one: object) -> int:
        found = 0
        try:
            while True:
                one()  # type: ignore[operator]
                found += 1
        except BlockingIOError:
            return found


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        for listener in (udp, tcp):
            listener.bind(("127.0.0.1", 0))
            listener.setblocking(False)
        tcp.listen(100)
        yield Listeners(udp, tcp)


@asynccontextmanager
async def at_the_page(listeners: Listeners, folder: Path, executable: Path) -> AsyncIterator[PinnedBrowser]:
    """The hostile page, opened in the browser that types secrets, after all its tries."""
    identity = Identity(folder, "prime-pri")
    application = tornado.web.Application([("/.*", Page)], body=listeners.page)
    with serving(application, identity.context()) as url:
        async with PinnedBrowser.open(executable, url, identity.pin, DEADLINES) as browser:
            await browser.go()
            await browser.page.evaluate("window.tries")
            yield browser


def without_the_switch(pins: object) -> list[str]:
    """The command line for a build that knows no such switch."""
    return [word for word in launch_arguments(pins) if WEBRTC not in word]  # type: ignore[arg-type]


def test_a_page_reaches_nobody_past_the_relay(listeners: Listeners, tmp_path: Path) -> None:
    """WebRTC over UDP and TCP, WebTransport, beacons, sockets, requests: not one packet or connection arrives."""

    async def go() -> None:
        async with at_the_page(listeners, tmp_path, find_browser()) as browser:
            await browser.verify()

    asyncio.run(go())
    assert listeners.heard() == (0, 0)


def test_a_browser_with_another_way_out_gets_no_secret(
    listeners: Listeners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It types nothing secret into a browser that lets a page talk past the relay.

    In a build without the switch the same page sends packets. That is tried before a secret is typed, and the field
    stays empty.
    """
    monkeypatch.setattr(launching, "launch_arguments", without_the_switch)

    async def go() -> None:
        async with at_the_page(listeners, tmp_path, find_browser()) as browser:
            assert listeners.heard()[0] > 0, "the page has no way to talk past the relay, so nothing was tried"
            with pytest.raises(BrowserUnsafe, match="past the pinned relay"):
                await PageActions(PageView(browser, labels_for())).fill("login_password", SECRET, secret=True)
            assert await browser.page.get_by_label("Password").input_value() == ""

    asyncio.run(go())


def test_a_page_cannot_answer_for_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that replaces what the trial uses does not change what it finds."""
    monkeypatch.setattr(launching, "launch_arguments", without_the_switch)
    body = "<script>delete window.RTCPeerConnection; window.RTCPeerConnection = undefined</script>hello"

    async def go() -> None:
        identity = Identity(tmp_path, "prime-pri")
        with serving(tornado.web.Application([("/.*", Page)], body=body), identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, DEADLINES) as browser:
                await browser.go()
                with pytest.raises(BrowserUnsafe):
                    await browser.verify()

    asyncio.run(go())


# -- at the system calls -------------------------------------------------------------------------------


@pytest.fixture
def traced(tmp_path: Path) -> tuple[Path, Path]:
    """A browser whose system calls are written down, and where."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = tmp_path / "traced"
    folder.mkdir()
    calls = folder / "calls"
    program = folder / "chromium"
    program.write_text(
        "#!/bin/sh\n"
        f"exec strace -f -qq -yy -s 0 -e trace=connect,sendto,sendmsg,sendmmsg,write,writev -e signal=none -o '{calls}'"
        f" '{find_browser()}' \"$@\"\n"
    )
    program.chmod(0o755)
    return program, calls


def ways(calls: Path) -> tuple[list[str], set[str]]:
    """Return the calls that sent by UDP, and the places to which TCP connections were made."""
    lines = calls.read_text(errors="replace").splitlines()
    udp = [line for line in lines if re.search(r"(send\w*|writev?)\(\d+<UDP", line)]
    tcp = [line for line in lines if re.search(r"connect\(\d+<TCP", line)]
    return udp, {f"{host}:{port}" for line in tcp for port, host in re.findall(r'htons\((\d+)\).*?"([^"]+)"', line)}


def test_the_pinned_browser_sends_nothing_and_looks_nothing_up(
    listeners: Listeners, tmp_path: Path, traced: tuple[Path, Path]
) -> None:
    """Not a packet by UDP, so no look-up either, and connections to the relay alone: of all its processes."""
    places: list[str] = []

    async def go() -> None:
        async with at_the_page(listeners, tmp_path, traced[0]) as browser:
            places.append(browser.relay.address.removeprefix("http://"))

    asyncio.run(go())
    assert ways(traced[1]) == ([], set(places))


def test_the_browser_that_prints_the_report_talks_to_nobody(traced: tuple[Path, Path]) -> None:
    """Whatever a report refers to, and whatever the browser wants of its maker: a dead end, and no look-up."""
    page = "<link rel=dns-prefetch href=//a.example.com><img src=https://b.example.com/x.png><p>x"
    assert print_pdf(page, traced[0], title="x", journal=b"").startswith(b"%PDF")
    udp, tcp = ways(traced[1])
    assert udp == []
    assert tcp <= {"127.0.0.1:9"}


def test_the_browser_and_its_driver_get_a_named_environment(
    listeners: Listeners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret in this process's environment is in that of none of its children."""
    monkeypatch.setenv("PI_PASSWORD", SECRET)

    async def go() -> set[str]:
        async with at_the_page(listeners, tmp_path, find_browser()):
            return holding(SECRET)

    assert asyncio.run(go()) == set()


def holding(secret: str) -> set[str]:
    """Return the names of this process's descendants that have a text in their environment."""
    found = each_descendant(lambda process: (process.name(), secret in str(process.environ())))
    assert len(found) > 2, "a driver, a browser and its parts"
    return {name for name, holds in found if holds}


_ALONE = """
import asyncio
from runbook_lib.paths import find_browser
from runbook_lib.web.launching import driver, launch, raise_for_ways_out

async def main():
    async with driver() as playwright:
        browser = await launch(playwright, find_browser(), [])
        context = await browser.new_context()
        page = await context.new_page()
        await raise_for_ways_out(await context.new_cdp_session(page), "the browser", 60.0)
        print("closed")
        await browser.close()

asyncio.run(main())
"""


def test_a_machine_that_has_loopback_alone_has_no_other_way_out() -> None:
    """A lab may run without any network: the browser's search for ways out never ended there, and no page came."""
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs to make a network namespace (root, unshare, ip)")
    said = subprocess.run(
        [*alone, sys.executable, "-c", _ALONE], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.stdout == "closed\n", said.stderr
