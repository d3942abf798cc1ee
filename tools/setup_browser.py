"""Find a browser that runs, or get one; standard library only.

The order: what ``RUNBOOK_BROWSER`` names, what the system has (a headless shell, Chrome, Edge, Chromium), Debian's
``chromium-headless-shell`` or ``chromium`` where this user may install packages, Playwright's own download.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from setup_system import SetupError, install_package, say

# The same, in the same order, as runbook_lib/paths.py looks for.
NAMES = (
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
PLACES = (
    "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
    "/snap/bin/chromium",
)
PACKAGES = ("chromium-headless-shell", "chromium")
PLAYWRIGHTS_OWN = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def usable(path: str) -> bool:
    """Whether the path is there and may be executed; it is not started, so this costs nothing."""
    return bool(path) and os.access(path, os.X_OK)


def ensure_browser(python: Path, chosen: str) -> str:
    """Return the path of a browser that starts; raises SetupError that says what to install."""
    if chosen:
        path = shutil.which(chosen) or ""
        if not path:
            raise SetupError(f"RUNBOOK_BROWSER names {chosen!r}, which cannot be executed. Correct or unset it.")
        return path
    found = on_the_system() or playwrights_own(python)
    if found:
        return found
    say("No Chrome, Edge or Chromium found")
    for package in PACKAGES:
        refused = install_package(package)
        if found := on_the_system():
            return found
        say(f"Debian's {package}: {refused or 'installed, but it does not start'}")
    say("Downloading Playwright's own instead")
    problem = download_playwrights(python)
    found = playwrights_own(python)
    if found:
        return found
    raise SetupError(
        "No browser: HA registration and the ISE servers are web pages, so one is needed.\n"
        f"  Debian's chromium: {refused or 'installed, but it does not start'}\n"
        f"  Playwright's download: {problem or 'done, but it does not start (system libraries are missing)'}\n"
        "Install Chrome, Chromium or Edge (Debian: apt-get install chromium; Ubuntu: Chrome's .deb package;\n"
        "Fedora: dnf install chromium), or name one with RUNBOOK_BROWSER=/path, and run make again."
    )


def on_the_system() -> str:
    commands = [shutil.which(name) or "" for name in NAMES]
    return next((path for path in [*commands, *PLACES] if starts(path)), "")


def starts(path: str) -> bool:
    """Whether the browser runs here: placeholders of other package systems and missing libraries are found out."""
    if not usable(path):
        return False
    try:
        done = subprocess.run([path, "--version"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def playwrights_own(python: Path) -> str:
    asked = subprocess.run([str(python), "-c", PLAYWRIGHTS_OWN], capture_output=True, text=True)
    path = asked.stdout.strip()
    return path if starts(path) else ""


def download_playwrights(python: Path) -> str:
    """Download Playwright's Chromium into its own cache, and return "" or the line that tells what went wrong."""
    command = [str(python), "-m", "playwright", "install", "chromium"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    telling = [line.strip() for line in lines if "error" in line.lower()]
    return (telling or lines or [f"exit code {done.returncode}"])[0][:200]
