"""``runbook archive``: one incident's record in one file, checked before and after."""

from __future__ import annotations

from pathlib import Path

from runbook_lib import places
from runbook_lib.canonical import sha256_hex
from runbook_lib.cli.sealing import exit_code, record_folder, tell
from runbook_lib.cli.terminal import out
from runbook_lib.record.archive import archive_name, pack
from runbook_lib.record.trusted import trusted_in


def archive_command(record: str, *, to: str = "", key: str = "", anyway: bool = False) -> int:
    """Pack a record and tell of it; return what ``runbook verify`` of it returns: 0, 5 or 7."""
    folder = record_folder(record)
    target = Path(to).expanduser() if to else Path(archive_name(folder))
    if target.is_dir():
        target = target / archive_name(folder)
    found = pack(folder, target.absolute(), trusted_in(places.key_dir(), key=key), anyway=anyway)
    tell(found)
    data = target.read_bytes()
    out(f"archive:   {target} ({len(data)} bytes, SHA-256 {sha256_hex(data)})")
    out("Nothing was removed: the folder is still there. runbook verify FILE checks the archive without unpacking it.")
    return exit_code(found)
