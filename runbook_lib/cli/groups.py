"""The commands in groups, ``runbook fleet``, ``lab`` and ``key``, and their options; the work is done elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Annotated, Any, Literal, get_args

import typer


class Commands:
    """Declares commands of a group whose work is done by functions of one module of ``runbook_lib.cli``.

    What ``plan`` declares is handed by its names to ``plan_command`` there, whose number, if any, is the exit code. The
    module is loaded when the command is called, so that ``--help`` is quick.
    """

    def __init__(self, group: typer.Typer, module: str) -> None:
        self.group, self._module = group, module

    def command(self, *name: str, **about: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Return the decorator; ``name`` and ``about`` are as in ``Typer.command``."""

        def declare(declared: Callable[..., None]) -> Callable[..., None]:
            @wraps(declared)
            def carry_out(**given: Any) -> None:
                raise typer.Exit(self.function_of(declared.__name__)(**given) or 0)

            return self.group.command(*name, **about)(carry_out)

        return declare

    def function_of(self, declared: str) -> Any:
        """Return the function that carries out what is declared by this name."""
        return getattr(import_module(f"runbook_lib.cli.{self._module}"), f"{declared}_command")


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

# -- ``runbook fleet``: many sites in one evening --------------------------------------------------

fleet_app = typer.Typer(help="Work through many sites in one evening.", no_args_is_help=True)
of_fleets = Commands(fleet_app, "fleet")

FleetArgument = Annotated[
    str,
    typer.Argument(metavar="fleet", help="A name in params/, a fleet's file, or the folder of a nornir inventory."),
]
SiteOption = Annotated[list[str] | None, typer.Option("--site", help="This site alone; may be given several times.")]
RoundOption = Annotated[str, typer.Option("--round", help="The round; empty: the fleet's newest one.")]


@of_fleets.command("triage", epilog="Examples: runbook fleet triage evening · runbook fleet triage inventory/ --json")
def fleet_triage(
    name: FleetArgument,
    as_json: JsonOption = False,
    only: SiteOption = None,
    days: Annotated[int, typer.Option(help="Show certificates that expire within this many days.")] = 90,
    processes: Annotated[int, typer.Option(min=1, help="How many processes ask.")] = 2,
    at_once: Annotated[int, typer.Option(min=1, help="How many sites each process asks at a time.")] = 25,
    phase_s: Annotated[float, typer.Option(min=1, max=3600, help="Seconds for each phase of a site.")] = 20.0,
) -> None:
    """Ask every site, read-only and without a kernel: stores, certificates, HA states, and logs where there are any."""


@of_fleets.command("plan", epilog="Example: runbook fleet plan evening")
def fleet_plan(
    name: FleetArgument,
    only: SiteOption = None,
    at_once: Annotated[int, typer.Option(min=1, help="How many sites are planned at a time.")] = 8,
) -> None:
    """Begin a round: one plan per site, each in an incident of its site, and one digest over all of them."""


@of_fleets.command(
    "approve", epilog="Example: runbook fleet approve fleet-20261123T200000Z-evening-1a2b 3f6c… --by Ada"
)
def fleet_approve(
    round_id: Annotated[str, typer.Argument(metavar="round", help="The round, as the plan named it.")],
    digest: Annotated[str, typer.Argument(help="The roll-up's digest, all 64 digits.")],
    by: Annotated[str, typer.Option(help="Who approves.")],
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    only: SiteOption = None,
) -> None:
    """Approve the plans of a round by the roll-up's digest, for all sites or some. Nothing is sent."""


@of_fleets.command("run", epilog="Examples: runbook fleet run evening · runbook fleet run evening --waves 1,5,20%")
def fleet_run(
    name: FleetArgument,
    round_id: RoundOption = "",
    only: SiteOption = None,
    until: Annotated[str, typer.Option(help="The last stage to run, by number or name, such as 20.")] = "70",
    waves: Annotated[str, typer.Option(help="Sizes of the waves; the last one is repeated.")] = "1,5,20%",
    max_failures: Annotated[str, typer.Option(help="Stop after this many failures, such as 2 or 5%.")] = "1",
    at_once: Annotated[int, typer.Option(min=1, help="How many sites are run at a time.")] = 4,
    workers: Annotated[
        int, typer.Option(min=0, help="Run on a local Dask cluster of this many processes; 0: no cluster.")
    ] = 0,
    scheduler: Annotated[str, typer.Option(help="Run on this Dask cluster, such as tls://HOST:8786.")] = "",
    tls_ca: Annotated[str, typer.Option(help="The CA of the cluster, a PEM file.")] = "",
    tls_cert: Annotated[str, typer.Option(help="Our certificate for the cluster, a PEM file.")] = "",
    tls_key: Annotated[str, typer.Option(help="Its key, a PEM file.")] = "",
    plain: Annotated[
        bool, typer.Option("--allow-plain", help="Allow a scheduler without TLS, where nobody else can reach it.")
    ] = False,
) -> None:
    """Run the stages of each approved site, in waves; run it again to continue what is not finished."""


@of_fleets.command("status", epilog="Example: runbook fleet status evening")
def fleet_status(
    name: FleetArgument,
    round_id: RoundOption = "",
    as_json: JsonOption = False,
    map_file: Annotated[str, typer.Option("--map", help="Write the map of the sites to this file, as SVG.")] = "",
) -> None:
    """Show how a round stands: its plans, how every site ended, and what expires next."""


# -- ``runbook lab``: the embedded lab -----------------------------------------------------------

lab_app = typer.Typer(
    help="Run the lab: a simulated primary, secondary and ISE server on loopback.", no_args_is_help=True
)
of_labs = Commands(lab_app, "lab")

Scenario = Literal["healthy", "renewed", "renewed-secondary-only", "renewed-ise-only", "after-redeploy"]
Addresses = Literal["auto", "block", "single"]
# With short metavars the names of options are whole at 80 columns.
ScenarioOption = Annotated[
    Scenario, typer.Option(metavar="NAME", help=f"The state in which the lab begins: {', '.join(get_args(Scenario))}.")
]
IntervalOption = Annotated[float, typer.Option(metavar="N", help="Seconds between a Health Monitor's connections.")]
RegistrationOption = Annotated[float, typer.Option(metavar="N", help="Seconds that an HA registration takes.")]
SkinOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How the lab's web pages are built: forms, tables, spa or dojo, with its settings if any, such as "
        "dojo?menu=title&grid=table. Without it dojo, or forms where Dojo is not installed.",
        show_default=False,
    ),
]


@of_labs.command(
    "up", epilog="Examples: runbook lab up · runbook lab up --scenario renewed-ise-only --skin spa --no-forwarding"
)
def lab_up(
    scenario: ScenarioOption = "renewed",
    monitor_interval_s: IntervalOption = 1.0,
    registration_s: RegistrationOption = 3.0,
    skin: SkinOption = "",
    addresses: Annotated[
        Addresses,
        typer.Option(
            metavar="HOW",
            help="auto, block or single: an address for each server (block), or all on 127.0.0.1 (single).",
        ),
    ] = "auto",
    forwarding: Annotated[bool, typer.Option(help="Whether the SSH servers forward connections.")] = True,
) -> None:
    """Start the lab as a process of its own; params/lab.yaml takes the same options."""


@of_labs.command("fleet", epilog="Example: runbook lab fleet --sites 20 --scenario renewed")
def lab_fleet(
    sites: Annotated[int, typer.Option(min=1, help="How many sites.")] = 3,
    scenario: ScenarioOption = "renewed",
    monitor_interval_s: IntervalOption = 5.0,
    registration_s: RegistrationOption = 3.0,
) -> None:
    """Simulate many sites in this process until Ctrl-C, and print the path of the fleet's file."""


@of_labs.command("status", epilog="Example: runbook lab status --json")
def lab_status(as_json: JsonOption = False) -> None:
    """Show what the lab holds: addresses, HA states, stores, presented certificates."""


@of_labs.command("down", epilog="Example: runbook lab down")
def lab_down() -> None:
    """End the lab."""


@of_labs.command("renew", epilog="Example: runbook lab renew secondary")
def lab_renew(who: Annotated[str, typer.Argument(help="primary, secondary or ise.")]) -> None:
    """Give a server of the running lab a new key and certificate: the incident begins."""


@of_labs.command("jupyter", epilog="Example: runbook lab jupyter")
def lab_jupyter() -> None:
    """Start the lab and open JupyterLab on 00_start_here; Ctrl-C ends both."""


# -- ``runbook key``: the key that signs records ---------------------------------------------------

key_app = typer.Typer(help="Make and show the key that signs records.", no_args_is_help=True)
of_keys = Commands(key_app, "records")


@of_keys.command("new", epilog="Example: runbook key new")
def key_new() -> None:
    """Make the key that signs records from now on, in RUNBOOK_KEY_DIR; never replaces one."""


@of_keys.command("show", epilog="Example: runbook key show")
def key_show() -> None:
    """Print the public key and its id."""
