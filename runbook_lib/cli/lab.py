"""``runbook lab`` and ``runbook notebook``: the embedded lab, and JupyterLab on the first notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runbook_lib import lab, paths
from runbook_lib.cli.terminal import out, out_lines
from runbook_lib.errors import ParameterRefused
from runbook_lib.i18n.language import font_hint
from runbook_lib.lab.errors import LabOptionInvalid
from runbook_lib.lab.pages.dojo import INSTALL, has_dojo
from runbook_lib.lab.pages.skins import skin_named
from runbook_lib.notebook.provisioner import has_ipc, private_folder
from runbook_lib.notebook.runbook import sign_of
from runbook_lib.notebook.workspace import DEFAULT_SITE, chosen, folder_of, open_for, open_site, save_layout
from runbook_lib.params.load import load_site_or_lab
from runbook_lib.params.model import LabRequest, Site
from runbook_lib.show.rendering import View, room
from runbook_lib.show.table import Row, Table

# -- ``runbook lab``: the embedded lab as people and scripts use it --------------------------------


@contextmanager
def lab_errors() -> Iterator[None]:
    """The lab's errors as the command line's. Raises ParameterRefused in their place."""
    try:
        yield
    except lab.LabError as error:
        raise ParameterRefused(str(error), where=str(paths.lab_dir())) from None


def up_command(options: dict[str, Any]) -> None:
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


def fleet_command(count: int, options: dict[str, Any]) -> None:
    """Simulate so many sites until this process is told to end."""
    from runbook_lib.lab.many import ManyLabs

    with lab_errors(), ManyLabs(paths.lab_dir() / "fleet", count, **options) as many:
        out(f"{count} sites are up, until Ctrl-C.")
        out(f"fleet: {many.fleet_file}")
        out(f"Next, elsewhere: runbook fleet triage {many.fleet_file}")
        threading.Event().wait()


def status_command(*, as_json: bool) -> None:
    """Show the lab's state."""
    with lab_errors():
        state = lab.status(paths.lab_dir())
    out_lines(json.dumps(state, indent=2) if as_json else status_view(state).text())


def down_command() -> None:
    """End the lab."""
    with lab_errors():
        lab.down(paths.lab_dir())
    out("The lab is down.")


def renew_command(who: str) -> None:
    """Renew one server's certificate."""
    with lab_errors():
        state = lab.renew(paths.lab_dir(), who)
    out_lines(status_view(state).text())


def status_view(state: dict[str, Any]) -> View[dict[str, Any]]:
    """Return the lab's state as tables: the servers, and every entry beside what its host presents now."""
    return View(state, (_hosts(state), trust(state)))


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
    return Row(server, key, pinned[:16] + "…", word, mark=mark)


# -- ``runbook notebook`` and ``runbook lab jupyter``: JupyterLab on copies, on loopback and with a token

_PAGES = {
    # No questions about news, and nobody outside this machine is asked for any.
    "page_config": {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
    # A page that is loaded again shows what was saved: of a registration that takes an hour all but these seconds.
    "default_setting_overrides": {"@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 5}},
}
_KERNELS = "runbook_lib.notebook.provisioner"


def jupyter_command() -> int:
    """Open the lab, whatever was chosen last; run until Ctrl-C or SIGTERM, and return JupyterLab's exit code.

    A lab that it started ends with it.
    """
    open_for(DEFAULT_SITE)
    with _lab_running():
        return _serve(DEFAULT_SITE)


def notebook_command(site: str) -> int:
    """Open a site: the lab as above; for any other nothing is started but JupyterLab, and nothing contacted.

    Return JupyterLab's exit code.
    """
    loaded = load_site_or_lab(site)
    if isinstance(loaded, LabRequest) and site == DEFAULT_SITE:
        return jupyter_command()
    open_for(site)
    if isinstance(loaded, Site) and loaded.kind != "lab":
        out_lines(sign_of(loaded).text(room()))
    return _serve(loaded.name if isinstance(loaded, Site) else DEFAULT_SITE)


@contextmanager
def _lab_running() -> Iterator[None]:
    folder = paths.lab_dir()
    found = lab.is_up(folder)
    open_site("lab")
    try:
        yield
    finally:
        if not found:
            with lab_errors():
                lab.down(folder)
            out("The lab is down.")


def _serve(site: str) -> int:
    choice = chosen()
    notebooks = folder_of(site, choice.incident if choice else "")
    if hint := font_hint():
        out(hint)
    with private_folder() as sockets:
        process = subprocess.Popen(_command(sockets, notebooks), env=_environment())  # noqa: S603 - every word of it stands below
        try:
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            process.terminate()
            process.wait()


def _command(sockets: Path, notebooks: Path) -> list[str]:
    layouts = paths.lab_dir() / "jupyter" / "workspaces"
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={paths.records_dir()}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--LabApp.default_url=/lab/workspaces/{save_layout(layouts, notebooks)}"]
    command += [f"--LabApp.workspaces_dir={layouts}"]
    command += ["--ServerApp.answer_yes=True", "--LabApp.news_url=None"]
    command += [f"--MultiKernelManager.kernel_manager_class={_KERNELS}.ServedKernelManager"]
    if has_ipc(sockets):
        command.append(f"--ServedKernelManager.sockets={sockets}")
    if not has_display():
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def has_display() -> bool:
    """Whether a browser can be opened for the user at all."""
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _environment() -> dict[str, str]:
    folder = paths.lab_dir() / "jupyter"
    settings = folder / "labconfig"
    settings.mkdir(parents=True, exist_ok=True)
    for name, content in _PAGES.items():
        (settings / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    searched = filter(None, (str(folder), os.environ.get("JUPYTER_CONFIG_PATH")))
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(searched)}
