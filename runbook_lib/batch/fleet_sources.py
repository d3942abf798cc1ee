"""From a name, a fleet's file, a folder or a nornir inventory to the sites of a fleet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from runbook_lib.batch.sites import Fleet, FleetSite, Problems, refuse_duplicates
from runbook_lib.errors import SiteFileInvalid, UsageError, cut
from runbook_lib.params.load import load_site, section_of, site_of
from runbook_lib.params.model import IseServer, Label, LineOrEmpty, PiServer, Site, SiteSection, SshAccess
from runbook_lib.params.yaml_source import Document, Value, Where, read_document
from runbook_lib.paths import delivered, of_user, params_dir, params_files
from runbook_lib.record.incident import site_slug

# -- One site out of a fleet's file: the defaults, its groups in their order, and what is said of the site itself.
#
# A section is merged key by key, at every depth; everything else (a text, a number, a list) is replaced
# whole by whoever comes later. The merged document keeps the line of each key in the file that it came from, so
# a problem is named where somebody can correct it.

OF_THE_FLEET = frozenset({"groups", "file"})
"""Keys of an item of ``sites`` that are the fleet's own, and not the site's."""


def merged_sections(fleet: Document, places: Iterable[Where]) -> Document:
    """Return the document that the sections at ``places`` of a fleet's file make together, the later ones on top."""
    document = Document(complete=True)
    for place in places:
        _overlay(document, (), fleet, place)
    return document


def _overlay(target: Document, where: Where, fleet: Document, place: Where) -> None:
    """Put what a fleet's file holds at ``place`` over what the target holds at ``where``; both are sections."""
    into, section = target.at(*where), fleet.at(*place)
    if not (isinstance(into, dict) and isinstance(section, dict)):
        return
    for key, value in section.items():
        if not where and key in OF_THE_FLEET:
            continue
        inside, source = (*where, key), (*place, key)
        if isinstance(value, dict):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _overlay(target, inside, fleet, source)
        else:
            into[key] = value
            _copy_lines(target, value, fleet, source, inside)
    target.lines[where] = fleet.line_of(place)


def _copy_lines(target: Document, value: Value, fleet: Document, source: Where, where: Where) -> None:
    target.lines[where] = fleet.line_of(source)
    if source in fleet.plain:
        target.plain[where] = fleet.plain[source]
    inner: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        _copy_lines(target, item, fleet, (*source, key), (*where, key))


# -- A fleet's file: sites as files or inline, defaults and groups. ``params/fleet.example.yaml`` explains every key

LARGEST_FILE = 50_000_000


class FleetFile(SiteSection):
    """What a fleet's file holds at its top; what is said of servers is checked site by site, after the merge."""

    name: Label
    defaults: dict[str, Any] = Field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sites: tuple[dict[str, Any], ...]
    records: LineOrEmpty = ""


def read_fleet_file(path: Path, problems: Problems) -> Fleet:
    """Return the fleet of a file, as far as it is right; whatever is wrong goes to ``problems``.

    Raises SiteFileInvalid for a site's file.
    """
    try:
        document = read_document(path, largest=LARGEST_FILE)
    except OSError as error:
        problems.say(f"the file cannot be read: {error.strerror}")
        return Fleet(name="", source=path, sites=())
    if "primary" in document.data and "sites" not in document.data:
        raise SiteFileInvalid(
            "This is a site's file; a fleet was asked for",
            where=str(path),
            next_step="give it to runbook run or check, or name it in a fleet's file (sites: - file: PATH)",
        )
    head = section_of(FleetFile, document)
    problems.take(document)
    if head is None:
        return Fleet(name="", source=path, sites=())
    reader = _Sites(document, path, problems)
    sites = (reader.site(number, item) for number, item in enumerate(head.sites))
    return Fleet(name=head.name, source=path, sites=tuple(each for each in sites if each), records=head.records)


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
            return FleetSite(load_site(self._folder / of_user(given)), f"{self._path.name}:{line}")
        except SiteFileInvalid as error:
            problems = (f"\n  {text}" for text in error.found.splitlines())  # of one problem of the fleet's description
            self._problems.take_line(f"{self._path.name}:{line}: {given}: {error.what}" + "".join(problems))
            return None

    def _inline(self, where: Where, item: dict[str, Any]) -> FleetSite | None:
        groups = self._groups(where, item.get("groups", []))
        document = merged_sections(self._document, [("defaults",), *(("groups", name) for name in groups), where])
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


# -- A nornir inventory (``hosts.yaml``, ``groups.yaml``, ``defaults.yaml``) read as it is, by nornir itself.
#
# Hosts are grouped into sites by their data, inherited through groups and defaults as nornir inherits it: ``site`` is
# the site's name, ``role`` is ``primary``, ``secondary`` or ``ise``. Of a host, ``hostname`` is the address,
# ``port`` and ``username`` those of its SSH server (of an ISE server: of its web port, and what Prime
# Infrastructure signs in with), ``password`` a reference to a secret. Any other key of a server's section in a site's
# file is taken from its data under the same name, ``host_key``, ``prompt_host`` and ``jump`` into ``ssh``;
# what holds for the whole site (``ha``, ``policy``, …) from the data of its primary.

HOSTS = "hosts.yaml"
ROLES = ("primary", "secondary", "ise")
_OF_SSH = frozenset(SshAccess.model_fields) - {"port", "user", "password"}
_OF_SITE = frozenset(Site.model_fields) - {"name", *ROLES}


def read_nornir(folder: Path, problems: Problems) -> Fleet:
    """Return the fleet of a nornir inventory, as far as it is right; whatever is wrong goes to ``problems``."""
    hosts = _load(folder, problems)
    lines = _lines_of(folder / HOSTS)
    by_site: dict[str, list[Any]] = {}
    for name, host in hosts.items():
        site = host.get("site")
        role = host.get("role")
        if site is None and role is None:
            continue  # a host of something else: an inventory may serve other tools too
        if not isinstance(site, str) or role not in ROLES:
            what = f"{name}: its data needs site (the site's name) and role (one of {', '.join(ROLES)})"
            problems.say(what, line=lines.get(name, 0))
            continue
        by_site.setdefault(site, []).append(host)
    sites = (_site(name, members, folder, lines, problems) for name, members in by_site.items())
    return Fleet(name=site_slug(folder.absolute().name), source=folder / HOSTS, sites=tuple(filter(None, sites)))


def _load(folder: Path, problems: Problems) -> dict[str, Any]:
    try:
        from nornir.plugins.inventory.simple import SimpleInventory
    except ImportError:
        raise UsageError(
            "A nornir inventory needs nornir, which is not installed",
            where=str(folder),
            next_step="pip install 'pi-tofu-runbook[fleet]'",
        ) from None
    files = [str(folder / name) for name in (HOSTS, "groups.yaml", "defaults.yaml")]
    try:
        if not all(map(os.path.isfile, filter(os.path.exists, files))):
            raise OSError  # a pipe would be read for ever
        return dict(SimpleInventory(*files).load().hosts)
    except Exception as error:  # noqa: BLE001 - nornir raises whatever its files lead to
        # Its words may quote a password, so only the kind of error and the line are told.
        mark = getattr(error, "problem_mark", None)
        problems.say(f"nornir cannot read this inventory: {type(error).__name__}", line=mark.line + 1 if mark else 0)
    return {}


def _site(name: str, members: list[Any], folder: Path, lines: dict[str, int], problems: Problems) -> FleetSite | None:
    document = Document(data={"name": name}, complete=True)
    for host in members:
        role = str(host.get("role"))
        line = lines.get(host.name, 0)
        section = _ise(host) if role == "ise" else _pi(host)
        place: tuple[str | int, ...] = (role,)
        if role == "ise":
            servers: Any = document.data.setdefault("ise", [])
            place = ("ise", len(servers))
            servers.append(section)
        elif role in document.data:
            problems.say(f"{name}: {host.name} is a second {role}; a site has one", line=line)
        else:
            document.data[role] = section
        document.lines[place] = line
        document.lines.setdefault((), line)
        if role == "primary":
            document.data.update({key: _plain(host[key]) for key in host.keys() & _OF_SITE})
    site = site_of(document, folder.absolute())
    problems.take(document, site=name)
    return FleetSite(site, f"{HOSTS}:{document.line_of(())}") if site else None


def _pi(host: Any) -> dict[str, Any]:
    section = {key: _plain(host[key]) for key in host.keys() & set(PiServer.model_fields)}
    ssh = {key: _plain(host[key]) for key in host.keys() & _OF_SSH}
    return section | {"address": host.hostname or host.name, "ssh": _login(host) | ssh}


def _ise(host: Any) -> dict[str, Any]:
    section = {key: _plain(host[key]) for key in host.keys() & set(IseServer.model_fields)}
    return {"name": host.name} | section | {"address": host.hostname or host.name} | _login(host)


def _login(host: Any) -> dict[str, Any]:
    given = {"port": host.port, "user": host.username, "password": host.password}
    return {key: value for key, value in given.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return nornir's values as what JSON knows; a date or the like becomes its text, and is refused as one."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _lines_of(path: Path) -> dict[str, int]:
    """Return the line on which each host of the inventory begins."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {str(key.value): key.start_mark.line + 1 for key, _ in pairs}


# -- From a name, a file or a folder to the sites of a fleet: nothing is contacted, and all problems are named at once


def load_fleet(name_or_path: str | Path) -> Fleet:
    """Return the fleet of a name in ``params/``, of a fleet's file, or of the folder of a nornir inventory.

    Raises SiteFileInvalid, whose ``found`` has one line ``file:line: site: key: what is wrong; what to write
    instead`` for every problem of every site, two names for the same servers included.
    """
    path = fleet_path(name_or_path)
    problems = Problems(path)
    fleet = read_nornir(path.parent, problems) if path.name == HOSTS else read_fleet_file(path, problems)
    refuse_duplicates(fleet.sites, problems)
    problems.raise_for_them()
    return fleet


def fleet_path(name_or_path: str | Path) -> Path:
    """Return the file of a fleet, for a nornir inventory its ``hosts.yaml``; raises SiteFileInvalid without one."""
    text = str(name_or_path)
    is_name = re.fullmatch(r"[\w.-]+", text) is not None and not text.endswith((".yaml", ".yml"))
    path = Path(name_or_path)
    if is_name and not path.is_dir():
        path = params_files().get(text, params_dir() / f"{text}.yaml")
    file = path / HOSTS if path.is_dir() else path
    if file.is_file():
        return file
    raise SiteFileInvalid(
        f"There is no fleet {text!r}",
        where=str(file),
        next_step="give a name in params/, the path of a fleet's file (begin with a copy of"
        f" {delivered('params/fleet.example.yaml')}), or the folder of a nornir inventory",
    )
