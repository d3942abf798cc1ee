"""Values as JSON in the record, and back: dataclasses as objects, times as ISO 8601, bytes as base64url."""

from __future__ import annotations

import json
from functools import cache
from types import GenericAlias
from typing import Any, TypeVar

from runbook_lib.record.redaction import gate_json

T = TypeVar("T")


def to_json_value(value: Any) -> Any:
    """``value`` (dataclasses, enums, times, bytes, collections of them) as what JSON can say, through the gate."""
    return gate_json(plain_json_value(value))


def plain_json_value(value: Any) -> Any:
    """The same before the gate."""
    from pydantic_core import to_jsonable_python  # costs time that a stage without facts need not spend

    return to_jsonable_python(value, bytes_mode="base64")


def to_json_bytes(value: Any) -> bytes:
    """Indented UTF-8 JSON with a line feed at its end, for people to read; a lone surrogate becomes ``?``."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def from_json_bytes(data: bytes, kind: type[T]) -> T:
    """Read a value of type ``kind``; ``ValueError`` if it is none."""
    value: T = _adapter(kind).validate_json(b"[" + data + b"]")[0]  # type: ignore[arg-type]
    return value


@cache
def _adapter(kind: type) -> Any:
    """What reads a ``kind``; making it takes longer than reading a hundred values."""
    from pydantic import ConfigDict, TypeAdapter

    # A dataclass takes the configuration of what is around it, and none from the adapter itself.
    wrapped: Any = GenericAlias(tuple, (kind,))
    return TypeAdapter(wrapped, config=ConfigDict(val_json_bytes="base64", extra="forbid"))
