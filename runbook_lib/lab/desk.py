"""The operator's side of a lab: the site's file, the desk with requests and certificates, and the secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.lab.core import Core
from runbook_lib.lab.pki import Identity
from runbook_lib.lab.world import Ise, Pi

_HEAD = "# Written by the lab; it describes the simulated site in this folder and is written anew at each renewal.\n"


class Desk:
    """What the operator of the simulated site has on the desk. Paths in the site's file are relative to it.

    ``pinned`` are the SSH host keys that the operator wrote down when the servers were installed.
    """

    def __init__(self, core: Core, ssh_user: str, web_user: str) -> None:
        self._core = core
        self._ssh_user = ssh_user
        self._web_user = web_user
        self.pinned: dict[str, str] = {}
        self.folder = core.folder / "desk"
        self.folder.mkdir(exist_ok=True)

    @property
    def site_file(self) -> Path:
        return self._core.folder / "site.yaml"

    def file_secrets(self) -> None:
        """Write every password of the site to a private file of its own."""
        passwords = self._core.passwords
        named = {f"{key}_ssh": value for key, value in passwords.ssh.items()}
        named |= {f"{key}_web": value for key, value in passwords.web.items()}
        named |= passwords.ise | {"auth_key": passwords.auth_key}
        for name, value in named.items():
            write_whole(self._core.folder / "secrets" / name, f"{value}\n".encode(), mode=0o600)

    def receive(self, key: str, identity: Identity) -> None:
        """Take in what a renewal leaves: request, certificate and its SHA-256."""
        write_whole(self.folder / f"{key}.csr", identity.csr_pem)
        write_whole(self.folder / f"{key}.pem", identity.pem)
        write_whole(self.folder / f"{key}.sha256", f"{identity.sha256}\n".encode())

    def file_authority(self, pem: bytes) -> None:
        """Keep the certificate of the operator's own CA, which issues what the servers get."""
        write_whole(self.folder / "ca.pem", pem)

    def note_host_key(self, key: str, line: str) -> None:
        """Put a server's new SSH host key on the desk; what the site's file pins stays as it is."""
        write_whole(self.folder / f"{key}.host_key", f"{line}\n".encode())

    def write_site(self) -> None:
        """Write the site's file, whole or not at all."""
        text = _HEAD + yaml.safe_dump(self._site(), sort_keys=False, allow_unicode=True)
        write_whole(self.site_file, text.encode())

    def _site(self) -> dict[str, Any]:
        world, options = self._core.world, self._core.options
        patience = round(20 * options.monitor_pause_s + options.registration_s + 30, 1)
        return {
            "kind": options.kind,
            "name": options.name,
            "primary": self._pi(world.pi["primary"], {"self": True}),
            "secondary": self._pi(world.pi["secondary"], {"csr": "desk/secondary.csr"}),
            "ise": [self._ise(ise) for ise in world.ise.values()],
            "ha": {"auth_key": "file:secrets/auth_key", "email": ["noc@example.com"], "failover": "manual"},
            # The lab answers at once; its machine may be busy all the same.
            "deadlines": {
                "connect_s": 30.0,
                "command_s": 60.0,
                "probe_s": 30.0,
                "probe_spacing_s": 0.2,
                "page_s": 60.0,
                "readiness_s": 120.0,
                "registration_s": round(options.registration_s + 300, 1),
                "settle_s": patience,
                "quiet_s": round(2 * options.monitor_pause_s + 1, 1),
            },
        }

    def _pi(self, pi: Pi, expect: dict[str, Any]) -> dict[str, Any]:
        return {
            "address": pi.address,
            "health_monitor_port": pi.ports["hm"],
            "ssh": {
                "port": pi.ports["ssh"],
                "user": self._ssh_user,
                "password": f"file:secrets/{pi.key}_ssh",
                "host_key": [self.pinned[pi.key]],
                "prompt_host": pi.host_name,
            },
            "web": {"port": pi.ports["web"], "user": self._web_user, "password": f"file:secrets/{pi.key}_web"},
            "expect": expect,
            "logs": [f"{pi.key}/logs"],
            "log_zone": "UTC",
        }

    def _ise(self, ise: Ise) -> dict[str, Any]:
        return {
            "name": ise.key,
            "address": ise.address,
            "port": ise.ports["ise"],
            "user": ise.user,
            "password": f"file:secrets/{ise.key}",
            "expect": {"sha256": ise.identity.sha256},
        }


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file at once, so that a reader sees the old or the new one and nothing between."""
    scratch = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    scratch.replace(path)
