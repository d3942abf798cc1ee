"""``runbook check`` and ``runbook paths``: what this machine has. Nothing that talks to devices is loaded for them."""

from __future__ import annotations

from runbook_lib import paths
from runbook_lib.cli.terminal import out, prose
from runbook_lib.errors import BrowserMissing, ParameterRefused, RunbookError, UsageError
from runbook_lib.notebook.workspace import open_site
from runbook_lib.params.load import secret_references
from runbook_lib.params.model import Site, lacking
from runbook_lib.secrets import unresolved
from runbook_lib.web.browsers import find_browser


def check_command(site: str, *, live: bool) -> int:
    """Print what was checked and return the exit code: 2 where a secret or the browser is missing.

    What the file lacks and a later stage needs is a warning: the stages before it run.
    """
    settings = open_site(site)
    out(f"The file of site {settings.name} is valid.")
    for warning in lacking(settings):
        prose(f"Warning: {warning}")
    missing = _missing(settings)
    for error in missing:
        out(error.what)
        prose(f"  next: {error.next_step}")
    if not live:
        out("Nothing was contacted; --live asks the servers too.")
    if missing or not live:
        return UsageError.exit_code if missing else 0
    from runbook_lib.cli.new_site import check_live  # with all that talks to devices

    return check_live(settings)


def _missing(site: Site) -> list[RunbookError]:
    """Return what a repair will need of this machine and does not find; nobody is asked for a secret."""
    missing: list[RunbookError] = list(unresolved(secret_references(site)))
    if site.web != "guided":
        try:
            find_browser(site.browser)
        except BrowserMissing as error:
            missing.append(error)
    return missing


def paths_command(which: str = "") -> None:
    """Print where the delivered and the user's own folders are; with ``which`` the path of that one alone.

    Raises ParameterRefused for a name that is none of them.
    """
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
        raise ParameterRefused(f"There is no place {which!r}", next_step=f"one of: {', '.join(places)}")
    for name, place in places.items():
        if which in ("", name):
            out(str(place) if which else f"{name + ':':<11}{place}")
