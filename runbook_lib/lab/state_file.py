"""``state.json`` in the lab's folder: what the site is like now, for tests and people to look at."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from runbook_lib.lab.core import Core
from runbook_lib.lab.desk import write_whole
from runbook_lib.lab.ssh_server import SshHandler

NAME = "state.json"


class StateFile:
    """Written whole after every change, and at most once for changes that come together."""

    def __init__(self, core: Core, ssh: dict[str, SshHandler]) -> None:
        self._core = core
        self._ssh = ssh
        self._due = False
        self._started_utc = core.clock().isoformat()

    def view(self, *, running: bool = True) -> dict[str, Any]:
        """The state as plain values, without secrets: the world's ``snapshot`` and what is around it."""
        core = self._core
        return {
            "running": running,
            "pid": os.getpid(),
            "started_utc": self._started_utc,
            "folder": str(core.folder),
            "site_file": str(core.folder / "site.yaml"),
            "truth_log": str(core.truth.path),
            "options": core.options.as_dict(),
            "host_keys": {key: ssh.host_key_line for key, ssh in self._ssh.items()},
            "faults": [{"name": f.name, "server": f.server, **f.settings} for f in core.faults],
            **core.world.snapshot(),
        }

    def soon(self) -> None:
        """Write when the event loop comes round."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.write)

    def write(self, *, running: bool = True) -> None:
        self._due = False
        write_whole(self._core.folder / NAME, json.dumps(self.view(running=running), indent=2).encode())
