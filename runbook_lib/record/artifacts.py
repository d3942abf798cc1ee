"""The artifact store: files that are written once, through the gate; and which version of each notebook ran."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from runbook_lib import paths
from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import ParameterRefused, RecordDamaged, RecordNotWritable
from runbook_lib.models import Answer, Stage
from runbook_lib.paths import read_plain
from runbook_lib.record.files import (
    from_json_bytes,
    gate_bytes,
    gate_text,
    to_json_bytes,
    to_json_value,
    write_new,
    writing,
)
from runbook_lib.record.journal import About, Artifact, Kind, Line, LineTopic, is_inside
from runbook_lib.record.journal_file import CUT, Journal, is_cut, sealed_to
from runbook_lib.record.seal import RecordFiles
from runbook_lib.record.signing import VerifyingKey, trusted_keys
from runbook_lib.record.stages import ENVELOPE, lost_seals
from runbook_lib.redactor import MARKED

# -- The files of a record: written once, whole, through the redaction gate, and each named in the journal

T = TypeVar("T")
_TOFU = "ncs certvalidation tofu-certs "


def trusted_here() -> tuple[VerifyingKey, ...]:
    """Return the public keys of this account, none where others have a hand in them: that is said by who signs."""
    with suppress(ParameterRefused):
        return trusted_keys(paths.key_dir())
    return ()


class ArtifactStore:
    """The files in ``folder`` and the journal that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder)

    def keep_bytes(
        self,
        path: str,
        data: bytes,
        *,
        kind: Kind = Kind.KEPT,
        stage: str = "",
        server: str = "",
        seen: str = "",
        text: str | About = "",
    ) -> Artifact:
        """Keep ``data`` under ``path`` (``folder/name.ext``), or a numbered neighbour, and say so in the journal."""
        artifact = self._write(path, gate_bytes(data))
        self.journal.append(kind, stage=stage, server=server, seen=seen, artifact=artifact, text=text)
        return artifact

    def read_bytes(self, artifact: Artifact) -> bytes:
        """The file that a journal line names. ``RecordDamaged`` if it is not there or not what it was."""
        path = self.folder / checked(artifact.path)
        try:
            data = read_plain(path)
        except OSError as error:
            raise damaged(path, error.strerror or type(error).__name__) from error
        if sha256_hex(data) != artifact.sha256:
            raise damaged(path, "it was changed after it was written")
        return data

    def keep_answer(self, answer: Answer, parsed: object = None, *, stage: str = "") -> Artifact:
        """Keep what a device said, byte for byte, and beside it what was understood (None: nothing)."""
        self.journal.require_known()
        name = f"{slug(answer.server, 20)}-{slug(answer.command.removeprefix(_TOFU), 40)}"
        data = gate_bytes(answer.raw)
        for number in count(1 + len(list((self.folder / "answers").glob("*.txt")))):
            path = f"answers/{number:04d}-{name}.txt"
            if write_new(self.folder / path, data, sync=False):
                break
        raw = Artifact(path=path, sha256=sha256_hex(data))
        understood = type(parsed).__name__ if parsed is not None else ""
        value = {
            "server": answer.server,
            "command": answer.command,
            "started_utc": answer.started_utc,
            "finished_utc": answer.finished_utc,
            "questions": answer.questions,
            "raw": {"path": raw.path, "sha256": raw.sha256},
            "text": answer.text,
            "understood_as": understood,
            "parsed": parsed,
        }
        beside = self._write(path.removesuffix(".txt") + ".json", to_json_bytes(to_json_value(value)))
        self.journal.append(
            Kind.OBSERVED,
            stage=stage,
            server=answer.server,
            text=answer.command,
            seen=f"understood as {understood}" if understood else "kept as it is",
            artifact=raw,
            beside=beside,
        )
        return raw

    def keep_certificate(self, der: bytes, *, stage: str = "", server: str = "") -> Artifact:
        """Keep a certificate as PEM under the SHA-256 of its DER form; the same one is kept once."""
        path = f"certificates/{sha256_hex(der)}.pem"
        pem = gate_bytes(ssl.DER_cert_to_PEM_cert(der).encode("ascii"))
        for line in self.journal.read().lines:
            if line.artifact and line.artifact == Artifact(path=path, sha256=sha256_hex(pem)):
                return line.artifact
        return self.keep_bytes(path, pem, stage=stage, server=server)

    def keep_json(self, path: str, value: Any, *, kind: Kind = Kind.KEPT, **fields: str) -> Artifact:
        """As ``keep_bytes``, for a JSON value that went through ``gate_json``, which leaves JSON what it is."""
        return self.keep_gated(path, to_json_bytes(value), kind=kind, **fields)

    def keep_gated(self, path: str, data: bytes, *, kind: Kind = Kind.KEPT, **fields: Any) -> Artifact:
        """As ``keep_bytes``, for bytes of which every text went through the gate and the rest are digests."""
        artifact = self._write(path, data)
        self.journal.append(kind, artifact=artifact, **fields)
        return artifact

    def read_json(self, artifact: Artifact, kind: type[T]) -> T:
        """A value of type ``kind`` from the file that a journal line names; ``RecordDamaged`` if it holds none."""
        data = self.read_bytes(artifact)
        try:
            return from_json_bytes(data, kind)
        except ValueError as error:
            problem = damaged(self.folder / artifact.path, f"it does not hold {kind.__name__}: {error}")
            if MARKED.search(data.decode("utf-8", "replace")):  # it is as it was written
                problem.what = "a secret of this site is also a word that the record needs; it was replaced there"
                problem.next_step = ALSO_A_WORD
            raise problem from error

    def seals(self) -> dict[str, Path]:
        """Return the signed statements that lie here, by their paths."""
        return {f"{each.parent.name}/{ENVELOPE}": each for each in self.folder.glob(f"*/{ENVELOPE}") if each.is_file()}

    def require_as_signed(self) -> None:
        """Raise ``RecordDamaged`` where a key that is trusted here, or this account, sealed lines that are gone."""
        noted, lines = sealed_to(self.folder.name), self.journal.read().lines
        for path in lost_seals(self.seals(), self.folder.name, trusted_here(), lines):
            raise damaged(self.journal.path, f"{path} signs lines that it does not hold")
        if is_cut(lines, noted):
            raise damaged(self.journal.path, CUT)

    def place(self, path: str) -> Path:
        """Return where a file is to be written; ``RecordDamaged`` where a link on the way leads out of the record."""
        place = self.folder / checked(path)
        if place.parent.resolve() != self.folder.resolve() / place.parent.relative_to(self.folder):
            raise damaged(place.parent, "a link leads to another folder")
        return place

    def _write(self, path: str, data: bytes) -> Artifact:
        self.journal.require_known()  # no folder is made in the place of one that was moved
        written = write_numbered(self.place(path), data)
        return Artifact(path=written.relative_to(self.folder).as_posix(), sha256=sha256_hex(data))


def write_numbered(first: Path, data: bytes) -> Path:
    """Write ``first``, or the first numbered neighbour that is free or holds the same, and return which it was."""
    names = numbered(first)
    while True:
        path = next(names)
        with writing(path):
            if write_new(path, data) or (path.is_file() and path.read_bytes() == data):
                return path


def numbered(first: Path) -> Iterator[Path]:
    """Yield a path, then its neighbours: ``name.ext``, ``name-2.ext``, …, without an end."""
    yield first
    for number in count(2):
        yield first.with_name(f"{first.stem}-{number}{first.suffix}")


def slug(text: str, limit: int) -> str:
    """``text`` as a part of a file's name: ASCII letters, digits and hyphens, nothing secret."""
    return re.sub(r"[^A-Za-z0-9]+", "-", gate_text(text)).strip("-")[:limit].strip("-") or "x"


def checked(path: str) -> str:
    """A path that stays inside the record's folder, in names that every file system takes.

    Raises ParameterRefused for every other.
    """
    if not is_inside(path):
        raise ParameterRefused("not a path inside a record", found=path)
    return path


ALSO_A_WORD = "is a password also a name, an address or a word? change it, then run all stages again from the first"


def damaged(path: Path, how: str) -> RecordDamaged:
    """The error for a file of the record that does not verify."""
    return RecordDamaged(
        "a file of the record differs from what the journal says",
        where=str(path),
        found=how,
        next_step="keep this folder as it is, open a new incident, and observe the site before changing it",
    )


# -- Which version of each notebook ran: its SHA-256 and its text in the record, and where it has changed since.
#
# ``templates/<stage>.ipynb`` is the notebook without outputs, as it was read from disk when the stage began. A
# notebook that a person runs may differ from its file until it is saved; the journal says which of the two it was.


TEMPLATES = (LineTopic.TEMPLATE, LineTopic.TEMPLATE_BY_HAND)
"""What a line is about that gives a notebook's SHA-256 in ``seen``, before the notebook runs."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A version that ran beside the notebook as it is now. ``cells`` name what differs, each with what happened to it.

    ``version`` is the journal's line of it. ``known`` is false where the record does not hold the notebook's text, or
    there is no such notebook now.
    """

    version: Line
    cells: tuple[str, ...] = ()
    known: bool = True

    @property
    def by_hand(self) -> bool:
        """Whether a person ran it, and not a run of all stages."""
        return self.version.about.topic is LineTopic.TEMPLATE_BY_HAND

    def __str__(self) -> str:
        sha256 = self.version.seen
        ran = f"{self.version.stage}: version {sha256[:12]}"
        how = "by hand, as it was on disk at the time" if self.by_hand else "by the run"
        if not self.known:
            return f"{ran}, {how}; what has changed since cannot be said"
        since = f"changed since: {'; '.join(self.cells)}" if self.cells else "not changed since"
        return f"{ran}, {how}; {since}"


def note_template(record: ArtifactStore, stage: Stage, template: Path, *, by_hand: bool = False) -> None:
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
        text=About(topic=LineTopic.TEMPLATE_BY_HAND if by_hand else LineTopic.TEMPLATE),
    )


def without_outputs(data: bytes) -> bytes:
    """Return a notebook's cells with their ids, kinds, tags and sources, and nothing else; other bytes as they are."""
    try:
        cells = [_essence(cell) for cell in json.loads(data)["cells"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return data
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def versions(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the line of every version that ran, in order; one that ran several times counts from its first."""
    first: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line.about.topic in TEMPLATES:
            first.setdefault((line.stage, line.seen), line)
    return tuple(first.values())


def drifts(lines: Iterable[Line], files: RecordFiles, notebooks: Path) -> tuple[Drift, ...]:
    """Compare every version that ran with the notebook of its stage in ``notebooks`` as it is now.

    ``files`` are the record's by their paths. Outputs and the cell of parameters do not count. Of the languages, each
    in a folder of its two letters, the one counts that is nearest to what ran.
    """
    return tuple(_drift(version, files, notebooks) for version in versions(lines))


def _drift(version: Line, files: RecordFiles, notebooks: Path) -> Drift:
    try:
        name = f"{version.stage}.ipynb"
        now = [path.read_bytes() for path in (notebooks / name, *notebooks.glob(f"[a-z][a-z]/{name}"))]
        if version.seen in map(sha256_hex, now):
            return Drift(version=version)
        then = files[version.artifact.path].read_bytes() if version.artifact else b""
        return Drift(version=version, cells=min((changed_cells(then, each) for each in now), key=len))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Drift(version=version, known=False)


def changed_cells(then: bytes, now: bytes) -> tuple[str, ...]:
    """Name each cell that was changed, added or removed between two notebooks; ``ValueError`` unless both are."""
    old = _by_id(then)
    new = _by_id(now)
    changed = [f"{_name(new[key])} changed" for key in new if key in old and _text(old[key]) != _text(new[key])]
    added = [f"{_name(new[key])} added" for key in new if key not in old]
    removed = [f"{_name(old[key])} removed" for key in old if key not in new]
    in_both = ([key for key in old if key in new], [key for key in new if key in old])
    moved = ["cells in another order"] if in_both[0] != in_both[1] else []
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
    return f"{kind} cell “{cell['id']}”"
