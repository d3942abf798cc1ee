"""From a name or path to a validated site: nothing is contacted, and all problems are named at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from runbook_lib.errors import SiteFileInvalid
from runbook_lib.params.advice import explain
from runbook_lib.params.checks import check_together
from runbook_lib.params.model import LabRequest, Section, Site
from runbook_lib.params.single import one_as_list
from runbook_lib.params.source import Document, Problem, dotted, read_document, shown_key
from runbook_lib.places import params_dir, params_files
from runbook_lib.secrets import NOT_NAMED, SecretRef

MOST_SHOWN = 100
_VARIABLE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")

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
    """Like :func:`load_site`, but a file of only ``kind: lab`` and ``lab:`` comes back as a LabRequest."""
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
    folder = path.absolute().parent
    if "lab" in document.data:
        return _validated(LabRequest, document, path)
    site = site_of(document, folder)
    if site is None:
        raise _invalid(document.problems, path)
    return site


def site_of(document: Document, folder: Path) -> Site | None:
    """Return the site that a document describes, its paths absolute; None where the document has problems then."""
    if document.complete:
        one_as_list(document, Site)
        check_together(document, folder)
    found = _checked(Site, document)
    return None if found is None else _absolute(found, folder)


def site_file(name_or_path: str | Path) -> Path:
    """Return the file of a site; raises SiteFileInvalid that lists the known ones where there is none.

    A plain word is a name in ``params/``; what holds a slash, ends in ``.yaml`` or is a ``Path`` is a path.
    """
    path = Path(name_or_path)
    if _is_name(name_or_path):
        path = params_files().get(str(name_or_path), params_dir() / f"{name_or_path}.yaml")
    if path.is_file():
        return path
    raise SiteFileInvalid(
        f"There is no site {str(name_or_path)!r}",
        where=str(path),
        found=f"known sites: {', '.join(known_sites()) or 'none'}",
        next_step="give one of these names, the path of a site's file, or make one: runbook new NAME",
    )


def from_anywhere(name_or_path: str) -> str:
    """Return what leads to the same site's file from any folder: a name as it is, a path absolute."""
    return name_or_path if _is_name(name_or_path) else str(Path(name_or_path).expanduser().absolute())


def _is_name(name_or_path: str | Path) -> bool:
    is_word = isinstance(name_or_path, str) and re.fullmatch(r"[\w.-]+", name_or_path) is not None
    return is_word and not str(name_or_path).endswith((".yaml", ".yml"))


def known_sites() -> tuple[str, ...]:
    """Return the names of the site files in ``params/``, sorted."""
    return tuple(sorted(params_files()))


def secret_variables(site: str = "") -> frozenset[str]:
    """Return the variables that ``env:`` references name in the files of all known sites, and of ``site``, a path too.

    Files are searched, not read as sites: one with a problem counts, since the problem may be mended later.
    """
    files = [*params_files().values(), *([Path(site)] if site and not _is_name(site) else [])]
    found: set[str] = set()
    for path in files:
        with suppress(OSError):
            found.update(_VARIABLE.findall(path.read_text(encoding="utf-8", errors="replace")))
    return frozenset(found)


def site_without_secrets(site: Site) -> dict[str, Any]:
    """Return the whole site as plain values in a fixed order, for the record: secrets as their references."""
    plain: dict[str, Any] = json.loads(json.dumps(site.model_dump(mode="json", by_alias=True), sort_keys=True))
    return plain


def secret_references(site: Site) -> tuple[SecretRef, ...]:
    """Return every secret reference that a site's file names, each once."""
    return tuple(dict.fromkeys(_references(site)))


def _references(value: object) -> Iterator[SecretRef]:
    if isinstance(value, SecretRef):
        if value != NOT_NAMED:
            yield value
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _references(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _references(item)


def _validated(model: type[_Section], document: Document, path: Path) -> _Section:
    loaded = _checked(model, document)
    if loaded is None:
        raise _invalid(document.problems, path)
    return loaded


def _checked(model: type[_Section], document: Document) -> _Section | None:
    """Return the document as a section; None where it has problems, which it holds then."""
    loaded: _Section | None = None
    if document.complete:
        try:
            # JSON has no tuples and paths, so pydantic's strict mode takes lists and texts for them there.
            loaded = model.model_validate_json(json.dumps(document.data))
        except ValidationError as error:
            explain(error, model, document)
    return None if document.problems else loaded


def _invalid(problems: list[Problem], path: Path) -> SiteFileInvalid:
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, dotted(problem.where)))
    lines = [_line(problem, path) for problem in ordered[:MOST_SHOWN]]
    if len(ordered) > MOST_SHOWN:
        lines.append(f"… and {len(ordered) - MOST_SHOWN} more")
    count = "one problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    return SiteFileInvalid(
        f"The site's file has {count}; nothing was contacted",
        where=str(path),
        found="\n".join(lines),
        next_step="correct the file and check it again: runbook check SITE; params/example.yaml explains every key",
    )


def _line(problem: Problem, path: Path) -> str:
    place = f"{path.name}:{problem.line}" if problem.line else path.name
    key = shown_key(problem.where)
    return f"{place}: {key}: {problem.text}" if key else f"{place}: {problem.text}"


def _absolute(value: Any, folder: Path) -> Any:
    """Return the value with every path and ``file:`` reference in it made absolute."""
    if isinstance(value, Section):
        fields = {name: _absolute(getattr(value, name), folder) for name in type(value).model_fields}
        return value.model_copy(update=fields)
    if isinstance(value, tuple):
        return tuple(_absolute(item, folder) for item in value)
    if isinstance(value, SecretRef):
        return value.relative_to_folder(folder)
    return folder / value.expanduser() if isinstance(value, Path) else value
