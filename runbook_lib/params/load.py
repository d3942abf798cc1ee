"""From a name, a path or typed values to a validated site: nothing is contacted, all problems are named at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runbook_lib.errors import SiteFileInvalid, cut
from runbook_lib.params.checks import check_together, nearest
from runbook_lib.params.model import LabRequest, Site, SiteSection
from runbook_lib.params.yaml_source import (
    Document,
    SiteFileProblem,
    Value,
    Where,
    document_of,
    dotted,
    kind_of_key,
    may_be_secret,
    one_as_list,
    read_document,
    shown_key,
)
from runbook_lib.paths import delivered, site_file
from runbook_lib.secrets import NOT_NAMED, SecretRef

# -- What the models found wrong, in words for the person who writes a site's file -----------------

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
    section: type[BaseModel] | None = model
    for key in where:
        if isinstance(key, int):
            continue
        field = _fields(section).get(key) if section else None
        section = kind_of_key(field)[1] if field is not None else None
    return section


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Return the annotations by the keys of the file."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _words(detail: ErrorDetails, model: type[BaseModel], document: Document) -> str:
    where: Where = detail["loc"]
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            example = _EXAMPLES.get(str(where[-1]))
            return "is missing; " + (f"write for example {where[-1]}: {example}" if example else _keys(model, where))
        case "extra_forbidden":
            return f"unknown key; {_nearest(model, where, document)}"
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
            return f"is not one of the possible words; write {context['expected']}"
        case "too_short":
            return "is an empty list; name at least one"
        case _:
            return f"{detail['msg']}; {delivered()} shows what belongs here"


_PORTS = ("port", "health_monitor_port")


def _not_a_text(where: Where, document: Document) -> str:
    plain = document.plain.get(where)
    if plain is None:
        return "must be one text, not a list or a section"
    if may_be_secret(where):
        return "is read as a number or as true or false; put the text in quotes"
    return f'{cut(plain, 40)} is not text in YAML; put it in quotes: "{cut(plain, 40)}"'


def _keys(model: type[BaseModel], where: Where) -> str:
    section = section_at(model, where)
    if section is None:
        return f"{delivered()} shows what belongs here"
    return f"its keys are {', '.join(_fields(section))}"


def _nearest(model: type[BaseModel], where: Where, document: Document) -> str:
    section = section_at(model, where[:-1]) or model
    key = str(where[-1])
    if near := nearest(document, key, _fields(section)):
        return f"did you mean {near}?"
    parent = tuple(part for part in where[:-1] if isinstance(part, str))
    places = {place[:-1] for place in _places(model) if place[-1] == key}
    # The nearest section below is meant more often than one of another server.
    below = {place for place in places if place[: len(parent)] == parent} or places
    if below:
        shown = sorted(dotted(place) or "the top of the file" for place in below if len(place) == min(map(len, below)))
        return f"it belongs under {' or '.join(shown)}"
    return f"known here: {', '.join(_fields(section))}"


@lru_cache
def _places(model: type[BaseModel]) -> tuple[Where, ...]:
    """Return every key that a section may hold, at its place in it."""
    inner = ((key, kind_of_key(annotation)[1]) for key, annotation in _fields(model).items())
    return tuple((key, *rest) for key, section in inner for rest in ((), *(_places(section) if section else ())))


# -- From a name or path to a validated site: nothing is contacted, and all problems are named at once

MOST_SHOWN = 100

_Section = TypeVar("_Section", bound=BaseModel)


def load_site(name_or_path: str | Path) -> Site:
    """Return the site of a name in ``params/`` or of a path.

    Raises SiteFileInvalid, whose ``found`` has one line ``file:line: key: what is wrong; what to write
    instead`` for every problem. Paths and ``file:`` references come back absolute; the files that the
    site names exist, but were not read.
    """
    loaded = load_site_or_lab(name_or_path)
    if isinstance(loaded, LabRequest):
        raise SiteFileInvalid(
            "This file asks for the lab and describes no site",
            where=str(site_file(name_or_path)),
            next_step="start the lab (runbook lab up) and give the path of the site's file that it writes",
        )
    return loaded


def load_site_or_lab(name_or_path: str | Path) -> Site | LabRequest:
    """Like :func:`load_site`, but a file of only ``kind: lab`` and ``lab:`` comes back as a LabRequest.

    Raises SiteFileInvalid likewise.
    """
    path = site_file(name_or_path)
    try:
        document = read_document(path)
    except OSError as error:
        raise SiteFileInvalid(
            "The site's file cannot be read",
            where=str(path),
            found=error.strerror or "",
            next_step="check its permissions",
        ) from None
    if "sites" in document.data and "primary" not in document.data:
        raise SiteFileInvalid(
            "This is a fleet's file; a site was asked for",
            where=str(path),
            next_step="runbook fleet triage FLEET takes it; give the file of one of its sites here",
        )
    asks_for_lab = "lab" in document.data
    loaded = section_of(LabRequest, document) if asks_for_lab else site_of(document, path.absolute().parent)
    if loaded is None or document.problems:
        raise _invalid(document.problems, path)
    return loaded


def site_of(document: Document, folder: Path) -> Site | None:
    """Return the site that a document describes, its paths absolute; None where the document has problems then."""
    if document.complete:
        one_as_list(document, Site)
        check_together(document, folder)
    site = section_of(Site, document)
    return None if site is None or document.problems else _absolute(site, folder)


def site_without_secrets(site: Site) -> dict[str, Any]:
    """Return the whole site as plain values in a fixed order, for the record: secrets as their references."""
    plain: dict[str, Any] = json.loads(json.dumps(site.model_dump(mode="json", by_alias=True), sort_keys=True))
    return plain


def secret_references(site: SiteSection) -> tuple[SecretRef, ...]:
    """Return every secret reference that a site's file names, or a section of it, each once."""
    return tuple(dict.fromkeys(_references(site)))


def _references(value: object) -> Iterator[SecretRef]:
    if isinstance(value, SecretRef) and value != NOT_NAMED:
        yield value
    if isinstance(value, SiteSection):
        value = tuple(getattr(value, name) for name in type(value).model_fields)
    for item in value if isinstance(value, tuple) else ():
        yield from _references(item)


def section_of(model: type[_Section], document: Document) -> _Section | None:
    """Return the document as a section, None where it cannot be one: why is among its problems then."""
    if document.complete:
        try:
            # JSON has no tuples and paths, so pydantic's strict mode takes lists and texts for them there.
            return model.model_validate_json(json.dumps(document.data))
        except ValidationError as error:
            explain(error, model, document)
    return None


def _invalid(problems: list[SiteFileProblem], path: Path) -> SiteFileInvalid:
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, dotted(problem.where)))
    count, shown = in_short([_line(problem, path) for problem in ordered])
    return SiteFileInvalid(
        f"The site's file has {count}; nothing was contacted",
        where=str(path),
        found=shown,
        next_step=f"correct the file and check it again: runbook check SITE; {delivered()} explains every key",
    )


def in_short(problems: Sequence[str]) -> tuple[str, str]:
    """Return how many problems there are, in words, and the first ``MOST_SHOWN`` of them, one a line."""
    more = [f"… and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    return count, "\n".join([*problems[:MOST_SHOWN], *more])


def _line(problem: SiteFileProblem, path: Path) -> str:
    place = f"{path.name}:{problem.line}" if problem.line else path.name
    key = shown_key(problem.where)
    return f"{place}: {key}: {problem.text}" if key else f"{place}: {problem.text}"


def _absolute(value: Any, folder: Path) -> Any:
    """Return the value with every path and ``file:`` reference in it made absolute."""
    if isinstance(value, SiteSection):
        fields = {name: _absolute(getattr(value, name), folder) for name in type(value).model_fields}
        return value.model_copy(update=fields)
    if isinstance(value, tuple):
        return tuple(_absolute(item, folder) for item in value)
    if isinstance(value, SecretRef):
        return value.relative_to_folder(folder)
    return folder / value.expanduser() if isinstance(value, Path) else value


# -- A site's file that is not written yet: put together from what was typed, and checked as ``load_site`` would

_MERGED_TWICE = "is typed above too; keep one"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The file's text as it would be written; ``site`` is None as long as there are ``problems``."""

    text: str
    site: Site | None
    problems: tuple[SiteFileProblem, ...]


def draft_site(typed: Mapping[Where, Value], further: str, folder: Path) -> Draft:
    """Return the file of what was ``typed`` by key, with ``further`` keys in YAML, as it would lie in ``folder``.

    The text is read again by the reader of site files, so that what is written is what was checked.
    """
    extra = document_of(further.encode()) if further.strip() else Document(complete=True)
    data: dict[str, Value] = {}
    problems = [SiteFileProblem(line=0, where=each.where, text=each.text) for each in extra.problems]
    for where, value in typed.items():
        _put(data, where, value)
    problems += [SiteFileProblem(line=0, where=where, text=_MERGED_TWICE) for where in _merge(data, extra.data, ())]
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    document = document_of(text.encode())
    site = site_of(document, folder)
    known = {each.where for each in problems}
    problems += [each for each in document.problems if each.where not in known]
    return Draft(text=text, site=None if problems else site, problems=tuple(problems))


def _put(data: Value, where: Where, value: Value) -> None:
    """Set one value; lists grow by one item at a time."""
    for number, key in enumerate(where, start=1):
        inner = value
        if number < len(where):
            inner = [] if isinstance(where[number], int) else {}
        if isinstance(data, list) and isinstance(key, int):
            if key >= len(data):
                data.append(inner)
            data = data[key if key < len(data) else -1]
        elif isinstance(data, dict) and isinstance(key, str):
            data = data.setdefault(key, inner)


def _merge(data: dict[str, Value], extra: Mapping[str, Value], where: Where) -> list[Where]:
    """Put the further keys into the data; return those that stand there already."""
    twice: list[Where] = []
    for key, value in extra.items():
        present = data.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            twice += _merge(present, value, (*where, key))
        elif key in data:
            twice.append((*where, key))
        else:
            data[key] = value
    return twice
