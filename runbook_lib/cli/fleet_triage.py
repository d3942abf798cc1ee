"""``runbook fleet triage``: one line as each site is found, then the tables, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runbook_lib import places
from runbook_lib.cli.terminal import err, out_lines
from runbook_lib.errors import DeviceError, ParameterRefused, SafetyStop
from runbook_lib.fleet.finding import Condition, Finding
from runbook_lib.fleet.inventory import load_fleet
from runbook_lib.fleet.sites import Fleet, FleetSite
from runbook_lib.fleet.triaging import Limits, triage_fleet
from runbook_lib.record.facts import plain_json_value
from runbook_lib.views import Row, Table, View

FORMAT = "runbook-fleet-triage-v1"
_ORDER = (Condition.NEEDS_A_PERSON, Condition.UNREACHABLE, Condition.REPAIRABLE, Condition.HEALTHY)
_MARKS = {
    Condition.HEALTHY: "good",
    Condition.REPAIRABLE: "",
    Condition.NEEDS_A_PERSON: "bad",
    Condition.UNREACHABLE: "bad",
}


def triage_command(name: str, limits: Limits, *, only: tuple[str, ...], days: int, as_json: bool) -> int:
    """Ask the sites and tell what was found; return 0, 3 where a site needs a person, 4 where one is unreachable."""
    fleet = load_fleet(name)
    sites = chosen(fleet, only)
    progress = _Progress(len(sites))
    findings = triage_fleet(sites, places.records_dir(), limits, progress.found)
    if as_json:
        out_lines(json.dumps(triage_json(fleet, findings), indent=2))
    else:
        out_lines(triage_view(findings, days=days).text())
    return exit_code(findings)


def chosen(fleet: Fleet, only: Sequence[str]) -> tuple[FleetSite, ...]:
    """Return the sites that were asked for; raises ParameterRefused for one that the fleet has not."""
    unknown = [name for name in only if fleet.site(name) is None]
    if unknown:
        raise ParameterRefused(
            f"The fleet {fleet.name} has no site {', '.join(unknown)}",
            where=str(fleet.source),
            next_step="--site takes the names that the fleet's file gives",
        )
    return tuple(each for each in fleet.sites if not only or each.name in only)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return the worst, by the table of exit codes: stopped for safety before a device that did not answer."""
    conditions = {finding.condition for finding in findings}
    if Condition.NEEDS_A_PERSON in conditions:
        return SafetyStop.exit_code
    return DeviceError.exit_code if Condition.UNREACHABLE in conditions else 0


def triage_json(fleet: Fleet, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as ``docs/fleet-triage.schema.json`` describes them."""
    expiring = sorted(
        ({"site": finding.site, **plain_json_value(each)} for finding in findings for each in finding.certificates),
        key=lambda each: (each["not_after_utc"], each["site"], each["target"]),
    )
    return {
        "format": FORMAT,
        "fleet": fleet.name,
        "made_utc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "counts": {condition: sum(f.condition is condition for f in findings) for condition in Condition},
        "certificates": expiring,
        "sites": [_site_json(finding) for finding in findings],
    }


def _site_json(finding: Finding) -> dict[str, Any]:
    value: dict[str, Any] = plain_json_value(finding)
    value.pop("certificates")
    return {**value, "contradicted": finding.contradicted, "days": finding.days}


def triage_view(findings: Sequence[Finding], *, days: int) -> View[Sequence[Finding]]:
    """Return the tables: what expires next, then the sites, those that need somebody first."""
    return View(findings, (_expiring(findings, days), _sites(findings)))


def _expiring(findings: Sequence[Finding], days: int) -> Table:
    found = sorted(
        ((each, finding.site) for finding in findings for each in finding.certificates if each.days <= days),
        key=lambda pair: (pair[0].not_after_utc, pair[1], pair[0].target),
    )
    rows = tuple(
        Row(
            cells=(str(each.days), f"{each.not_after_utc:%Y-%m-%d}", site, each.target, f"{each.host}:{each.port}"),
            mark="bad" if each.days < 0 else "",
        )
        for each, site in found
    )
    seen = sum(len(finding.certificates) for finding in findings)
    return Table(
        title=f"Certificates that expire within {days} days",
        headers=("days", "not after", "site", "host", "address"),
        rows=rows,
        empty="none",
        note=f"{seen} certificates were seen.",
    )


def _sites(findings: Sequence[Finding]) -> Table:
    ordered = sorted(findings, key=lambda f: (_ORDER.index(f.condition), not f.contradicted, f.days or 0, f.site))
    rows = tuple(
        Row(
            cells=(
                finding.site,
                finding.condition,
                "-" if finding.days is None else str(finding.days),
                "; ".join(finding.why) or "-",
            ),
            mark=_MARKS[finding.condition],
        )
        for finding in ordered
    )
    counts = ", ".join(f"{sum(f.condition is c for f in findings)} {c}" for c in Condition)
    return Table(
        title=f"Sites: {counts}",
        headers=("site", "condition", "first expires in days", "why"),
        rows=rows,
        empty="the fleet has no sites",
    )


class _Progress:
    """One line a site on standard error, as it is found; nothing where nobody looks."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._found = 0
        self._watched = sys.stderr.isatty()

    def found(self, finding: Finding) -> None:
        self._found += 1
        if self._watched:
            err(f"[{self._found}/{self._total}] {finding.site}: {finding.condition}")
