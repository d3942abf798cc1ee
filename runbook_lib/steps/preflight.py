"""Is everything reachable? Command lines, releases, certificate ports, the browser, the record. Reads only."""

from __future__ import annotations

import asyncio
import shutil
import stat

from runbook_lib.browsers import find_browser
from runbook_lib.errors import (
    AnswerNotUnderstood,
    CommandRefused,
    LoginRefused,
    RunbookError,
    VersionUnsupported,
)
from runbook_lib.models import Check, ProductVersion, Vantage
from runbook_lib.params import Site
from runbook_lib.probe import NO_NAME, present
from runbook_lib.steps.clocks import clock_check
from runbook_lib.steps.context import Context
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.health_monitor import health_monitor_check
from runbook_lib.steps.releases import OLDEST_RELEASE, equal_releases, in_words, require_supported
from runbook_lib.steps.targets import PI_SERVERS, old_algorithms, targets

LEAST_FREE_BYTES = 100 << 20
_QUESTIONS = ("SSH host key", "SSH login", "release")


async def preflight(context: Context) -> tuple[tuple[Check, ...], RunbookError | None]:
    """Return one check per thing that the stages will need, and the error of the first server that cannot serve.

    Raises nothing for what it sees: the caller shows the checks first and raises the error then.
    """
    context.tell("Asking every server")
    checks, problem = await ask_servers(context.site, context.devices)
    return (*checks, _browser(context.site), _folder(context), _disk(context)), problem


async def ask_servers(site: Site, devices: Devices) -> tuple[tuple[Check, ...], RunbookError | None]:
    """Ask every server once: command line, release, certificate ports, clocks.

    Returns a check per question, and the first error that a command line raised (a host key, a
    login, a deadline) for a caller that has to end with it.
    """
    answers = await asyncio.gather(*(_command_line(site, devices, key) for key in PI_SERVERS))
    places = [(target.name, target.address, target.port) for target in targets(site)]
    if site.primary.web:
        places.append(("primary web pages", site.primary.address, site.primary.web.port))
    ports = await asyncio.gather(*(_port(site, *place) for place in places))
    deadline_s = site.deadlines.probe_s
    clocks = await asyncio.gather(
        *(clock_check(each.name, each.address, each.port, deadline_s) for each in targets(site))
    )
    problem = next((error for _, error, _ in answers if error), None)
    releases = equal_releases([version for _, _, version in answers])
    return (
        *(check for checks, _, _ in answers for check in checks),
        *releases,
        *_old_algorithms(site),
        *(check for checks in ports for check in checks),
        *clocks,
    ), problem


def _old_algorithms(site: Site) -> tuple[Check, ...]:
    return tuple(
        Check(
            name=f"{name}: SSH algorithms",
            expected="safe ones only",
            actual=f"the site's file allows {', '.join(names)}",
            ok=None,
            note="they rest on SHA-1; the host key stays pinned",
        )
        for name, names in old_algorithms(site).items()
    )


async def _command_line(
    site: Site, devices: Devices, key: str
) -> tuple[tuple[Check, ...], RunbookError | None, ProductVersion | None]:
    """Return a check of the host key, the login and the release; after one that failed nothing is known."""
    problem: RunbookError | None = None
    version: ProductVersion | None = None
    release = ""
    try:
        version = await devices.prime(key).version()
        release = f"answers, release {in_words(version)}"
        require_supported(site, key, version)
    except RunbookError as error:
        problem = error
    expected = ("the pinned one", "accepted", f"{OLDEST_RELEASE[0]}.{OLDEST_RELEASE[1]} or later")
    failed_at = _failed_at(problem)
    checks = []
    for number, (name, wanted) in enumerate(zip(_QUESTIONS, expected, strict=True)):
        if problem and number == failed_at:
            checks.append(_failed(f"{key}: {name}", wanted, problem))
        else:
            known = number < failed_at
            actual = (release or wanted) if name == "release" else wanted
            checks.append(
                Check(name=f"{key}: {name}", expected=wanted, actual=actual if known else "not asked", ok=known or None)
            )
    return tuple(checks), problem, version


def _failed_at(problem: RunbookError | None) -> int:
    """Return which of the questions an error answers with no; without an error, one after the last."""
    if problem is None:
        return len(_QUESTIONS)
    if isinstance(problem, VersionUnsupported | AnswerNotUnderstood | CommandRefused):
        return 2
    return 1 if isinstance(problem, LoginRefused) else 0


async def _port(site: Site, name: str, host: str, port: int) -> tuple[Check, ...]:
    """Whether a certificate is presented there; behind a PI server's own port, whether that is its Health Monitor."""
    look = await present(host, port, vantage=Vantage.HERE, deadlines=site.deadlines, times=1)
    actual = "answers" if look.chain else look.problem
    answers = Check(
        name=f"{name}: TLS on {host}:{port} from this machine",
        expected="answers",
        actual=actual,
        ok=bool(look.chain) or None,
        note="" if look.chain else _why_not(look.problem),
    )
    if name not in PI_SERVERS or not look.chain:
        return (answers,)
    return answers, await health_monitor_check(name, look, site.deadlines.probe_s)


def _why_not(problem: str) -> str:
    if problem.startswith(NO_NAME):
        return "write its address into the site's file, or mend the name there or in this machine's DNS or hosts file"
    return "may be reachable from its peers only; stage 20 looks from there too"


def _browser(site: Site) -> Check:
    name, expected = "browser for the web pages", "installed"
    try:
        return Check(name=name, expected=expected, actual=find_browser(site.browser).name, ok=True)
    except RunbookError as error:
        return _failed(name, expected, error)


def _folder(context: Context) -> Check:
    """Whether what is written to the record is there when it is read again: its journal verifies."""
    name, expected = "record folder", "written, for you alone"
    try:
        context.record.journal.read()
    except RunbookError as error:
        return _failed(name, expected, error)
    mode = stat.S_IMODE(context.record.folder.stat().st_mode)
    return Check(
        name=name,
        expected=expected,
        actual=expected if not mode & 0o077 else f"others may read it (mode {mode:04o})",
        ok=not mode & 0o077 or None,
    )


def free_bytes(context: Context) -> int:
    """Return how much room the record has left."""
    return shutil.disk_usage(context.record.folder).free


def _disk(context: Context) -> Check:
    free = free_bytes(context)
    return Check(
        name="room for the record",
        expected=f"at least {LEAST_FREE_BYTES >> 20} MiB",
        actual="enough" if free >= LEAST_FREE_BYTES else f"{free >> 20} MiB",
        ok=free >= LEAST_FREE_BYTES,
    )


def _failed(name: str, expected: str, error: RunbookError) -> Check:
    return Check(name=name, expected=expected, actual=error.what, ok=False, note=error.next_step)
