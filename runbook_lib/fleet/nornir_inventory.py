"""A nornir inventory (``hosts.yaml``, ``groups.yaml``, ``defaults.yaml``) read as it is, by nornir itself.

Hosts are grouped into sites by their data, inherited through groups and defaults as nornir inherits it: ``site`` is
the site's name, ``role`` is ``primary``, ``secondary`` or ``ise``. Of a host, ``hostname`` is the address,
``port`` and ``username`` those of its SSH server (of an ISE server: of its web port, and what Prime
Infrastructure signs in with), ``password`` a reference to a secret. Any other key of a server's section in a site's
file is taken from its data under the same name, ``host_key``, ``prompt_host`` and ``jump`` into ``ssh``;
what holds for the whole site (``ha``, ``policy``, …) from the data of its primary.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.errors import UsageError
from runbook_lib.fleet.problems import Problems
from runbook_lib.fleet.sites import Fleet, FleetSite
from runbook_lib.params import IseServer, PiServer, Site, SshAccess
from runbook_lib.params.load import site_of
from runbook_lib.params.source import Document
from runbook_lib.record.bundle import site_slug

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
        site, role = host.get("site"), host.get("role")
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
        return dict(SimpleInventory(*files).load().hosts)
    except Exception as error:  # noqa: BLE001 - nornir raises whatever its files lead to
        # Its words may quote a password, so only the kind of error and the line are told.
        mark = getattr(error, "problem_mark", None)
        problems.say(f"nornir cannot read this inventory: {type(error).__name__}", line=mark.line + 1 if mark else 0)
    return {}


def _site(name: str, members: list[Any], folder: Path, lines: dict[str, int], problems: Problems) -> FleetSite | None:
    document = Document(data={"name": name}, complete=True)
    for host in members:
        role, line = str(host.get("role")), lines.get(host.name, 0)
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
    return section | {"address": host.hostname or host.name, "ssh": dict(_login(host)) | ssh}


def _ise(host: Any) -> dict[str, Any]:
    section = {key: _plain(host[key]) for key in host.keys() & set(IseServer.model_fields)}
    return {"name": host.name} | section | {"address": host.hostname or host.name} | dict(_login(host))


def _login(host: Any) -> Iterator[tuple[str, Any]]:
    for key, value in (("port", host.port), ("user", host.username), ("password", host.password)):
        if value is not None:
            yield key, value


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
