"""What only several keys together, or the disk, can show to be wrong in a site's file."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from runbook_lib.device_prompts import is_about_ours
from runbook_lib.models import PI_SERVERS
from runbook_lib.params.labels import LABELS, PHRASES
from runbook_lib.params.values import address_of, is_loopback
from runbook_lib.params.yaml_source import Document, Value, Where, dotted

MOST_GUESSED = 1000
"""So many problems may a file have before it is no longer guessed what each unknown key was meant to be."""


def nearest(document: Document, key: str, known: Iterable[str]) -> str:
    """Return the known key that was probably meant, empty where none is near, or where so much is wrong already."""
    if len(document.problems) >= MOST_GUESSED:
        return ""
    near = difflib.get_close_matches(key, known, n=1)
    return near[0] if near else ""


# -- The words of its own that a site's file may give: which labels there are, and states that contradict each other


def check_labels(document: Document) -> None:
    """Name unknown labels now: otherwise they would come to light at the web pages, in the middle of a repair."""
    given = document.data.get("labels")
    reported = {problem.where for problem in document.problems}
    known = (*LABELS, *PHRASES)
    for key in given if isinstance(given, dict) else ():
        if key not in known and ("labels", key) not in reported:
            near = nearest(document, key, known)
            meant = f"did you mean {near}? " if near else ""
            document.problem(("labels", key), f"unknown key; {meant}known here: {', '.join(known)}")


def check_answers(document: Document) -> None:
    """A question is answered after our own two changes alone, so one about anything else must not be answered here."""
    given = document.data.get("answers")
    for question in given if isinstance(given, dict) else ():
        if isinstance(question, str) and not is_about_ours(question):
            document.problem(
                ("answers", question),
                "is not about the deletion of one entry or the removal of HA, or mentions something else too; such a"
                " question is never answered from here",
            )


def check_states(document: Document) -> None:
    """States are compared without case and spacing, so two spellings of one must mean the same."""
    given = document.data.get("ha_states")
    kinds = given if isinstance(given, dict) else {}
    seen: dict[str, str] = {}
    for words, kind in kinds.items():
        first = seen.setdefault(" ".join(words.casefold().split()), words)
        if kind != kinds[first]:
            document.problem(
                ("ha_states", words), f"is the same state as {first!r}, which has another meaning; keep one"
            )


# -- What only several keys together, or the disk, can show to be wrong in a site's file. ----------
#
# They work on the file's plain values, right types or not, so that one run names these problems
# beside those that the models find. What is no text or number here is skipped: the models say so.

MOST_ISE_SERVERS = 2


def check_together(document: Document, folder: Path) -> None:
    """Add the problems to the document; relative paths are relative to ``folder``."""
    _equal_endpoints(document)
    _shared_names(document)
    _ise_servers(document)
    _ha_addresses(document)
    _lab_is_loopback(document)
    check_labels(document)
    check_states(document)
    check_answers(document)
    _files(document, folder)


def _length(value: Value) -> int:
    return len(value) if isinstance(value, list) else 0


def _servers(document: Document) -> list[Where]:
    ise: list[Where] = [("ise", number) for number in range(_length(document.at("ise")))]
    return [place for place in [("primary",), ("secondary",), *ise] if isinstance(document.at(*place), dict)]


def _same_host(value: Value) -> str:
    """Return one spelling of an address or name, or "" where there is none."""
    return str(address_of(value) or value.removesuffix(".").lower()) if isinstance(value, str) else ""


def _ports(document: Document, server: Where) -> dict[str, Value]:
    """Return the server's ports by key, the usual ones by default."""
    ports: dict[str, Value] = {}
    if server[0] == "ise":
        ports["port"] = document.at(*server, "port") or 443
    else:
        ports["health_monitor_port"] = document.at(*server, "health_monitor_port") or 8082
        if document.at(*server, "web") is not None:
            ports["web.port"] = document.at(*server, "web", "port") or 443
    if document.at(*server, "ssh") is not None:
        ports["ssh.port"] = document.at(*server, "ssh", "port") or 22
    return ports


def _equal_endpoints(document: Document) -> None:
    seen: dict[tuple[str, str], Where] = {}
    for server in _servers(document):
        host = _same_host(document.at(*server, "address"))
        endpoints = {(host, str(port)): key for key, port in _ports(document, server).items()} if host else {}
        taken = next((endpoint for endpoint in endpoints if endpoint in seen), None)
        if taken:
            document.problem(
                (*server, "address"),
                f"is the same server as {dotted(seen[taken])} (both at port {taken[1]}); write each one's own address",
            )
        for endpoint in endpoints:
            seen.setdefault(endpoint, server)


def _shared_names(document: Document) -> None:
    """TOFU lists know a host by name and port; one that means two servers could delete the wrong entry."""
    seen: dict[tuple[str, str], Where] = {}
    ports = {server: str(next(iter(_ports(document, server).values()))) for server in _servers(document)}
    for server, port in ports.items():
        seen.setdefault((_same_host(document.at(*server, "address")), port), server)
    for server, port in ports.items():
        for number in range(_length(document.at(*server, "names"))):
            where = (*server, "names", number)
            host = _same_host(document.at(*where))
            owner = seen.setdefault((host, port), server)
            if host and owner != server and not is_loopback(host):
                document.problem(where, f"names {dotted(owner)} too; a name must mean one server only")


def _ise_servers(document: Document) -> None:
    count = _length(document.at("ise"))
    if count > MOST_ISE_SERVERS:
        document.problem(("ise",), f"{count} ISE servers; Prime Infrastructure takes at most {MOST_ISE_SERVERS}")
    seen: dict[str, Where] = {}
    damaged = {problem.where[:2] for problem in document.problems}
    for number in range(count):
        where: Where = ("ise", number)
        name = document.at(*where, "name") or "ise"
        if not isinstance(name, str):
            continue
        if name in PI_SERVERS:
            document.problem((*where, "name"), "means another server of the site; write another name")
        if name in seen:
            document.problem((*where, "name"), f"{dotted(seen[name])} has the same name; give each ISE server its own")
        seen.setdefault(name, where)
        login = [key for key in ("user", "password") if document.at(*where, key) is not None]
        if len(login) == 1 and where not in damaged:
            document.problem((*where, login[0]), "user and password belong together; give both, or neither")
        if document.at(*where, "expect", "self") is True and document.at(*where, "ssh") is None:
            document.problem(
                (*where, "expect", "self"),
                "cannot be seen without SSH to this server; add its section ssh, or remove self",
            )


def _ha_addresses(document: Document) -> None:
    own = {_same_host(document.at(server, "address")): server for server in ("secondary", "primary")}
    for key in ("virtual_ipv4", "virtual_ipv6"):
        server = own.get(_same_host(document.at("ha", key)) or "-")
        if server:
            document.problem(("ha", key), f"is the address of the {server}; write the address that both share")
    _typed_secondary(document, own)
    _virtual_subnets(document)


def _typed_secondary(document: Document, own: dict[str, str]) -> None:
    """What is typed as the secondary gets the authentication key, so it must be the secondary and nobody else."""
    typed = _same_host(document.at("ha", "secondary_address"))
    address = _same_host(document.at("secondary", "address"))
    names = document.at("secondary", "names")
    known = {address, *map(_same_host, names if isinstance(names, list) else ())}
    where: Where = ("ha", "secondary_address")
    if typed and own.get(typed) == "primary" and typed != address:
        document.problem(where, "is the primary's address; write the secondary's")
    elif typed and address and typed not in known:
        document.problem(where, "is not a name or address of the secondary; add it to secondary: names, or correct it")
    elif document.at("ha", "hosts_files") is True and not _address(typed or address):
        document.problem(where, "is a name, and with hosts files it must be an address; write the secondary's address")


def _virtual_subnets(document: Document) -> None:
    """Both servers and a virtual address stand in one subnet, as far as the file shows it."""
    given = document.at("ha", "subnets")
    subnets = [net for net in map(_network, given if isinstance(given, list) else ()) if net]
    for key, version, shortest in (("virtual_ipv4", 4, 16), ("virtual_ipv6", 6, 64)):
        virtual = _address(document.at("ha", key))
        if virtual is None or virtual.version != version:
            continue
        known = [net for net in subnets if net.version == version]
        servers = [_address(document.at(server, "address")) for server in PI_SERVERS]
        hosts = [virtual, *(host for host in servers if host and host.version == version)]
        near = [_network(f"{virtual}/{shortest}")]
        if not any(net and all(host in net for host in hosts) for net in known or near):
            advice = "correct it" if known else "correct it, or name the subnet (ha: subnets)"
            document.problem(("ha", key), f"is not in one subnet with both servers; {advice}")


def _address(value: Value) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    return address_of(value) if isinstance(value, str) else None


def _network(value: Value) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(value, strict=False) if isinstance(value, str) else None
    except ValueError:
        return None


def _lab_is_loopback(document: Document) -> None:
    """The lab answers its own questions, so nothing that is real may call itself the lab."""
    if document.at("kind") != "lab":
        return
    places: list[Where] = [("ha", "secondary_address")]
    for server in _servers(document):
        places += [(*server, "address"), (*server, "ssh", "jump", "address")]
    for where in places:
        address = document.at(*where)
        if isinstance(address, str) and not is_loopback(address):
            document.problem(
                where, "is not a loopback address, and kind: lab is for the simulated site only; write kind: production"
            )
    _lab_stamps_here(document)


def _lab_stamps_here(document: Document) -> None:
    url = document.at("timestamp", "url")
    try:
        host = urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return
    if host and not is_loopback(host):
        document.problem(
            ("timestamp", "url"), "is not on this machine, and kind: lab is for the simulated site only; remove it"
        )


def _file_places(document: Document) -> Iterator[tuple[Where, bool]]:
    """Yield the place of each path in the file, and whether it may lead to a folder."""
    for server in _servers(document):
        for key in (("csr",), ("certificate",), ("ca", "bundle")):
            yield from (((*server, *place, "expect", *key), False) for place in ((), ("web",)))
        yield from (((*server, "logs", number), True) for number in range(_length(document.at(*server, "logs"))))
    yield from ((("timestamp", "certificate"), False), (("rules",), False))


def _files(document: Document, folder: Path) -> None:
    for where, may_be_folder in _file_places(document):
        given = document.at(*where)
        if not isinstance(given, str) or not given.strip() or not given.isprintable():
            continue
        there = False
        with suppress(OSError, RuntimeError):
            path = folder / Path(given).expanduser()
            there = path.is_file() or (may_be_folder and path.is_dir())
        if not there:
            document.problem(
                where,
                f"there is no {'file or folder' if may_be_folder else 'file'} {given};"
                f" relative paths begin at the folder of the site's file",
            )
