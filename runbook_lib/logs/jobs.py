"""Sources to findings: whose logs they are, which are read together, on how many cores."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from runbook_lib.device.names import common_name, fold_value
from runbook_lib.errors import UsageError
from runbook_lib.logs.events import Findings, Tally
from runbook_lib.logs.lines import LONGEST, clock_of, read_prefix
from runbook_lib.logs.rules import RULES
from runbook_lib.logs.scanner import Scanner
from runbook_lib.logs.search import Rule
from runbook_lib.logs.sources import Listed, by_series, list_logs, open_logs
from runbook_lib.logs.streams import Notes, Peekable, oldest_first
from runbook_lib.models import PI_SERVERS
from runbook_lib.observations import Damage
from runbook_lib.processes import leave_ctrl_c_to_the_parent

# -- Whose logs they are, where nobody says so: their path tells, or it is guessed from what they show. Decided for
#    what belongs together, never for all that was named at once: a folder may hold the logs of both servers.

UNKNOWN = "unknown"

MOST_SETS = 1000
"""Folders in one archive that are told apart; nothing is guessed of what lies in further ones."""

_WORD = re.compile(r"[A-Za-z0-9]+")
_PRODUCT_LOG = re.compile(r"(?<![a-z])(?:hm|ncs)\d?(?=\.(?:log|txt|out)\Z)", re.I)
"""The product's own names of its logs, recalled: whatever else stands in a name may tell two servers apart."""


class LogSet(NamedTuple):
    """Logs that belong together: in one folder or archive, named by the product, or with the same addition.

    ``server`` is whose they are, empty where what they show has to tell; ``told_by`` is the path up to the part that
    tells it, empty where somebody said it, or nothing does.
    """

    server: str
    where: str = ""
    told_by: str = ""


SetKey = tuple[Path, LogSet]
"""What was named, and logs in it that belong together."""

Peers = frozenset[str]


class Owner(NamedTuple):
    """Whose a set of logs is, and whether that is only guessed from what they show."""

    server: str
    guessed: bool = False


def owners_of(sets: Mapping[SetKey, Sequence[Findings]], names: Mapping[str, Iterable[str]]) -> dict[SetKey, Owner]:
    """Return whose every set of logs is.

    A part of the path tells nothing where sets below it report mismatches of different peers. A guess is dropped
    where the set itself does, where it reports the server's own name, or where what is known or guessed of another
    set speaks against it: both are one server's and report different peers, or each is one's and they report the same.
    """
    peers = {key: _peers(findings) for key, findings in sets.items()}
    torn = _torn(peers)
    owners: dict[SetKey, Owner] = {}
    for key, findings in sets.items():
        origin, logs = key
        if logs.server and (origin, logs.told_by) not in torn:
            owners[key] = Owner(logs.server)
        else:
            shown = server_in(findings) if logs.where else UNKNOWN
            owners[key] = Owner(shown, guessed=shown != UNKNOWN)
    claims = [(owner.server, peers[key]) for key, owner in owners.items() if owner.server != UNKNOWN]
    for key, owner in owners.items():
        own = {fold_value(name) for name in names.get(owner.server, ())}
        if owner.guessed and _speaks_against(owner.server, own, peers[key], claims):
            owners[key] = Owner(UNKNOWN)
    return owners


def _torn(peers: Mapping[SetKey, Peers]) -> set[tuple[Path, str]]:
    """Return the parts of paths that tell of a server although sets below them report mismatches of different peers."""
    below: dict[tuple[Path, str], set[Peers]] = {}
    for (origin, logs), reported in peers.items():
        if logs.told_by and reported:
            below.setdefault((origin, logs.told_by), set()).add(reported)
    return {part for part, told in below.items() if any(one.isdisjoint(other) for one, other in combinations(told, 2))}


def _speaks_against(server: str, own: set[str], reported: Peers, claims: Iterable[tuple[str, Peers]]) -> bool:
    """Return whether the peers that a set reports rule out the server it was guessed to be of."""
    if len(reported) > 1 or not own.isdisjoint(reported):
        return True
    # Two sets of one server report the same peer, and those of two servers different ones.
    return any(reported.isdisjoint(others) == (whose == server) for whose, others in claims if reported and others)


def _peers(those: Iterable[Findings]) -> Peers:
    """Return the CNs of which Health Monitors report a mismatch: on one server that is its one peer."""
    groups = (group for findings in those for group in findings.groups.values() if group.kind == "health_monitor")
    return frozenset(fold_value(common_name(group.name)) for group in groups if group.name) - {""}


def server_on_path(name: str, names: Mapping[str, Iterable[str]]) -> tuple[str, str]:
    """Return the one server that the deepest telling part of a log's name tells of, and the path up to it; or empty.

    A part tells of a server by the word ``primary`` or ``secondary``, or by one of the server's ``names``.
    """
    parts = name.split("/")
    known = {server: "|".join(map(re.escape, filter(None, names.get(server, ())))) for server in PI_SERVERS}
    whole = r"(?<![\w.-])(?:{})(?![\w-]|\.\w)"  # not within a longer name or address
    for end in range(len(parts), 0, -1):
        part = parts[end - 1]
        words = {word.lower() for word in _WORD.findall(part)}
        servers = {server for server in PI_SERVERS if server in words}
        servers |= {each for each, any_of in known.items() if any_of and re.search(whole.format(any_of), part, re.I)}
        if len(servers) == 1:
            return servers.pop(), "/".join(parts[:end])
    return "", ""


def server_in(findings: Iterable[Findings]) -> str:
    """Return the one server that logs which belong together name themselves, or ``unknown``.

    A mismatch of an ISE server is published for the primary's Infrastructure log alone.
    """
    roles: set[str] = set()
    for finding in findings:
        roles |= finding.roles
        if any(group.kind == "infrastructure" for group in finding.groups.values()):
            roles.add("primary")
    return roles.pop() if len(roles) == 1 else UNKNOWN


# -- Sources to findings: which logs are read together, on how many cores, and how far it has come

Progress = Callable[[str, int], None]
"""Called with the name of the log that is read, and the bytes read so far in all."""

_WORTH_CORES = 64 << 20
_REPORT_EVERY = 8 << 20
_POLL_S = 0.25
_ROUNDS = 3


@dataclass(frozen=True)
class Settings:
    """How logs are read. ``zones`` and ``names`` are per server; the zone of ``""`` holds where a server has none.

    ``workers`` above 1 read several series at once, in forked processes. Raises UsageError for an unknown zone.
    """

    rules: tuple[Rule, ...] = RULES
    zones: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    workers: int = 1

    def __post_init__(self) -> None:
        for server, zone in self.zones.items():  # a zone that is not known is refused before anything is read
            clock_of(server, zone)

    def zone_name(self, server: str) -> str:
        """Return the name of a server's time zone, empty where none is known."""
        return self.zones.get(server) or self.zones.get("", "")


@dataclass(frozen=True)
class Job:
    """Files that are read together: ``server`` is empty where it is to be recognised; ``origin`` is what was named."""

    server: str
    origin: Path
    files: tuple[Listed, ...]


@dataclass
class Result:
    """What a job has found, by the logs that belong together."""

    job: Job
    findings: dict[LogSet, Findings]
    damaged: list[Damage]


def read_sources(sources: Mapping[str, Sequence[Path]], settings: Settings, progress: Progress) -> list[Result]:
    """Return the results in the order of the sources, every log in one of them.

    A series to which rotation has added in the meantime is read anew as a whole, last, since a message may go on
    in what is new. Raises UsageError for a path that is not there, and where a process that reads them dies.
    """
    results: list[Result] = []
    for _ in range(_ROUNDS):
        read = {identity for result in results for identity in _identities(result.job)}
        jobs = [job for job in jobs_of(sources) if not read.issuperset(_identities(job))]
        if not jobs:
            break
        anew = {identity for job in jobs for identity in _identities(job)}
        for result in results:
            if anew.issuperset(_identities(result.job)):
                result.findings = {}
        kept = {identity for result in results if result.findings for identity in _identities(result.job)}
        again = []
        for job in jobs:
            left = tuple(file for file in job.files if (job.server, file.key) not in kept)
            again.append(Job(job.server, job.origin, left))
        results += _on_cores(again, settings, progress)
    return results


def read_job(job: Job, settings: Settings, on_read: Progress = lambda *_: None) -> Result:
    """Read the files of one job in their order; ``on_read`` is given a log's name and how many more bytes were read."""
    notes = Notes()
    findings: dict[LogSet, Findings] = {}
    scanners: dict[str, Scanner] = {}
    last: LogSet | None = None
    for log in open_logs(job.files, notes):
        logs = log_set_of(job, log.name, settings)
        if logs not in findings and len(findings) >= MOST_SETS:
            logs = LogSet(logs.server)
        if logs.server not in scanners:
            scanners[logs.server] = scanner_for(logs.server, settings)
        scanner = scanners[logs.server]
        goes_on = log.continues and logs == last
        if logs != last:
            scanner.finish()
            scanner.findings = findings.setdefault(logs, Findings({rule.name: Tally(rule) for rule in settings.rules}))
        last = logs
        head = Peekable(log.stream).peek(LONGEST) if goes_on else b""  # enough to tell whether it begins with a prefix
        scanner.begin_file(log.name, continues=goes_on, within_line=goes_on and begins_within_line(head))
        scanner.feed(head)
        unreported = len(head)
        while read := scanner.read(log.stream):
            unreported += read
            if unreported >= _REPORT_EVERY:
                on_read(log.name, unreported)
                unreported = 0
        if unreported:
            on_read(log.name, unreported)
    for scanner in scanners.values():
        scanner.finish()
    return Result(job, findings, notes.damaged)


def log_set_of(job: Job, name: str, settings: Settings) -> LogSet:
    """Return what a log belongs to."""
    if job.server:
        return LogSet(job.server)
    below = name.removeprefix(f"{job.origin.parent.as_posix()}/")  # folders above what was named tell of nothing
    server, told_by = server_on_path(below, settings.names)
    folder, series, _ = oldest_first(name)
    return LogSet(server, f"{folder}/{_PRODUCT_LOG.sub('', series)}", told_by)


def scanner_for(server: str, settings: Settings) -> Scanner:
    """Return a scanner for a server's logs."""
    return Scanner(settings.rules, clock_of(server, settings.zone_name(server)), roles=not server)


def begins_within_line(head: bytes) -> bool:
    """Return whether a log begins in the middle of a line: without a prefix, and not at a line's end."""
    return bool(head) and head[:1] not in b"\r\n" and not read_prefix(head.decode("latin-1")).length


def jobs_of(sources: Mapping[str, Sequence[Path]]) -> Iterator[Job]:
    """Yield the jobs; a file that is named for one server is not read again where the server is to be recognised."""
    named: set[object] = set()
    for server, paths in sources.items():
        if server:
            listed = list_logs(paths)
            named.update(file.key for file in listed)
            yield from (Job(server, Path(), tuple(series)) for series in by_series(listed))
    for origin in dict.fromkeys(sources.get("", ())):
        listed = [file for file in list_logs([origin]) if file.key not in named]
        named.update(file.key for file in listed)
        yield from (Job("", origin, tuple(series)) for series in by_series(listed))


def _identities(job: Job) -> list[object]:
    return [(job.server, file.key) for file in job.files]


# -- on how many cores --------------------------------------------------------------------------


def _on_cores(jobs: Sequence[Job], settings: Settings, progress: Progress) -> Iterator[Result]:
    total = sum(file.size for job in jobs for file in job.files)
    workers = min(settings.workers, len(jobs))
    if workers > 1 and total >= _WORTH_CORES:
        yield from _in_processes(jobs, settings, workers, progress)
        return
    size = 0

    def on_read(name: str, more: int) -> None:
        nonlocal size
        size += more
        progress(name, size)

    for job in jobs:
        yield read_job(job, settings, on_read)


def _in_processes(jobs: Sequence[Job], settings: Settings, workers: int, progress: Progress) -> Iterator[Result]:
    import multiprocessing

    # A fork needs nothing imported again; whoever asks for workers has no other threads (see the command).
    context = multiprocessing.get_context("fork")
    counter = context.Value("q", 0)
    with context.Pool(workers, _begin_worker, (settings, counter)) as pool:
        processes = multiprocessing.active_children()
        results = pool.imap(_work, jobs)
        waiting = deque(jobs)
        while waiting:
            try:
                yield results.next(timeout=_POLL_S)
                waiting.popleft()
            except multiprocessing.TimeoutError:
                if any(process.exitcode for process in processes):  # the pool would wait for its result for ever
                    raise UsageError(
                        "A process that reads logs has died, so nothing can be said of them",
                        next_step="Diagnose again; where memory is short, give fewer logs at a time.",
                    ) from None
                progress(str(waiting[0].files[0].path), counter.value)


_worker: dict[str, Any] = {}


def _begin_worker(settings: Settings, counter: Any) -> None:
    leave_ctrl_c_to_the_parent()
    _worker.update(settings=settings, counter=counter)


def _work(job: Job) -> Result:
    counter = _worker["counter"]

    def on_read(_name: str, more: int) -> None:
        with counter.get_lock():
            counter.value += more

    return read_job(job, _worker["settings"], on_read)
