"""``runbook check``: a site's file, and with ``--live`` its servers, before anything depends on them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from runbook_lib import background
from runbook_lib.browsers import find_browser
from runbook_lib.cli.terminal import out, out_lines
from runbook_lib.errors import BrowserMissing, DeviceError, RunbookError, SafetyStop, UsageError
from runbook_lib.models import Check, Stage
from runbook_lib.params import Site, lacking, secret_references
from runbook_lib.record import Record, operator
from runbook_lib.session import open_site
from runbook_lib.steps import preflight
from runbook_lib.steps.context import Context
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.means import unresolved
from runbook_lib.steps.pages import PrimaryPages
from runbook_lib.views import standing

LOGIN = "primary web pages: login"


def check_command(site: str, *, live: bool) -> int:
    """Print what was checked and return the exit code: 2 where a secret or the browser is not to be had.

    What the file lacks and a later stage needs is a warning: the stages before it run.
    """
    settings = open_site(site)
    out(f"The file of site {settings.name} is valid.")
    for warning in lacking(settings):
        out(f"Warning: {warning}")
    missing = _missing(settings)
    for error in missing:
        out(error.what)
        out(f"  next: {error.next_step}")
    if not live:
        out("Nothing was contacted; --live asks the servers too.")
    if missing:
        return UsageError.exit_code
    if not live:
        return 0
    checks, problem = background.run(_live(settings))
    out_lines(standing.checks(checks, f"Servers of site {settings.name}").text())
    if problem:
        raise problem
    return 0 if all(check.ok is not False for check in checks) else DeviceError.exit_code


def _missing(site: Site) -> list[RunbookError]:
    """Return what a repair will need of this machine and is not to be had; nobody is asked for a secret."""
    missing: list[RunbookError] = list(unresolved(secret_references(site)))
    if site.web != "guided":
        try:
            find_browser(site.browser)
        except BrowserMissing as error:
            missing.append(error)
    return missing


async def _live(site: Site) -> tuple[tuple[Check, ...], RunbookError | None]:
    devices = Devices(site, keep=lambda *_: None)
    try:
        checks, problem = await preflight.ask_servers(site, devices)
        if problem or site.primary.web is None or site.web == "guided":
            return checks, problem
        login, problem = await _login(site, devices)
        return (*checks, login), problem
    finally:
        await devices.close()


async def _login(site: Site, devices: Devices) -> tuple[Check, RunbookError | None]:
    """Log in to the web pages once; the password is typed only where it is confirmed who answers there."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        context = Context(
            site=site,
            record=Record.create(root, site.name, what="runbook check --live"),
            stage=Stage.START,
            devices=devices,
            operator=operator(),
            records_root=root,
        )
        pages = PrimaryPages(context)
        try:
            await pages.open()
        except RunbookError as error:
            # Where it is not confirmed who answers, no password is typed: that says nothing of the login.
            ok = None if isinstance(error, SafetyStop) else False
            actual = error.what if ok is False else f"not tried: {error.what}"
            said = Check(name=LOGIN, expected="accepted", actual=actual, ok=ok, note=error.next_step)
            return said, error if isinstance(error, DeviceError) else None
        finally:
            await pages.close()
    return Check(name=LOGIN, expected="accepted", actual="accepted", ok=True), None
