"""One value where a list is meant: taken as a list of one, for every list of a site's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from runbook_lib.params.source import Document, Value, Where


def one_as_list(document: Document, model: type[BaseModel]) -> None:
    """Put each single value of the document whose key takes a list into one; its lines are those of the value."""
    for where in list(_singles(document.data, model, ())):
        _put_into_list(document, where)


def _singles(value: Value, model: type[BaseModel], where: Where) -> Iterator[Where]:
    """Yield the places of the single values, outer ones first."""
    if not isinstance(value, dict):
        return
    for name, field in model.model_fields.items():
        key = field.alias or name
        given = value.get(key)
        if given is None:
            continue
        is_list, section = _kind(field.annotation)
        single = is_list and not isinstance(given, list)
        if single:
            yield (*where, key)
        if section is None:
            continue
        if is_list:
            items = given if isinstance(given, list) else [given]
            for number, item in enumerate(items):
                yield from _singles(item, section, (*where, key, number))
        else:
            yield from _singles(given, section, (*where, key))


def _kind(annotation: Any) -> tuple[bool, type[BaseModel] | None]:
    """Return whether a key takes a list, and the section that it, or an item of it, is."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return False, annotation
    if get_origin(annotation) is tuple:
        return True, _kind(get_args(annotation)[0])[1]
    if get_origin(annotation) is dict:
        return False, None
    found = [_kind(part) for part in get_args(annotation)]
    return any(is_list for is_list, _ in found), next((section for _, section in found if section), None)


def _put_into_list(document: Document, where: Where) -> None:
    around: Any = document.at(*where[:-1])
    around[where[-1]] = [around[where[-1]]]
    for places in (document.lines, document.plain):
        moved = {place: (*place[: len(where)], 0, *place[len(where) :]) for place in places if _within(place, where)}
        for old, new in moved.items():
            places[new] = places[old]  # type: ignore[assignment]
            if old != where:
                del places[old]


def _within(place: Where, where: Where) -> bool:
    return place[: len(where)] == where
