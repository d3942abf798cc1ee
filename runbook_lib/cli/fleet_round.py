"""``runbook fleet plan``, ``approve``, ``run`` and ``status``: a round from its plan to its signed roll-up."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runbook_lib import places
from runbook_lib.cli.fleet_triage import chosen
from runbook_lib.cli.past import tell_standings
from runbook_lib.cli.running import stage_named
from runbook_lib.cli.terminal import err, out, out_lines
from runbook_lib.errors import OutcomeUnknown, ParameterRefused, RecordError, SafetyStop, UsageError
from runbook_lib.fleet.approving import approve_rollup
from runbook_lib.fleet.executor import Executor
from runbook_lib.fleet.going import Rules
from runbook_lib.fleet.inventory import load_fleet
from runbook_lib.fleet.local import LocalExecutor
from runbook_lib.fleet.outcome import RoundOutcome, exit_code, newest_outcome
from runbook_lib.fleet.planning import newest_rollup, plan_fleet
from runbook_lib.fleet.rollup import PlannedSite, Rollup
from runbook_lib.fleet.round import Round, newest_round
from runbook_lib.fleet.running import FleetReport, fleet_lock, run_fleet
from runbook_lib.fleet.sites import Fleet
from runbook_lib.fleet.storage import require_storage
from runbook_lib.fleet.task import FINISHED, SiteState
from runbook_lib.fleet.waves import parse_share, parse_waves
from runbook_lib.history import past_incidents
from runbook_lib.history.standings import standings
from runbook_lib.models import Stage
from runbook_lib.params import secret_references
from runbook_lib.prime import DELETE_TOFU
from runbook_lib.record.facts import plain_json_value
from runbook_lib.views import Row, Table, View


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What ``runbook fleet run`` was given, as it was typed."""

    round_id: str = ""
    only: tuple[str, ...] = ()
    until: str = "70"
    waves: str = "1,5,20%"
    max_failures: str = "1"
    at_once: int = 4
    workers: int = 0
    scheduler: str = ""
    tls: tuple[str, str, str] = ("", "", "")
    allow_plain: bool = False


def plan_command(name: str, *, only: tuple[str, ...], at_once: int) -> int:
    """Begin a round and plan its sites; return 3 where a site has no plan that could be carried out."""
    fleet = load_fleet(name)
    sites = chosen(fleet, only)
    given = str(Path(name).absolute()) if Path(name).exists() else name  # the next commands work from any folder
    round_ = Round.create(places.records_dir(), fleet.name, what="runbook fleet plan", given=given)
    with fleet_lock(round_):
        rollup = plan_fleet(round_, sites, at_once=at_once, tell=_tell)
    out()
    out_lines(rollup_view(rollup).text())
    out(f"round:   {round_.incident}")
    out(f"roll-up: {rollup.digest}")
    if any(each.deletions for each in rollup.sites):
        out(f"Next: runbook fleet approve {round_.incident} {rollup.digest} --by NAME")
    return SafetyStop.exit_code if rollup.not_planned else 0


def approve_command(round_id: str, digest: str, *, by: str, reason: str, only: tuple[str, ...]) -> int:
    """Approve a roll-up; return 3 where a site of it is not covered any more."""
    round_ = Round.open(places.records_dir(), round_id)
    found = approve_rollup(round_, digest, by=by, reason=reason, only=only)
    count = sum(len(each.deletions) for each in found.covered)
    out(f"Approved by {by.strip()}: {len(found.covered)} sites, {count} deletions, roll-up {digest}")
    for each in found.covered:
        out(f"  {each.site}: {_deletions(each)}")
    for site, why in found.not_covered.items():
        out(f"  NOT covered: {site}: {why}")
    run = shlex.join(("runbook", "fleet", "run", round_.opening()["given"] or round_.site, "--round", round_id))
    out(f"Next: {run}")
    return SafetyStop.exit_code if found.not_covered else 0


def run_command(name: str, options: RunOptions) -> int:
    """Run a round and return the exit code."""
    fleet = load_fleet(name)
    until = stage_named(options.until)
    chosen(fleet, options.only)
    rules = Rules(
        waves=parse_waves(options.waves),
        failures=parse_share(options.max_failures, "--max-failures"),
        at_once=options.at_once,
    )
    round_ = _round_to_run(fleet, options.round_id, until)
    out(f"fleet {fleet.name} · round {round_.incident}")
    start = _executor(fleet, round_, options)
    report = run_fleet(round_, fleet, start, rules, _tell, until=until, only=options.only)
    out()
    out_lines(outcome_view(report.outcome).text())
    out(f"seal:    {report.seal}")
    out(f"record:  {round_.folder}")
    for line in report.refused:
        err(line)
    return _exit_code(report)


def _executor(fleet: Fleet, round_: Round, options: RunOptions) -> Callable[[], Executor]:
    """Return what starts the workers: this machine's, or those of a cluster, which is reached before anything else."""
    if fleet.records:
        require_storage(fleet.records)
    secrets = [secret for each in fleet.sites for secret in secret_references(each.site)]
    if not options.scheduler and not options.workers:
        return lambda: LocalExecutor(_output(round_), fleet.records, secrets)
    try:
        from runbook_lib.fleet.dask_cluster import ClusterOptions, DaskExecutor, connect
    except ImportError:
        raise UsageError(
            "A Dask cluster needs dask.distributed, which is not installed",
            next_step="pip install 'pi-tofu-runbook[fleet]', or leave --workers and --scheduler out",
        ) from None
    ca, cert, key = options.tls
    client = connect(
        ClusterOptions(
            scheduler=options.scheduler,
            workers=options.workers,
            tls_ca=ca,
            tls_cert=cert,
            tls_key=key,
            plain=options.allow_plain,
        ),
        secrets,
    )
    dashboard = f" · dashboard {client.dashboard_link}" if options.scheduler and client.dashboard_link else ""
    out(f"cluster of {len(client.nthreads())} workers{dashboard}")
    return lambda: DaskExecutor(client, round_.incident, fleet.records)


def status_command(name: str, *, round_id: str, as_json: bool, map_file: str = "") -> int:
    """Show a round, and how the sites of the fleet stand by their newest incidents."""
    fleet = load_fleet(name)
    round_ = _round(fleet, round_id)
    if round_ is None:
        raise ParameterRefused(
            f"The fleet {fleet.name} has no round yet", next_step=f"runbook fleet plan {name} begins one"
        )
    rollup, outcome = newest_rollup(round_), newest_outcome(round_)
    if as_json:
        value = {"round": round_.incident, "rollup": plain_json_value(rollup), "outcome": plain_json_value(outcome)}
        out_lines(json.dumps(value, indent=2))
        return 0
    out(f"fleet {fleet.name} · round {round_.incident} · {round_.outcome() or 'not finished'}")
    if rollup:
        out_lines(rollup_view(rollup).text())
        out(f"roll-up: {rollup.digest}")
    if outcome:
        out_lines(outcome_view(outcome).text())
    root = places.records_dir()
    names = [each.name for each in fleet.sites]
    tell_standings(standings(past_incidents(root), names) if names else (), map_file)
    return 0


def rollup_view(rollup: Rollup) -> View[Rollup]:
    """Return the table of a roll-up: each site with its plan, and those without one with the reason."""
    rows = [Row(cells=(each.site, each.incident, each.plan[:16] + "…", _deletions(each))) for each in rollup.sites]
    rows += [
        Row(cells=(each.site, each.incident or "-", "none", each.why), mark="bad" if each.contradicted else "")
        for each in rollup.not_planned
    ]
    impostors = sum(each.contradicted for each in rollup.not_planned)
    note = f"{impostors} sites with a contradicted certificate: a suspected interception." if impostors else ""
    table = Table(
        title=f"Roll-up of {len(rollup.sites)} plans; {len(rollup.not_planned)} sites are not covered",
        headers=("site", "incident", "plan", "what would be deleted, or why nothing is"),
        rows=tuple(rows),
        empty="no sites",
        note=note,
    )
    return View(rollup, (table,))


def _deletions(each: PlannedSite) -> str:
    """Return the entries that would be deleted; the commands are in the plan."""
    command = DELETE_TOFU.format(key="")
    return "; ".join(line.replace(command, "") for line in each.deletions) or "nothing to delete"


def outcome_view(found: RoundOutcome) -> View[RoundOutcome]:
    """Return the table of what became of every site."""
    rows = tuple(
        Row(
            cells=(each.site, each.state, f"{each.seconds:.1f}", each.incident or "-", each.why.split("\n")[0] or "-"),
            mark="good" if each.state in FINISHED else "" if each.state is SiteState.NOT_STARTED else "bad",
        )
        for each in found.sites
    )
    counts = ", ".join(f"{number} {state}" for state, number in found.counts.items()) or "no sites"
    table = Table(
        title=f"Round {found.round}: {counts}",
        headers=("site", "outcome", "seconds", "incident", "why"),
        rows=rows,
        empty="no sites",
        note=f"Stopped early: {found.stopped}." if found.stopped else "",
    )
    return View(found, (table,))


def _round_to_run(fleet: Fleet, round_id: str, until: Stage) -> Round:
    """Return the round to run; what only reads begins one where there is none."""
    found = _round(fleet, round_id)
    if found is None and until in (Stage.START, Stage.DIAGNOSE, Stage.LIST):
        return Round.create(places.records_dir(), fleet.name, what="runbook fleet run")
    if found is None:
        raise ParameterRefused(
            f"The fleet {fleet.name} has no round yet, so nothing is approved",
            next_step="runbook fleet plan begins one",
        )
    return found


def _round(fleet: Fleet, round_id: str) -> Round | None:
    root = places.records_dir()
    if not round_id:
        return newest_round(root, fleet.name)
    found = Round.open(root, round_id)
    if found.site != fleet.name:
        raise ParameterRefused(
            f"Round {round_id} is of fleet {found.site}, not of {fleet.name}",
            next_step="leave --round out, or give the fleet that it is of",
        )
    return found


def _output(round_: Round) -> Path:
    """Where what the workers print goes that nobody asked for; it is no part of the record."""
    folder = round_.root / ".fleet"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{round_.incident}.log"


def _exit_code(report: FleetReport) -> int:
    """Return what became of the sites; that the run was asked to end outweighs all but a result that is unknown."""
    code = exit_code(report.outcome) or (RecordError.exit_code if report.refused else 0)
    return code if report.signum is None or code == OutcomeUnknown.exit_code else 128 + report.signum


def _tell(sentence: str) -> None:
    out(sentence)
