"""The commands and their options; the work is done elsewhere."""

from __future__ import annotations

from dataclasses import Field, fields
from functools import cache
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from runbook_lib import __version__
from runbook_lib.cli import ABOUT, DIAGNOSE_EXIT_CODES, EXAMPLES, DiagnoseRequest
from runbook_lib.cli.groups import Commands, JsonOption, SkinOption, fleet_app, key_app, lab_app

EXIT_CODES = """
Exit codes:
0 repaired, nothing to do, or the reading stages are done
1 failed
2 wrong parameters
3 stopped for safety; a missing approval is one such stop
4 a device did not answer, or refused
5 the record cannot be written, or does not verify
6 unknown: a change was sent and its result was not seen
7 verify and archive only: lines came after the newest seal
10, 11 diagnose only: a mismatch was found; only look-alikes
130, 143, 129 ended by Ctrl-C, SIGTERM, SIGHUP
"""

app = typer.Typer(
    help="Repair certificate mismatches (trust on first use) of Cisco Prime Infrastructure, with a true record. "
    "First, and harmless: runbook diagnose LOGS. To see it all in a lab: runbook demo.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(lab_app, name="lab")
app.add_typer(key_app, name="key")
app.add_typer(fleet_app, name="fleet")
running, plans, site_file, records, lab = (
    Commands(app, module) for module in ("running", "plans", "site_file", "records", "lab")
)


def _sites() -> list[str]:
    """Return what a shell offers where a site is asked for."""
    from runbook_lib.paths import known_sites

    return list(known_sites())


def _incidents() -> list[str]:
    """Return what a shell offers where an incident is asked for, the newest first; no record is read for it."""
    from runbook_lib.paths import records_dir
    from runbook_lib.record.incident import named_there

    return named_there(records_dir())


SITE_HELP = "A name in params/ or the path of a site's file."
SiteArgument = Annotated[str, typer.Argument(help=SITE_HELP, autocompletion=_sites)]
IncidentArgument = Annotated[str, typer.Argument(help="The incident.", autocompletion=_incidents)]
KeyOption = Annotated[
    str, typer.Option(help="The public key that must have signed it; empty: those in RUNBOOK_KEY_DIR.")
]
RecordArgument = Annotated[str, typer.Argument(help="A record's folder, or an incident.", autocompletion=_incidents)]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"runbook {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@running.command(
    epilog="Examples: runbook run lab · runbook run berlin --until 20 · runbook run berlin --approve DIGEST"
)
def run(
    site: SiteArgument,
    incident: Annotated[
        str, typer.Option(help="Continue this incident; empty: the site's open one, or a new one.")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Refuse to open a new incident: there must be an open one.")
    ] = False,
    until: Annotated[str, typer.Option(help="The last stage to run, by number or name, such as 20.")] = "70",
    approve: Annotated[str, typer.Option(help="The digest of the plan that you approve.")] = "",
    expect: Annotated[
        str,
        typer.Option(help="Known of a new certificate by another way, as in secondary=sha256:DIGITS; ise=csr:FILE."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make the plan, show it, and say what a run would do; change nothing.")
    ] = False,
) -> None:
    """Run the stages in order for one site, as notebooks, in one incident."""


@plans.command(epilog="Examples: runbook plan berlin · runbook plan 20261123T120000Z-berlin-1a2b --json")
def plan(
    which: Annotated[str, typer.Argument(help="A site: its open incident, else its newest. Or an incident.")],
    as_json: JsonOption = False,
) -> None:
    """Show the newest plan: every change, its reasons, what blocks it, who approved it. Contacts nothing."""


@plans.command(epilog="Examples: runbook status · runbook status berlin")
def status(
    site: Annotated[
        str, typer.Argument(help=f"{SITE_HELP[:-1]}; empty: every site, one line each.", autocompletion=_sites)
    ] = "",
) -> None:
    """Show where a site's incident stands, what is still open, and the next command. Contacts nothing."""


def _diagnose(**given: Any) -> None:
    from runbook_lib.cli.diagnosing import diagnose_command

    raise typer.Exit(diagnose_command(DiagnoseRequest.of(given)))


def _parameter(each: Field[Any]) -> Parameter:
    """Return a field of ``DiagnoseRequest`` as Typer knows an argument or an option."""
    about = each.metadata["help"]
    info: Any = typer.Option(f"--{each.name}", help=about)
    if each.name == "path":
        info = typer.Argument(metavar=f"{each.metadata['form']}...", help=about)
    several = isinstance(each.default, tuple)
    kind: Any = Annotated[list[str] | None if several else type(each.default), info]
    return Parameter(each.name, Parameter.KEYWORD_ONLY, default=None if several else each.default, annotation=kind)


_diagnose.__signature__ = Signature(list(map(_parameter, fields(DiagnoseRequest))))  # type: ignore[attr-defined]
app.command("diagnose", help=ABOUT, epilog=f"{EXAMPLES} | {DIAGNOSE_EXIT_CODES}")(_diagnose)


@site_file.command(epilog="Example: runbook new berlin")
def new(site: Annotated[str, typer.Argument(help="The new site's name; the file is NAME.yaml in params/.")]) -> None:
    """Set up a new site: ask on the terminal, look at its servers, write its file. Never overwrites a file."""


@site_file.command(epilog="Examples: runbook check berlin · runbook check berlin --live")
def check(
    site: SiteArgument,
    live: Annotated[bool, typer.Option("--live", help="Ask every server too: host key, login, release.")] = False,
) -> None:
    """Validate a site's file; with --live, also check that every server answers, is pinned, and runs 3.5 or later."""


@plans.command(epilog="Example: runbook approve 20261123T120000Z-berlin-1a2b 3f6c… --by 'Ada Example'")
def approve(
    incident: IncidentArgument,
    digest: Annotated[
        str, typer.Argument(help="The plan's digest; on a terminal its first 12 digits are enough, or leave it out.")
    ] = "",
    by: Annotated[str, typer.Option(help="Who approves; on a terminal, you by default.")] = "",
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
) -> None:
    """Show an incident's plan and approve it; on a terminal it asks. Nothing is sent; the next run carries it out."""


@plans.command(
    epilog="Example: runbook override 20261123T120000Z-berlin-1a2b primary 192.0.2.20_8082 --sha256 3f6c…"
    " --by 'Ada Example' --reason 'seen on its console' --accept 'nobody has confirmed this certificate'"
)
def override(
    incident: IncidentArgument,
    server: Annotated[str, typer.Argument(help="The server whose list holds the entry: primary or secondary.")],
    entry: Annotated[str, typer.Argument(help="The entry as it is listed, HOST_PORT.")],
    sha256: Annotated[str, typer.Option(help="The certificate that is presented now, all 64 digits.")],
    by: Annotated[str, typer.Option(help="Who takes the responsibility.")],
    reason: Annotated[str, typer.Option(help="Why, in a few words.")],
    accept: Annotated[str, typer.Option(help="In full words: nobody has confirmed this certificate.")],
) -> None:
    """Let one entry be deleted although its verdict is unconfirmed; the outcome is at best repaired_unverified."""


@records.command(
    epilog="Example: runbook close 20261123T120000Z-berlin-1a2b --by 'Ada Example' --reason 'PI was replaced'"
)
def close(
    incident: IncidentArgument,
    by: Annotated[str, typer.Option(help="Who closes it; on a terminal, you by default.")] = "",
    reason: Annotated[str, typer.Option(help="Why it will not be finished, in a few words.")] = "",
) -> None:
    """Close an incident that will not be finished; on a terminal it asks. The next run of its site opens a new one."""


@plans.command(epilog="Example: runbook unlock berlin --holder 1a2b3c")
def unlock(
    site: SiteArgument, holder: Annotated[str, typer.Option(help="The holder, as the refusal names it.")]
) -> None:
    """Free the lock that a dead run left behind; names its holder."""


@records.command(
    epilog="Examples: runbook verify 20261123T120000Z-berlin-1a2b · runbook verify FOLDER --key ada.pub.pem"
)
def verify(
    record: RecordArgument,
    key: KeyOption = "",
    tsa: Annotated[
        str, typer.Option(help="The certificate of the time-stamping authority; empty: those in RUNBOOK_KEY_DIR.")
    ] = "",
) -> None:
    """Check a record, or an archive of one: signature, manifest, journal, every file; and name what was changed."""


@records.command(
    epilog="Examples: runbook archive 20261123T120000Z-berlin-1a2b · runbook archive FOLDER --to ticket-4711.zip"
)
def archive(
    record: RecordArgument,
    to: Annotated[str, typer.Option(help="The file to write; empty: the incident's name with .zip, here.")] = "",
    key: KeyOption = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Pack also a record that is in use, or that does not verify.")
    ] = False,
) -> None:
    """Pack a record into one file and check that file; nothing is removed."""


@records.command(
    epilog="Examples: runbook history · runbook history --site berlin --since 2026-11-01 --search prime-sec"
)
def history(
    site: Annotated[str, typer.Option(help="Of this site only.")] = "",
    outcome: Annotated[str, typer.Option(help="With this outcome only; or one of open, damaged.")] = "",
    since: Annotated[str, typer.Option(help="Opened then or later: 2026-11-01, or 2026-11-01T12:30 (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Opened then or earlier.")] = "",
    search: Annotated[str, typer.Option(help='Text in the record; "two words" stand together.')] = "",
    last: Annotated[int, typer.Option(min=0, help="At most this many, the newest first; 0: all.")] = 50,
    as_json: JsonOption = False,
    sites: Annotated[
        bool, typer.Option("--sites", help="Show how each site stands instead, the first to expire on top.")
    ] = False,
    map_file: Annotated[str, typer.Option("--map", help="Write the map of the sites to this file, as SVG.")] = "",
) -> None:
    """List the incidents of this machine's records, the newest first."""


@records.command(
    epilog="Examples: runbook report 20261123T120000Z-berlin-1a2b · runbook report FOLDER --pdf --out TICKET"
)
def report(
    record: RecordArgument,
    html: Annotated[bool, typer.Option("--html", help="Write the HTML page.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write the PDF.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the Markdown.")] = False,
    folder: Annotated[
        str, typer.Option("--out", help="The folder to write to; empty: report/ of an unsealed record, else here.")
    ] = "",
) -> None:
    """Write the post-mortem of a record as HTML, PDF and Markdown, or only the forms you ask for."""


@lab.command(epilog="Example: runbook demo")
def demo(skin: SkinOption = "") -> None:
    """Start a lab with the incident in it, repair it, and show what the lab itself saw."""


@lab.command(epilog="Examples: runbook notebook berlin · runbook notebook lab")
def notebook(site: SiteArgument = "lab") -> None:
    """Open JupyterLab for a site on 00_start_here, until Ctrl-C; nothing is contacted before a cell is run."""


@app.command("paths", epilog='Examples: runbook paths · ls "$(runbook paths notebooks)"')
def show_paths(which: Annotated[str, typer.Argument(help="One of them alone, such as notebooks.")] = "") -> None:
    """Print the full path of everything: notebooks, examples, documents, your sites, records, the key."""
    from runbook_lib import paths
    from runbook_lib.cli.terminal import out
    from runbook_lib.errors import ParameterRefused

    places = {
        "notebooks": paths.notebooks_dir(),
        "examples": paths.examples_dir(),
        "documents": paths.docs_dir(),
        "sites": paths.params_dir(),
        "records": paths.records_dir(),
        "copies": paths.work_dir(),
        "key": paths.key_dir(),
        "lab": paths.lab_dir(),
    }
    if which and which not in places:
        raise ParameterRefused(f"There is no path named {which!r}", next_step=f"one of: {', '.join(places)}")
    for name, place in places.items():
        if which in ("", name):
            out(str(place) if which else f"{name + ':':<11}{place}")


_VALUES = {"bool": "", "str": "TEXT", "list[str]": "TEXT", "int": "N", "float": "N"}
"""What stands for an option's value in the help, by the name of its type, which Typer would show; a flag takes none."""


@cache
def whole_command() -> Any:
    """Return all commands, whose help says what they take in words and not in types of Python."""
    root = typer.main.get_command(app)
    commands: list[Any] = [root]
    for each in commands:
        commands += getattr(each, "commands", {}).values()
        for option in (*each.params, each.get_help_option(typer.Context(each))):
            if option.param_type_name == "argument":
                option.display_type_rich = lambda **_: None  # its name and its words say what it is
            elif option.metavar is None:
                option.metavar = _VALUES.get(option.bare_type())
    return root
