"""Logs to a diagnosis: which mismatch is reported where, of whom, since when, and what only looks like one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runbook_lib.logs.diagnosing import diagnosis_of
from runbook_lib.logs.reading import Progress, Settings, read_sources
from runbook_lib.logs.rules import RULES, Rule
from runbook_lib.models import Diagnosis


def diagnose_sources(
    sources: Mapping[str, Sequence[Path]],
    *,
    zones: Mapping[str, str] | None = None,
    rules: Sequence[Rule] = RULES,
    names: Mapping[str, Iterable[str]] | None = None,
    known: Mapping[str, str] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Diagnosis:
    """Return what the logs of each server say; ``sources`` maps ``primary`` and ``secondary`` to files and folders.

    Under the key ``""`` stand logs of which nobody says whose they are: a server's ``names`` on their path
    tell, or what they show; otherwise it is ``unknown``. Times without an offset are read in the server's
    zone in ``zones`` (key ``""``: everybody's), otherwise as UTC, and that is said. A server whose logs are
    not at hand (no path, or folders without a file) is named in ``no_logs``. ``known`` (``site``, ``incident``)
    fills in the next steps. ``workers`` above 1 reads several series at once, in processes that are forked.
    Raises UsageError for a path that is not there, and for an unknown zone; what cannot be read, is damaged or
    unpacks to too much is read as far as it can be and named in ``damaged``.
    """
    settings = Settings(
        rules=tuple(rules),
        zones=dict(zones or {}),
        names={server: tuple(known_as) for server, known_as in (names or {}).items()},
        workers=workers,
    )
    return diagnosis_of(sources, read_sources(sources, settings, progress), settings, dict(known or {}))


__all__ = ["RULES", "Progress", "Rule", "Settings", "diagnose_sources"]
