"""What the models found wrong, in words for the person who writes a site's file."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runbook_lib.errors import cut
from runbook_lib.params.source import Document, Where, dotted, may_be_secret

_EXAMPLES = {
    "address": "10.10.10.5",
    "auth_key": "env:PI_HA_KEY",
    "bundle": "certificates/ca.pem",
    "name": "paris",
    "names": "[prime-sec.example.com]",
    "password": "env:PI_PASSWORD",
    "user": "admin",
}


def explain(error: ValidationError, model: type[BaseModel], document: Document) -> None:
    """Add one problem to the document for each of pydantic's errors, except where the source has a problem already."""
    known = {problem.where for problem in document.problems}
    for detail in error.errors(include_url=False, include_input=False):
        where: Where = detail["loc"]
        if not any(where[:length] in known for length in range(1, len(where) + 1)):
            document.problem(where, _words(detail, model, document))


def section_at(model: type[BaseModel], where: Where) -> type[BaseModel] | None:
    """Return the section's model at a place of a site's file, or None where there is no section."""
    found: type[BaseModel] | None = model
    for key in where:
        if isinstance(key, int):
            continue
        field = _fields(found).get(key) if found else None
        found = _section_in(field) if field is not None else None
    return found


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Return the annotations by the keys of the file."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)


def _words(detail: ErrorDetails, model: type[BaseModel], document: Document) -> str:
    where: Where = detail["loc"]
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            example = _EXAMPLES.get(str(where[-1]))
            return "is missing; " + (f"write for example {where[-1]}: {example}" if example else _keys(model, where))
        case "extra_forbidden":
            return f"unknown key; {_nearest(model, where)}"
        case "value_error":
            return str(context["error"])
        case "string_type" | "path_type":
            return _not_a_text(where, document)
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a section; {_keys(model, where)}"
        case "tuple_type":
            return "must be a list; write [first, second], or one item a line with '- ' before it"
        case "bool_type":
            return "must be true or false; write it without quotes"
        case "int_type" | "int_from_float" | "int_parsing":
            return "must be a whole number; write it in digits, without quotes"
        case "float_type" | "float_parsing" | "finite_number":
            return "must be a number; write it in digits, without quotes"
        case "greater_than":
            return f"must be more than {context['gt']:g}; write a positive number"
        case "greater_than_equal" | "less_than_equal":
            return "is out of range; write " + ("1 to 65535" if where[-1] in _PORTS else "0 or more")
        case "literal_error":
            return f"is none of the words that are possible; write {context['expected']}"
        case "too_short":
            return "is an empty list; name at least one"
        case _:
            return f"{detail['msg']}; params/example.yaml shows what belongs here"


_PORTS = ("port", "health_monitor_port")


def _not_a_text(where: Where, document: Document) -> str:
    plain = document.plain.get(where)
    if plain is None:
        return "must be one text, not a list or a section"
    if may_be_secret(where):
        return "is read as a number or as true or false; put the text in quotes"
    return f'{cut(plain, 40)} is not a text in YAML; put it in quotes: "{cut(plain, 40)}"'


def _keys(model: type[BaseModel], where: Where) -> str:
    section = section_at(model, where)
    if section is None:
        return "params/example.yaml shows what belongs here"
    return f"its keys are {', '.join(_fields(section))}"


def _nearest(model: type[BaseModel], where: Where) -> str:
    section = section_at(model, where[:-1]) or model
    key = str(where[-1])
    near = difflib.get_close_matches(key, _fields(section), n=1)
    if near:
        return f"did you mean {near[0]}?"
    parent = tuple(part for part in where[:-1] if isinstance(part, str))
    places = {place[:-1] for place in _places(model, ()) if place[-1] == key}
    # The nearest section below is meant more often than one of another server.
    below = {place for place in places if place[: len(parent)] == parent} or places
    if below:
        shown = sorted(dotted(place) or "the top of the file" for place in below if len(place) == min(map(len, below)))
        return f"it belongs under {' or '.join(shown)}"
    return f"known here: {', '.join(_fields(section))}"


def _places(model: type[BaseModel], where: Where) -> Iterator[Where]:
    for key, annotation in _fields(model).items():
        yield (*where, key)
        inner = _section_in(annotation)
        if inner:
            yield from _places(inner, (*where, key))
