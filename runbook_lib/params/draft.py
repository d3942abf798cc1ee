"""A site's file that is not written yet: put together from what was typed, and checked as ``load_site`` would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from runbook_lib.params.load import site_of
from runbook_lib.params.model import Site
from runbook_lib.params.source import Document, Problem, Value, Where, document_of

_MERGED_TWICE = "is typed above too; keep one"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The file's text as it would be written; ``site`` is None as long as there are ``problems``."""

    text: str
    site: Site | None
    problems: tuple[Problem, ...]


def draft_site(typed: Mapping[Where, Value], further: str, folder: Path) -> Draft:
    """Return the file of what was ``typed`` by key, with ``further`` keys in YAML, as it would lie in ``folder``.

    The text is read again by the reader of site files, so that what is written is what was checked.
    """
    extra = document_of(further.encode()) if further.strip() else Document(complete=True)
    data: dict[str, Value] = {}
    problems = [Problem(line=0, where=each.where, text=each.text) for each in extra.problems]
    for where, value in typed.items():
        _put(data, where, value)
    problems += [Problem(line=0, where=where, text=_MERGED_TWICE) for where in _merge(data, extra.data, ())]
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    document = document_of(text.encode())
    site = site_of(document, folder)
    known = {each.where for each in problems}
    problems += [each for each in document.problems if each.where not in known]
    return Draft(text=text, site=None if problems else site, problems=tuple(problems))


def _put(data: Value, where: Where, value: Value) -> None:
    """Set one value; lists grow by one item at a time."""
    for key, following in zip(where, (*where[1:], None), strict=True):
        inner: Value = value if following is None else [] if isinstance(following, int) else {}
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
