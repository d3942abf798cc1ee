"""What a new site's servers show: the SSH host key, the certificate and its names, whether ``self`` can be had.

Looks for a person who is writing a site's file. Nothing that is seen is trusted: a host key is pinned when somebody
says that it was compared, and only then is a login tried.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from runbook_lib.certificates.facts import facts_as_far_as_read
from runbook_lib.console import Console
from runbook_lib.errors import RunbookError
from runbook_lib.models import Vantage
from runbook_lib.params import Deadlines
from runbook_lib.probe import present
from runbook_lib.steps.targets import Target

QUICK = Deadlines(connect_s=15.0, login_s=60.0, probe_s=15.0)


class Look(NamedTuple):
    """What one host presents: SHA-256 and names (none where nothing was seen), and what its own SSH server shows.

    ``own`` is ``same``, ``other``, or empty where it was not seen; ``problem`` says why something was not.
    """

    sha256: str = ""
    names: tuple[str, ...] = ()
    own: str = ""
    problem: str = ""


async def look_at(target: Target, *, login: bool) -> Look:
    """Look at a host's certificate from here and, with ``login``, through its own SSH server; never raises for it."""
    here = await present(target.address, target.port, vantage=Vantage.HERE, deadlines=QUICK, times=1)
    if not here.chain:
        return Look(problem=here.problem)
    facts = facts_as_far_as_read(here.chain[0], datetime.now(UTC))
    names = tuple(name for name in facts.names if name not in target.hosts and "*" not in name)
    look = Look(sha256=facts.sha256, names=names)
    if not login or target.ssh is None:
        return look
    try:
        console = await Console.open(target.name, target.address, target.ssh, deadlines=QUICK)
    except RunbookError as error:
        return look._replace(problem=error.what)
    try:
        own = await present(target.address, target.port, vantage=Vantage.SELF, deadlines=QUICK, via=console, times=1)
    finally:
        await console.close()
    if not own.chain:
        return look._replace(problem=own.problem)
    return look._replace(own="same" if own.chain[0] == here.chain[0] else "other")
