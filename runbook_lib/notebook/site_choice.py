"""Which site and incident the notebooks open, and a site's file from its name.

What a person chose in ``00_start_here`` is kept in one small file for each operator, beside the records; what is chosen
in a JupyterLab that a command opened for a site is kept apart from that, so that the lab's never leads to a real site
that was chosen elsewhere. Only a notebook that a person runs reads it, and only where its parameters are left empty: a
batch job does what its parameters say, whatever was chosen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from runbook_lib import paths
from runbook_lib.errors import DeviceUnreachable
from runbook_lib.params.load import from_anywhere, load_site, load_site_or_lab
from runbook_lib.params.model import LabRequest, Site
from runbook_lib.record.files import operator, write_over

DEFAULT_SITE = "lab"
OPENED_FOR = "RUNBOOK_OPENED_FOR"
"""The variable that names the site for which a command opened JupyterLab; its kernels inherit it."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """``site`` as the parameter takes it; ``incident`` empty: the site's open one, or a new one."""

    site: str
    incident: str = ""


def resolved(site: str, incident: str, *, attended: bool) -> Choice:
    """Return what to open: what the parameters say; else, for a person, what was chosen; else the lab."""
    choice = chosen() if attended and not site else None
    if choice is None:
        return Choice(site=site or DEFAULT_SITE, incident=incident)
    return Choice(site=choice.site, incident=incident or choice.incident)


def chosen() -> Choice | None:
    """Return the operator's choice, None where nothing was chosen or the file holds no choice."""
    try:
        return Choice(**json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def choose(choice: Choice) -> None:
    """Keep a choice, whole or not at all; a path is kept absolute. Raises RecordNotWritable."""
    kept = Choice(site=from_anywhere(choice.site), incident=choice.incident)
    if chosen() != kept:
        write_over(_file(), json.dumps(asdict(kept)).encode())


def open_for(site: str) -> None:
    """Keep apart what is chosen in what this process starts, beginning with ``site``; raises RecordNotWritable.

    The incident stays that was chosen when JupyterLab was opened for this site before.
    """
    site = from_anywhere(site)
    os.environ[OPENED_FOR] = site
    before = chosen()
    if before is None or before.site != site:
        choose(Choice(site=site))


def _file() -> Path:
    who = operator()
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", who)[:40]
    opened_for = os.environ.get(OPENED_FOR, "")
    digest = hashlib.sha256((f"{who}\n{opened_for}" if opened_for else who).encode()).hexdigest()[:12]
    return paths.records_dir() / ".choices" / f"{readable}-{digest}.json"


def open_site(name_or_path: str) -> Site:
    """Return the site; starts the lab where the file asks for it and it is not up yet."""
    loaded = load_site_or_lab(name_or_path)
    return load_site(_lab_site_file(loaded)) if isinstance(loaded, LabRequest) else loaded


def _lab_site_file(request: LabRequest) -> Path:
    from runbook_lib import lab

    folder = paths.lab_dir()
    try:
        lab.up(folder, lab.LabOptions.from_dict(request.options()), exist_ok=True)
    except lab.LabError as error:
        raise DeviceUnreachable(
            "The lab could not be started",
            where=str(folder),
            found=str(error),
            next_step="runbook lab down, then again",
        ) from None
    return folder / "site.yaml"
