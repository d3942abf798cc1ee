"""The gate before the record, and the search of a finished one.

Everything that is kept passes the gate as one joined piece, so a secret that was split over
two writes is found. ``scan`` does not rely on the gate: it reads the bytes that are on disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib import secrets

_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A secret in a file of the record, or in its name: the file's path in the record, and what was found."""

    path: str
    what: str


def gate_bytes(data: bytes) -> bytes:
    return secrets.REDACTOR.redact(data)


def gate_text(text: str) -> str:
    return secrets.REDACTOR.redact_text(text)


def gate_json(value: Any) -> Any:
    """A JSON value with every string, keys included, gone through the gate; its structure stays."""
    if isinstance(value, str):
        return gate_text(value)
    if isinstance(value, dict):
        return {gate_text(str(key)): gate_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [gate_json(item) for item in value]
    return value


def scan(folder: Path) -> list[Finding]:
    """Look into every file under ``folder`` for the secrets that this process knows and for private keys.

    A process that has not resolved them itself calls ``secrets.learn`` first. Empty is good.
    """
    findings = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        findings += [
            Finding(path=name, what=f"{ref} in its name") for ref in _in(name.encode("utf-8", "surrogateescape"))
        ]
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        findings += [Finding(path=name, what=reference) for reference in _in(data)]
        if _PRIVATE_KEY.search(data):
            findings.append(Finding(path=name, what="a private key"))
    return findings


def _in(data: bytes) -> list[str]:
    return secrets.REDACTOR.contains_secret(data)
