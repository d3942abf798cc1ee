"""A fleet's file: sites as files or inline, defaults and groups. ``params/fleet.example.yaml`` explains every key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from runbook_lib.errors import SiteFileInvalid, cut
from runbook_lib.fleet.merge import merged
from runbook_lib.fleet.problems import Problems
from runbook_lib.fleet.sites import Fleet, FleetSite
from runbook_lib.params import load_site
from runbook_lib.params.advice import explain
from runbook_lib.params.load import site_of
from runbook_lib.params.model import Section
from runbook_lib.params.source import Document, Value, Where, read_document
from runbook_lib.params.values import Label, LineOrEmpty

LARGEST_FILE = 50_000_000


class FleetFile(Section):
    """What a fleet's file holds at its top; what is said of servers is checked site by site, after the merge."""

    name: Label
    defaults: dict[str, Any] = Field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sites: tuple[dict[str, Any], ...]
    records: LineOrEmpty = ""


def read_fleet_file(path: Path, problems: Problems) -> Fleet:
    """Return the fleet of a file, as far as it is right; whatever is wrong goes to ``problems``."""
    try:
        document = read_document(path, largest=LARGEST_FILE)
    except OSError as error:
        problems.say(f"the file cannot be read: {error.strerror}")
        return Fleet(name="", source=path, sites=())
    head = _head(document)
    problems.take(document)
    if head is None:
        return Fleet(name="", source=path, sites=())
    reader = _Sites(document, path, problems)
    found = (reader.site(number, item) for number, item in enumerate(head.sites))
    return Fleet(name=head.name, source=path, sites=tuple(each for each in found if each), records=head.records)


def _head(document: Document) -> FleetFile | None:
    if not document.complete:
        return None
    try:
        return FleetFile.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        explain(error, FleetFile, document)
    return None


class _Sites:
    def __init__(self, document: Document, path: Path, problems: Problems) -> None:
        self._document = document
        self._path = path
        self._folder = path.absolute().parent
        self._problems = problems

    def site(self, number: int, item: dict[str, Any]) -> FleetSite | None:
        """Return one site; None where something is wrong with it, which is among the problems then."""
        where: Where = ("sites", number)
        return self._of_file(where, item) if "file" in item else self._inline(where, item)

    def _of_file(self, where: Where, item: dict[str, Any]) -> FleetSite | None:
        """A site's file is taken as it is, so that ``runbook run`` with it means the same."""
        line = self._document.line_of(where)
        given = item["file"]
        if set(item) != {"file"} or not isinstance(given, str) or not given.strip():
            self._problems.say(
                "sites: an item with file: holds the path of a site's file and nothing else; nothing is merged into it",
                line=line,
            )
            return None
        try:
            return FleetSite(load_site(self._folder / Path(given).expanduser()), f"{self._path.name}:{line}")
        except SiteFileInvalid as error:
            found = error.found.splitlines() if error.found else []
            self._problems.take_lines(
                [f"{self._path.name}:{line}: {given}: {error.what}", *(f"  {text}" for text in found)]
            )
            return None

    def _inline(self, where: Where, item: dict[str, Any]) -> FleetSite | None:
        groups = self._groups(where, item.get("groups", []))
        document = merged(self._document, [("defaults",), *(("groups", name) for name in groups), where])
        site = site_of(document, self._folder)
        name = document.data.get("name")
        self._problems.take(document, site=name if isinstance(name, str) else f"sites[{where[1]}]")
        line = self._document.line_of(where)
        return FleetSite(site, f"{self._path.name}:{line}") if site else None

    def _groups(self, where: Where, given: Value) -> list[str]:
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            line = self._document.line_of((*where, "groups"))
            self._problems.say("groups must be a list of names; write [first, second]", line=line)
            return []
        known = self._document.at("groups")
        names = [str(name) for name in given]
        for number, name in enumerate(names):
            if not isinstance(known, dict) or name not in known:
                line = self._document.line_of((*where, "groups", number))
                there = ", ".join(known) if isinstance(known, dict) and known else "none"
                self._problems.say(f"there is no group {cut(name, 80)}; the groups are: {there}", line=line)
        return [name for name in names if isinstance(known, dict) and name in known]
