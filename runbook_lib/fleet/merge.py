"""One site out of a fleet's file: the defaults, its groups in their order, and what is said of the site itself.

A section is merged key by key, at every depth; everything else (a text, a number, a list) is replaced
whole by whoever comes later. The merged document keeps the line of each key in the file that it came from, so
a problem is named where somebody can correct it.
"""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.params.source import Document, Key, Value, Where

OF_THE_FLEET = frozenset({"groups", "file"})
"""Keys of an item of ``sites`` that are the fleet's own, and not the site's."""


def merged(fleet: Document, places: Iterable[Where]) -> Document:
    """Return the document that the sections at ``places`` of a fleet's file make together, the later ones on top."""
    found = Document(complete=True)
    for place in places:
        section = fleet.at(*place)
        if isinstance(section, dict):
            _overlay(found, found.data, section, fleet, place, ())
            found.lines[()] = fleet.line_of(place)
    return found


def _overlay(
    found: Document, into: dict[str, Value], section: dict[str, Value], fleet: Document, place: Where, where: Where
) -> None:
    for key, value in section.items():
        if not where and key in OF_THE_FLEET:
            continue
        inside, source = (*where, key), (*place, key)
        below = into.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            _overlay(found, below, value, fleet, source, inside)
        elif isinstance(value, dict):
            fresh: dict[str, Value] = {}
            into[key] = fresh
            _overlay(found, fresh, value, fleet, source, inside)
        else:
            into[key] = value
            _copy_lines(found, value, fleet, source, inside)
        found.lines[inside] = fleet.line_of(source)


def _copy_lines(found: Document, value: Value, fleet: Document, source: Where, where: Where) -> None:
    found.lines[where] = fleet.line_of(source)
    if source in fleet.plain:
        found.plain[where] = fleet.plain[source]
    inner: list[tuple[Key, Value]] = []
    if isinstance(value, list):
        inner = list(enumerate(value))
    elif isinstance(value, dict):
        inner = list(value.items())
    for key, item in inner:
        _copy_lines(found, item, fleet, (*source, key), (*where, key))
