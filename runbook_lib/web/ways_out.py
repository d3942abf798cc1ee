"""Whether a page can leave the browser without its proxy: tried, not believed.

Builds of Chromium differ in the switch that closes WebRTC's own way (two names up to now, each unknown to some builds),
a switch that a build does not know does nothing and says nothing, and a policy of the machine outweighs both. So the
page that is about to get a secret is made to try: it asks for a connection by way of a STUN server, which is a port of
this process, and what arrives there is counted.
"""

from __future__ import annotations

import asyncio

from playwright.async_api import CDPSession, Error

from runbook_lib.errors import BrowserUnsafe

_MAGIC = bytes.fromhex("2112a442")  # bytes 4 to 8 of every message of STUN, RFC 8489
_TRIES = 3
_TRY = """(async (port) => {
  if (typeof RTCPeerConnection === "undefined") return "closed";
  const way = new RTCPeerConnection({iceServers: [{urls: `stun:127.0.0.1:${port}`}]});
  const found = [], over = new Promise((done) => {
    way.onicecandidate = (event) => event.candidate ? found.push(event.candidate.candidate) : done();
  });
  way.createDataChannel("way out");
  await way.setLocalDescription(await way.createOffer());
  await over;
  way.close();
  return found.some((each) => / udp /i.test(each)) ? "open" : "closed";
})"""


class _Stun(asyncio.DatagramProtocol):
    """Counts the packets of STUN, and answers none."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if data[4:8] == _MAGIC:
            self.heard.set()


async def raise_for_ways_out(session: CDPSession, executable: str, seconds: float) -> None:
    """Raise BrowserUnsafe unless the page of ``session`` has no way out but its proxy, or where it does not tell.

    The trial runs apart from the page's own scripts, which can neither see nor change it. Raises the driver's Error.
    """
    endpoint, stun = await asyncio.get_running_loop().create_datagram_endpoint(_Stun, local_addr=("127.0.0.1", 0))
    heard = asyncio.ensure_future(stun.heard.wait())
    trial = asyncio.ensure_future(_try(session, endpoint.get_extra_info("sockname")[1]))
    try:
        await asyncio.wait((heard, trial), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        said = trial.result() if trial.done() else "nothing"
        if said == "closed" and not stun.heard.is_set():
            return
    finally:
        heard.cancel()
        trial.cancel()
        await asyncio.gather(heard, trial, return_exceptions=True)
        endpoint.close()
    raise BrowserUnsafe(
        "this browser lets a page send packets past the pinned relay (WebRTC); nothing secret was typed"
        if stun.heard.is_set() or said == "open"
        else "whether this browser keeps WebRTC behind the pinned relay could not be seen; nothing secret was typed",
        where=executable,
        next_step="Use another or a newer browser (key browser of the site's file), or look for a policy of this"
        " machine named WebRtcIPHandling. Without any, a person can work the pages: web: guided in the site's file.",
    )


async def _try(session: CDPSession, port: int) -> str:
    """Return what the page's trial says; a page that is loaded anew meanwhile is tried again."""
    for last in (*[False] * (_TRIES - 1), True):
        try:
            tree = await session.send("Page.getFrameTree")
            world = await session.send("Page.createIsolatedWorld", {"frameId": tree["frameTree"]["frame"]["id"]})
            said = await session.send(
                "Runtime.evaluate",
                {
                    "expression": f"{_TRY}({port})",
                    "contextId": world["executionContextId"],
                    "awaitPromise": True,
                    "returnByValue": True,
                },
            )
            return str(said["result"].get("value", "nothing"))
        except Error:
            if last:
                raise
    raise AssertionError
