"""The log files of the simulated PI servers: ordinary lines, and the published ones of a mismatch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from runbook_lib.lab.pki import common_name, rfc2253_subject

HEALTH_MONITOR = "hm-0-0.log"
INFRASTRUCTURE = "ncs-0-0.log"
_LARGEST = 4_000_000
_OLDER = 3

#: As published, line breaks included; ``{subject}`` and ``{cn}`` are of the certificate now presented.
_MISMATCH = {
    HEALTH_MONITOR: """\
[system] [{thread}] TOFU failed.
Check local trust Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- {subject}
javax.net.ssl.SSLHandshakeException: java.security.cert.CertificateException:
Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- {cn}
""",
    INFRASTRUCTURE: """\
[system] [{thread}] TOFU failed.
Check local trust Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- {cn}
javax.net.ssl.SSLHandshakeException: java.security.cert.
CertificateException: Trust-on-first-use is configure for this connection.
Current certificate of the remote host is different from what was used earlier
- {cn}
""",
}


class Logbook:
    """One server's folder of logs; files beyond 4 MB become ``hm-0-1.log`` and so on, four at most."""

    def __init__(self, folder: Path, *, time_format: str, one_line: bool, clock: Callable[[], datetime]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._time_format = time_format
        self._one_line = one_line
        self._clock = clock
        for name in (HEALTH_MONITOR, INFRASTRUCTURE):
            (folder / name).touch()

    def note(self, file: str, thread: str, text: str, level: str = "INFO") -> None:
        """Write an ordinary line."""
        self._append(file, f"[{level}] [{thread}] {text}\n")

    def mismatch(self, file: str, thread: str, der: bytes) -> None:
        """Write what PI writes when a remote host shows another certificate than before."""
        cn = f"CN={common_name(der)}"
        text = _MISMATCH[file].format(thread=thread, subject=rfc2253_subject(der), cn=cn)
        if self._one_line:
            text = text.replace("java.security.cert.\n", "java.security.cert.").replace("\n", " ").strip() + "\n"
        self._append(file, text)

    def _append(self, name: str, text: str) -> None:
        path = self.folder / name
        if path.stat().st_size > _LARGEST:
            _rotate(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(self._prefix() + text)

    def _prefix(self) -> str:
        now = self._clock().astimezone(UTC)
        return now.strftime(self._time_format.replace("%L", f"{now.microsecond // 1000:03d}"))


def _rotate(path: Path) -> None:
    stem = path.stem.removesuffix("-0")
    for number in range(_OLDER, 0, -1):
        older = path.with_name(f"{stem}-{number - 1}{path.suffix}")
        if older.exists():
            older.replace(path.with_name(f"{stem}-{number}{path.suffix}"))
    path.touch()
