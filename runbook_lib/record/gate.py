"""The gate before the record: bytes, texts, notebooks and values as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from types import GenericAlias
from typing import Any, TypeVar

from runbook_lib import secrets

# -- The gate before the record. -------------------------------------------------------------------
#
# Everything that is kept passes the gate as one joined piece, so a secret that was split over two writes is
# found. Whether it was good enough is asked by ``scan``, which shares no code with it.


def gate_bytes(data: bytes) -> bytes:
    """Return the bytes with a mark for each known secret."""
    return secrets.REDACTOR.redact(data)


def gate_text(text: str) -> str:
    """Return the text with a mark for each known secret."""
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


# -- Executed notebooks on their way into the record: the gate over what a reader sees as one text.
#
# A notebook keeps a text as a list of its lines, and a cell's printed output as one piece a write. A secret that was
# printed in two writes, or broken over lines, stands in pieces then, with JSON between them. So both are joined first.


def gate_notebook(data: bytes) -> bytes:
    """Return the notebook without known secrets; as it is where there are none, and any bytes that are no notebook."""
    if not secrets.REDACTOR.known():
        return data
    try:
        notebook = json.loads(data)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = _joined_streams(cell["outputs"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return gate_bytes(data)
    joined = _joined_lines(notebook)
    gated = gate_json(joined)
    if gated == joined:
        return gate_bytes(data)
    return gate_bytes((json.dumps(gated, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def _joined_lines(value: Any, name: str = "") -> Any:
    """The same with a text instead of its lines where the format has both: sources, streams, data of a text's kind."""
    if isinstance(value, dict):
        return {key: _joined_lines(item, key) for key, item in value.items()}
    if isinstance(value, list):
        is_lines = name in ("source", "text") or ("/" in name and not name.endswith("json"))
        if is_lines and all(isinstance(item, str) for item in value):
            return "".join(value)
        return [_joined_lines(item) for item in value]
    return value


def _joined_streams(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs with each stream in one piece where a secret stands only in the whole; else as they are."""
    for name in dict.fromkeys(str(each["name"]) for each in outputs if each["output_type"] == "stream"):
        pieces = [each for each in outputs if each["output_type"] == "stream" and each["name"] == name]
        texts = ["".join(each["text"]) for each in pieces]
        whole = "".join(texts)
        if gate_text(whole) != "".join(map(gate_text, texts)):
            pieces[0]["text"] = whole
            outputs = [each for each in outputs if not any(each is piece for piece in pieces[1:])]
    return outputs


# -- Values as JSON in the record, and back: dataclasses as objects, times as ISO 8601, bytes as base64url

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
