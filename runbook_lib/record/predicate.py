"""What the signed statement of a seal says of the incident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from runbook_lib import places
from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import RecordNotWritable
from runbook_lib.record import stages
from runbook_lib.record.bundle import Record
from runbook_lib.record.facts import to_json_value
from runbook_lib.record.lines import Artifact, Kind, Line
from runbook_lib.record.manifest import Manifest
from runbook_lib.record.redaction import gate_json
from runbook_lib.record.templates import BY_HAND, TEMPLATE


def predicate(record: Record, manifest: Manifest, lines: Sequence[Line], site_file: Artifact) -> dict[str, Any]:
    """Return the predicate; every text in it came out of the record's gate, and goes through it again."""
    outcome = stages.outcome(lines)
    plans = [line for line in lines if line.kind is Kind.DECIDED and line.artifact and line.text == "plan"]
    told: dict[str, Any] = gate_json(
        {
            "site": record.site,
            "outcome": outcome.value if outcome else None,
            "stages": {name: state.value for name, state in stages.stage_states(lines).items()},
            "sealed_utc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    return told | {
        "incident": record.incident,
        "plan": {"sha256": plans[-1].seen} if plans else None,
        "approvals": [{**to_json_value(each), "digest": each.digest} for each in record.read_approvals()],
        "counts": _counts(manifest, lines),
        "journal": asdict(manifest.journal),
        "notebooks": _notebooks(lines),
        "site_file": {"path": site_file.path, "sha256": site_file.sha256},
        "lock_file": _lock_file(),
    }


def _counts(manifest: Manifest, lines: Iterable[Line]) -> dict[str, Any]:
    folders = Counter(entry.path.split("/")[0] for entry in manifest.files if "/" in entry.path)
    return {
        "files": len(manifest.files),
        "bytes": sum(entry.size for entry in manifest.files),
        "files_by_folder": dict(folders),
        "lines_by_kind": dict(Counter(line.kind.value for line in lines)),
    }


def _notebooks(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The template notebooks in the order in which they ran, each with its digest and the journal's line."""
    return [
        {"stage": line.stage, "sha256": line.seen, "line": line.n, "by_hand": line.text == BY_HAND}
        for line in lines
        if line.kind is Kind.NOTED and line.text in (TEMPLATE, BY_HAND)
    ]


def _lock_file() -> dict[str, str] | None:
    path = places.lock_file()
    try:
        return {"name": path.name, "sha256": sha256_hex(path.read_bytes())}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordNotWritable("the lock file cannot be read", where=str(path), found=str(error.strerror)) from error
