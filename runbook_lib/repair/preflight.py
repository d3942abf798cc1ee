"""Is everything reachable, and is everything at hand that a plan will need? Reads only."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import parsedate_to_datetime

from runbook_lib import errors, paths
from runbook_lib.decisions import ChangeKind, Plan
from runbook_lib.device.answers import parse_health_monitor
from runbook_lib.device.probe import asked, present, read_page
from runbook_lib.device.ssh import NO_NAME
from runbook_lib.models import PI_SERVERS, Presented, ProductVersion, Vantage
from runbook_lib.observations import Check
from runbook_lib.params.load import secret_references
from runbook_lib.params.model import Site
from runbook_lib.paths import find_browser
from runbook_lib.record.signing import require_writable
from runbook_lib.repair.context import Context, Devices, old_algorithms, targets
from runbook_lib.repair.guard import OLDEST_RELEASE, equal_releases, release_in_words, require_supported
from runbook_lib.repair.primary_pages import PrimaryPages, web_access
from runbook_lib.secrets import SecretRef, needs_a_person, unresolved

# -- What time a server has, as its web server says it in the header ``Date`` of any answer (RFC 9110).
#
# No certificate is judged and nothing is typed: the time is shown to people and decides nothing.

MOST_APART_S = 120.0


async def clock_check(name: str, host: str, port: int, deadline_s: float) -> Check:
    """Return whether a server's clock agrees with this machine's; not known where the server does not say."""
    expected = f"within {MOST_APART_S:.0f} s of this machine's"
    label = f"{name}: clock, as its port {port} reports it"
    try:
        async with asyncio.timeout(deadline_s):
            theirs = await _date(host, port)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        note = "it did not say; compare with `show clock` on its command line"
        return Check(name=label, expected=expected, actual=f"not reported ({type(error).__name__})", ok=None, note=note)
    apart = (theirs - datetime.now(UTC)).total_seconds()
    if abs(apart) <= MOST_APART_S:
        return Check(name=label, expected=expected, actual="agrees", ok=True)
    word = "ahead" if apart > 0 else "behind"
    note = "fix NTP first: certificates look expired or not yet valid, and times in logs cannot be compared"
    return Check(name=label, expected=expected, actual=f"{abs(apart) / 60:.0f} minutes {word}", ok=False, note=note)


async def _date(host: str, port: int) -> datetime:
    """Return the time that the server's answer carries; raises ValueError where it carries none."""
    async with asked("HEAD /", host, port) as reader:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise ValueError("an answer without an end") from None
    date = message_from_bytes(head.partition(b"\n")[2])["Date"]
    return parsedate_to_datetime(str(date or "")).astimezone(UTC)


# -- Whether a PI server's Health Monitor answers on its port, and which release it calls its own.
#
# Its login page needs no login. What it says proves no identity and decides nothing: it is shown.

PAGE = "/login.jsp"


async def health_monitor_check(name: str, look: Presented, probe_s: float) -> Check:
    """Return what the port that presented the certificate of ``look`` shows to everybody; never raises for that."""
    try:
        page = await read_page(look.host, look.port, PAGE, shown=look.chain[0], probe_s=probe_s)
        monitor = parse_health_monitor(page)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        return _check(name, look, f"not reported ({type(error).__name__})", ok=None)
    if monitor is None:
        note = "is this its port? health_monitor_port in the site's file"
        return _check(name, look, "another page", ok=None, note=note)
    words = "Health Monitor of Prime Infrastructure" if monitor.product else "Health Monitor of an unnamed product"
    words += f", release {monitor.release}" if monitor.release else ""
    return _check(name, look, words, ok=True, note="anybody can serve such a page: it proves no identity")


def _check(name: str, look: Presented, actual: str, *, ok: bool | None, note: str = "") -> Check:
    label = f"{name}: page on {look.host}:{look.port}"
    return Check(name=label, expected="Health Monitor", actual=actual, ok=ok, note=note)


# -- Is everything reachable? Command lines, releases, certificate ports, the browser, the record. Reads only

LEAST_FREE_BYTES = 100 << 20
_NO_ANSWER = "may be reachable from its peers only; stage 20 looks from there too"


async def preflight(context: Context) -> tuple[tuple[Check, ...], errors.RunbookError | None]:
    """Return one check per thing that the stages will need, and the error of the first server that cannot serve.

    Raises nothing for what it sees: the caller shows the checks first and raises the error then.
    """
    context.progress("Asking every server")
    checks, problem = await ask_servers(context.site, context.devices)
    return (*checks, _browser(context.site), _folder(context), *_keys(), _disk(context)), problem


async def ask_servers(site: Site, devices: Devices) -> tuple[tuple[Check, ...], errors.RunbookError | None]:
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
    looks = (clock_check(each.name, each.address, each.port, deadline_s) for each in targets(site))
    clocks = await asyncio.gather(*looks)
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
) -> tuple[tuple[Check, ...], errors.RunbookError | None, ProductVersion | None]:
    """Return a check of the host key, the login and the release; after one that failed nothing is known."""
    problem: errors.RunbookError | None = None
    version: ProductVersion | None = None
    release = ""
    try:
        version = await devices.prime(key).version()
        release = f"answers, release {release_in_words(version)}"
        require_supported(site, key, version)
    except errors.RunbookError as error:
        problem = error
    questions = (
        (f"{key}: SSH host key", "the pinned one", "the pinned one"),
        (f"{key}: SSH login", "accepted", "accepted"),
        (f"{key}: release", f"{OLDEST_RELEASE[0]}.{OLDEST_RELEASE[1]} or later", release),
    )
    failed_at = _failed_at(problem)
    checks = []
    for number, (name, expected, actual) in enumerate(questions):
        if problem and number == failed_at:
            checks.append(_failed(name, expected, problem))
        elif number > failed_at:
            checks.append(Check(name=name, expected=expected, actual="not asked", ok=None))
        else:
            checks.append(Check(name=name, expected=expected, actual=actual, ok=True))
    return tuple(checks), problem, version


def _failed_at(problem: errors.RunbookError | None) -> int:
    """Return which of the three questions an error answers with no; without an error, one after the last."""
    if problem is None:
        return 3
    if isinstance(problem, errors.VersionUnsupported | errors.AnswerNotUnderstood | errors.CommandRefused):
        return 2
    return 1 if isinstance(problem, errors.LoginRefused) else 0


async def _port(site: Site, name: str, host: str, port: int) -> tuple[Check, ...]:
    """Whether a certificate is presented there; behind a PI server's own port, whether that is its Health Monitor."""
    look = await present(host, port, vantage=Vantage.HERE, deadlines=site.deadlines, times=1)
    question = f"{name}: TLS on {host}:{port} from this machine"
    if not look.chain:
        advice = _NO_ANSWER if look.resolved else NO_NAME
        return (Check(name=question, expected="answers", actual=look.problem, ok=None, note=advice),)
    answers = Check(name=question, expected="answers", actual="answers", ok=True)
    if name not in PI_SERVERS:
        return (answers,)
    return answers, await health_monitor_check(name, look, site.deadlines.probe_s)


def _browser(site: Site) -> Check:
    name, expected = "browser for the web pages", "installed"
    try:
        return Check(name=name, expected=expected, actual=find_browser(site.browser).name, ok=True)
    except errors.RunbookError as error:
        return _failed(name, expected, error)


def _folder(context: Context) -> Check:
    """Whether what is written to the record is there when it is read again: its journal verifies."""
    name, expected = "record folder", "written, for you alone"
    try:
        context.record.journal.read()
    except errors.RunbookError as error:
        return _failed(name, expected, error)
    mode = stat.S_IMODE(context.record.folder.stat().st_mode)
    return Check(
        name=name,
        expected=expected,
        actual=expected if not mode & 0o077 else f"others may read it (mode {mode:04o})",
        ok=not mode & 0o077 or None,
    )


def _keys() -> tuple[Check, ...]:
    """Return a check that an approval could not be noted as seen, without which it does not count; else nothing."""
    error = _tried(_require_keys)
    return (_failed("folder of keys and approvals", "writable", error),) if error else ()


def free_bytes(context: Context) -> int:
    """Return how many bytes the record has left."""
    return shutil.disk_usage(context.record.folder).free


def _disk(context: Context) -> Check:
    free = free_bytes(context)
    return Check(
        name="disk space for the record",
        expected=f"at least {LEAST_FREE_BYTES >> 20} MiB",
        actual="enough" if free >= LEAST_FREE_BYTES else f"{free >> 20} MiB",
        ok=free >= LEAST_FREE_BYTES,
    )


def _failed(name: str, expected: str, error: errors.RunbookError) -> Check:
    return Check(name=name, expected=expected, actual=error.what, ok=False, note=error.next_step)


# -- Whatever a plan will need is tried before its first change: after the last deletion it would be too late.
#
# The secrets that will be typed, the browser, room on the disk, the record; and the login to the web pages, once,
# where it is confirmed who answers there. In guided mode a person types, and nothing of that is needed here.


def lacking_means(context: Context, plan: Plan) -> tuple[str, ...]:
    """Return in a sentence each what the plan needs and is not to be had; nobody is asked for a secret."""
    return tuple(f"{error.what}; {error.next_step}" for error in _problems(context, plan, ask=False))


def require_means(context: Context, plan: Plan) -> None:
    """Raise the error of the first thing that the plan needs and that is not to be had.

    Secrets that a person is to type are asked for now. Raises SecretUnavailable, SiteFileInvalid, BrowserMissing and
    RecordNotWritable.
    """
    for error in _problems(context, plan, ask=True):
        raise error


async def try_login(context: Context, pages: PrimaryPages, plan: Plan) -> None:
    """Log in to the web pages, where the plan may need them; raises LoginRefused and other DeviceErrors.

    Where it is not confirmed who answers there, or nobody does, no password is typed and nothing is raised: the stage
    that needs the pages looks again, and stops before it types anything. A page that is not understood is handed to a
    person there.
    """
    if pages.guided or not plan.changes:
        return
    context.progress("Trying the login to the web pages before anything is changed")
    try:
        await pages.open()
    except (
        errors.CertificateMoved,
        errors.DeletionRefused,
        errors.DeviceUnreachable,
        errors.PageNotUnderstood,
    ) as error:
        context.progress(f"The login attempt was cut short: {error.what}")
        await pages.close()


def require_logins(site: Site) -> None:
    """Raise SecretUnavailable for the first secret of the SSH logins that leads nowhere; nobody is asked for one."""
    logins = (server.ssh for server in site.servers.values() if server.ssh)
    for error in unresolved(tuple(secret for login in logins for secret in secret_references(login))):
        raise error


def needed_secrets(site: Site, plan: Plan) -> tuple[SecretRef, ...]:
    """Return the references of what the plan's changes type, each once."""
    if site.web == "guided" or not plan.changes:
        return ()
    kinds = {(change.kind, change.target) for change in plan.changes}
    secrets = [site.primary.web.password] if site.primary.web else []
    secrets += [site.ha.auth_key] if (ChangeKind.REGISTER_HA, "secondary") in kinds else []
    secrets += [server.password for server in site.ise if (ChangeKind.READD_ISE, server.name) in kinds]
    return tuple(dict.fromkeys(secrets))


def _problems(context: Context, plan: Plan, *, ask: bool) -> Iterator[errors.RunbookError]:
    site = context.site
    tries: list[Callable[[], object]] = [lambda: _require_room(context), context.record.journal.read, _require_keys]
    if plan.changes and site.web != "guided":
        tries += [lambda: web_access(site), lambda: find_browser(site.browser)]
    tries += [secret.resolve for secret in needed_secrets(site, plan) if ask or not needs_a_person(secret)]
    yield from filter(None, map(_tried, tries))


def _tried(attempt: Callable[[], object]) -> errors.RunbookError | None:
    try:
        attempt()
    except errors.RunbookError as error:
        return error
    return None


def _require_keys() -> None:
    require_writable(paths.key_dir())


def _require_room(context: Context) -> None:
    free = free_bytes(context)
    if free < LEAST_FREE_BYTES:
        raise errors.RecordNotWritable(
            f"Only {free >> 20} MiB are free for the record, and a repair may need {LEAST_FREE_BYTES >> 20} MiB",
            where=str(context.record.folder),
            next_step="free disk space there before anything is changed",
        )
