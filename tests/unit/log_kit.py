"""The published message in its parts, the scan of a text, and archives, for tests of what the logs say."""

from __future__ import annotations

import io
import tarfile
import zipfile
from datetime import UTC

from runbook_lib.logs.conclusions import mismatches_of
from runbook_lib.logs.events import Findings
from runbook_lib.logs.rules import RULES
from runbook_lib.logs.scanner import Scanner
from runbook_lib.observations import Mismatch

DN = "CN=prime-sec, OU=Prime Infra, O=Cisco Systems, L=SJ, ST=CA, C=US"
CORE = (
    "Trust-on-first-use is configure for this connection. "
    "Current certificate of the remote host is different from what was used earlier - "
)
THREAD = "[system] [HealthMonitorThread] "
HEAD = f"TOFU failed. Check local trust {CORE}{DN}"
CAUSE = f"javax.net.ssl.SSLHandshakeException: java.security.cert.CertificateException: {CORE}CN=prime-sec"


def findings(text: str | bytes, *, sizes: list[int] | None = None) -> Findings:
    """Return what the scanner finds in ``text``, fed in pieces of ``sizes`` bytes (over and over), or whole."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    found = Scanner(RULES, UTC)
    found.begin_file("log")
    at = index = 0
    while at < len(data):
        size = sizes[index % len(sizes)] if sizes else len(data)
        found.feed(data[at : at + size])
        at, index = at + size, index + 1
    found.finish()
    return found.findings


def scan(text: str | bytes, server: str = "primary", *, sizes: list[int] | None = None) -> tuple[Mismatch, ...]:
    """Return the mismatches among them."""
    return mismatches_of(server, "UTC", findings(text, sizes=sizes).groups.items())


def tar_of(names: dict[str, bytes], mode: str = "w", kind: int = tarfile.GNU_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode, format=kind) as tar:  # type: ignore[call-overload]
        for name, data in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def tgz_of(names: dict[str, bytes]) -> bytes:
    return tar_of(names, "w:gz", tarfile.DEFAULT_FORMAT)


def zip_of(names: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return packed.getvalue()
