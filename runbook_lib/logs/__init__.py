"""Logs to a diagnosis: which mismatch is reported where, of whom, since when, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from runbook_lib.logs.rules import RULES, Rule
from runbook_lib.logs.scanner import Scanner
from runbook_lib.logs.sources import read_logs
from runbook_lib.logs.timestamps import clock_of
from runbook_lib.models import Diagnosis, LookAlike, Mismatch

Progress = Callable[[str, int], None]
"""Called with the name of the log that is read, and the bytes read so far in all."""


def diagnose_sources(
    sources: Mapping[str, Sequence[Path]],
    *,
    zones: Mapping[str, str] | None = None,
    rules: Sequence[Rule] = RULES,
    progress: Progress | None = None,
) -> Diagnosis:
    """Return what the logs of each server say; ``sources`` maps ``primary`` and ``secondary`` to files and folders.

    Times without an offset are read in the server's zone in ``zones``, otherwise as UTC. A server whose
    logs are not at hand (no path, or folders without a file) is named in ``no_logs``. Raises UsageError
    for a path that is not there or cannot be read, an archive that is refused, and an unknown zone.
    """
    mismatches: list[Mismatch] = []
    look_alikes: list[LookAlike] = []
    no_logs: list[str] = []
    ends: dict[str, datetime] = {}
    lines = size = 0
    for server, paths in sources.items():
        scanner = Scanner(server, rules, clock_of(server, zones))
        files = 0
        for log in read_logs(paths):
            files += 1
            scanner.begin_file(log.name, continues=log.continues)
            for chunk in log.chunks:
                size += len(chunk)
                scanner.feed(chunk)
                if progress is not None:
                    progress(log.name, size)
        scanner.finish()
        if not files:
            no_logs.append(server)
        if scanner.end_utc is not None:
            ends[server] = scanner.end_utc
        lines += scanner.lines
        mismatches += scanner.mismatches.result()
        look_alikes += scanner.look_alikes()
    return Diagnosis(
        mismatches=tuple(mismatches),
        look_alikes=tuple(look_alikes),
        no_logs=tuple(no_logs),
        log_end_utc=ends,
        lines_read=lines,
        bytes_read=size,
    )


__all__ = ["RULES", "Progress", "Rule", "diagnose_sources"]
