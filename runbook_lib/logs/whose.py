"""Whose logs they are, where nobody says so: from the names on their path, and from what they show. Never a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runbook_lib.logs.findings import Findings

SERVERS = ("primary", "secondary")
UNKNOWN = "unknown"

_WORD = re.compile(r"[A-Za-z0-9]+")


def server_on_path(name: str, names: Mapping[str, Iterable[str]]) -> str:
    """Return the one server that the deepest telling part of a log's name tells of, or empty.

    A part tells of a server by the word ``primary`` or ``secondary``, or by one of the server's ``names``.
    """
    for part in reversed(name.split("/")):
        words = {word.lower() for word in _WORD.findall(part)}
        told = {server for server in SERVERS if server in words}
        told |= {server for server in SERVERS if any(_holds(part, known) for known in names.get(server, ()))}
        if len(told) == 1:
            return told.pop()
    return ""


def server_in(findings: Iterable[Findings]) -> str:
    """Return the one server that logs of one origin name themselves, or ``unknown``.

    A mismatch of an ISE server is published for the primary's Infrastructure log alone.
    """
    told: set[str] = set()
    for found in findings:
        told |= found.roles
        if any(group.kind == "infrastructure" for group in found.groups.values()):
            told.add("primary")
    return told.pop() if len(told) == 1 else UNKNOWN


def _holds(part: str, known: str) -> bool:
    """Whether the name stands in the part as a whole: not within a longer name or address."""
    return bool(known) and re.search(rf"(?<![\w.-]){re.escape(known)}(?![\w-]|\.\w)", part, re.I) is not None
