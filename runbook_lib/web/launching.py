"""Starting a browser, alone or shared by many kernels; and whether a page can leave it without its proxy."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from playwright._impl import transport
from playwright.async_api import Browser, CDPSession, Error, Playwright, ProxySettings, async_playwright

from runbook_lib import paths
from runbook_lib.errors import BrowserMissing, BrowserUnsafe, cut, opening_line
from runbook_lib.processes import no_core, plain_environment, wait_or_kill
from runbook_lib.web.relay import checked_pin, new_identity

# -- Starting a browser: every one that this software starts is started here, behind a relay or a dead end.
#
# A page can leave a browser by other ways than its proxy: look-ups of names, WebRTC's own UDP, services in the
# background. Each is closed by the command line (``launch_arguments``). The driver and the browser get a
# named environment, because an ``env:`` secret stands in ours.

_QUIET = (
    # A browser that looks for updates or time servers would show up as blocked requests of the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    # Nothing may go round the relay: no UDP, and no other way to the network than the proxy. Builds know the one name
    # or the other; ``raise_for_ways_out`` tries whether it helped.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    # No name is looked up, whoever asks: a page's hint, or the browser itself for services of its maker.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

DEAD_END = ProxySettings(server="http://127.0.0.1:9", bypass="<-loopback>")
"""A dead end: nobody answers there, so whoever forgets a context's own proxy gets no page, from nowhere."""

# The driver's public interface has no way to name its environment.
_inherited: Callable[[], dict[str, str]] = vars(transport)["get_driver_env"]


def _driver_environment() -> dict[str, str]:
    own = _inherited()
    return plain_environment(own) | {name: own[name] for name in own if name.startswith("PW_")}


vars(transport)["get_driver_env"] = _driver_environment

driver = async_playwright
"""``async with driver() as playwright``: the browser's driver, in the named environment."""

START_DEADLINE_S = 120.0
"""How long a browser may take to come up; on a busy machine it takes many times what it takes on an idle one."""


def launch_arguments(spki_sha256: Iterable[str]) -> list[str]:
    """Return the command line with which a browser is started that accepts these public keys.

    ``spki_sha256`` are SHA-256 values over a SubjectPublicKeyInfo, 64 hex digits each. ``--no-sandbox``
    is there only for the user root, whom Chromium refuses otherwise.
    """
    keys = [base64.b64encode(bytes.fromhex(checked_pin(pin))).decode() for pin in spki_sha256]
    arguments = [*_QUIET, "--ignore-certificate-errors-spki-list=" + ",".join(keys)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return arguments


async def launch(
    playwright: Playwright, executable: Path, keys: Iterable[str] = (), *, way: ProxySettings = DEAD_END
) -> Browser:
    """Start a browser whose only way out is ``way``, and which accepts the public ``keys`` (SHA-256, hex).

    Raises BrowserMissing where it does not start.
    """
    no_core()  # what is typed into a page is in the browser's memory too
    try:
        return await playwright.chromium.launch(
            executable_path=executable,
            args=launch_arguments(keys),
            env=dict(plain_environment()),
            proxy=way,
            headless=True,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=START_DEADLINE_S * 1000,
        )
    except Error as error:
        what, found = "the browser does not start", first_line(error)
        then = "Start it by hand once to see why, or name another one (key browser of the site's file)."
        raise BrowserMissing(what, where=str(executable), found=found, next_step=then) from None


_open: list[tuple[Path, Browser]] = []


@contextmanager
def offer_browser(executable: Path, browser: Browser) -> Iterator[None]:
    """While in it, ``offered_browser`` returns this browser to whoever of this process needs a context of its own."""
    entry = (executable, browser)
    _open.append(entry)
    try:
        yield
    finally:
        _open.remove(entry)


def offered_browser(executable: Path) -> Browser | None:
    """Return a browser of this process that is open and of this executable; None where there is none."""
    return next((browser for of, browser in _open if of == executable and browser.is_connected()), None)


def first_line(error: Error) -> str:
    """Return the first line of what the driver says: the rest can hold what was typed."""
    return cut(opening_line(error.message), 300) if error.message else type(error).__name__


# -- Whether a page can leave the browser without its proxy: tried, not believed. ------------------
#
# Builds of Chromium differ in the switch that closes WebRTC's own way (two names up to now, each unknown to some
# builds), a switch that a build does not know does nothing and says nothing, and a policy of the machine outweighs
# both. So the page that is about to get a secret is made to try: it asks for a connection by way of a STUN server,
# which is a port of this process, and what arrives there is counted.

_MAGIC = bytes.fromhex("2112a442")  # bytes 4 to 8 of every message of STUN, RFC 8489
_TRIES = 3
_TRY = files("runbook_lib.web").joinpath("leaving.js").read_text(encoding="utf-8")


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
    what = "whether this browser keeps WebRTC behind the pinned relay could not be seen; nothing secret was typed"
    if stun.heard.is_set() or said == "open":
        what = "this browser lets a page send packets past the pinned relay (WebRTC); nothing secret was typed"
    then = (
        "Use another or a newer browser (key browser of the site's file), or look for a policy of this machine named"
        " WebRtcIPHandling. Without any, a person can work the pages: web: guided in the site's file."
    )
    raise BrowserUnsafe(what, where=executable, next_step=then)


async def _try(session: CDPSession, port: int) -> str:
    """Return what the page's trial says; a page that is loaded anew meanwhile is tried again."""
    for last in (*[False] * (_TRIES - 1), True):
        try:
            tree = await session.send("Page.getFrameTree")
            world = await session.send("Page.createIsolatedWorld", {"frameId": tree["frameTree"]["frame"]["id"]})
            trial = {"expression": f"{_TRY}({port})", "contextId": world["executionContextId"]}
            said = await session.send("Runtime.evaluate", {**trial, "awaitPromise": True, "returnByValue": True})
            return str(said["result"].get("value", "nothing"))
        except Error:
            if last:
                raise
    raise AssertionError


# -- One browser process for many kernels of this machine, each with contexts of its own. ----------
#
# It listens on a socket in a folder that is this user's alone, and on no port: a port on loopback is open to every
# local user, who could then read pages and type into them behind the pin. Without a context's own proxy it reaches
# nothing, and it accepts the certificate of one key only: that of the relays of those who use it (see ``relay``).
#
# ``python -m runbook_lib.web.launching EXECUTABLE FOLDER`` is the browser's process; it ends with its standard input.

ENVIRONMENT = "RUNBOOK_SHARED_BROWSER"
"""Names the folder, for processes below the one that started the browser."""
_SERVE_S = START_DEADLINE_S + 30.0  # its process has to start too
_END_S = 30.0
_CONNECT_MS = 60_000.0
_ABOUT = "browser.json"
_RELAY = "relay.pem"
_log = logging.getLogger("runbook_lib.web")


class SharedBrowser:
    """A browser that runs as long as its context. ``environment`` lets a process use it; empty if none came up."""

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}

    def __enter__(self) -> SharedBrowser:
        self._folder = tempfile.TemporaryDirectory(prefix="rb-", ignore_cleanup_errors=True)
        folder = self._folder.name
        # The driver puts its socket and its notes where these say.
        here = {"XDG_RUNTIME_DIR": folder, "XDG_CACHE_HOME": folder, "PYTHONPATH": paths.python_path()}
        self._process = subprocess.Popen(  # noqa: S603 (this Python, our module)
            [sys.executable, "-m", "runbook_lib.web.launching", str(self._executable), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=plain_environment() | here,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        too_late = threading.Timer(_SERVE_S, self._process.kill)
        too_late.start()
        started = self._process.stdout.readline()
        too_late.cancel()
        if started:
            self.environment = {ENVIRONMENT: folder}
        else:
            _log.warning("The shared browser does not start; each stage that uses pages starts its own.")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        assert self._folder is not None
        for line in (self._process.stdin, self._process.stdout):
            if line is not None:
                line.close()
        wait_or_kill(self._process, _END_S)
        self._folder.cleanup()


class SharedBrowserPlace:
    """What a process needs to use the shared browser that it was told of."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.relay_pem = folder / _RELAY
        self._endpoint = endpoint

    @classmethod
    def from_environment(cls, executable: Path) -> SharedBrowserPlace | None:
        """Return how to join the browser that this process was told of; None where none, or of another executable."""
        folder = Path(os.environ.get(ENVIRONMENT) or os.devnull)
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        except OSError:
            return None
        return cls(folder, about["endpoint"]) if about["executable"] == str(executable) else None

    async def connect(self, playwright: Playwright) -> Browser | None:
        """Return a connection to it, which closing ends, and not the browser; None where it does not answer."""
        try:
            return await playwright.chromium.connect(self._endpoint, timeout=_CONNECT_MS)
        except Error:
            return None


async def _serve(executable: Path, folder: Path) -> None:
    key = new_identity(folder / _RELAY)
    async with driver() as playwright:
        browser = await launch(playwright, executable, [key])
        bound = await browser.bind("runbook")
        about = {"endpoint": bound["endpoint"], "executable": str(executable)}
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        print("ready", flush=True)  # noqa: T201 (to the one who started this)
        over = asyncio.Event()
        browser.on("disconnected", lambda _: over.set())
        asyncio.get_running_loop().add_reader(sys.stdin, over.set)
        await over.wait()
        with suppress(Error):
            await browser.close()


def main() -> None:
    """Be the browser's process."""
    os.umask(0o077)
    asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
