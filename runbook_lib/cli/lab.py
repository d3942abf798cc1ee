"""``runbook lab``: the embedded lab as people and scripts use it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runbook_lib import lab, places
from runbook_lib.cli.terminal import out, out_lines
from runbook_lib.errors import ParameterRefused
from runbook_lib.lab.errors import LabOptionInvalid
from runbook_lib.lab.pages.dojo import INSTALL, has_dojo
from runbook_lib.lab.pages.skins import skin_named
from runbook_lib.views import Row, Table, View


@contextmanager
def lab_errors() -> Iterator[None]:
    """The lab's errors as the command line's."""
    try:
        yield
    except lab.LabError as error:
        raise ParameterRefused(str(error), where=str(places.lab_dir())) from None


def up_command(options: dict[str, Any]) -> None:
    """Start the lab and say where its site's file is."""
    with lab_errors():
        skin = checked_skin(options["skin"])
        state = lab.up(places.lab_dir(), lab.LabOptions.from_dict({**options, "skin": skin}))
    out_lines(status_view(state).text())
    out(f"site: {places.lab_dir() / 'site.yaml'}")


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


def fleet_command(count: int, options: dict[str, Any]) -> None:
    """Simulate so many sites until this process is told to end."""
    from runbook_lib.lab.many import ManyLabs

    with lab_errors(), ManyLabs(places.lab_dir() / "fleet", count, **options) as many:
        out(f"{count} sites are up, until Ctrl-C.")
        out(f"fleet: {many.fleet_file}")
        out(f"Next, elsewhere: runbook fleet triage {many.fleet_file}")
        threading.Event().wait()


def status_command(*, as_json: bool) -> None:
    """Show the lab's state."""
    with lab_errors():
        state = lab.status(places.lab_dir())
    out_lines(json.dumps(state, indent=2) if as_json else status_view(state).text())


def down_command() -> None:
    """End the lab."""
    with lab_errors():
        lab.down(places.lab_dir())
    out("The lab is down.")


def renew_command(who: str) -> None:
    """Renew one server's certificate."""
    with lab_errors():
        state = lab.renew(places.lab_dir(), who)
    out_lines(status_view(state).text())


def status_view(state: dict[str, Any]) -> View[dict[str, Any]]:
    """Return the lab's state as tables: the servers, and every entry beside what its host presents now."""
    return View(state, (_hosts(state), trust(state)))


def _hosts(state: dict[str, Any]) -> Table:
    rows = tuple(
        Row(
            cells=(
                name,
                server["address"],
                ", ".join(f"{use} {port}" for use, port in server["ports"].items()),
                server.get("ha_state", "-"),
                server["presents_sha256"][:16] + "…",
            )
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


def trust(state: dict[str, Any]) -> Table:
    """Return every entry of both TOFU lists beside what its host presents now."""
    rows = tuple(
        _trust_row(name, key, entry["sha256"], presented_as(state).get(key, ""))
        for name, server in state["servers"].items()
        for key, entry in server.get("tofu", {}).items()
    )
    return Table(
        title="Who trusts whom", headers=("server", "entry", "pinned (SHA-256)", "is what the host presents"), rows=rows
    )


def presented_as(state: dict[str, Any]) -> dict[str, str]:
    """Return which certificate answers at each ``<address>_<port>``."""
    return {
        f"{server['address']}_{port}": server["presents_sha256"]
        for server in state["servers"].values()
        for port in server["ports"].values()
    }


def _trust_row(server: str, key: str, pinned: str, presented: str) -> Row:
    word = "own entry" if not presented else "yes" if pinned == presented else "no: stale"
    mark = "" if not presented else "good" if pinned == presented else "bad"
    return Row(cells=(server, key, pinned[:16] + "…", word), mark=mark)
