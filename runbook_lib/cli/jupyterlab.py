"""``runbook notebook`` and ``runbook lab jupyter``: JupyterLab on the first notebook, on loopback and with a token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runbook_lib import lab, places
from runbook_lib.cli.lab import lab_errors
from runbook_lib.cli.terminal import out, out_lines
from runbook_lib.cli.workspace import WORKSPACE, laid_out, save_workspace
from runbook_lib.engine.kernel import has_ipc, private_folder
from runbook_lib.params import LabRequest, Site, load_site_or_lab
from runbook_lib.session import open_site
from runbook_lib.session.choice import DEFAULT_SITE, open_for
from runbook_lib.session.runbook import sign_of
from runbook_lib.views.as_text import room

# No questions about news, and nobody outside this machine is asked for any.
_NO_NEWS = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
_KERNELS = "runbook_lib.kernels.served"


def jupyter_command() -> int:
    """Open the lab, whatever was chosen last; run until Ctrl-C or SIGTERM. A lab that it started ends with it."""
    open_for(DEFAULT_SITE)
    with _lab_running():
        return _serve()


def notebook_command(site: str) -> int:
    """Open a site: the lab as above; for any other nothing is started but JupyterLab, and nothing contacted."""
    loaded = load_site_or_lab(site)
    if isinstance(loaded, LabRequest) and site == DEFAULT_SITE:
        return jupyter_command()
    open_for(site)
    if isinstance(loaded, Site) and loaded.kind != "lab":
        out_lines(sign_of(loaded).text(room()))
    return _serve()


@contextmanager
def _lab_running() -> Iterator[None]:
    folder = places.lab_dir()
    found = lab.is_up(folder)
    open_site("lab")
    try:
        yield
    finally:
        if not found:
            with lab_errors():
                lab.down(folder)
            out("The lab is down.")


def _serve() -> int:
    with private_folder() as sockets:
        process = subprocess.Popen(_command(sockets), env=_environment())  # noqa: S603 - every word of it stands below
        try:
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            process.terminate()
            process.wait()


def _command(sockets: Path) -> list[str]:
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={laid_out()}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--LabApp.default_url=/lab/workspaces/{WORKSPACE}"]
    command += [f"--LabApp.workspaces_dir={save_workspace(places.lab_dir() / 'jupyter' / 'workspaces')}"]
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
    folder = places.lab_dir() / "jupyter"
    settings = folder / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(_NO_NEWS), encoding="utf-8")
    paths = filter(None, (str(folder), os.environ.get("JUPYTER_CONFIG_PATH")))
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}
