"""What the set-up says, and what it installs on the system; standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


class SetupError(Exception):
    """Something is missing; the message says what to install."""


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def install_package(package: str) -> str:
    """Install a Debian package where this user may, and return "" or why it was not done, in words."""
    if not shutil.which("apt-get"):
        return "this system has no apt-get"
    privilege = privilege_prefix()
    if privilege is None:
        return "this user may not install packages (neither root nor sudo without a password)"
    install = ["install", "--yes", "--no-install-recommends", package]
    say(f"Installing the system's package {package}: {' '.join([*privilege, 'apt-get', *install])}")
    if apt_get(privilege, install) == "":
        return ""
    # Package lists that are missing or old are the usual reason on a fresh machine.
    problem = apt_get(privilege, ["update"])
    return problem or apt_get(privilege, install)


def privilege_prefix() -> list[str] | None:
    """Return what to put before a command that needs root: nothing for root, sudo if it asks no password."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL)
    return ["sudo", "-n"] if allowed.returncode == 0 else None


def apt_get(privilege: list[str], arguments: list[str]) -> str:
    """Run apt-get without questions, and return "" or its last line."""
    command = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return f"apt-get {arguments[0]}: {lines[-1] if lines else f'exit code {done.returncode}'}"
