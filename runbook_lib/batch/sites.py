"""The sites of a fleet, the form in which each travels, what is wrong with their description; work on many of them."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.device.prime import fingerprint_of
from runbook_lib.errors import ParameterRefused, RunbookError, SiteFileInvalid
from runbook_lib.models import PI_SERVERS
from runbook_lib.params.load import in_short
from runbook_lib.params.model import Expectation, PiServer, Site
from runbook_lib.params.yaml_source import Document, dotted, shown_key
from runbook_lib.paths import delivered
from runbook_lib.processes import gate_streams

# -- What is wrong with a fleet's description: every problem of every site, each with its place, in one refusal


class Problems:
    """Collects problems as ``file:line: site: key: what is wrong; what to write instead``, each once."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._lines: dict[str, None] = {}

    def say(self, text: str, *, line: int = 0) -> None:
        """Add a problem of the description; a line counts from 1, and 0 is the file as a whole."""
        self.take_line(f"{self._source.name}:{line}: {text}" if line else f"{self._source.name}: {text}")

    def take(self, document: Document, *, site: str = "") -> None:
        """Take over every problem of a document, in the order of its keys; what it says of ``site``, by that name."""
        for problem in sorted(document.problems, key=lambda each: (each.line, dotted(each.where))):
            parts = [part for part in (site, shown_key(problem.where), problem.text) if part]
            self.say(": ".join(parts), line=problem.line)

    def take_line(self, line: str) -> None:
        """Take over a line that is worded already."""
        self._lines[line] = None

    def raise_for_them(self) -> None:
        """Raise SiteFileInvalid with all of them, where there are any; the first 100 are shown."""
        if not self._lines:
            return
        count, shown = in_short([*self._lines])
        raise SiteFileInvalid(
            f"The fleet's description has {count}; nothing was contacted",
            where=str(self._source),
            found=shown,
            next_step=f"correct it and try again; {delivered('params/fleet.example.yaml')} explains every key",
        )


# -- The sites of a fleet, and the form in which each travels: whole, its paths absolute, its secrets references


@dataclass(frozen=True)
class FleetSite:
    """One site of a fleet, and the place that describes it, as ``evening.yaml:12``."""

    site: Site
    where: str

    @property
    def name(self) -> str:
        """The site's own name."""
        return self.site.name

    @cached_property
    def sha256(self) -> str:
        """The digest of what the site's description says, the small files that it names included (not its logs)."""
        files = {str(path): sha256_hex(path.read_bytes()) for path in named_files(self.site)}
        return sha256_hex(canonical_json({"site": sha256_hex(resolved_site_file(self.site)), "files": files}))


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """``records``: an fsspec address to which the records go; empty: the folder of the records alone."""

    name: str
    source: Path
    sites: tuple[FleetSite, ...]
    records: str = ""

    def site(self, name: str) -> FleetSite | None:
        """Return a site by its name, None where the fleet has none of it."""
        return next((each for each in self.sites if each.name == name), None)

    def chosen(self, only: Sequence[str]) -> tuple[FleetSite, ...]:
        """Return the sites that were asked for, all where none is named; ParameterRefused for one that is not here."""
        unknown = [name for name in only if self.site(name) is None]
        if unknown:
            raise ParameterRefused(
                f"The fleet {self.name} has no site {', '.join(unknown)}",
                where=str(self.source),
                next_step="--site takes the names that the fleet's file gives",
            )
        return tuple(each for each in self.sites if not only or each.name in only)


def resolved_site_file(site: Site) -> bytes:
    """Return a site's file that says all that the fleet says of the site; it is JSON, which is YAML too."""
    fields = site.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


def named_files(site: Site) -> tuple[Path, ...]:
    """Return the small files that decide on a verdict or a diagnosis: expectations and rules, each once."""
    expectations: list[Expectation] = [server.expect for server in site.hosts.values()]
    expectations += [server.web.expect for server in site.servers.values() if server.web]
    files = [path for each in expectations for path in (each.csr, each.certificate, each.ca and each.ca.bundle)]
    return tuple(dict.fromkeys(path for path in (*files, site.rules) if path))


# -- The same servers under two names: two repairs of one site at the same time, which no lock by name would stop


def refuse_duplicates(sites: Iterable[FleetSite], problems: Problems) -> None:
    """Add a problem for each site whose name, or one of whose PI servers, another site has already.

    A server is another's where both are reached at one address and port (through the same jump host, if
    any), or where both pin one SSH host key. ISE servers may serve many sites, and are not compared.
    """
    names: dict[str, FleetSite] = {}
    servers: dict[str, tuple[FleetSite, str]] = {}
    for each in sites:
        first = names.setdefault(each.name, each)
        if first is not each:
            problems.take_line(f"{each.where}: {each.name}: is the name of two sites (the other: {first.where})")
            continue
        for key in PI_SERVERS:
            for how, identity in _identities(each.site.servers[key]):
                other, its_key = servers.setdefault(identity, (each, key))
                if other is not each:
                    what = f"its {key} is the {its_key} of {other.name} ({other.where}): {how}; keep one, or correct it"
                    problems.take_line(f"{each.where}: {each.name}: {what}")
                    break


def _identities(server: PiServer) -> Iterator[tuple[str, str]]:
    """Yield how one would tell that two servers are one, and the value that is the same then."""
    jump = server.ssh.jump
    network = f"{jump.address}:{jump.port}>" if jump else ""
    address = server.address.casefold().rstrip(".")
    for port in (server.ssh.port, server.health_monitor_port):
        yield f"both at {server.address} port {port}", f"{network}{address} {port}"
    for pin in server.ssh.host_key:
        yield "both have the same SSH host key", fingerprint_of(pin)


# -- Work on many sites in several processes of this machine, a share of them in each, one after the other.
#
# A process knows the secrets of the sites that it has asked and looks for them in whatever it keeps or tells. So it is
# given few sites and ends with them: what was looked for would else grow with the fleet.

T = TypeVar("T")
R = TypeVar("R")

Work = Callable[[Sequence[T], Callable[[R], None]], None]
"""Does its work on some sites and hands on each result; for a process of its own it has to be picklable."""


def in_processes(
    sites: Sequence[T], work: Work[T, R], *, processes: int, share: int, on_result: Callable[[R], None]
) -> list[R]:
    """Return the results of ``work`` in the order in which they came; ``on_result`` is given each at once.

    Each process is given ``share`` sites at most. Raises RunbookError where one of them dies.
    """
    results: list[R] = []

    def take(result: R) -> None:
        results.append(result)
        on_result(result)

    size = max(1, min(share, -(-len(sites) // processes)))
    shares = [sites[start : start + size] for start in range(0, len(sites), size)]
    if processes == 1 and len(shares) <= 1:
        work(sites, take)
    else:
        _run(shares, work, processes, take)
    return results


def _run(shares: Sequence[Sequence[T]], work: Work[T, R], processes: int, take: Callable[[R], None]) -> None:
    # A fork costs nothing and has everything loaded; beside other threads it is not safe.
    method = "fork" if threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    waiting = list(reversed(shares))
    running: dict[Connection, Any] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(waiting.pop(), work, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                _receive(ready, running, take)
    finally:
        for process in running.values():
            process.terminate()


def _receive(ready: Connection, running: dict[Connection, Any], take: Callable[[Any], None]) -> None:
    try:
        (result,) = ready.recv()
        take(result)
    except (EOFError, ValueError):  # it has ended, one way or the other
        process = running.pop(ready)
        process.join()
        if process.exitcode != 0:
            raise RunbookError(
                "A process that asks sites has died",
                found=f"exit code {process.exitcode}",
                next_step="run the same command again; --processes 1 asks few sites in one process",
            ) from None


def _child(sites: Sequence[T], work: Work[T, R], line: Connection) -> None:
    gate_streams()  # a process that was spawned has streams of its own
    work(sites, lambda result: line.send((result,)))
    line.send(())
