"""What every step is given: site, record, devices and their looks; which host an entry stands for; waiting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from runbook_lib.device.command_line import Console, Session
from runbook_lib.device.prime import Keep, PrimeServer, identities
from runbook_lib.device.probe import not_available, present
from runbook_lib.errors import ConnectionLost, DecisionNeeded, DeviceError, DeviceSilent, DeviceUnreachable
from runbook_lib.event_loop import poll_until, side_by_side
from runbook_lib.models import PI_SERVERS, Presented, Stage, TofuEntry, Vantage
from runbook_lib.params.model import Expectation, IseServer, PiServer, Site, SshAccess
from runbook_lib.params.values import address_of, any_same_host, is_localhost, is_loopback, same_host
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import About, Line
from runbook_lib.record.lock import SiteLock

T = TypeVar("T")

# -- Which host an entry of a TOFU list stands for: a server itself, one of the site's other hosts, or a stranger


_KEY = re.compile(r"(?P<host>.+)_(?P<port>[0-9]{1,9})", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A host whose certificate a PI server pins. ``observers`` are the PI servers that do."""

    name: str
    address: str
    hosts: tuple[str, ...]
    port: int
    expect: Expectation
    ssh: SshAccess | None
    observers: tuple[str, ...]


def old_algorithms(site: Site) -> dict[str, tuple[str, ...]]:
    """Return the old SSH algorithms that the site's file allows, by the host that may use them."""
    hosts = {each.name: each.ssh for each in targets(site) if each.ssh}
    jumps = {f"jump host of {name}": ssh.jump for name, ssh in hosts.items() if ssh.jump}
    return {name: ssh.legacy for name, ssh in {**hosts, **jumps}.items() if ssh.legacy}


def targets(site: Site) -> tuple[Target, ...]:
    """Return every host of the site that another one pins: both PI servers, then the ISE servers."""
    hosts: list[tuple[str, PiServer | IseServer, int, str]] = [
        ("primary", site.primary, site.primary.health_monitor_port, "secondary"),
        ("secondary", site.secondary, site.secondary.health_monitor_port, "primary"),
        *((server.name, server, server.port, "primary") for server in site.ise),
    ]
    return tuple(
        Target(
            name=name,
            address=server.address,
            hosts=(server.address, *server.names),
            port=port,
            expect=server.expect,
            ssh=server.ssh,
            observers=(observer,),
        )
        for name, server, port, observer in hosts
    )


def target_named(site: Site, name: str) -> Target:
    """Return the target called ``name``."""
    return next(target for target in targets(site) if target.name == name)


def target_of(site: Site, observer: str, entry: TofuEntry) -> Target | None:
    """Return the host of the site that an entry on ``observer`` stands for, or None for a stranger.

    Only host and port decide; the subject is not looked at, because it proves nothing. The
    observer itself is never returned: see ``is_own``.
    """
    if is_own(site, observer, entry):
        return None
    for target in targets(site):
        if observer in target.observers and entry.port == target.port and any_same_host(entry.host, target.hosts):
            return target
    return None


def target_of_key(site: Site, observer: str, key: str) -> Target | None:
    """Return the host of the site that the entry ``<host>_<port>`` on ``observer`` stands for, or None."""
    match = _KEY.fullmatch(key)
    if not match:
        return None
    entry = TofuEntry(key=key, host=match["host"], port=int(match["port"]), subject="", line="")
    return target_of(site, observer, entry)


def is_own(site: Site, observer: str, entry: TofuEntry) -> bool:
    """Whether an entry is the server's own: its own name or address, or loopback.

    Where several servers share one address, or live on loopback (behind port forwarding, or on one
    machine), the port tells them apart: an entry that is exactly another host of the site is that
    host's. With the server's own port its own name, ``localhost``, ``127.0.0.1`` and ``::1`` are its own.
    """
    server = site.servers[observer]
    named = any_same_host(entry.host, (server.address, *server.names)) or is_localhost(entry.host)
    if named and entry.port == server.health_monitor_port:
        return True
    return (named or is_loopback(entry.host)) and not any(
        entry.port == other.port and any_same_host(entry.host, other.hosts)
        for other in targets(site)
        if other.name != observer
    )


# -- The site's devices: their command lines, opened once and when first needed, and the looks through them


class Devices:
    """Opens each command line at most once; ``close`` ends them all.

    ``looks`` is how often a host is looked at from each vantage: twice, so that one that shows two certificates in
    turn is noticed; once where nothing is decided by it.
    """

    def __init__(self, site: Site, keep: Keep, *, looks: int = 2) -> None:
        self._site = site
        self._looks = looks
        self._primes = {
            key: PrimeServer(
                key, site.servers[key], site.deadlines, keep, ignore=site.listing.ignore, answers=site.answers
            )
            for key in PI_SERVERS
        }
        self._sessions: dict[str, Session] = {
            target.name: Session(target.name, target.address, target.ssh, site.deadlines)
            for target in targets(site)
            if target.ssh
        } | self._primes

    def prime(self, key: str) -> PrimeServer:
        """Return ``primary`` or ``secondary``; nothing is contacted before its first verb."""
        return self._primes[key]

    def serve(self, keep: Keep, progress: Callable[[str], None]) -> None:
        """From now on give each answer to ``keep``, and say with ``progress`` what is waited for in a long command."""
        for prime in self._primes.values():
            prime.keep = keep
            prime.on_wait = progress
            prime.listed = ()

    async def look(self, target: Target) -> tuple[Presented, ...]:
        """Return what a host presents from every vantage: here, itself, and each server that pins it.

        A server that pins it may call it otherwise than the site's file does: by that name it connects, wherever the
        name leads there. Never raises for what a device does; a vantage that cannot be used says why.
        """
        called = ((by, host) for by in target.observers for host in (target.address, *self._other_names(by, target)))
        return tuple(
            await asyncio.gather(
                self._present(target, Vantage.HERE),
                self._through(target, target.name, Vantage.SELF),
                *(self._through(replace(target, address=host), by, Vantage.PEER) for by, host in called),
            )
        )

    def _other_names(self, observer: str, target: Target) -> list[str]:
        """Return how the list that was read last calls a host, where that is another name or address of it."""
        listed = self._primes[observer].listed
        called = (each.host for each in listed if each.port == target.port and any_same_host(each.host, target.hosts))
        hosts = dict.fromkeys(str(address_of(host) or host) for host in called)
        return [host for host in hosts if not same_host(host, target.address)]

    async def _through(self, target: Target, carrier: str, vantage: Vantage) -> Presented:
        session = self._sessions.get(carrier)
        if session is None:
            problem = "the site's file names no SSH access to this host"
            return not_available(target.address, target.port, vantage=vantage, via=carrier, problem=problem)
        try:
            console = await session.console()
        except DeviceError as error:
            return not_available(target.address, target.port, vantage=vantage, via=carrier, problem=str(error))
        return await self._present(target, vantage, console)

    async def _present(self, target: Target, vantage: Vantage, via: Console | None = None) -> Presented:
        place = (target.address, target.port)
        return await present(
            *place, vantage=vantage, deadlines=self._site.deadlines, via=via, names=target.hosts, times=self._looks
        )

    def require_whole_lists(self) -> None:
        """Raise AnswerNotUnderstood where a list that was read went on behind its prompt."""
        for prime in self._primes.values():
            prime.require_whole_list()

    async def close(self) -> None:
        """End every session that was opened."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))


async def ask_both(devices: Devices, ask: Callable[[PrimeServer], Awaitable[T]]) -> tuple[T, ...]:
    """Ask the primary and the secondary beside each other, and return their answers in that order.

    When both have answered or failed, raises the first error in that order.
    """
    return await side_by_side(*(ask(devices.prime(key)) for key in PI_SERVERS))


async def require_two_servers(devices: Devices) -> None:
    """Raise DecisionNeeded where both command lines may be one server's, by host name and host key.

    A secondary's address may lead to the primary, and machines made from one image have one host key: what is meant
    for the one, such as the deletion of the other one's entry, would be done on that one itself.
    """
    primary, secondary = await ask_both(devices, lambda prime: prime.who_answers())
    if primary.is_also(secondary):
        raise DecisionNeeded(
            "Both command lines lead to one server, going by host name and host key; nothing was changed",
            where=" and ".join(PI_SERVERS),
            found=f"both call themselves {primary.name}",
            next_step="find out which server each address leads to, and whose SSH host key is pinned for it; two"
            " servers with one host name and one host key need another key, or another name",
        )


# -- How a long step tells what it is doing: one sentence, and how much of the whole is done where it is known


class ProgressCallback(Protocol):
    """Called at each change; ``fraction`` is from 0 to 1, or None where the end is not known.

    ``steady`` says that the work goes on at one pace, so that what is left can be told from what is done.
    """

    def __call__(self, sentence: str, fraction: float | None = None, *, steady: bool = False) -> None: ...


def no_progress(sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
    """The listener that nobody asked for."""


# -- What every step is given: the site, its record, its devices, and a way to show progress -------


def now_utc() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """One stage at work on one incident of one site. ``attended``: a person runs it and sees what it tells.

    ``later``: the lines after the record's newest seal, as they were when the stage was opened by hand.
    """

    site: Site
    record: Record
    stage: Stage
    devices: Devices
    operator: str
    records_root: Path
    progress: ProgressCallback = no_progress
    attended: bool = False
    later: tuple[Line, ...] = ()
    now: Callable[[], datetime] = field(default=now_utc)

    def lock(self, purpose: str) -> SiteLock:
        """Return the lock of the site's servers, to be entered around whatever changes them."""
        return SiteLock(self.site.name, identities(self.site), purpose=purpose, incident=self.record.incident)


# -- Waiting until what the devices show has settled -----------------------------------------------

POLL_S = 2.0


async def wait_until(context: Context, look: Callable[[], Awaitable[T]], waited_for: Callable[[T], str]) -> T:
    """Look until nothing is waited for any more, at most for the site's ``settle_s``; return what was seen last.

    ``waited_for`` is given what was seen and returns a sentence, which is shown, or "" where it has settled. The time
    that the looks take counts: at most one of them ends after the deadline. Raises what ``look`` raises, and nothing
    of its own.
    """
    limit_s = context.site.deadlines.settle_s

    def show(seen: T, waited_s: float) -> None:
        context.progress(waited_for(seen), waited_s / limit_s)

    return await poll_until(look, lambda seen: not waited_for(seen), limit_s=limit_s, pause_s=POLL_S, on_look=show)


async def read_when_back(context: Context, read: Callable[[], Awaitable[T]]) -> T:
    """Return what a read of the command lines returns; a server that is away is waited for, at most ``settle_s``.

    For reads that settle how a change ended, since servers restart services after some. A command that was taken and
    not answered has had its own deadline. Raises what ``read`` raised last.
    """

    async def tried() -> T | DeviceError:
        try:
            return await read()
        except (DeviceUnreachable, DeviceSilent, ConnectionLost) as error:
            if isinstance(error, DeviceSilent) and error.sent:
                raise
            return error

    words = "Waiting for a server to answer again"
    seen = await wait_until(context, tried, lambda seen: words if isinstance(seen, DeviceError) else "")
    if isinstance(seen, DeviceError):
        raise seen
    return seen


# -- Changes through the web pages whose result was not seen yet -----------------------------------


def write_late_result(context: Context, what: About, seen: str, *, good: bool = False) -> None:
    """Write what the devices say of a change of this stage whose result was not seen yet; nothing is sent again."""
    for change in context.record.pending_changes():
        if change.stage == context.stage and change.about == what:
            change.result(seen, good=good)
