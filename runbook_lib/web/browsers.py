"""Which browser drives the web pages, and with which command line it is started.

Everything that differs from machine to machine is decided here and nowhere else.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from runbook_lib.errors import BrowserMissing

ENVIRONMENT = "RUNBOOK_BROWSER"

# The headless shells come first: they are the same browser without windows, and start in half of the processor time.
_COMMANDS = (
    "chrome-headless-shell",
    "chromium-headless-shell",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "microsoft-edge-stable",
    "microsoft-edge",
    "chromium",
    "chromium-browser",
)
_PLACES = (
    "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
    "/snap/bin/chromium",
)
_BY_HAND = "Without any, a person can work the pages: web: guided in the site's file."
_PLAYWRIGHT_FOLDERS = ("~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
_PLAYWRIGHT_BUILDS = (
    "chromium_headless_shell-*/chrome-*/*headless*shell",
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)

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
    # or the other; runbook_lib.web.launching tries whether it helped.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    # No name is looked up, whoever asks: a page's hint, or the browser itself for services of its maker.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_browser(explicit: str = "") -> Path:
    """Return the executable of a Chromium browser.

    ``explicit`` (a path or a command) comes first, then the variable ``RUNBOOK_BROWSER``; where one of
    them is given, nothing else is tried. Otherwise a headless shell of Chrome or Chromium, then Chrome, Edge or
    Chromium of the system, then the browser that Playwright installed for itself. Raises :class:`BrowserMissing`.
    """
    for wanted, source in ((explicit, "the site's file, key browser"), (os.environ.get(ENVIRONMENT, ""), ENVIRONMENT)):
        if wanted:
            return _named(wanted, source)
    for candidate in _candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise BrowserMissing(
        "there is no Chrome, Edge or Chromium on this machine",
        found="looked for " + ", ".join(_COMMANDS) + ", and for a browser of Playwright's own",
        next_step=_how_to_install(),
    )


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


def checked_pin(pin: str) -> str:
    """Return a pin in lower case. Raises ValueError unless it is 64 hex digits: an empty pin would pin nothing."""
    if len(pin) != 64 or not set(pin.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"a pin is the SHA-256 of a public key, 64 hex digits; this one has {len(pin)} characters")
    return pin.lower()


def _named(wanted: str, source: str) -> Path:
    path = shutil.which(str(Path(wanted).expanduser()))
    if path is None:
        raise BrowserMissing(
            "the browser that was asked for is not there, or cannot be run",
            where=source,
            found=wanted,
            next_step="Give the path of Chrome, Edge or Chromium, or leave it empty to use the system's. " + _BY_HAND,
        )
    return Path(path)


def _candidates() -> Iterator[Path]:
    yield from map(Path, (*filter(None, map(shutil.which, _COMMANDS)), *_PLACES))
    own = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    for folder in (own, *_PLAYWRIGHT_FOLDERS) if own not in ("", "0") else _PLAYWRIGHT_FOLDERS:
        for build in _PLAYWRIGHT_BUILDS:
            yield from sorted(Path(folder).expanduser().glob(build), reverse=True)


def _how_to_install() -> str:
    what = "Google Chrome" if sys.platform == "darwin" else "one (Debian, Ubuntu: apt-get install chromium)"
    install = f"Install {what}, or run: playwright install chromium."
    return f"{install} A browser elsewhere: set {ENVIRONMENT} to its path. {_BY_HAND}"
