"""The gate before the record.

Everything that is kept passes the gate as one joined piece, so a secret that was split over two writes is
found. Whether it was good enough is asked by ``scan``, which shares no code with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runbook_lib import secrets


def gate_bytes(data: bytes) -> bytes:
    return secrets.REDACTOR.redact(data)


def gate_text(text: str) -> str:
    return secrets.REDACTOR.redact_text(text)


def gate_json(value: Any) -> Any:
    """A JSON value with every string, keys included, gone through the gate; its structure stays."""
    texts = list(dict.fromkeys(_texts(value)))
    gated = dict(zip(texts, secrets.REDACTOR.redact_texts(texts), strict=True))
    return _replaced(value, gated)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _replaced(value: Any, gated: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return gated[value]
    if isinstance(value, dict):
        return {gated[str(key)]: _replaced(item, gated) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(item, gated) for item in value]
    return value
