"""The sites of a fleet, and the form in which each travels: whole, its paths absolute, its secrets references."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runbook_lib.canonical import canonical_json, sha256_hex
from runbook_lib.params import Expectation, Site


@dataclass(frozen=True)
class FleetSite:
    """One site of a fleet, and the place that describes it, as ``evening.yaml:12``."""

    site: Site
    where: str

    @property
    def name(self) -> str:
        return self.site.name

    @cached_property
    def sha256(self) -> str:
        """The digest of what the site's description says, the small files that it names included (not its logs)."""
        files = {str(path): sha256_hex(path.read_bytes()) for path in named_files(self.site)}
        return sha256_hex(canonical_json({"site": sha256_hex(resolved(self.site)), "files": files}))


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """``records``: an fsspec address to which the records go; empty: the folder of the records alone."""

    name: str
    source: Path
    sites: tuple[FleetSite, ...]
    records: str = ""

    def site(self, name: str) -> FleetSite | None:
        return next((each for each in self.sites if each.name == name), None)


def plain(site: Site) -> dict[str, Any]:
    """Return what a site says beyond the defaults, as plain values: what a site's file with it would hold."""
    said: dict[str, Any] = site.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return said


def resolved(site: Site) -> bytes:
    """Return a site's file that says all that the fleet says of the site; it is JSON, which is YAML too."""
    return (json.dumps(plain(site), indent=2, ensure_ascii=False) + "\n").encode()


def named_files(site: Site) -> tuple[Path, ...]:
    """Return the small files that decide on a verdict or a diagnosis: expectations and rules, each once."""
    return tuple(dict.fromkeys(_named_files(site)))


def _named_files(site: Site) -> Iterator[Path]:
    servers = (site.primary, site.secondary)
    expectations: list[Expectation] = [server.expect for server in servers]
    expectations += [server.expect for server in site.ise]
    expectations += [server.web.expect for server in servers if server.web]
    for expect in expectations:
        yield from (path for path in (expect.csr, expect.certificate, expect.ca and expect.ca.bundle) if path)
    if site.rules:
        yield site.rules
