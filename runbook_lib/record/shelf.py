"""All records of a folder: which incidents there are, and which one of a site is open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runbook_lib.errors import RecordError
from runbook_lib.models import Outcome
from runbook_lib.record.bundle import INCIDENT, Record, site_slug
from runbook_lib.record.stages import FINAL


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One incident. ``problem`` says why its record does not verify; then only the name is known."""

    incident: str
    site: str = ""
    opened_utc: str = ""
    by: str = ""
    outcome: Outcome | None = None
    problem: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the repair still goes on in it: it has no outcome, or was stopped, failed, or is unknown."""
        return not self.problem and self.outcome not in FINAL


def list_records(root: Path, site: str = "") -> list[Summary]:
    """Every incident's record under ``root``, the newest first; those that are damaged too, with their problem.

    With ``site`` those of that site alone, and nothing of the others is read; of a damaged one only the name tells.
    """
    if not site:
        return [_summary(root, incident) for incident in _incidents(root)]
    found = [_summary(root, incident) for incident in _incidents(root, f"-{site_slug(site)}-")]
    return [summary for summary in found if summary.site == site or summary.problem]


def find_open(root: Path, site: str) -> str | None:
    """The newest incident of ``site`` that is open; a damaged record is passed over, as no repair can go on in it."""
    for incident in _incidents(root, f"-{site_slug(site)}-"):
        summary = _summary(root, incident)
        if summary.site == site and summary.is_open:
            return incident
    return None


def _incidents(root: Path, part: str = "") -> list[str]:
    if not root.is_dir():
        return []
    names = (path.name for path in root.iterdir() if part in path.name and path.is_dir())
    return sorted((name for name in names if INCIDENT.fullmatch(name)), reverse=True)


def _summary(root: Path, incident: str) -> Summary:
    try:
        record = Record.open(root, incident)
        opening = record.opening()
        return Summary(
            incident=incident,
            site=record.site,
            opened_utc=opening["opened_utc"],
            by=opening["by"],
            outcome=record.outcome(),
        )
    except RecordError as error:
        return Summary(incident=incident, problem=error.what)
