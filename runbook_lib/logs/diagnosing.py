"""Findings to a diagnosis: whose they are, what they mean, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runbook_lib.logs.findings import Findings, Tally
from runbook_lib.logs.likeness import EMPTY
from runbook_lib.logs.mismatches import mismatches_of
from runbook_lib.logs.prefix import read_prefix
from runbook_lib.logs.reading import Result, Settings
from runbook_lib.logs.rules import next_step
from runbook_lib.logs.timestamps import as_utc, clock_of
from runbook_lib.logs.whose import UNKNOWN, server_in
from runbook_lib.models import Damage, Diagnosis, LookAlike, Mismatch


def diagnosis_of(
    sources: Mapping[str, Sequence[Path]], results: Iterable[Result], settings: Settings, known: dict[str, str]
) -> Diagnosis:
    """Return the diagnosis of all results; servers come in the order of the sources, ``unknown`` last."""
    every = list(results)
    by_server: dict[str, list[Findings]] = {server: [] for server in sources if server}
    for server, findings in _assigned(every):
        by_server.setdefault(server, []).append(findings)
    if sources.get("") and not any(result.findings for result in every if not result.job.server):
        by_server.setdefault(UNKNOWN, [])
    mismatches: list[Mismatch] = []
    look_alikes: list[LookAlike] = []
    ends: dict[str, datetime] = {}
    assumed: list[str] = []
    for server, found in by_server.items():
        zone = settings.zone_name(server)
        mismatches += mismatches_of(server, zone, (item for f in found for item in f.groups.items()))
        look_alikes += _look_alikes(server, settings, found, known)
        if moments := [(f.end_utc, f.end_zoneless) for f in found if f.end_utc is not None]:
            ends[server], zoneless = max(moments)
            assumed += [server] if zoneless and not zone else []
    damaged = {damage.source: damage for result in every for damage in _damaged(result)}
    return Diagnosis(
        mismatches=tuple(mismatches),
        look_alikes=tuple(look_alikes),
        no_logs=tuple(server for server, found in by_server.items() if not any(_is_log(f) for f in found)),
        log_end_utc=ends,
        lines_read=sum(f.lines for found in by_server.values() for f in found),
        bytes_read=sum(f.size for found in by_server.values() for f in found),
        damaged=tuple[Damage, ...](damaged.values()),
        zones={server: zone for server in by_server if (zone := settings.zone_name(server))},
        ends_assumed=tuple(assumed),
        files_read=sum(f.files for found in by_server.values() for f in found),
        recognised_files=sum(f.looks.files for found in by_server.values() for f in found),
        recognised_lines=sum(f.looks.lines for found in by_server.values() for f in found),
        not_logs=tuple(
            replace(other, server=server)
            for server, found in by_server.items()
            for each in found
            for other in each.looks.others
            if other.source not in damaged and not (other.looks_like == EMPTY and any(map(_is_log, found)))
        ),
    )


def _is_log(found: Findings) -> bool:
    """Whether anything of it may be called free of a mismatch: it looks like a log, or tells of one."""
    return bool(found.looks.files or found.groups)


def _damaged(result: Result) -> Iterator[Damage]:
    """Yield what a job could not read whole, with the server where that is said or its logs' paths tell one."""
    told = [server for server in result.findings if server]
    server = result.job.server or (told[0] if len(result.findings) == 1 and told else UNKNOWN)
    return (replace(damage, server=server) for damage in result.damaged)


def _assigned(results: Sequence[Result]) -> Iterator[tuple[str, Findings]]:
    """Yield all findings with their server: said, on their path, or shown by the logs of the same origin."""
    shown: dict[Path, list[Findings]] = {}
    for result in results:
        if "" in result.findings:
            shown.setdefault(result.job.origin, []).append(result.findings[""])
    told = {origin: server_in(findings) for origin, findings in shown.items()}
    for result in results:
        for server, findings in result.findings.items():
            yield server or told.get(result.job.origin, UNKNOWN), findings


def _look_alikes(
    server: str, settings: Settings, findings: Sequence[Findings], known: dict[str, str]
) -> Iterator[LookAlike]:
    for rule in settings.rules:
        total = Tally(rule)
        for found in findings:
            total.take(found.tallies[rule.name])
        if not total.count:
            continue
        said = [moment for line in total.evidence if (moment := read_prefix(line.text).moment) is not None]
        moments = _in_utc(said, server, settings)
        yield LookAlike(
            server=server,
            rule=rule.name,
            meaning=rule.meaning,
            advice=rule.advice,
            count=total.count,
            evidence=total.evidence,
            confidence=rule.confidence,
            next_step=next_step(rule, known),
            first_utc=min(moments, default=None),
            last_utc=max(moments, default=None),
            zone_known=bool(settings.zone_name(server)) or all(moment.tzinfo for moment in said),
        )


def _in_utc(moments: Iterable[datetime], server: str, settings: Settings) -> list[datetime]:
    zone = settings.zone_name(server)
    clock = clock_of(server, {server: zone} if zone else None)
    return [utc for moment in moments if (utc := as_utc(moment, clock)) is not None]
