"""The files of a record: written once, whole, through the redaction gate, and each named in the journal."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import ParameterRefused, RecordDamaged
from runbook_lib.models import Answer
from runbook_lib.record.facts import from_json_bytes, to_json_bytes, to_json_value
from runbook_lib.record.files import write_new, writing
from runbook_lib.record.journal import Journal
from runbook_lib.record.lines import Artifact, Kind, is_inside
from runbook_lib.record.redaction import gate_bytes, gate_text

T = TypeVar("T")


class Vault:
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
        expected: str = "",
        seen: str = "",
        text: str = "",
    ) -> Artifact:
        """Keep ``data`` under ``path`` (``folder/name.ext``), or a numbered neighbour, and say so in the journal."""
        artifact = self._write(path, gate_bytes(data))
        self.journal.append(
            kind, stage=stage, server=server, expected=expected, seen=seen, artifact=artifact, text=text
        )
        return artifact

    def read_bytes(self, artifact: Artifact) -> bytes:
        """The file that a journal line names. ``RecordDamaged`` if it is not there or not what it was."""
        path = self.folder / checked(artifact.path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise damaged(path, error.strerror or type(error).__name__) from error
        if sha256_hex(data) != artifact.sha256:
            raise damaged(path, "it was changed after it was written")
        return data

    def keep_answer(self, answer: Answer, parsed: object = None, *, stage: str = "") -> Artifact:
        """Keep what a device said, byte for byte, and beside it what was understood (None: nothing)."""
        name = f"{slug(answer.server, 20)}-{slug(_short(answer.command), 40)}"
        data = gate_bytes(answer.raw)
        number = sum(1 for _ in (self.folder / "answers").glob("*.txt")) + 1
        while not write_new(self.folder / (path := f"answers/{number:04d}-{name}.txt"), data):
            number += 1
        raw = Artifact(path=path, sha256=sha256_hex(data))
        understood = type(parsed).__name__ if parsed is not None else ""
        seen = f"understood as {understood}" if understood else "kept as it is"
        self.journal.append(
            Kind.OBSERVED, stage=stage, server=answer.server, text=answer.command, seen=seen, artifact=raw
        )
        beside = {
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
        path = path.removesuffix(".txt") + ".json"
        self.keep_json(path, to_json_value(beside), stage=stage, server=answer.server, text=answer.command)
        return raw

    def keep_certificate(self, der: bytes, *, stage: str = "", server: str = "", text: str = "") -> Artifact:
        """Keep a certificate as PEM under the SHA-256 of its DER form; the same one is kept once."""
        path = f"certificates/{sha256_hex(der)}.pem"
        pem = gate_bytes(ssl.DER_cert_to_PEM_cert(der).encode("ascii"))
        for line in self.journal.read().lines:
            if line.artifact and line.artifact == Artifact(path=path, sha256=sha256_hex(pem)):
                return line.artifact
        return self.keep_bytes(path, pem, stage=stage, server=server, text=text)

    def keep_json(self, path: str, value: Any, *, kind: Kind = Kind.KEPT, **fields: str) -> Artifact:
        """As ``keep_bytes``, for a JSON value that went through ``gate_json``, which leaves JSON what it is."""
        return self.keep_gated(path, to_json_bytes(value), kind=kind, **fields)

    def keep_gated(self, path: str, data: bytes, *, kind: Kind = Kind.KEPT, **fields: str) -> Artifact:
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
            raise damaged(self.folder / artifact.path, f"it does not hold {kind.__name__}: {error}") from error

    def _write(self, path: str, data: bytes) -> Artifact:
        for name in _neighbours(checked(path)):
            target = self.folder / name
            if write_new(target, data) or _holds(target, data):
                return Artifact(path=name, sha256=sha256_hex(data))
        raise AssertionError("numbers do not end")


def slug(text: str, limit: int) -> str:
    """``text`` as a part of a file's name: ASCII letters, digits and hyphens, nothing secret."""
    return re.sub(r"[^A-Za-z0-9]+", "-", gate_text(text)).strip("-")[:limit].strip("-") or "x"


def _short(command: str) -> str:
    return command.removeprefix("ncs certvalidation tofu-certs ")


def checked(path: str) -> str:
    """A path that stays inside the record's folder, in names that every file system takes."""
    if not is_inside(path):
        raise ParameterRefused("not a path inside a record", found=path)
    return path


def _holds(path: Path, data: bytes) -> bool:
    with writing(path):
        return path.is_file() and path.read_bytes() == data


def _neighbours(path: str) -> Iterator[str]:
    yield path
    pure = PurePosixPath(path)
    for number in count(2):
        yield str(pure.with_name(f"{pure.stem}-{number}{pure.suffix}"))


def damaged(path: Path, how: str) -> RecordDamaged:
    """The error for a file of the record that does not verify."""
    return RecordDamaged(
        "a file of the record is not what the journal says that it was",
        where=str(path),
        found=how,
        next_step="keep this folder as it is, open a new incident, and observe the site before changing it",
    )
