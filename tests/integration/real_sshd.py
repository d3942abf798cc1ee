"""A real OpenSSH server on loopback, with a pty and a small command line; for one connection, or as many as are made.

It needs root and an installed ``sshd``: where either is missing the tests that want it are skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ssh_fakes import PASSWORD, PASSWORD_REF
from waiting import wait_until

from runbook_lib.params.model import SshAccess

KINDS = ("ed25519", "rsa", "ecdsa")
SERVICE = "runbook-test-sshd"

COMMAND_LINE = """#!/bin/sh
while printf 'prime-pri/admin# ' && read -r line; do
  case "$line" in
    'show version') printf 'Cisco Prime Infrastructure\\n****\\nVersion : 3.10.6\\n' ;;
    exit) exit 0 ;;
  esac
done
"""
CHECK = f"""#!/bin/sh
read -r given
test "$given" = "{PASSWORD}"
"""


@dataclass(frozen=True)
class Sshd:
    """A running server: its port, and the fingerprint of each of its host keys."""

    port: int
    fingerprints: Mapping[str, str]

    def access(self, kind: str = "ed25519", **more: object) -> SshAccess:
        """How to log in, with the host key of that kind pinned by its fingerprint."""
        login = {"port": self.port, "user": "root", "host_key": (self.fingerprints[kind],)}
        return SshAccess.model_validate(login | {"password": PASSWORD_REF} | more)


@contextmanager
def sshd(folder: Path, *settings: str, account: str = "pam_permit.so", message: bytes = b"") -> Iterator[Sshd]:
    """Run a server with further lines of ``sshd_config``; PAM lets in whoever has the password.

    ``account`` is the PAM module that judges the account, ``message`` what PAM says before the password.
    """
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("needs an installed OpenSSH server (openssh-server) and root")
    service = f"{SERVICE}-{os.getpid()}"  # tests run beside each other
    pam = Path("/etc/pam.d") / service
    own = folder / service  # PAM reads the rules of the program's name
    own.symlink_to(program)
    for name, text in (("shell", COMMAND_LINE), ("check", CHECK)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "message").write_bytes(message)
    # PAM and the shell run their files by path, so every folder above has to let them in.
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | stat.S_IXUSR)
    echo = f"auth optional pam_echo.so file={folder}/message\n" if message else ""
    rules = f"{echo}auth required pam_exec.so expose_authtok quiet {folder}/check\n"
    rules += f"auth required pam_permit.so\naccount required {account}\n"
    pam.write_text(f"{rules}session required pam_permit.so\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lines = [
        f"Port {port}", "ListenAddress 127.0.0.1", "UsePAM yes", "PermitRootLogin yes", "StrictModes no",
        "PidFile none",
        "PasswordAuthentication yes", "KbdInteractiveAuthentication yes", f"ForceCommand {folder}/shell",
        "PrintMotd no", "PrintLastLog no", *settings,
    ]  # fmt: skip
    fingerprints = {}
    for kind in KINDS:
        key = folder / kind
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", str(key)], check=True)
        shown = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True).stdout
        fingerprints[kind] = shown.split()[1]
        if not any(line.startswith("HostKey ") for line in settings):
            lines.append(f"HostKey {key}")
    (folder / "config").write_text("\n".join(lines).replace("FOLDER", str(folder)) + "\n")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([str(own), "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        wait_until(lambda: "listening" in (folder / "log").read_text(), "the server listens")
        yield Sshd(port, fingerprints)
    finally:
        server.kill()
        server.wait()
        pam.unlink()
