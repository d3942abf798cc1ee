"""``runbook fleet``: the commands and their options; the work is done elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

fleet_app = typer.Typer(help="Many sites in one evening.", no_args_is_help=True)

FleetArgument = Annotated[
    str, typer.Argument(help="A name in params/, a fleet's file, or the folder of a nornir inventory.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SiteOption = Annotated[list[str] | None, typer.Option(help="This site alone; may be given several times.")]
RoundOption = Annotated[str, typer.Option("--round", help="The round; empty: the fleet's newest one.")]


@fleet_app.command("triage", epilog="Examples: runbook fleet triage evening · runbook fleet triage inventory/ --json")
def triage(
    fleet: FleetArgument,
    json: JsonOption = False,
    site: SiteOption = None,
    days: Annotated[int, typer.Option(help="Show certificates that expire within so many days.")] = 90,
    processes: Annotated[int, typer.Option(min=1, help="Processes that ask.")] = 2,
    at_once: Annotated[int, typer.Option(min=1, help="Sites that each process asks at a time.")] = 25,
    phase_s: Annotated[float, typer.Option(help="Seconds for each phase of a site.")] = 20.0,
) -> None:
    """Ask every site, read-only and without a kernel: stores, certificates, HA states, logs where they are at hand."""
    from runbook_lib.batch.triage import TriageLimits
    from runbook_lib.cli.fleet import triage_command

    limits = TriageLimits(processes=processes, at_once=at_once, phase_s=phase_s)
    raise typer.Exit(triage_command(fleet, limits, only=tuple(site or ()), days=days, as_json=json))


@fleet_app.command("plan", epilog="Example: runbook fleet plan evening")
def plan(
    fleet: FleetArgument,
    site: SiteOption = None,
    at_once: Annotated[int, typer.Option(min=1, help="Sites that are planned at a time.")] = 8,
) -> None:
    """Begin a round: one plan per site, each in an incident of its site, and one digest over all of them."""
    from runbook_lib.cli.fleet import plan_command

    raise typer.Exit(plan_command(fleet, only=tuple(site or ()), at_once=at_once))


@fleet_app.command(
    "approve", epilog="Example: runbook fleet approve fleet-20261123T200000Z-evening-1a2b 3f6c… --by Ada"
)
def approve(
    round: Annotated[str, typer.Argument(help="The round, as the plan named it.")],  # noqa: A002 - its name is shown
    digest: Annotated[str, typer.Argument(help="The roll-up's digest, all 64 digits.")],
    by: Annotated[str, typer.Option(help="Who approves.")],
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    site: SiteOption = None,
) -> None:
    """Approve the plans of a round by the roll-up's digest, all or single sites of it. Nothing is sent."""
    from runbook_lib.cli.fleet import approve_command

    raise typer.Exit(approve_command(round, digest, by=by, reason=reason, only=tuple(site or ())))


@fleet_app.command("run", epilog="Examples: runbook fleet run evening · runbook fleet run evening --waves 1,5,20%")
def run(
    fleet: FleetArgument,
    round_id: RoundOption = "",
    site: SiteOption = None,
    until: Annotated[str, typer.Option(help="The last stage to run, by number or name, as 20.")] = "70",
    waves: Annotated[str, typer.Option(help="Sizes of the waves; the last one is repeated.")] = "1,5,20%",
    max_failures: Annotated[str, typer.Option(help="Stop after so many failures, as 2 or 5%.")] = "1",
    at_once: Annotated[int, typer.Option(min=1, help="Sites that are run at a time.")] = 4,
    workers: Annotated[
        int, typer.Option(min=0, help="Run on a local Dask cluster of so many processes; 0: without one.")
    ] = 0,
    scheduler: Annotated[str, typer.Option(help="Run on this Dask cluster, as tls://HOST:8786.")] = "",
    tls_ca: Annotated[str, typer.Option(help="The CA of the cluster, a PEM file.")] = "",
    tls_cert: Annotated[str, typer.Option(help="Our certificate for the cluster, a PEM file.")] = "",
    tls_key: Annotated[str, typer.Option(help="Its key, a PEM file.")] = "",
    allow_plain: Annotated[
        bool, typer.Option("--allow-plain", help="Talk to a scheduler without TLS that nobody else can reach.")
    ] = False,
) -> None:
    """Run the stages of each approved site, in waves; run again, it takes up what is not finished."""
    from runbook_lib.cli.fleet import RunOptions, run_command

    options = RunOptions(
        round_id=round_id,
        only=tuple(site or ()),
        until=until,
        waves=waves,
        max_failures=max_failures,
        at_once=at_once,
        workers=workers,
        scheduler=scheduler,
        tls=(tls_ca, tls_cert, tls_key),
        allow_plain=allow_plain,
    )
    raise typer.Exit(run_command(fleet, options))


@fleet_app.command("status", epilog="Example: runbook fleet status evening")
def status(
    fleet: FleetArgument,
    round_id: RoundOption = "",
    json: JsonOption = False,
    map_file: Annotated[str, typer.Option("--map", help="Write the map of the sites to this file, as SVG.")] = "",
) -> None:
    """Show how a round stands: its plans, what became of every site, and what expires next."""
    from runbook_lib.cli.fleet import status_command

    raise typer.Exit(status_command(fleet, round_id=round_id, as_json=json, map_file=map_file))
