"""``runbook check``: a site's file, and with ``--live`` its servers, before anything depends on them."""

from __future__ import annotations

from runbook_lib import background
from runbook_lib.cli.terminal import out
from runbook_lib.errors import DeviceError, RunbookError
from runbook_lib.models import Check
from runbook_lib.params import Site
from runbook_lib.session import open_site
from runbook_lib.steps import preflight
from runbook_lib.steps.devices import Devices
from runbook_lib.views import standing


def check_command(site: str, *, live: bool) -> int:
    """Print what was checked and return the exit code."""
    settings = open_site(site)
    out(f"The file of site {settings.name} is valid.")
    if not live:
        out("Nothing was contacted; --live asks the servers too.")
        return 0
    checks, problem = background.run(_live(settings))
    out(standing.checks(checks, f"Servers of site {settings.name}").text())
    if problem:
        raise problem
    return 0 if all(check.ok is not False for check in checks) else DeviceError.exit_code


async def _live(site: Site) -> tuple[tuple[Check, ...], RunbookError | None]:
    devices = Devices(site, keep=lambda *_: None)
    try:
        return await preflight.ask_servers(site, devices)
    finally:
        await devices.close()
