"""Executed notebooks on their way into the record: the gate over what a reader sees as one text.

A notebook keeps a text as a list of its lines, and a cell's printed output as one piece a write. A secret that was
printed in two writes, or broken over lines, stands in pieces then, with JSON between them. So both are joined first.
"""

from __future__ import annotations

import json
from typing import Any

from runbook_lib import secrets
from runbook_lib.record.redaction import gate_bytes, gate_json, gate_text


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
