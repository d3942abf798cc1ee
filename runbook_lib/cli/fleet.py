"""``runbook fleet``: triage, and a round from its plan to its signed roll-up."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib import paths
from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.local import LocalExecutor
from runbook_lib.batch.payload import output_file, require_storage
from runbook_lib.batch.planning import approve_rollup, plan_fleet, planned_changes, rollup_view
from runbook_lib.batch.rollout import ClusterOptions, Executor, Rules, fleet_lock, parse_share, parse_waves, run_fleet
from runbook_lib.batch.round import Rollup, Round, RoundOutcome, newest_outcome, newest_round
from runbook_lib.batch.site_run import FINISHED, READING, SiteState
from runbook_lib.batch.sites import Fleet
from runbook_lib.batch.triage import Condition, TriagedSite, TriageLimits, triage_fleet
from runbook_lib.cli.plans import approved_by
from runbook_lib.cli.records import print_standings
from runbook_lib.cli.terminal import err, out, out_lines, prose
from runbook_lib.errors import DeviceError, ParameterRefused, RecordError, SafetyStop, UsageError
from runbook_lib.i18n.language import count
from runbook_lib.models import Stage
from runbook_lib.notebook.opening import stage_named
from runbook_lib.params.load import secret_references
from runbook_lib.record.files import plain_json_value
from runbook_lib.record.history import past_incidents, site_statuses
from runbook_lib.record.incident import Record
from runbook_lib.record.lock import lock_refusal
from runbook_lib.show.document import Row, Table
from runbook_lib.show.rendering import View

# -- ``runbook fleet triage``: one line as each site is found, then the tables, or JSON ------------

TRIAGE_FORMAT = "runbook-fleet-triage-v1"
_ORDER = (Condition.NEEDS_A_PERSON, Condition.UNREACHABLE, Condition.REPAIRABLE, Condition.HEALTHY)
_MARKS = {
    Condition.HEALTHY: "good",
    Condition.REPAIRABLE: "",
    Condition.NEEDS_A_PERSON: "bad",
    Condition.UNREACHABLE: "bad",
}


def fleet_triage_command(name: str, *, only: Sequence[str] | None, days: int, as_json: bool, **limits: Any) -> int:
    """Ask the sites and show what was found; return 0, 3 where a site needs a person, 4 where one is unreachable."""
    fleet = load_fleet(name)
    sites = fleet.chosen(only or ())
    triaged = triage_fleet(sites, paths.records_dir(), TriageLimits(**limits), _progress(len(sites)))
    if as_json:
        out_lines(json.dumps(triage_json(fleet, triaged), indent=2))
    else:
        out_lines(triage_view(triaged, days=days).text())
    return triage_exit_code(triaged)


def triage_exit_code(triaged: Sequence[TriagedSite]) -> int:
    """Return the worst, by the table of exit codes: stopped for safety before a device that did not answer."""
    conditions = {site.condition for site in triaged}
    if Condition.NEEDS_A_PERSON in conditions:
        return SafetyStop.exit_code
    return DeviceError.exit_code if Condition.UNREACHABLE in conditions else 0


def triage_json(fleet: Fleet, triaged: Sequence[TriagedSite]) -> dict[str, Any]:
    """Return the sites as ``docs/fleet-triage.schema.json`` describes them."""
    expiring = sorted(
        ({"site": site.site, **plain_json_value(each)} for site in triaged for each in site.certificates),
        key=lambda each: (each["not_after_utc"], each["site"], each["target"]),
    )
    return {
        "format": TRIAGE_FORMAT,
        "fleet": fleet.name,
        "made_utc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "counts": dict.fromkeys(Condition, 0) | Counter(site.condition for site in triaged),
        "certificates": expiring,
        "sites": [_site_json(site) for site in triaged],
    }


def _site_json(site: TriagedSite) -> dict[str, Any]:
    value: dict[str, Any] = plain_json_value(site)
    value.pop("certificates")
    return {**value, "contradicted": site.contradicted, "days": site.days}


def triage_view(triaged: Sequence[TriagedSite], *, days: int) -> View[Sequence[TriagedSite]]:
    """Return the tables: what expires next, then the sites, those that need somebody first."""
    return View(triaged, (_expiring(triaged, days), _sites(triaged)))


def _expiring(triaged: Sequence[TriagedSite], days: int) -> Table:
    expiring = sorted(
        ((each, site.site) for site in triaged for each in site.certificates if each.days <= days),
        key=lambda pair: (pair[0].not_after_utc, pair[1], pair[0].target),
    )
    rows = tuple(
        Row(
            str(each.days),
            f"{each.not_after_utc:%Y-%m-%d}",
            site,
            each.target,
            f"{each.host}:{each.port}",
            mark="bad" if each.days < 0 else "",
        )
        for each, site in expiring
    )
    seen = sum(len(site.certificates) for site in triaged)
    return Table(
        title=f"Certificates that expire within {days} days",
        headers=("days", "not after", "site", "host", "address"),
        rows=rows,
        empty="none",
        note=f"{count(seen, 'certificate was', 'certificates were')} seen.",
    )


def _sites(triaged: Sequence[TriagedSite]) -> Table:
    def urgency(site: TriagedSite) -> tuple[int, bool, int, str]:
        return _ORDER.index(site.condition), not site.contradicted, site.days or 0, site.site

    rows = tuple(
        Row(
            site.site,
            site.condition,
            "-" if site.days is None else str(site.days),
            "; ".join(site.why) or "-",
            mark=_MARKS[site.condition],
        )
        for site in sorted(triaged, key=urgency)
    )
    counted = Counter(site.condition for site in triaged)
    counts = ", ".join(f"{counted[condition]} {condition}" for condition in Condition)
    return Table(
        title=f"Sites: {counts}",
        headers=("site", "condition", "days to first expiry", "why"),
        rows=rows,
        empty="the fleet has no sites",
    )


def _progress(total: int) -> Callable[[TriagedSite], None]:
    """Return what prints one line a site on standard error, as it is found; nothing where nobody looks."""
    numbers = itertools.count(1)

    def show(site: TriagedSite) -> None:
        if sys.stderr.isatty():
            err(f"[{next(numbers)}/{total}] {site.site}: {site.condition}")

    return show


# -- ``runbook fleet plan``, ``approve``, ``run`` and ``status``: a round from its plan to its signed roll-up


def fleet_plan_command(name: str, *, only: Sequence[str] | None, at_once: int) -> int:
    """Begin a round and plan its sites; return 3 where a site has no plan that could be carried out."""
    fleet = load_fleet(name)
    sites = fleet.chosen(only or ())
    given = str(Path(name).absolute()) if Path(name).exists() else name  # the next commands work from any folder
    round_ = Round.create(paths.records_dir(), fleet.name, what="runbook fleet plan", given=given)
    with fleet_lock(round_):
        rollup = plan_fleet(round_, sites, at_once=at_once, show=out)
    out()
    out_lines(rollup_view(rollup).text())
    out(f"round:   {round_.incident}")
    out(f"roll-up: {rollup.digest}")
    if any(each.to_approve for each in rollup.sites):
        out(f"Next: runbook fleet approve {round_.incident} {rollup.digest} --by NAME")
    return SafetyStop.exit_code if rollup.not_planned else 0


def fleet_approve_command(round_id: str, digest: str, *, by: str, reason: str, only: Sequence[str] | None) -> int:
    """Approve a roll-up; return 3 if one of its sites is no longer covered."""
    round_ = Round.open(paths.records_dir(), round_id)
    given = approve_rollup(round_, digest, by=by, reason=reason, only=tuple(only or ()))
    deletions = count(sum(len(each.deletions) for each in given.covered), "deletion")
    later = count(sum(len(each.changes) for each in given.covered), "change that may follow", "changes that may follow")
    out(f"Approved by {by.strip()}: {count(len(given.covered), 'site')}, {deletions} and {later}, roll-up {digest}")
    for each in given.covered:
        prose(f"  {each.site}: {planned_changes(each)}")
    for site, why in given.not_covered.items():
        prose(f"  NOT covered: {site}: {why}")
    run = shlex.join(("runbook", "fleet", "run", round_.opening()["given"] or round_.site, "--round", round_id))
    out(f"Next: {run}")
    return SafetyStop.exit_code if given.not_covered else 0


def fleet_run_command(
    name: str,
    *,
    round_id: str,
    only: Sequence[str] | None,
    until: str,
    waves: str,
    max_failures: str,
    at_once: int,
    **cluster: Any,
) -> int:
    """Run a round, on a ``cluster`` if its options name one, and return the exit code."""
    fleet = load_fleet(name)
    last = stage_named(until)
    fleet.chosen(only or ())
    failures = parse_share(max_failures, "--max-failures")
    rules = Rules(waves=parse_waves(waves), failures=failures, at_once=at_once)
    round_ = _round_to_run(fleet, round_id, last)
    out(f"fleet {fleet.name} · round {round_.incident}")
    start = _executor(fleet, round_, ClusterOptions(**cluster))
    report = run_fleet(round_, fleet, start, rules, out, until=last, only=tuple(only or ()))
    out()
    out_lines(outcome_view(report.outcome).text())
    prose(f"seal:    {report.seal}")
    out(f"record:  {round_.folder}")
    for line in report.refused:
        err(line)
    return report.exit_code


def _executor(fleet: Fleet, round_: Round, options: ClusterOptions) -> Callable[[], Executor]:
    """Return what starts the workers: this machine's, or those of a cluster, which is reached before anything else."""
    if fleet.records:
        require_storage(fleet.records)
    secrets = [secret for each in fleet.sites for secret in secret_references(each.site)]
    if not options.scheduler and not options.workers:
        return lambda: LocalExecutor(output_file(round_.root, round_.incident), fleet.records, secrets)
    try:
        from runbook_lib.batch.dask import DaskExecutor, connect
    except ImportError:
        raise UsageError(
            "A Dask cluster needs dask.distributed, which is not installed",
            next_step="pip install 'pi-tofu-runbook[fleet]', or leave --workers and --scheduler out",
        ) from None
    client = connect(options, secrets)
    dashboard = f" · dashboard {client.dashboard_link}" if options.scheduler and client.dashboard_link else ""
    out(f"cluster of {len(client.nthreads())} workers{dashboard}")
    return lambda: DaskExecutor(client, round_.incident, fleet.records)


def fleet_status_command(name: str, *, round_id: str, as_json: bool, map_file: str = "") -> int:
    """Show a round, and how the sites of the fleet stand by their newest incidents; return the exit code, 0.

    Raises ParameterRefused where the fleet has no round yet.
    """
    fleet = load_fleet(name)
    round_ = _round(fleet, round_id)
    if round_ is None:
        raise ParameterRefused(
            f"The fleet {fleet.name} has no round yet", next_step=f"runbook fleet plan {name} begins one"
        )
    rollup = round_.newest_rollup()
    outcome = newest_outcome(round_)
    if as_json:
        value = {"round": round_.incident, "rollup": plain_json_value(rollup), "outcome": plain_json_value(outcome)}
        out_lines(json.dumps(value, indent=2))
        return 0
    out(f"fleet {fleet.name} · round {round_.incident} · {round_.outcome() or 'not finished'}")
    if rollup:
        out_lines(rollup_view(rollup).text())
        out(f"roll-up: {rollup.digest}")
        for words, sites in approvals_of(rollup, paths.records_dir()).items():
            prose(f"approved {words}: {', '.join(sites)}")
    if outcome:
        out_lines(outcome_view(outcome).text())
    root = paths.records_dir()
    names = [each.name for each in fleet.sites]
    for held in filter(None, map(lock_refusal, (f"fleet:{fleet.name}", *names))):
        out(f"lock:    {held.what}; {held.next_step}")
    print_standings(site_statuses(past_incidents(root), names) if names else (), map_file)
    return 0


def approvals_of(rollup: Rollup, root: Path) -> dict[str, list[str]]:
    """Return who approved the plans of a roll-up, in words, each with the sites, by the records in ``root``."""
    sites: dict[str, list[str]] = {}
    for each in rollup.sites:
        try:
            record = Record.open(root, each.incident)
            words = approved_by(record, record.read_plan(each.plan))
        except (UsageError, RecordError, SafetyStop) as error:
            words = f"not known ({error.what})"
        sites.setdefault(words, []).append(each.site)
    return sites


_ENDS = dict.fromkeys(FINISHED, "good") | {SiteState.NOT_STARTED: ""}


def outcome_view(outcome: RoundOutcome) -> View[RoundOutcome]:
    """Return the table of what became of every site."""
    rows = tuple(
        Row(
            each.site,
            each.state,
            f"{each.seconds:.1f}",
            each.incident or "-",
            each.why.split("\n")[0] or "-",
            mark=_ENDS.get(each.state, "bad"),
        )
        for each in outcome.sites
    )
    counts = ", ".join(f"{number} {state}" for state, number in outcome.counts.items()) or "no sites"
    table = Table(
        title=f"Round {outcome.round}: {counts}",
        headers=("site", "outcome", "seconds", "incident", "why"),
        rows=rows,
        empty="no sites",
        note=f"Stopped early: {outcome.stopped}." if outcome.stopped else "",
    )
    return View(outcome, (table,))


def _round_to_run(fleet: Fleet, round_id: str, until: Stage) -> Round:
    """Return the round to run; what only reads begins one where there is none."""
    round_ = _round(fleet, round_id)
    if round_ is None and until in READING:
        return Round.create(paths.records_dir(), fleet.name, what="runbook fleet run")
    if round_ is None:
        raise ParameterRefused(
            f"The fleet {fleet.name} has no round yet, so nothing is approved",
            next_step="runbook fleet plan begins one",
        )
    return round_


def _round(fleet: Fleet, round_id: str) -> Round | None:
    root = paths.records_dir()
    if not round_id:
        return newest_round(root, fleet.name)
    round_ = Round.open(root, round_id)
    if round_.site != fleet.name:
        raise ParameterRefused(
            f"Round {round_id} is of fleet {round_.site}, not of {fleet.name}",
            next_step="leave --round out, or give the fleet that it is of",
        )
    return round_
