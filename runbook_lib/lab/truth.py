"""The lab's own log of what really arrived and what it did: the witness against which records are checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

MASK = "[secret]"
_SECRET_NAMES = re.compile(r"passw|auth_?key|secret|token|authorization", re.I)
_AUTH_KEY_COMMAND = re.compile(r"(\bauthkey\s+)\S+", re.I)


class Truth:
    """Append-only lines of JSON: ``utc``, ``server``, ``channel`` (ssh, web, tls, world), ``from``, ``what`` and more.

    Secrets that the lab knows (``secrets`` returns them) and values under telling names are masked.
    """

    def __init__(self, path: Path, secrets: Callable[[], set[str]]) -> None:
        self.path = path
        self._secrets = secrets
        self._file: TextIO = path.open("a", encoding="utf-8")

    def write(self, server: str, channel: str, source: str, what: str, **more: Any) -> None:
        """Write one line at once; ``source`` is the ``address:port`` that it came from, or ``lab``."""
        line = {
            "utc": datetime.now(UTC).isoformat(),
            "server": server,
            "channel": channel,
            "from": source,
            "what": what,
        }
        self._file.write(json.dumps(self._masked(line | more)) + "\n")
        self._file.flush()

    def begin(self) -> None:
        """Forget what was written so far: the scenario's past is over, and the log tells of what people do."""
        self._file.truncate(0)

    def close(self) -> None:
        self._file.close()

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets():
                value = value.replace(secret, MASK)
            return _AUTH_KEY_COMMAND.sub(rf"\1{MASK}", value)
        if isinstance(value, dict):
            return {
                name: MASK if item and _SECRET_NAMES.search(str(name)) and isinstance(item, str) else self._masked(item)
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._masked(item) for item in value]
        return value


def read_truth(path: Path) -> list[dict[str, Any]]:
    """The lines of a truth log, oldest first; empty where there is none yet.

    A line that crosses a page of the file can be seen in halves while it is written: it counts once it is whole.
    """
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
