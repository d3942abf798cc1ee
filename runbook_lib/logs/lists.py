"""What ``listcerts`` printed, from files: the stores by which a diagnosis names entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runbook_lib.errors import AnswerNotUnderstood, UsageError, cut
from runbook_lib.logs.whose import SERVERS, UNKNOWN
from runbook_lib.models import TofuStore
from runbook_lib.parse.tofu import parse_tofu_list

LONGEST_LIST = 8 << 20
OWN_OF_SECONDARY = "127.0.0.1_8082"
"""The entry that, as published, the secondary alone lists."""


def read_stores(paths: Mapping[str, Sequence[Path]]) -> tuple[TofuStore, ...]:
    """Return the stores of the files that are given per server; under ``""`` the list itself has to tell.

    Raises UsageError for a file that cannot be read or that holds no such list.
    """
    return tuple(_store(server, path) for server, files in paths.items() for path in files)


def _store(server: str, path: Path) -> TofuStore:
    try:
        if path.stat().st_size > LONGEST_LIST:
            raise _refused(path, "longer than any list")
        raw = path.read_bytes()
        read = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError) as error:
        raise _refused(path, str(error)) from error
    text = raw.decode("utf-8-sig", "replace").replace("\0", "")
    if text and not text.endswith("\n"):
        text += "\n"  # a text that was copied often lacks it; a list that was cut off lacks entries as well
    try:
        store = parse_tofu_list(text, server or UNKNOWN, read)
    except AnswerNotUnderstood as error:
        raise _refused(path, f"{error.what} {cut(error.found, 200)}") from error
    if not server and any(entry.key == OWN_OF_SECONDARY for entry in store.entries):
        return replace(store, server=SERVERS[1])
    return store


def _refused(path: Path, found: str) -> UsageError:
    return UsageError(
        "This is not what listcerts prints.",
        where=str(path),
        found=found,
        next_step="Save the whole output of 'ncs certvalidation tofu-certs listcerts' and give that file.",
    )
