"""Which version of each notebook ran: its SHA-256 and its text in the record, and where it has changed since.

``templates/<stage>.ipynb`` is the notebook without outputs, as it was read from disk when the stage began. A
notebook that a person runs may differ from its file until it is saved; the journal says which of the two it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import RecordNotWritable
from runbook_lib.models import Stage
from runbook_lib.record.lines import Artifact, Kind, Line
from runbook_lib.record.manifest import Readable
from runbook_lib.record.vault import Vault

TEMPLATE = "template notebook"
"""The text of the journal's line that gives a template notebook's SHA-256 in ``seen``, before the notebook runs."""
BY_HAND = "template notebook, by hand: as on disk at that time"
"""The same for a notebook that no run has started."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a stage's notebook that ran: the file's SHA-256, the journal's line, who started it."""

    stage: str
    sha256: str
    line: int
    by_hand: bool
    artifact: Artifact | None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A version that ran beside the notebook as it is now. ``cells`` name what differs, each with what happened to it.

    ``known`` is false where the record does not hold the notebook's text, or there is no such notebook now.
    """

    version: Version
    cells: tuple[str, ...] = ()
    known: bool = True

    def __str__(self) -> str:
        ran = f"{self.version.stage}: version {self.version.sha256[:12]}"
        how = "by hand, as on disk then" if self.version.by_hand else "by the run"
        if not self.known:
            return f"{ran}, {how}; what has changed since cannot be said"
        since = f"changed since: {'; '.join(self.cells)}" if self.cells else "not changed since"
        return f"{ran}, {how}; {since}"


def note_template(record: Vault, stage: Stage, template: Path, *, by_hand: bool = False) -> None:
    """Write down which version of a notebook is about to run, and keep its text. Raises ``RecordNotWritable``."""
    try:
        data = template.read_bytes()
    except OSError as error:
        raise RecordNotWritable(
            "The notebook that is about to run cannot be read, so the record could not say which it was",
            where=str(template),
            found=error.strerror or type(error).__name__,
            next_step="put the notebook back into its folder",
        ) from error
    record.keep_bytes(
        f"templates/{stage.value}.ipynb",
        without_outputs(data),
        kind=Kind.NOTED,
        stage=stage.value,
        seen=sha256_hex(data),
        text=BY_HAND if by_hand else TEMPLATE,
    )


def without_outputs(data: bytes) -> bytes:
    """Return a notebook's cells with their ids, kinds, tags and sources, and nothing else; other bytes as they are."""
    try:
        cells = [_essence(cell) for cell in json.loads(data)["cells"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return data
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def versions(lines: Iterable[Line]) -> tuple[Version, ...]:
    """Return every version that ran, in order; one that ran several times counts from its first."""
    found: dict[tuple[str, str], Version] = {}
    for line in lines:
        if line.kind is Kind.NOTED and line.text in (TEMPLATE, BY_HAND):
            version = Version(
                stage=line.stage, sha256=line.seen, line=line.n, by_hand=line.text == BY_HAND, artifact=line.artifact
            )
            found.setdefault((line.stage, line.seen), version)
    return tuple(found.values())


def drifts(lines: Iterable[Line], files: Mapping[str, Readable], notebooks: Path) -> tuple[Drift, ...]:
    """Compare every version that ran with the notebook of its stage in ``notebooks`` as it is now.

    ``files`` are the record's by their paths. Outputs and the cell of parameters do not count.
    """
    return tuple(_drift(version, files, notebooks) for version in versions(lines))


def _drift(version: Version, files: Mapping[str, Readable], notebooks: Path) -> Drift:
    try:
        now = (notebooks / f"{version.stage}.ipynb").read_bytes()
        if sha256_hex(now) == version.sha256:
            return Drift(version=version)
        then = files[version.artifact.path].read_bytes() if version.artifact else b""
        return Drift(version=version, cells=changed_cells(then, now))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Drift(version=version, known=False)


def changed_cells(then: bytes, now: bytes) -> tuple[str, ...]:
    """Name each cell that was changed, added or removed between two notebooks; ``ValueError`` if one is none."""
    old, new = _by_id(then), _by_id(now)
    changed = [f"{_name(new[key])} changed" for key in new if key in old and _text(old[key]) != _text(new[key])]
    added = [f"{_name(new[key])} added" for key in new if key not in old]
    removed = [f"{_name(old[key])} removed" for key in old if key not in new]
    moved = ["cells in another order"] if [k for k in old if k in new] != [k for k in new if k in old] else []
    return (*changed, *added, *removed, *moved)


def _by_id(notebook: bytes) -> dict[str, dict[str, Any]]:
    cells = [_essence(cell) for cell in json.loads(notebook)["cells"]]
    return {cell["id"] or str(n): cell for n, cell in enumerate(cells) if "parameters" not in cell["metadata"]["tags"]}


def _essence(cell: dict[str, Any]) -> dict[str, Any]:
    code: dict[str, Any] = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
    return {
        "cell_type": cell["cell_type"],
        "id": cell.get("id", ""),
        "metadata": {"tags": list(cell["metadata"].get("tags", ()))},
        "source": "".join(cell["source"]),
        **code,
    }


def _text(cell: dict[str, Any]) -> tuple[str, str]:
    return cell["cell_type"], cell["source"]


def _name(cell: dict[str, Any]) -> str:
    kind = "code" if cell["cell_type"] == "code" else "text"
    return f"{kind} cell «{cell['id']}»"
