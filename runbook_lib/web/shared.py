"""One browser process for many kernels of this machine, each with contexts of its own.

It listens on a socket in a folder that is this user's alone, and on no port: a port on loopback is open to every local
user, who could then read pages and type into them behind the pin. Without a context's own proxy it reaches nothing,
and it accepts the certificate of one key only: that of the relays of those who use it (see ``relay``).

``python -m runbook_lib.web.shared EXECUTABLE FOLDER`` is the browser's process; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from playwright.async_api import Browser, Error, Playwright

from runbook_lib import places
from runbook_lib.environment import plain_environment
from runbook_lib.web.identity import new_identity
from runbook_lib.web.launching import START_DEADLINE_S, driver, launch

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
        here = {"XDG_RUNTIME_DIR": folder, "XDG_CACHE_HOME": folder, "PYTHONPATH": places.python_path()}
        self._process = subprocess.Popen(  # noqa: S603 (this Python, our module)
            [sys.executable, "-m", "runbook_lib.web.shared", str(self._executable), folder],
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
            _log.warning("The shared browser does not start; each stage with pages starts one of its own.")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        assert self._folder is not None
        for line in (self._process.stdin, self._process.stdout):
            if line is not None:
                line.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


class Joining:
    """What a process needs to use the shared browser that it was told of."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.relay_pem = folder / _RELAY
        self._endpoint = endpoint

    @classmethod
    def told(cls, executable: Path) -> Joining | None:
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
