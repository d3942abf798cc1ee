"""``runbook lab``, ``notebook`` and ``demo``: the embedded lab, JupyterLab, and a repair from end to end in the lab."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runbook_lib import lab, paths
from runbook_lib.cli.terminal import out, out_lines, prose
from runbook_lib.errors import ParameterRefused, RepairFailed
from runbook_lib.i18n.language import font_hint
from runbook_lib.lab.errors import LabOptionInvalid
from runbook_lib.lab.pages.dojo import INSTALL, has_dojo
from runbook_lib.lab.pages.skins import skin_named
from runbook_lib.logs.conclusions import verdict
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.models import PI_SERVERS
from runbook_lib.notebook import workspace
from runbook_lib.notebook.runbook import sign_of
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.observations import Diagnosis
from runbook_lib.params.load import load_site, load_site_or_lab
from runbook_lib.params.model import LabRequest, Site
from runbook_lib.processes import operator
from runbook_lib.record.incident import Record
from runbook_lib.show import tables
from runbook_lib.show.document import Row, Table
from runbook_lib.show.rendering import View, room

# -- ``runbook lab``: the embedded lab as people and scripts use it --------------------------------


@contextmanager
def lab_errors() -> Iterator[None]:
    """The lab's errors as the command line's. Raises ParameterRefused in their place."""
    try:
        yield
    except lab.LabError as error:
        raise ParameterRefused(str(error), where=str(paths.lab_dir())) from None


def lab_up_command(**options: Any) -> None:
    """Start the lab and say where its site's file is."""
    with lab_errors():
        skin = checked_skin(options["skin"])
        state = lab.up(paths.lab_dir(), lab.LabOptions.from_dict({**options, "skin": skin}))
    out_lines(status_view(state).text())
    out(f"site: {paths.lab_dir() / 'site.yaml'}")


def checked_skin(words: str) -> str:
    """Return how the lab's pages are built, knobs included, as in ``dojo?grid=table``.

    Without words that is of real widgets; where those are not on this machine say so, and return the plainest one.
    Raises LabOptionInvalid for a skin that the lab does not have, or a knob that its skin does not have.
    """
    if words:
        try:
            skin_named(words)
        except ValueError as error:
            raise LabOptionInvalid(str(error)) from None
        return words
    if has_dojo():
        return "dojo"
    out(f"Not on this machine: {INSTALL}.")
    out()
    return "forms"


def lab_fleet_command(sites: int, **options: Any) -> None:
    """Simulate so many sites until this process is told to end."""
    from runbook_lib.lab.many import ManyLabs

    with lab_errors(), ManyLabs(paths.lab_dir() / "fleet", sites, **options) as many:
        out(f"{sites} sites are up, until Ctrl-C.")
        out(f"fleet: {many.fleet_file}")
        out(f"Next, elsewhere: runbook fleet triage {many.fleet_file}")
        threading.Event().wait()


def lab_status_command(*, as_json: bool) -> None:
    """Show the lab's state."""
    with lab_errors():
        state = lab.status(paths.lab_dir())
    out_lines(json.dumps(state, indent=2) if as_json else status_view(state).text())


def lab_down_command() -> None:
    """End the lab."""
    with lab_errors():
        lab.down(paths.lab_dir())
    out("The lab is down.")


def lab_renew_command(who: str) -> None:
    """Renew one server's certificate."""
    with lab_errors():
        state = lab.renew(paths.lab_dir(), who)
    out_lines(status_view(state).text())


def status_view(state: dict[str, Any]) -> View[dict[str, Any]]:
    """Return the lab's state as tables: the servers, and every entry beside what its host presents now."""
    return View(state, (_hosts(state), trust_table(state)))


def _hosts(state: dict[str, Any]) -> Table:
    rows = tuple(
        Row(
            name,
            server["address"],
            ", ".join(f"{use} {port}" for use, port in server["ports"].items()),
            server.get("ha_state", "-"),
            server["presents_sha256"][:16] + "…",
        )
        for name, server in state["servers"].items()
    )
    return Table(
        title=f"Lab, scenario {state['options']['scenario']}, process {state['pid']}",
        headers=("server", "address", "ports", "HA", "presents (SHA-256)"),
        rows=rows,
        note=f"ISE servers in the primary's list: {ise_words(state)}",
    )


def ise_words(state: dict[str, Any]) -> str:
    """The primary's list of ISE servers, in words."""
    return ", ".join(f"{row['address']} {row['status']}" for row in state["ise_servers"]) or "none"


def trust_table(state: dict[str, Any]) -> Table:
    """Return every entry of both TOFU lists beside what its host presents now."""
    headers = ("server", "entry", "pinned (SHA-256)", "is what the host presents")
    return Table(title="Who trusts whom", headers=headers, rows=tuple(_trust_row(*each) for each in _entries(state)))


def _entries(state: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield server and key of each entry, the certificate that it pins, and the one that answers there, if one does."""
    presented = {
        f"{server['address']}_{port}": server["presents_sha256"]
        for server in state["servers"].values()
        for port in server["ports"].values()
    }
    for name, server in state["servers"].items():
        for key, entry in server.get("tofu", {}).items():
            yield name, key, entry["sha256"], presented.get(key, "")


def _trust_row(server: str, key: str, pinned: str, presented: str) -> Row:
    word, mark = ("yes", "good") if pinned == presented else ("no: stale", "bad")
    if not presented:
        word, mark = "own entry", ""
    return Row(server, key, pinned[:16] + "…", word, mark=mark)


# -- ``runbook notebook`` and ``runbook lab jupyter``: JupyterLab on copies, on loopback and with a token


def lab_jupyter_command() -> int:
    """Open the lab, whatever was chosen last; run until Ctrl-C or SIGTERM, and return JupyterLab's exit code.

    A lab that it started ends with it.
    """
    workspace.separate_choice(workspace.DEFAULT_SITE)
    lab_up = lab.is_up(paths.lab_dir())
    workspace.open_site(workspace.DEFAULT_SITE)
    try:
        return _serve(workspace.DEFAULT_SITE)
    finally:
        if not lab_up:
            lab_down_command()


def notebook_command(site: str) -> int:
    """Open a site: the lab as above; for any other nothing is started but JupyterLab, and nothing contacted.

    Return JupyterLab's exit code.
    """
    loaded = load_site_or_lab(site)
    if isinstance(loaded, LabRequest) and site == workspace.DEFAULT_SITE:
        return lab_jupyter_command()
    workspace.separate_choice(site)
    if isinstance(loaded, Site) and loaded.kind != "lab":
        out_lines(sign_of(loaded).text(room()))
    return _serve(loaded.name)


def _serve(site: str) -> int:
    choice = workspace.current_choice()
    notebooks = workspace.folder_of(site, choice.incident if choice else "")
    if hint := font_hint():
        out(hint)
    return workspace.serve_jupyter(notebooks)


# -- ``runbook demo``: the incident, its repair, and what the lab itself saw of it -----------------

MISMATCHES = 3
DELETE = "ncs certvalidation tofu-certs deletecert host "

WHAT_HAPPENED = (
    "A Prime Infrastructure server stores the certificate that each other server presents on the first connection, and"
    " rejects any other one from then on (trust on first use, TOFU). In this lab (a primary, a secondary and an ISE"
    " server, simulated on this machine) all three have new certificates, so they reject each other: high availability"
    " (HA) cannot be registered, and the ISE server cannot be added."
)


def demo_command(skin: str) -> int:
    """Run the demonstration in a lab of its own and return the exit code of the repair.

    ``skin`` is how the lab's web pages are built; with an empty one of real widgets, where those are on this machine.
    """
    folder = paths.lab_dir() / "demo"
    with lab_errors():
        skin = checked_skin(skin)
    prose(f"The lab's web pages are of the kind “{skin}”; runbook demo --skin NAME chooses another.")
    out()
    with lab_errors(), WarmKernels():  # which are there once the lab is, and not a second after that
        if lab.is_up(folder):
            lab.down(folder)
        shutil.rmtree(folder, ignore_errors=True)
        state = lab.up(folder, lab.LabOptions(scenario="renewed", monitor_interval_s=1.0, skin=skin))
        try:
            return _repair(folder, state)
        finally:
            lab.down(folder)


def _repair(folder: Path, state: dict[str, Any]) -> int:
    from runbook_lib.cli.plans import newest_plan  # with all that talks to devices, as the others
    from runbook_lib.cli.running import conclude, run_and_tell
    from runbook_lib.repair.sent_changes import close_unfinished

    site = load_site(folder / "site.yaml")
    _show_incident(site, state)
    prose("3. The repair: eight notebooks in order, in one incident. Each looks first; three of them change something.")
    out()
    path = str(folder / "site.yaml")
    record = Record.create(paths.records_dir(), site.name, kind=site.kind, what="runbook demo", given=path)
    try:
        report, seconds = run_and_tell(site, path, record)
        out()
        if plan := newest_plan(record):
            prose("4. The plan before it was carried out, with what confirmed each certificate, and who approved it.")
            out()
            given = next(iter(record.read_approvals(plan.digest)), None)
            approval = tables.approval(given, f"Plan {plan.digest}.")
            out_lines(View(plan, (*tables.plan(plan).tables, *approval.tables)).text())
            out()
        after, seen = lab.status(folder), lab.read_truth(folder / "truth.jsonl")
        out("5. What the lab itself saw: its own log, which the runbook cannot write.")
        out()
        out_lines(View(seen, (changes_seen(seen), _state(after), trust_table(after))).text())
        code = conclude(report, seconds, then="runbook demo")
    finally:
        if not record.is_closed():  # its servers end now, so nothing can go on in it
            close_unfinished(record, by=operator(), reason="the lab of the demonstration has ended")
            prose("The lab of this demonstration has ended, and its incident is closed with it.")
    if code == 0:
        require_changes_seen(seen, stale_entries(state))
        prose("Next: open the report; the same by hand: runbook lab jupyter; for servers of your own: runbook new NAME")
    return code


def _show_incident(site: Site, state: dict[str, Any]) -> None:
    prose(WHAT_HAPPENED)
    out()
    out("1. The lab, which entries of the two lists are stale, and what is broken.")
    out()
    out_lines(View(state, (trust_table(state), _state(state))).text())
    out("2. What the servers' logs say of it.")
    out()
    prose(verdict(_wait_for_mismatches(site)))
    out()


def _state(state: dict[str, Any]) -> Table:
    rows = [(f"HA state of the {name}", state["servers"][name]["ha_state"]) for name in PI_SERVERS]
    rows.append(("ISE servers that the primary lists", ise_words(state)))
    return Table(title="What works", headers=("what", "state"), rows=tuple(Row(*cells) for cells in rows))


def _wait_for_mismatches(site: Site) -> Diagnosis:
    """Read the lab's logs until its monitors have reported every mismatch once."""
    sources = {key: server.logs for key, server in site.servers.items()}
    end = time.monotonic() + 30.0
    while True:
        diagnosis = diagnose_sources(sources)
        if len(diagnosis.mismatches) >= MISMATCHES or time.monotonic() > end:
            return diagnosis
        time.sleep(0.2)


def stale_entries(state: dict[str, Any]) -> set[tuple[str, str]]:
    """Return (server, entry) of each entry whose host presents another certificate than the pinned one."""
    return {(name, key) for name, key, pinned, presented in _entries(state) if presented not in ("", pinned)}


def changes_seen(lines: list[dict[str, Any]]) -> Table:
    """Return what was changed, from the lines of the lab's log that tell of an effect."""
    rows = tuple(
        Row(line["utc"][11:19], line["server"], line["what"], line["effect"]) for line in lines if is_change(line)
    )
    return Table(title="Changes in the lab", headers=("UTC", "server", "what", "effect"), rows=rows, empty="none")


def is_change(line: dict[str, Any]) -> bool:
    """Whether a line of the lab's log says that something was changed, or that changing it failed."""
    what = line["what"]
    return bool(line.get("effect")) and (what.startswith((DELETE, "HA registration")) or " ISE " in what)


def require_changes_seen(lines: list[dict[str, Any]], stale: set[tuple[str, str]]) -> None:
    """Raise RepairFailed unless the lab saw exactly the stale entries deleted, once each, and one registration."""
    changed = [line for line in lines if is_change(line)]
    deleted = sorted((li["server"], li["what"].removeprefix(DELETE)) for li in changed if li["what"].startswith(DELETE))
    registered = [line["effect"] for line in changed if line["what"].startswith("HA registration")]
    if deleted != sorted(stale) or registered != ["registered"]:
        raise RepairFailed(
            "The lab saw something else than one deletion for each stale entry and one registration",
            found=f"stale: {sorted(stale)}\ndeleted: {deleted}\nregistrations: {registered}",
            next_step="compare the table “Changes in the lab” with the journal in the record",
        )
